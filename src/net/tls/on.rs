//! TLS by rustls.

use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection,
};

use super::any::AnyCertificate;
use super::{CertificateError, TlsDetails};
use crate::config::Certificate;
use crate::config::tuning::TLS_PIECE;
use crate::net::Stream;
use crate::net::socket::send_all;

/// The only protocol that is spoken inside; who offers HTTP/2 alone is told so in the handshake.
const ALPN: &[u8] = b"http/1.1";

/// Gives each new session the certificate of now.
#[derive(Debug)]
pub(crate) struct TlsAcceptor {
    files: Certificate,
    config: Mutex<Arc<ServerConfig>>,
}

impl TlsAcceptor {
    /// # Errors
    /// The files cannot be used.
    pub(crate) fn load(files: &Certificate) -> Result<TlsAcceptor, CertificateError> {
        Ok(TlsAcceptor { files: files.clone(), config: Mutex::new(read(files)?) })
    }

    /// Reads the files again, for the sessions to come.
    ///
    /// # Errors
    /// They cannot be used; what was read before stays.
    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        let config = read(&self.files)?;
        *lock(&self.config) = config;
        Ok(())
    }

    /// The server's side of a session.
    ///
    /// # Errors
    /// No random numbers.
    // Not in a frame that sessions without TLS have, too; it would be one page more for each.
    #[inline(never)]
    pub(crate) fn session(&self) -> io::Result<TlsSession> {
        let config = Arc::clone(&lock(&self.config));
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(TlsSession::over(connection.into()))
    }
}

fn read(files: &Certificate) -> Result<Arc<ServerConfig>, CertificateError> {
    let Certificate { chain: chain_file, key: key_file } = files;
    let chain: Vec<_> = CertificateDer::pem_file_iter(chain_file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(chain_file, error))?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate(chain_file.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::NoKey(key_file.clone()),
        other => unreadable(key_file, other),
    })?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            CertificateError::WrongKey { certificate: chain_file.clone(), key: key_file.clone() }
        }
        rustls::Error::InvalidCertificate(why) => {
            CertificateError::Unusable(chain_file.clone(), format!("{why:?}"))
        }
        other => CertificateError::Unusable(key_file.clone(), other.to_string()),
    })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn unreadable(path: &Path, error: pem::Error) -> CertificateError {
    match error {
        pem::Error::Io(error) => CertificateError::Unreadable(path.to_owned(), error),
        other => CertificateError::Unusable(path.to_owned(), other.to_string()),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// One connection's TLS; of both threads of a member of the chat.
#[derive(Debug, Clone)]
pub(crate) struct TlsSession(Arc<Sides>);

#[derive(Debug)]
struct Sides {
    /// Never locked while somebody waits for the peer, so that who reads does not wait for who writes.
    state: Mutex<TlsState>,
    /// Locked from the making of a record to its last byte on the stream.
    sending: Mutex<Sending>,
}

#[derive(Debug, PartialEq, Eq)]
enum Sending {
    Whole,
    /// A record could not be sent whole; after it nothing would be understood.
    CutOff,
}

#[derive(Debug)]
struct TlsState {
    connection: Connection,
    /// Whether a client has yet to say that it speaks TLS.
    awaits_hello: bool,
    /// Decrypted: what rustls has no room for, as it holds a record's worth.
    surplus: VecDeque<u8>,
}

impl TlsState {
    /// Decrypts what arrived.
    fn decrypt(&mut self, mut arrived: &[u8]) -> io::Result<()> {
        self.awaits_hello = false;
        while !arrived.is_empty() {
            if self.connection.read_tls(&mut arrived)? == 0 {
                break; // what comes after the end of the session is not read
            }
            let done = self.connection.process_new_packets();
            done.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            if !arrived.is_empty() {
                self.make_room();
            }
        }
        Ok(())
    }

    fn make_room(&mut self) {
        let mut reader = self.connection.reader();
        while let Ok(decrypted @ [_, ..]) = reader.fill_buf() {
            self.surplus.extend(decrypted);
            let length = decrypted.len();
            reader.consume(length);
        }
    }

    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.surplus.is_empty() {
            return self.connection.reader().read(buf);
        }
        let length = self.surplus.read(buf)?;
        if self.surplus.is_empty() {
            self.surplus = VecDeque::new();
        }
        Ok(length)
    }
}

impl TlsSession {
    fn over(connection: Connection) -> TlsSession {
        let awaits_hello = matches!(connection, Connection::Server(_));
        let state = Mutex::new(TlsState { connection, awaits_hello, surplus: VecDeque::new() });
        TlsSession(Arc::new(Sides { state, sending: Mutex::new(Sending::Whole) }))
    }

    /// A client's side, for a server on this machine that is ours: the question is whether it lives,
    /// and not who it is. Its certificate names hosts that need not be here, and is not looked at.
    ///
    /// # Errors
    /// No random numbers.
    pub(crate) fn for_probe() -> io::Result<TlsSession> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider())))
            .with_no_client_auth();
        let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
        let connection =
            ClientConnection::new(Arc::new(config), nobody).map_err(io::Error::other)?;
        Ok(TlsSession::over(connection.into()))
    }

    /// Whether this error of a client's read is the server's [`REFUSAL`](super::REFUSAL).
    pub(crate) fn was_refused(error: &io::Error) -> bool {
        let error = error.get_ref().and_then(|error| error.downcast_ref());
        matches!(error, Some(rustls::Error::AlertReceived(AlertDescription::InternalError)))
    }

    /// Whether a client has yet to say that it speaks TLS.
    pub(crate) fn awaits_hello(&self) -> bool {
        self.lock().awaits_hello
    }

    /// Takes what is decrypted: nothing at the end of the session; none while more has to arrive.
    ///
    /// # Errors
    /// The session is broken.
    pub(crate) fn take(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self.lock().take(buf) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decrypts what arrived, and sends what that asks for: the answers of a handshake, an alert.
    ///
    /// # Errors
    /// `InvalidData`: this is no TLS, or not for us; the stream's own.
    pub(crate) fn feed(&self, arrived: &[u8], stream: &Stream) -> io::Result<()> {
        let mut state = self.lock();
        let decrypted = state.decrypt(arrived);
        let has_answer = state.connection.wants_write();
        drop(state);
        let answered = if has_answer { self.send_records(stream, |_| Ok(())) } else { Ok(()) };
        decrypted.and(answered)
    }

    /// Sends all of `bytes`; a client before the handshake is over, a server after it.
    ///
    /// # Errors
    /// Those of [`send_all`], `BrokenPipe` after one of them; `NotConnected` in the middle of a handshake.
    // As `TlsAcceptor::session`.
    #[inline(never)]
    pub(crate) fn send(&self, bytes: &[u8], stream: &Stream) -> io::Result<()> {
        bytes.chunks(TLS_PIECE).try_for_each(|piece| {
            self.send_records(stream, |connection| match connection {
                Connection::Server(server) if server.is_handshaking() => {
                    Err(ErrorKind::NotConnected.into())
                }
                connection => connection.writer().write_all(piece),
            })
        })
    }

    /// Says that nothing more will be sent; not where another thread waits for the peer to take what
    /// the end of the stream will cut off.
    ///
    /// # Errors
    /// Those of [`send_all`].
    pub(crate) fn finish(&self, stream: &Stream) -> io::Result<()> {
        let Ok(sending) = self.0.sending.try_lock() else { return Ok(()) };
        self.send_in_turn(sending, stream, |connection| {
            connection.send_close_notify();
            Ok(())
        })
    }

    /// Sends the records that `make` makes.
    fn send_records(
        &self,
        stream: &Stream,
        make: impl FnOnce(&mut Connection) -> io::Result<()>,
    ) -> io::Result<()> {
        self.send_in_turn(lock(&self.0.sending), stream, make)
    }

    fn send_in_turn(
        &self,
        mut sending: MutexGuard<Sending>,
        stream: &Stream,
        make: impl FnOnce(&mut Connection) -> io::Result<()>,
    ) -> io::Result<()> {
        if *sending == Sending::CutOff {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut records = Vec::new();
        let mut state = self.lock();
        make(&mut state.connection)?;
        while state.connection.wants_write() {
            state.connection.write_tls(&mut records)?;
        }
        drop(state);
        let sent = send_all(stream, &records);
        if sent.is_err() {
            *sending = Sending::CutOff;
        }
        sent
    }

    /// What was agreed on; none before the handshake is over.
    pub(crate) fn details(&self) -> Option<TlsDetails> {
        let state = self.lock();
        let version = match state.connection.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => "TLS 1.2",
            _ => "TLS 1.3",
        };
        let suite = state.connection.negotiated_cipher_suite()?.suite();
        let server_name = match &state.connection {
            Connection::Server(server) => server.server_name().map(str::to_owned),
            Connection::Client(_) => None,
        };
        // rustls has a name of its own for those of TLS 1.3.
        let cipher_suite = suite.as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1);
        Some(TlsDetails { version, cipher_suite, server_name })
    }

    fn lock(&self) -> MutexGuard<'_, TlsState> {
        lock(&self.0.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    /// A server's side, and the client's, with a connection between them.
    fn pair() -> ((TlsSession, Stream), (TlsSession, TcpStream)) {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Certificate { chain: folder.path().join("chain"), key: folder.path().join("key") };
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&files.chain, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream: Stream = OwnedFd::from(listener.accept().unwrap().0).into();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let server = TlsAcceptor::load(&files).unwrap().session().unwrap();
        ((server, stream), (TlsSession::for_probe().unwrap(), peer))
    }

    /// Reads as a socket does, with reads of so many bytes.
    fn read(session: &TlsSession, mut stream: &Stream, size: usize) -> Vec<u8> {
        let mut buf = vec![0; size];
        loop {
            if let Some(length) = session.take(&mut buf).unwrap() {
                return buf[..length].to_vec();
            }
            let length = stream.read(&mut buf).unwrap();
            if length == 0 {
                return Vec::new();
            }
            session.feed(&buf[..length], stream).unwrap();
        }
    }

    #[test]
    fn every_byte_is_decrypted_however_records_and_reads_fall() {
        let ((server, stream), (client, peer)) = pair();
        let sizes =
            [1, 16 * 1024, 3, 5000, 100_000, 7, 16 * 1024 - 1, 40, 40, 40, 16 * 1024, 40, 40];
        let sent: Vec<Vec<u8>> = sizes
            .iter()
            .cycle()
            .take(500)
            .enumerate()
            .map(|(n, size)| vec![u8::try_from(n % 251).unwrap(); *size])
            .collect();
        let expected = sent.concat();
        let sending = thread::spawn(move || {
            let peer: Stream = OwnedFd::from(peer).into();
            client.send(b"?", &peer).unwrap();
            assert_eq!(read(&client, &peer, 100), b"go on"); // reading makes the handshake
            for piece in sent {
                client.send(&piece, &peer).unwrap();
            }
            client.finish(&peer).unwrap();
        });
        assert_eq!(read(&server, &stream, 16 * 1024), b"?");
        server.send(b"go on", &stream).unwrap();
        let mut received = Vec::new();
        for size in [1, 22, 512, 4096, 16 * 1024, 64 * 1024].iter().cycle() {
            match read(&server, &stream, *size) {
                piece if piece.is_empty() => break,
                piece => received.extend(piece),
            }
        }
        assert!(received == expected, "{} of {}", received.len(), expected.len());
        sending.join().unwrap();
    }

    #[test]
    fn who_reads_does_not_wait_for_who_writes() {
        let ((server, stream), (client, peer)) = pair();
        let peer: Stream = OwnedFd::from(peer).into();
        let (sender, reader) = (client.clone(), server.clone());
        client.send(b"?", &peer).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = read(&client, &peer, 4096);
            });
            assert_eq!(read(&server, &stream, 4096), b"?");
            server.send(b"!", &stream).unwrap();
        });
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let sent = AtomicUsize::new(0);
        thread::scope(|scope| {
            let writing = scope.spawn(|| -> io::Result<()> {
                loop {
                    server.send(&[0; TLS_PIECE], &stream)?;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
            // The peer's window is full when nothing goes out any more.
            let mut before = None;
            while before != Some(sent.load(Ordering::Relaxed)) {
                before = Some(sent.load(Ordering::Relaxed));
                thread::sleep(Duration::from_millis(200));
            }
            sender.send(b"heard", &peer).unwrap();
            assert_eq!(read(&reader, &stream, 4096), b"heard");
            reader.finish(&stream).unwrap();
            peer.shutdown(std::net::Shutdown::Both).unwrap();
            stream.shutdown(std::net::Shutdown::Both).unwrap();
            let end = writing.join().unwrap().unwrap_err();
            assert_ne!(end.kind(), ErrorKind::TimedOut, "it was waited for");
        });
        assert_eq!(server.send(b"x", &stream).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}

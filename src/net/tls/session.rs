//! The server's side of one TLS session, by rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::{CommonState, ProtocolVersion, ServerConfig, ServerConnection, Stream};

use super::TlsDetails;
use crate::config::tuning::TLS_PIECE;

/// One connection's TLS. Reads and writes go through the stream that the caller brings, and end as
/// that stream's do.
#[derive(Debug)]
pub(crate) struct TlsSession {
    // rustls' state is a kilobyte, and plain connections have none.
    connection: Box<ServerConnection>,
    awaits_hello: bool,
}

impl TlsSession {
    /// # Errors
    /// No random numbers.
    #[cold] // not among the code of plain connections
    pub(super) fn new(config: Arc<ServerConfig>) -> io::Result<TlsSession> {
        let connection = ServerConnection::new(config).map(Box::new).map_err(io::Error::other)?;
        Ok(TlsSession { connection, awaits_hello: true })
    }

    /// Whether nothing was received yet.
    pub(crate) fn awaits_hello(&self) -> bool {
        self.awaits_hello
    }

    /// Whether the next read needs bytes of the stream, as no decrypted ones are left.
    pub(crate) fn wants_read(&self) -> bool {
        self.connection.wants_read()
    }

    /// Reads decrypted bytes; the handshake is made before the first of them.
    ///
    /// # Errors
    /// Those of `stream`; `InvalidData` if the bytes are not TLS, or the handshake fails;
    /// `UnexpectedEof` if the stream ends without close_notify.
    pub(crate) fn read(
        &mut self,
        stream: &mut (impl Read + Write),
        buf: &mut [u8],
    ) -> io::Result<usize> {
        self.awaits_hello = false;
        Stream::new(&mut *self.connection, stream).read(buf)
    }

    /// Encrypts and sends all of `bytes`.
    ///
    /// # Errors
    /// Those of `stream`; `NotConnected` before the handshake is over.
    pub(crate) fn write_all(&mut self, stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        if self.connection.is_handshaking() {
            return Err(ErrorKind::NotConnected.into());
        }
        // Piece by piece: rustls would hold all encrypted bytes at once.
        bytes.chunks(TLS_PIECE).try_for_each(|piece| {
            self.connection.writer().write_all(piece)?;
            self.send_records(stream)
        })
    }

    /// Whether the handshake is over.
    pub(crate) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Tells the peer that nothing more will be sent; does nothing the second time.
    ///
    /// # Errors
    /// Those of `stream`.
    pub(crate) fn send_close_notify(&mut self, stream: &mut impl Write) -> io::Result<()> {
        self.connection.send_close_notify();
        self.send_records(stream)
    }

    fn send_records(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(stream)?;
        }
        Ok(())
    }

    /// What was negotiated; `None` before the handshake is over.
    pub(crate) fn details(&self) -> Option<TlsDetails> {
        let (version, cipher_suite) = version_and_cipher_suite(&self.connection)?;
        let server_name = self.connection.server_name().map(str::to_owned);
        Some(TlsDetails { version, cipher_suite, server_name })
    }
}

/// The protocol version, and the name of the cipher suite in the IANA registry; `None` before the
/// handshake is over.
pub(crate) fn version_and_cipher_suite(session: &CommonState) -> Option<(&'static str, String)> {
    let version = match session.protocol_version()? {
        ProtocolVersion::TLSv1_2 => "TLS 1.2",
        _ => "TLS 1.3",
    };
    let suite = session.negotiated_cipher_suite()?.suite();
    // rustls prefixes the names of TLS 1.3 in its own way.
    Some((version, suite.as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1)))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::super::{TlsAcceptor, probe_client};
    use super::*;
    use crate::config::Certificate;

    fn server() -> TlsSession {
        let folder = tempfile::tempdir().unwrap();
        let files =
            Certificate { chain: folder.path().join("chain"), key: folder.path().join("key") };
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&files.chain, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        TlsAcceptor::load(&files).unwrap().session().unwrap()
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (stream, peer)
    }

    #[test]
    fn every_byte_is_decrypted_however_records_and_reads_fall() {
        let (mut server, (mut stream, peer)) = (server(), pair());
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
        let sending = std::thread::spawn(move || {
            let mut client = probe_client(peer).unwrap();
            client.write_all(b"?").unwrap();
            let mut reply = [0; 5];
            client.read_exact(&mut reply).unwrap();
            assert_eq!(&reply, b"go on");
            for piece in &sent {
                client.write_all(piece).unwrap();
            }
            client.conn.send_close_notify();
            client.flush().unwrap();
        });
        assert!(server.awaits_hello());
        let before = server.write_all(&mut stream, b"x").unwrap_err();
        assert_eq!(before.kind(), ErrorKind::NotConnected);
        let mut buf = vec![0; 64 * 1024];
        assert_eq!(server.read(&mut stream, &mut buf).unwrap(), 1);
        server.write_all(&mut stream, b"go on").unwrap();
        let mut received = Vec::new();
        for size in [1, 22, 512, 4096, 16 * 1024, 64 * 1024].iter().cycle() {
            match server.read(&mut stream, &mut buf[..*size]).unwrap() {
                0 => break,
                length => received.extend_from_slice(&buf[..length]),
            }
        }
        assert!(received == expected, "{} of {}", received.len(), expected.len());
        sending.join().unwrap();
    }
}

//! TLS for tests: a certificate authority per process, the certificates that it issues, and a
//! client that trusts it.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tempfile::TempDir;

/// The names in every certificate; clients connect to the first one.
pub const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

static AUTHORITY: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(|| {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = named("wsecho's tests");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
});

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// The files of a certificate; removed when dropped.
pub struct Files {
    folder: TempDir,
}

impl Files {
    /// Issues a valid certificate.
    pub fn good() -> Files {
        Files::with(|_| {})
    }

    /// Issues a certificate whose parameters were modified by `change`.
    pub fn with(change: impl FnOnce(&mut CertificateParams)) -> Files {
        let files = Files { folder: tempfile::tempdir().unwrap() };
        fs::write(files.authority(), AUTHORITY.pem()).unwrap();
        files.issue(change);
        files
    }

    /// Replaces certificate and key by newly issued ones.
    pub fn issue(&self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        params.distinguished_name = named("localhost");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*AUTHORITY).unwrap();
        fs::write(self.chain(), certificate.pem()).unwrap();
        fs::write(self.key(), key.serialize_pem()).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn chain(&self) -> PathBuf {
        self.folder().join("chain.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder().join("key.pem")
    }

    pub fn authority(&self) -> PathBuf {
        self.folder().join("authority.pem")
    }

    /// Returns the files for `Config::tls`.
    pub fn certificate(&self) -> wsecho::Certificate {
        wsecho::Certificate { chain: self.chain(), key: self.key() }
    }

    /// Returns the command-line options that name the files.
    pub fn options(&self) -> [String; 4] {
        let [chain, key] = [self.chain(), self.key()].map(|path| path.display().to_string());
        ["--tls-cert".to_owned(), chain, "--tls-key".to_owned(), key]
    }
}

/// Returns the configuration of a client that trusts the authority.
pub fn client_config() -> Arc<ClientConfig> {
    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(AUTHORITY.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    });
    Arc::clone(&CONFIG)
}

/// Returns a client connection before its handshake.
pub fn client() -> ClientConnection {
    ClientConnection::new(client_config(), ServerName::try_from(NAMES[0]).unwrap()).unwrap()
}

/// A client's TLS session, after the handshake. A blocked read does not hold the lock, so that
/// another thread can write meanwhile.
#[derive(Clone)]
pub struct Session(Arc<Mutex<State>>);

struct State {
    connection: ClientConnection,
    /// Ciphertext that was read and not yet decrypted, as rustls accepts only a limited amount.
    arrived: Vec<u8>,
}

impl State {
    /// Decrypts some of `arrived`; `None` if it is empty.
    fn decrypt(&mut self, tcp: &TcpStream) -> io::Result<Option<()>> {
        if self.arrived.is_empty() {
            return Ok(None);
        }
        let taken = self.connection.read_tls(&mut &self.arrived[..])?;
        let done = self.connection.process_new_packets();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut { tcp })?;
        }
        done.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        // After close_notify rustls takes no bytes; what follows it is discarded.
        self.arrived.drain(..if taken == 0 { self.arrived.len() } else { taken });
        Ok(Some(()))
    }
}

impl Session {
    /// Makes the TLS handshake; `Err` if it fails.
    pub fn start(mut tcp: &TcpStream) -> io::Result<Session> {
        let mut connection = client();
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Session(Arc::new(Mutex::new(State { connection, arrived: Vec::new() }))))
    }

    /// Calls `take` until its result is not `WouldBlock`, and reads more ciphertext in between.
    /// Returns the default value at the end of the TCP stream.
    fn read_by<T: Default>(
        &self,
        mut tcp: &TcpStream,
        mut take: impl FnMut(&mut ClientConnection) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut state = self.0.lock().unwrap();
            match take(&mut state.connection) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                taken => return taken,
            }
            if state.decrypt(tcp)?.is_some() {
                continue;
            }
            drop(state);
            let mut arrived = vec![0; 4096];
            let length = tcp.read(&mut arrived)?;
            if length == 0 {
                return Ok(T::default());
            }
            self.0.lock().unwrap().arrived.extend(&arrived[..length]);
        }
    }

    pub fn read(&self, tcp: &TcpStream, buf: &mut [u8]) -> io::Result<usize> {
        self.read_by(tcp, |connection| connection.reader().read(buf))
    }

    pub fn peek(&self, tcp: &TcpStream) -> io::Result<usize> {
        self.read_by(tcp, |connection| {
            std::io::BufRead::fill_buf(&mut connection.reader()).map(<[u8]>::len)
        })
    }

    pub fn write(&self, mut tcp: &TcpStream, buf: &[u8]) -> io::Result<usize> {
        let mut records = Vec::new();
        let mut state = self.0.lock().unwrap();
        let length = state.connection.writer().write(&buf[..buf.len().min(16 * 1024)])?;
        while state.connection.wants_write() {
            state.connection.write_tls(&mut records)?;
        }
        drop(state);
        tcp.write_all(&records).map(|()| length)
    }
}

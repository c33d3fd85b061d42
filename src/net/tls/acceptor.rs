//! The certificate, and the TLS session of each new connection, by rustls.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::fcntl::OFlag;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::CertificateError;
use super::session::TlsSession;
use crate::config::Certificate;
use crate::config::tuning::PEM_MAX;
use crate::lock::unpoisoned;

/// The only protocol spoken inside TLS. A client that offers HTTP/2 alone gets an alert.
const ALPN: &[u8] = b"http/1.1";

/// Makes the TLS session of each new connection, with the certificate that was read last.
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

    /// Reads the files again, for new connections.
    ///
    /// # Errors
    /// They cannot be used. The certificate in use stays.
    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        let config = read(&self.files)?;
        *unpoisoned(self.config.lock()) = config;
        Ok(())
    }

    /// A session whose handshake is still to come.
    ///
    /// # Errors
    /// No random numbers.
    pub(crate) fn session(&self) -> io::Result<TlsSession> {
        TlsSession::new(unpoisoned(self.config.lock()).clone())
    }
}

fn read(files: &Certificate) -> Result<Arc<ServerConfig>, CertificateError> {
    let Certificate { chain: chain_file, key: key_file } = files;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&contents(chain_file)?)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(chain_file, &error))?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate(chain_file.clone()));
    }
    let key = PrivateKeyDer::from_pem_slice(&contents(key_file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::NoKey(key_file.clone()),
        other => malformed(key_file, &other),
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

fn malformed(path: &Path, error: &pem::Error) -> CertificateError {
    let why = match error {
        pem::Error::MissingSectionEnd { .. } => {
            "its last section has no -----END …-----; it may not be complete yet".to_owned()
        }
        other => other.to_string(),
    };
    CertificateError::Unusable(path.to_owned(), why)
}

/// Reads a regular file. It does not wait, as for a FIFO that has no writer: that would hold the thread that
/// reloads certificates for ever.
fn contents(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |error| CertificateError::Unreadable(path.to_owned(), error);
    let unusable = |why: &str| CertificateError::Unusable(path.to_owned(), why.to_owned());
    let file = open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unusable("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(PEM_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > PEM_MAX {
        return Err(unusable("it is too large to be a certificate or a key in PEM"));
    }
    Ok(bytes)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

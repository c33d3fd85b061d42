//! TLS on the TCP listeners, by rustls. A build without the feature `tls` has the same names, see
//! `disabled`.
//!
//! Nothing here waits: read deadlines, the stop and the write timeout are those of the stream below,
//! and so the same as without TLS. The handshake is a part of the first read, under its deadline.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod any;
#[cfg(not(feature = "tls"))]
mod disabled;
#[cfg(feature = "tls")]
mod probe_client;
#[cfg(feature = "tls")]
mod session;

#[cfg(feature = "tls")]
pub(crate) use acceptor::TlsAcceptor;
#[cfg(feature = "tls")]
pub use any::AnyCertificate;
#[cfg(not(feature = "tls"))]
pub(crate) use disabled::{TlsAcceptor, TlsSession, is_refusal, probe_client};
#[cfg(feature = "tls")]
pub(crate) use probe_client::{is_refusal, probe_client};
#[cfg(feature = "tls")]
pub(crate) use session::TlsSession;

/// What a record of a handshake begins with, and so each TLS connection.
pub(crate) const HANDSHAKE_RECORD: u8 = 0x16;

/// A record for who cannot be served and has not made its handshake: a fatal alert of TLS 1.2,
/// `internal_error`, which later versions begin with, too.
pub(crate) const REFUSAL: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 80];

/// What was agreed on in a handshake.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TlsDetails {
    pub(crate) version: &'static str,
    /// As IANA lists it.
    pub(crate) cipher_suite: String,
    /// The name that the client asked for (SNI); none for an address.
    pub(crate) server_name: Option<String>,
}

/// Why a certificate cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A file has no certificate in it.
    NoCertificate(PathBuf),
    /// A file has no private key in it.
    NoKey(PathBuf),
    /// The two are no pair.
    WrongKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// What is in the file is of no use; why, in words.
    Unusable(PathBuf, String),
    /// This build has no TLS.
    NotInThisBuild,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateError::Unreadable(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            CertificateError::NoCertificate(path) => write!(
                f,
                "there is no certificate in {}; it is in PEM, from -----BEGIN CERTIFICATE----- on",
                path.display()
            ),
            CertificateError::NoKey(path) => write!(
                f,
                "there is no private key in {}; it is in PEM, not encrypted, from -----BEGIN PRIVATE KEY----- on",
                path.display()
            ),
            CertificateError::WrongKey { certificate, key } => write!(
                f,
                "the key in {} is not that of the first certificate in {}",
                key.display(),
                certificate.display()
            ),
            CertificateError::Unusable(path, why) => {
                write!(f, "what is in {} is of no use: {why}", path.display())
            }
            CertificateError::NotInThisBuild => {
                f.write_str("it is not in this build; cargo build --release --features tls makes one that has it")
            }
        }
    }
}

impl std::error::Error for CertificateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CertificateError::Unreadable(_, error) => Some(error),
            _ => None,
        }
    }
}

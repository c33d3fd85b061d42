//! TLS on the TCP listeners, by rustls. A build without the feature `tls` has the same names, see
//! `disabled`.
//!
//! Deadlines, the write timeout and the stop are handled by the stream below, and so they are the same
//! as without TLS. The TLS handshake is part of the first read, and under its deadline.

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
#[cfg(not(feature = "tls"))]
pub(crate) use disabled::{TlsAcceptor, TlsSession, is_refusal, probe_client};
#[cfg(feature = "tls")]
pub(crate) use probe_client::{is_refusal, probe_client};
#[cfg(feature = "tls")]
pub(crate) use session::TlsSession;
/// What `wsecho check` shares with the server.
#[cfg(all(feature = "tls", feature = "cli"))]
pub(crate) use {acceptor::provider, any::AnyCertificate, session::version_and_cipher_suite};

/// The content type `handshake` (RFC 8446, section 5.1): the first byte of a client's TLS
/// connection.
pub(crate) const HANDSHAKE_RECORD: u8 = 0x16;

/// The alert for a client that is rejected before the TLS handshake, as a whole record: fatal,
/// `internal_error` (RFC 8446, section 6). Before the handshake, alerts of TLS 1.2 and 1.3 are the
/// same.
pub(crate) const REFUSAL: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 80];

/// What was negotiated in a TLS handshake.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TlsDetails {
    pub(crate) version: &'static str,
    /// The name in the IANA registry.
    pub(crate) cipher_suite: String,
    /// The name that the client asked for (SNI, RFC 6066, section 3); `None` if it sent none, as
    /// for an IP address.
    pub(crate) server_name: Option<String>,
}

/// Why a certificate cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file contains no certificate.
    NoCertificate(PathBuf),
    /// The file contains no private key.
    NoKey(PathBuf),
    /// The key does not belong to the certificate.
    WrongKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The contents of the file cannot be used, for this reason.
    Unusable(PathBuf, String),
    /// The program was built without the feature `tls`.
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
                "{} contains no certificate; expected PEM that starts with -----BEGIN CERTIFICATE-----",
                path.display()
            ),
            CertificateError::NoKey(path) => write!(
                f,
                "{} contains no private key; expected unencrypted PEM that starts with -----BEGIN PRIVATE KEY-----",
                path.display()
            ),
            CertificateError::WrongKey { certificate, key } => write!(
                f,
                "the key in {} does not belong to the first certificate in {}",
                key.display(),
                certificate.display()
            ),
            CertificateError::Unusable(path, why) => {
                write!(f, "{} cannot be used: {why}", path.display())
            }
            CertificateError::NotInThisBuild => {
                f.write_str("this build has no TLS; build one with: cargo build --release")
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

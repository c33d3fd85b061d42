//! Why a server cannot start. What the operator can do about it is in `cli::advice`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::config::Listen;
use crate::net::tls::CertificateError;

/// Why a server cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An address or a path cannot be listened on.
    Listen(Listen, io::Error),
    /// The address or path of the admin listener cannot be listened on.
    Admin(Listen, io::Error),
    /// An inherited socket cannot be served.
    Inherited(io::Error),
    /// The certificate cannot be used.
    Certificate(CertificateError),
    /// The folder of the page cannot be read.
    Www(PathBuf, io::Error),
    /// No thread can be created.
    Thread(io::Error),
    /// No descriptor is left for waking threads at the stop.
    Descriptor(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Listen(listen, error) | Error::Admin(listen, error) => {
                write!(f, "cannot listen on {listen}: {error}")
            }
            Error::Inherited(error) => write!(f, "cannot serve this socket: {error}"),
            Error::Certificate(error) => write!(f, "cannot speak TLS: {error}"),
            Error::Www(path, error) => {
                write!(f, "cannot serve the folder {}: {error}", path.display())
            }
            Error::Thread(error) => write!(f, "cannot create a thread: {error}"),
            Error::Descriptor(error) => write!(f, "cannot get a descriptor: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Listen(_, error)
            | Error::Admin(_, error)
            | Error::Inherited(error)
            | Error::Www(_, error)
            | Error::Thread(error)
            | Error::Descriptor(error) => Some(error),
            Error::Certificate(error) => Some(error),
        }
    }
}

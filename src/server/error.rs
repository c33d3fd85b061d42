//! Why a server cannot start, and what to do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
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
            Error::Listen(listen, error) => {
                write!(f, "cannot listen on {listen}: {}", advice(listen, error, "--listen"))
            }
            Error::Admin(listen, error) => {
                write!(f, "cannot listen on {listen}: {}", advice(listen, error, "--admin"))
            }
            Error::Inherited(error) => write!(
                f,
                "cannot serve an inherited socket (LISTEN_FDS): {error}; it has to be a listening stream socket"
            ),
            Error::Certificate(error) => write!(f, "cannot speak TLS: {error}"),
            Error::Www(path, error) => {
                write!(f, "cannot serve the folder {}: {error}", path.display())
            }
            Error::Thread(error) => write!(f, "cannot create a thread: {error}"),
            Error::Descriptor(error) => write!(f, "cannot get a descriptor: {error}"),
        }
    }
}

/// What to do about the error. `option` is the one that sets the address.
fn advice(listen: &Listen, error: &io::Error, option: &str) -> String {
    match listen {
        Listen::Tcp(address) => tcp_advice(*address, error, option),
        Listen::Unix { .. } => unix_advice(error, option),
    }
}

fn tcp_advice(address: SocketAddr, error: &io::Error, option: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process listens on port {}; stop it, or choose another port with {option} (0 takes any free one)",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "port {} needs a privilege (CAP_NET_BIND_SERVICE); choose a port from 1024 up with {option}",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 stands for all of its addresses"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

fn unix_advice(error: &io::Error, option: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process listens there; stop it, or choose another path with {option}")
        }
        io::ErrorKind::AlreadyExists => format!(
            "a file that is not a socket is there, and was left alone; choose another path with {option}"
        ),
        io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this user may not write to the folder, or not connect to the socket that is there"
                .to_owned()
        }
        _ => error.to_string(),
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

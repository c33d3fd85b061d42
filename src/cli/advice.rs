//! What an operator can do about an error of the server: which option to set, and how.

use std::io;
use std::net::SocketAddr;

use crate::config::Listen;
use crate::server::Error;

/// The error in one sentence, with the option that helps.
pub(super) fn advice(error: &Error) -> String {
    match error {
        Error::Listen(at, error) => {
            format!("cannot listen on {at}: {}", listen(at, error, "--listen"))
        }
        Error::Admin(at, error) => {
            format!("cannot listen on {at}: {}", listen(at, error, "--admin"))
        }
        Error::Inherited(error) => format!(
            "cannot serve an inherited socket (LISTEN_FDS): {error}; it has to be a listening stream socket"
        ),
        // glibc takes EPERM from clone3(2) for final; only ENOSYS makes it try clone(2).
        Error::Thread(error) if error.kind() == io::ErrorKind::PermissionDenied => format!(
            "cannot create a thread: {error}; a sandbox forbids it, such as the seccomp profile of a container runtime that does not know clone3 (Docker before 20.10.10): update the runtime"
        ),
        Error::Thread(error) => format!(
            "cannot create a thread: {error}; raise the limit on threads (ulimit -u, TasksMax=, pids.max), or end other processes of this user"
        ),
        other => other.to_string(),
    }
}

/// `option` is the one that sets the address.
fn listen(at: &Listen, error: &io::Error, option: &str) -> String {
    match at {
        Listen::Tcp(address) => tcp(*address, error, option),
        Listen::Unix { .. } => unix(error, option),
    }
}

fn tcp(address: SocketAddr, error: &io::Error, option: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process has port {}; stop it, or choose another port with {option} (0 takes any free one)",
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

fn unix(error: &io::Error, option: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_may_be_behind_it() {
        for (error, words) in [
            (Error::Thread(io::ErrorKind::PermissionDenied.into()), "seccomp profile"),
            (Error::Thread(io::ErrorKind::WouldBlock.into()), "TasksMax="),
            (
                Error::Listen(([127, 0, 0, 1], 80).into(), io::ErrorKind::AddrInUse.into()),
                "another process has port 80; stop it",
            ),
        ] {
            let advice = advice(&error);
            assert!(advice.contains(words), "{advice}");
        }
    }
}

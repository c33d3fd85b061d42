//! The address of a listener, as given on the command line.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use super::DEFAULT_PORT;

/// An address to listen on: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/wsecho.sock` or
/// `unix:/run/wsecho.sock,mode=0660`.
///
/// Host names are not resolved, as a static binary cannot do that; `localhost` is 127.0.0.1. (The
/// program's `--listen` adds ::1.)
///
/// ```
/// use wsecho::Listen;
///
/// assert_eq!("localhost:80".parse::<Listen>()?, ([127, 0, 0, 1], 80).into());
/// let unix = Listen::Unix { path: "/run/wsecho.sock".into(), mode: Some(0o660) };
/// assert_eq!("unix:/run/wsecho.sock,mode=0660".parse::<Listen>()?, unix);
/// assert_eq!(unix.to_string(), "unix:/run/wsecho.sock");
/// # Ok::<(), wsecho::ListenError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An IP address and a port; port 0 selects a free one.
    Tcp(SocketAddr),
    /// A Unix domain socket.
    Unix {
        /// A stale socket of a dead process at this path is replaced; the socket is removed at
        /// shutdown.
        path: PathBuf,
        /// The permission bits of the socket: processes that may write to it may connect. `None`:
        /// the process's umask applies.
        mode: Option<u32>,
    },
}

/// The text is not a [`Listen`]; the message gives a valid example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenError(String);

impl<T: Into<SocketAddr>> From<T> for Listen {
    fn from(address: T) -> Self {
        Listen::Tcp(address.into())
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Listen, ListenError> {
        if let Some(unix) = text.strip_prefix("unix:") {
            return unix_socket(unix);
        }
        if let Ok(address) = text.parse() {
            return Ok(Listen::Tcp(address));
        }
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        local.map(|port| Listen::Tcp((Ipv4Addr::LOCALHOST, port).into())).ok_or_else(|| {
            ListenError(format!("an address is an IP address and a port: {}", example(text)))
        })
    }
}

/// Parses the text after `unix:`.
fn unix_socket(text: &str) -> Result<Listen, ListenError> {
    let (path, mode) = match text.rsplit_once(",mode=") {
        Some((path, mode)) => (path, Some(permissions(mode)?)),
        None => (text, None),
    };
    if path.is_empty() {
        return Err(ListenError("a Unix socket needs a path: unix:/run/wsecho.sock".to_owned()));
    }
    if path.starts_with('@') {
        return Err(ListenError(
            "abstract sockets are not supported; write a path: unix:/run/wsecho.sock".to_owned(),
        ));
    }
    Ok(Listen::Unix { path: path.into(), mode })
}

fn permissions(mode: &str) -> Result<u32, ListenError> {
    /// Read, write and execute for owner, group and others.
    const ALL: u32 = 0o777;
    let bits = mode.chars().all(|c| c.is_digit(8)).then(|| u32::from_str_radix(mode, 8).ok());
    bits.flatten().filter(|bits| *bits <= ALL).ok_or_else(|| {
        ListenError("a mode is octal, 0777 at most: unix:/run/wsecho.sock,mode=0660".to_owned())
    })
}

/// A valid address that resembles `text`.
fn example(text: &str) -> String {
    let port = text.strip_prefix(':').unwrap_or(text);
    match (port.parse::<u16>(), text.parse::<IpAddr>()) {
        (Ok(port), _) => {
            format!("127.0.0.1:{port} for this machine only, 0.0.0.0:{port} for its network")
        }
        (_, Ok(ip)) => SocketAddr::from((ip, DEFAULT_PORT)).to_string(),
        _ => "127.0.0.1:8080 or [::1]:8080; or unix: and a path".to_owned(),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_parse_and_display() {
        for (text, shown) in [
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
            ("unix:/a", "unix:/a"),
            ("unix:a,b", "unix:a,b"),
            ("unix:/a,mode=600", "unix:/a"),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), shown, "{text}");
        }
        for (text, why) in [
            ("80", "127.0.0.1:80 for"),
            ("::1", "[::1]:8080"),
            ("example.com:80", "an IP address and a port"),
            ("unix:", "needs a path"),
            ("unix:,mode=0600", "needs a path"),
            ("unix:@name", "abstract sockets are not supported"),
            ("unix:/a,mode=", "octal"),
            ("unix:/a,mode=+600", "octal"),
            ("unix:/a,mode=0888", "octal"),
            ("unix:/a,mode=1777", "octal"),
        ] {
            let error = text.parse::<Listen>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}

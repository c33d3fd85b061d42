//! The way to the server: which of its addresses is open, or a Unix socket; and, if there is one, the
//! proxy on it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::connection_options::ConnectionOptions;
use super::limits::OTHERS_TIMEOUT;
use super::proxy::Proxy;
use super::resolve::resolve;
use super::stream::{CheckStream, remaining};
use super::verdict::Verdict;

/// The way that a check takes.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) end: RouteEnd,
    pub(crate) proxy: Option<Proxy>,
}

/// What is connected to: an address of the server or of the proxy, or a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RouteEnd {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Route {
    /// Finds the way to the server: the proxy, if there is one, and an address that is open.
    ///
    /// # Errors
    /// Why there is no way.
    pub(crate) fn find(options: &ConnectionOptions) -> Result<Route, Verdict> {
        let deadline = Instant::now() + options.timeout();
        let proxy = Proxy::of(options)?;
        if let Some(path) = &options.target.socket {
            connect_unix(path, deadline)?;
            return Ok(Route { end: RouteEnd::Unix(path.clone()), proxy });
        }
        let (host, port) = match &proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&options.target.host, options.target.port),
        };
        let addresses = resolve(host, port, deadline)?;
        let (address, ..) = connect(&addresses, deadline)?;
        Ok(Route { end: RouteEnd::Tcp(address), proxy })
    }

    /// Takes the same way once more, up to TLS.
    pub(crate) fn reopen(&self, options: &ConnectionOptions) -> Option<CheckStream> {
        let deadline = Instant::now() + options.timeout();
        let mut stream = match &self.end {
            RouteEnd::Tcp(address) => {
                CheckStream::new(open(*address, remaining(deadline).ok()?).ok()?, deadline)
            }
            RouteEnd::Unix(path) => CheckStream::new(UnixStream::connect(path).ok()?, deadline),
        };
        if let Some(proxy) = &self.proxy {
            proxy.open_tunnel(&mut stream, options).ok()?;
        }
        Some(stream)
    }
}

/// An address, and what became of the attempt to connect to it.
struct Attempt(SocketAddr, Option<io::Error>);

/// Connects to the first address that accepts, and looks whether the others would. Returns that
/// address, the stream, and a description.
///
/// # Errors
/// Why each address failed.
pub(crate) fn connect(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(SocketAddr, CheckStream, String), Verdict> {
    let (mut attempts, mut connected) = (Vec::new(), None);
    for (number, address) in addresses.iter().enumerate() {
        let share = match connected {
            // Each address gets an equal share of the time that is left.
            None => {
                let untried = u32::try_from(addresses.len() - number).unwrap_or(u32::MAX);
                remaining(deadline).map(|time| time / untried)
            }
            Some(_) => remaining(deadline).map(|time| time.min(OTHERS_TIMEOUT)),
        };
        match share.and_then(|time| open(*address, time)) {
            Ok(stream) => {
                attempts.push(Attempt(*address, None));
                connected.get_or_insert((*address, stream));
            }
            Err(error) => attempts.push(Attempt(*address, Some(error))),
        }
    }
    let Some((address, stream)) = connected else { return Err(all_failed(&attempts)) };
    let tried = if attempts.len() > 1 { described(&attempts) } else { String::new() };
    Ok((address, CheckStream::new(stream, deadline), format!("{address}{tried}")))
}

/// Connects to a Unix socket.
///
/// # Errors
/// Why that failed.
pub(crate) fn connect_unix(path: &Path, deadline: Instant) -> Result<CheckStream, Verdict> {
    let shown = path.display();
    UnixStream::connect(path).map(|stream| CheckStream::new(stream, deadline)).map_err(|error| {
        let (problem, fix) = match error.kind() {
            ErrorKind::NotFound => ("does not exist", "Correct the path, or start the server."),
            ErrorKind::ConnectionRefused => {
                ("is left over: no process listens on it", "Start the server.")
            }
            ErrorKind::PermissionDenied => (
                "may not be used by this user",
                "Allow this user to write to the socket (wsecho: --listen unix:PATH,mode=0660).",
            ),
            _ => return Verdict::new(format!("{shown}: {error}."), "Correct the path."),
        };
        Verdict::new(format!("The socket {shown} {problem}."), fix)
    })
}

fn open(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn all_failed(attempts: &[Attempt]) -> Verdict {
    let is_refused = |Attempt(_, error): &Attempt| {
        error.as_ref().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    let failures: Vec<_> = attempts
        .iter()
        .map(|Attempt(address, error)| format!("{address}: {}", why(error.as_ref())))
        .collect();
    let fix = if attempts.iter().all(is_refused) {
        "Start the server, or correct host and port."
    } else {
        "Correct the address, or let this machine through the firewall."
    };
    Verdict::new(failures.join("; ") + ".", fix)
}

fn why(error: Option<&io::Error>) -> String {
    match error.map(|error| (error.kind(), error)) {
        Some((ErrorKind::ConnectionRefused, _)) => {
            "connection refused, nothing listens there".to_owned()
        }
        Some((ErrorKind::TimedOut, _)) => {
            "no answer in time; the address is wrong, or a firewall drops packets".to_owned()
        }
        Some((_, error)) => error.to_string(),
        None => "open".to_owned(),
    }
}

/// Lists the addresses, each with a word on it, in brackets.
fn described(attempts: &[Attempt]) -> String {
    let words: Vec<_> = attempts.iter().map(ToString::to_string).collect();
    format!(" ({})", words.join(", "))
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attempt(address, error) = self;
        let ip = address.ip();
        match error.as_ref().map(|error| (error.kind(), error)) {
            None => write!(f, "{ip} open"),
            Some((ErrorKind::ConnectionRefused, _)) => write!(f, "{ip} refused"),
            Some((ErrorKind::TimedOut, _)) => write!(f, "{ip} does not answer"),
            Some((_, error)) => write!(f, "{ip}: {error}"),
        }
    }
}

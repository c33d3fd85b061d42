//! From a host to a connection, and the connection itself.
//!
//! Invariant: every wait ends at the deadline of its step, however many reads it takes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::limits::ADDRESSES_MAX;
use super::options::CheckOptions;
use super::tls::Tls;
use super::url::Target;

/// The addresses of the target's host.
///
/// # Errors
/// Why there is none, in words.
pub(crate) fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    let Target { host, port, .. } = target;
    let at = |ip: IpAddr| SocketAddr::from((ip, *port));
    if let Ok(ip) = host.parse() {
        return Ok(vec![at(ip)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]);
    }
    let none = |why: &str| Err(format!("{host} has no address: {why}{}", static_build()));
    match look_up(host.clone(), *port, deadline) {
        Ok(addresses) if addresses.is_empty() => none("the answer is empty"),
        Ok(addresses) => Ok(addresses),
        Err(error) if error.kind() == ErrorKind::TimedOut => none("no answer in time"),
        Err(error) => none(&error.to_string()),
    }
}

/// Asks the system, which has timeouts of its own and keeps to no other; hence the thread.
fn look_up(host: String, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let found = (host, port).to_socket_addrs();
        // Nobody listens any more after the deadline.
        let _ = tell.send(found.map(|all| all.take(ADDRESSES_MAX).collect()));
    })?;
    told.recv_timeout(left(deadline)?).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout => Err(ErrorKind::TimedOut.into()),
        RecvTimeoutError::Disconnected => Err(io::Error::other("the look-up broke off")),
    })
}

/// What to add where a name has no address.
fn static_build() -> &'static str {
    if cfg!(all(target_env = "gnu", target_feature = "crt-static")) {
        "; a static build may know IP addresses and localhost only"
    } else {
        ""
    }
}

/// Connects to the first address that answers. Returns which one, and the failures before it.
///
/// # Errors
/// Why none of them did, in words.
pub(crate) fn connect(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(SocketAddr, CheckStream, Vec<String>), String> {
    let mut failures = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        // One that says nothing leaves the others their share of the time.
        let rest = u32::try_from(addresses.len() - number).unwrap_or(u32::MAX);
        let connected = left(deadline)
            .and_then(|left| TcpStream::connect_timeout(address, left / rest))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        match connected {
            Ok(stream) => return Ok((*address, CheckStream::over(stream, deadline), failures)),
            Err(error) => failures.push(format!("{address}: {}", why_not(&error))),
        }
    }
    Err(failures.join("; "))
}

fn why_not(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused, nothing listens there".to_owned(),
        ErrorKind::TimedOut => {
            "no answer in time; a wrong address, or a firewall drops the packets".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The time until `deadline`.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// A connection whose reads and writes end at a deadline, with `TimedOut`; with TLS from
/// [`secure`](CheckStream::secure) on.
#[derive(Debug)]
pub(crate) struct CheckStream {
    wire: DeadlineStream,
    tls: Option<Tls>,
}

/// The connection itself.
#[derive(Debug)]
pub(crate) struct DeadlineStream {
    stream: TcpStream,
    deadline: Instant,
}

impl CheckStream {
    fn over(stream: TcpStream, deadline: Instant) -> CheckStream {
        CheckStream { wire: DeadlineStream { stream, deadline }, tls: None }
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.wire.deadline = deadline;
    }

    /// Makes the handshake of TLS. Returns what was agreed on, in words.
    ///
    /// # Errors
    /// Why there is no TLS, in words.
    pub(crate) fn secure(&mut self, options: &CheckOptions) -> Result<String, String> {
        let (agreement, tls) = Tls::start(&mut self.wire, options)?;
        self.tls = Some(tls);
        Ok(agreement)
    }
}

impl Read for CheckStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.wire, buf),
            None => self.wire.read(buf),
        }
    }
}

impl Write for CheckStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(&mut self.wire, buf),
            None => self.wire.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.flush(&mut self.wire),
            None => self.wire.flush(),
        }
    }
}

/// A timeout by one name; it has another one on each system.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Read for DeadlineStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(left(self.deadline)?))?;
            match self.stream.read(buf) {
                // A process that was stopped and continued.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(timed_out),
            }
        }
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(buf).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

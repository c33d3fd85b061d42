//! Name resolution, connection establishment, and a stream whose reads and writes have a deadline.
//!
//! **Invariant:** every wait ends at the deadline of its step, however many reads it takes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::limits::ADDRESSES_MAX;
use super::options::CheckOptions;
use super::tls::Tls;
use super::url::Target;

/// Resolves the target's host.
///
/// # Errors
/// Describes why the host has no address.
pub(crate) fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    let Target { host, port, .. } = target;
    let at = |ip: IpAddr| SocketAddr::from((ip, *port));
    if let Ok(ip) = host.parse() {
        return Ok(vec![at(ip)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]);
    }
    let none = |why: &str| Err(format!("{host} has no address: {why}{}", static_build_hint()));
    match look_up(host.clone(), *port, deadline) {
        Ok(addresses) if addresses.is_empty() => none("the resolver found none"),
        Ok(addresses) => Ok(addresses),
        Err(error) if error.kind() == ErrorKind::TimedOut => none("no answer in time"),
        Err(error) => none(&error.to_string()),
    }
}

/// Calls the system's resolver, in a thread, because `getaddrinfo` accepts no timeout.
fn look_up(host: String, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let found = (host, port).to_socket_addrs();
        // After the deadline the receiver is gone.
        let _ = sender.send(found.map(|all| all.take(ADDRESSES_MAX).collect()));
    })?;
    receiver.recv_timeout(remaining(deadline)?).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout => Err(ErrorKind::TimedOut.into()),
        RecvTimeoutError::Disconnected => Err(io::Error::other("the resolver's thread panicked")),
    })
}

/// Returns a hint to append when a name has no address.
fn static_build_hint() -> &'static str {
    if cfg!(all(target_env = "gnu", target_feature = "crt-static")) {
        "; a static build may resolve only IP addresses and localhost"
    } else {
        ""
    }
}

/// Connects to the first address that accepts. Returns that address, the stream, and a description
/// of each failed attempt before.
///
/// # Errors
/// Describes why each address failed.
pub(crate) fn connect(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(SocketAddr, CheckStream, Vec<String>), String> {
    let mut failures = Vec::new();
    for (number, address) in addresses.iter().enumerate() {
        // Each address gets an equal share of the time that is left.
        let untried = u32::try_from(addresses.len() - number).unwrap_or(u32::MAX);
        let connected = remaining(deadline)
            .and_then(|time| TcpStream::connect_timeout(address, time / untried))
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        match connected {
            Ok(stream) => return Ok((*address, CheckStream::new(stream, deadline), failures)),
            Err(error) => failures.push(format!("{address}: {}", describe(&error))),
        }
    }
    Err(failures.join("; "))
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused, nothing listens there".to_owned(),
        ErrorKind::TimedOut => {
            "no answer in time; the address is wrong, or a firewall drops packets".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Returns the time until `deadline`, or `TimedOut` if it has passed.
fn remaining(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        time => Ok(time),
    }
}

/// A connection whose reads and writes fail with `TimedOut` at a deadline. It is encrypted after
/// [`start_tls`](CheckStream::start_tls).
#[derive(Debug)]
pub(crate) struct CheckStream {
    tcp: DeadlineStream,
    tls: Option<Tls>,
}

/// The TCP connection below TLS.
#[derive(Debug)]
pub(crate) struct DeadlineStream {
    stream: TcpStream,
    deadline: Instant,
}

impl CheckStream {
    fn new(stream: TcpStream, deadline: Instant) -> CheckStream {
        CheckStream { tcp: DeadlineStream { stream, deadline }, tls: None }
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.tcp.deadline = deadline;
    }

    /// Makes the TLS handshake. Returns a description of what was negotiated.
    ///
    /// # Errors
    /// Describes why the handshake failed.
    pub(crate) fn start_tls(&mut self, options: &CheckOptions) -> Result<String, String> {
        let (negotiated, tls) = Tls::start(&mut self.tcp, options)?;
        self.tls = Some(tls);
        Ok(negotiated)
    }
}

impl Read for CheckStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.tcp, buf),
            None => self.tcp.read(buf),
        }
    }
}

impl Write for CheckStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(&mut self.tcp, buf),
            None => self.tcp.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.flush(&mut self.tcp),
            None => self.tcp.flush(),
        }
    }
}

/// Maps `WouldBlock` to `TimedOut`: which of the two a socket timeout is depends on the platform.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Read for DeadlineStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(remaining(self.deadline)?))?;
            match self.stream.read(buf) {
                // The process was stopped and continued (SIGSTOP, SIGCONT).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(timed_out),
            }
        }
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(remaining(self.deadline)?))?;
        self.stream.write(buf).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
use super::verdict::Verdict;

/// Resolves the target's host.
///
/// # Errors
/// Why the host has no address.
pub(crate) fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, Verdict> {
    let Target { host, port, .. } = target;
    let at = |ip: IpAddr| SocketAddr::from((ip, *port));
    if let Ok(ip) = host.parse() {
        return Ok(vec![at(ip)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]);
    }
    let none = |why: &str| {
        Err(Verdict::new(
            format!("{host} has no address: {why}."),
            format!("Correct the name{HINT}."),
        ))
    };
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

/// What else may help when a name has no address.
const HINT: &str = if cfg!(all(target_env = "gnu", target_feature = "crt-static")) {
    ", or write its IP address: a static build may resolve no other name than localhost"
} else {
    ", or look at the DNS server of this machine (/etc/resolv.conf)"
};

/// Connects to the first address that accepts. Returns that address, the stream, and a description
/// of each failed attempt before.
///
/// # Errors
/// Why each address failed.
pub(crate) fn connect(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(SocketAddr, CheckStream, Vec<String>), Verdict> {
    let (mut failures, mut is_refused) = (Vec::new(), true);
    for (number, address) in addresses.iter().enumerate() {
        // Each address gets an equal share of the time that is left.
        let untried = u32::try_from(addresses.len() - number).unwrap_or(u32::MAX);
        match remaining(deadline).and_then(|time| open(*address, time / untried)) {
            Ok(stream) => return Ok((*address, CheckStream::new(stream, deadline), failures)),
            Err(error) => {
                is_refused &= error.kind() == ErrorKind::ConnectionRefused;
                failures.push(format!("{address}: {}", describe(&error)));
            }
        }
    }
    let fix = if is_refused {
        "Start the server, or correct host and port."
    } else {
        "Correct the address, or let this machine through the firewall."
    };
    Err(Verdict::new(failures.join("; ") + ".", fix))
}

fn open(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_nodelay(true)?;
    Ok(stream)
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

    /// Connects to one address.
    pub(crate) fn connect(address: SocketAddr, deadline: Instant) -> io::Result<CheckStream> {
        Ok(CheckStream::new(open(address, remaining(deadline)?)?, deadline))
    }

    /// Makes the TLS handshake. Returns a description of what was negotiated.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub(crate) fn start_tls(&mut self, options: &CheckOptions) -> Result<String, Verdict> {
        let (negotiated, tls) = Tls::start(&mut self.tcp, options)?;
        self.tls = Some(tls);
        Ok(negotiated)
    }

    /// Whether TLS is spoken at the other end.
    pub(crate) fn speaks_tls(&mut self, options: &CheckOptions) -> bool {
        Tls::is_spoken(&mut self.tcp, options)
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

//! Name resolution with a deadline.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use super::limits::ADDRESSES_MAX;
use super::stream::remaining;
use super::verdict::Verdict;

/// Resolves a host.
///
/// # Errors
/// Why the host has no address.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, Verdict> {
    let at = |ip: IpAddr| SocketAddr::from((ip, port));
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
    match look_up(host.to_owned(), port, deadline) {
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

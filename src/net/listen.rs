//! Listeners: our own, with a backlog that holds a burst, and those that somebody hands over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::tuning::LISTEN_BACKLOG;

/// Binds and listens.
///
/// # Errors
/// The operating system's: address in use, no permission, no such address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // So that `[::]` and `0.0.0.0` can be listened on side by side, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Takes a listener over as it is, with what waits in its backlog.
///
/// # Errors
/// It does not listen.
pub(crate) fn adopt(listener: TcpListener) -> io::Result<TcpListener> {
    if !SockRef::from(&listener).is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
    }
    // Whoever made it may have polled it.
    listener.set_nonblocking(false)?;
    Ok(listener)
}

/// Where a listener can be reached from its own machine.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

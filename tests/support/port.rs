//! Ports that neither another test nor a connection takes meanwhile.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

/// Below the ports that the system chooses by itself, for connections and for port 0.
const PORTS: Range<u16> = 20_000..30_000;

/// Returns a free port for a server that starts later, or again. No other test gets it.
pub fn own_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let first = u16::from_be_bytes([high, low]).wrapping_mul(100); // another process begins elsewhere
    let next = || first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    let ports = std::iter::repeat_with(|| PORTS.start + next() % (PORTS.end - PORTS.start));
    let is_free = |port: &u16| {
        let everywhere =
            [(Ipv6Addr::UNSPECIFIED, *port).into(), (Ipv4Addr::UNSPECIFIED, *port).into()];
        TcpListener::bind::<&[SocketAddr]>(&everywhere).is_ok()
    };
    ports.take(PORTS.len()).find(is_free).expect("no port is free")
}

/// Like `own_port`, with the loopback address.
pub fn own_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, own_port()).into()
}

/// Binds a socket without listening: connections to its address are refused, and no other process
/// can take the port while the socket exists.
pub fn bound() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

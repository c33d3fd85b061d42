//! The addresses of a connection's two ends.
//!
//! **Invariant:** a [`Host`] is never an IPv4-mapped IPv6 address, so that the same host compares
//! equal on every socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};
use socket2::SockAddr;

use super::Stream;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    Ip(SocketAddr),
    /// A Unix socket. Its clients have no address, and a copy of the server's path for each
    /// connection would be of no use.
    Unix,
}

/// An address without its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    /// A process on this machine.
    Unix,
}

impl Address {
    /// Returns the local address of `stream`; `None` if the system call fails.
    pub(crate) fn of_our_end(stream: &Stream) -> Option<Address> {
        stream.local_addr().ok().map(|address| Address::of(&address))
    }

    /// Converts an address from the kernel.
    pub(crate) fn of(address: &SockAddr) -> Address {
        address.as_socket().map_or(Address::Unix, Address::Ip)
    }

    pub(crate) fn host(self) -> Host {
        match self {
            Address::Ip(address) => Host::Ip(address.ip().to_canonical()),
            Address::Unix => Host::Unix,
        }
    }

    pub(crate) fn port(self) -> Option<u16> {
        match self {
            Address::Ip(address) => Some(address.port()),
            Address::Unix => None,
        }
    }
}

impl Host {
    /// Whether the host is this machine: a loopback address or a Unix socket.
    pub(crate) fn is_local(self) -> bool {
        match self {
            Host::Ip(ip) => ip.is_loopback(),
            Host::Unix => true,
        }
    }
}

impl<T: Into<SocketAddr>> From<T> for Address {
    fn from(address: T) -> Self {
        Address::Ip(address.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix => Host::Unix.fmt(f),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(ip) => ip.fmt(f),
            Host::Unix => f.write_str("unix"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

//! Networks of peers: CIDR blocks, and the peers on Unix sockets, which have no address.
//!
//! **Invariant:** An IPv4 address and its IPv4-mapped IPv6 address are treated as equal. A socket
//! that listens for both families reports the mapped form.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// One IP address, a CIDR block, or `unix` for all peers on Unix sockets.
///
/// ```
/// use wsecho::Network;
///
/// let office: Network = "10.0.0.0/8".parse()?;
/// assert!(office.contains([10, 1, 2, 3].into()));
/// let proxy: Network = "2001:db8::1".parse()?;
/// assert_eq!(proxy.to_string(), "2001:db8::1/128");
/// # Ok::<(), wsecho::NetworkError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ip(IpNet),
    Unix,
}

/// The text is not a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkError(());

impl Network {
    /// The peers on Unix sockets.
    pub const UNIX: Network = Network(Kind::Unix);

    /// Whether `ip` belongs to the network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match self.0 {
            Kind::Ip(net) => net.contains(&ip.to_canonical()),
            Kind::Unix => false,
        }
    }
}

impl From<IpAddr> for Network {
    fn from(ip: IpAddr) -> Self {
        Network(Kind::Ip(ip.to_canonical().into()))
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(ip.into());
        }
        if text == "unix" {
            return Ok(Network::UNIX);
        }
        text.parse().map(|net| Network(Kind::Ip(unmapped(net)))).map_err(|_| NetworkError(()))
    }
}

/// Converts a block of IPv4-mapped IPv6 addresses to IPv4; returns any other block unchanged.
fn unmapped(net: IpNet) -> IpNet {
    /// The length of the prefix ::ffff:0:0/96 of mapped addresses.
    const MAPPED: u8 = 96;
    let IpNet::V6(v6) = net else { return net };
    let v4 = v6.addr().to_ipv4_mapped();
    let bits = v6.prefix_len().checked_sub(MAPPED);
    v4.zip(bits).and_then(|(v4, bits)| Ipv4Net::new(v4, bits).ok()).map_or(net, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Ip(net) => net.fmt(f),
            Kind::Unix => f.write_str("unix"),
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network is an IP address, a CIDR block (10.0.0.0/8, fd00::/8) or `unix`")
    }
}

impl std::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, ip: &str) -> bool {
        network.parse::<Network>().unwrap().contains(ip.parse().unwrap())
    }

    #[test]
    fn networks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
            ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3/8", "::ffff:10.255.0.1", "11.0.0.0"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
        ] {
            assert!(contains(network, inside), "{inside} in {network}");
            assert!(!contains(network, outside), "{outside} in {network}");
        }
    }

    #[test]
    fn invalid_networks_are_rejected() {
        for text in [
            "",
            "localhost",
            "unix:/a",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "/8",
            " ::1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}

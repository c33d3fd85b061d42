//! The addresses under which other machines can type this one's name.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// The addresses to announce at the most: a machine with many bridges has enough of one screen.
const SHOWN: usize = 8;

/// This machine's addresses of the kind of `unspecified`; for `[::]`, which serves IPv4, too, of both.
/// Without loopback and link-local ones. None if the system does not tell, as in a unit without netlink
/// sockets.
pub(super) fn of_kind(unspecified: IpAddr) -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let ipv4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        ipv4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
    });
    addresses
        .filter(|ip| is_typed(*ip) && (unspecified.is_ipv6() || ip.is_ipv4()))
        .take(SHOWN)
        .collect()
}

/// Whether the address means something on another machine.
fn is_typed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_addresses_are_left_out() {
        for (text, expected) in [
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_typed(text.parse().unwrap()), expected, "{text}");
        }
        assert!(of_kind("0.0.0.0".parse().unwrap()).iter().all(IpAddr::is_ipv4));
    }
}

//! Whether `Host` names this server, as far as the server can know.
//!
//! A page may let its own name lead to 127.0.0.1 after it was loaded (DNS rebinding). Its requests then
//! reach a server that only this machine can reach, as requests of the same origin: the browser lets it
//! read the answers, and `Origin` equals `Host`. Only the name gives them away. A name under which the
//! attacker cannot serve pages is safe: `localhost`, an IP address, or a name without a dot, which comes
//! from a hosts file, a container network or the local network, and not from the DNS of the internet.

use std::net::IpAddr;

use crate::config::{HostName, host_and_port, without_root, without_zone};

/// Whether `host`, the value of `Host`, is a name that no page of another site can have, or one of
/// `allowed`. An empty one, which no browser sends, is, too.
pub(crate) fn is_own(host: &str, allowed: &[HostName]) -> bool {
    host_and_port(host).is_some_and(|(name, _)| {
        !without_root(name).contains('.')
            || is_loopback_name(name)
            || address(name).is_some()
            || allowed.iter().any(|allowed| allowed.admits(name))
    })
}

/// The host of `authority`, in lower case; empty if it is malformed.
pub(crate) fn name(authority: &str) -> String {
    host_and_port(authority).map_or(String::new(), |(name, _)| name.to_ascii_lowercase())
}

/// Whether the host of `authority` is `localhost`, a name below it, or a loopback address.
pub(crate) fn is_loopback(authority: &str) -> bool {
    host_and_port(authority).is_some_and(|(name, _)| is_loopback_name(name))
}

/// The same for a host without port. Names below `localhost` are loopback, too (RFC 6761, section 6.3).
pub(crate) fn is_loopback_name(name: &str) -> bool {
    let name = without_root(name);
    let last_label = name.rsplit('.').next().unwrap_or_default();
    last_label.eq_ignore_ascii_case("localhost")
        || address(name).is_some_and(|ip| ip.to_canonical().is_loopback())
}

fn address(name: &str) -> Option<IpAddr> {
    without_zone(name).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_and_addresses_are_own() {
        let allowed = ["echo.example".parse().unwrap()];
        for (host, is_loopback) in [
            ("localhost", true),
            ("LOCALHOST.:9", true),
            ("app.localhost:5173", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]", true),
            ("192.0.2.1", false),
            ("[fe80::1%25eth0]:8080", false),
            ("Echo.example:80", false),
            ("my_service:8080", false),
            ("h.", false),
            ("", false),
        ] {
            assert!(is_own(host, &allowed), "{host}");
            assert_eq!(super::is_loopback(host), is_loopback, "{host}");
        }
    }

    #[test]
    fn other_names_are_not_own() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "not.alocalhost",
            "127.0.0.1.evil.example",
            "127.1",
            "localhost:evil.example",
            "[::1]evil.example",
            "localhost@evil.example",
        ] {
            assert!(!is_own(host, &[]) && !is_loopback(host), "{host}");
        }
    }
}

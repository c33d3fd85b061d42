//! The names under which a server on this machine is addressed, and how a name and a port are written.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A host name without port, for [`Config::allow_host`](crate::Config::allow_host), or `*` for all.
///
/// ```
/// use wsecho::HostName;
///
/// let name: HostName = "Echo.example.".parse()?;
/// assert_eq!(name.to_string(), "echo.example");
/// assert!("http://echo.example".parse::<HostName>().is_err());
/// # Ok::<(), wsecho::HostNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(
    /// In lower case, without the dot at its end.
    String,
);

/// The text is not a [`HostName`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNameError(());

impl HostName {
    /// Whether `name`, in any letter case, is this host.
    pub(crate) fn admits(&self, name: &str) -> bool {
        self.0 == "*" || self.0.eq_ignore_ascii_case(without_root(name))
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<HostName, HostNameError> {
        let name = without_root(text);
        let is_valid = name == "*" || is_option_value(name) && name.chars().all(is_name_char);
        is_valid.then(|| HostName(name.to_ascii_lowercase())).ok_or(HostNameError(()))
    }
}

/// Whether the command line does not take the text for an option, or for nothing.
fn is_option_value(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-')
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "write a host name alone (echo.example), without scheme, port or path; or * for all",
        )
    }
}

impl std::error::Error for HostNameError {}

/// Splits an authority without user information into the host, an IPv6 address without its brackets, and
/// the port, if there is one. `None` if it is malformed. The host may be empty.
pub(crate) fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').filter(|(address, _)| is_ipv6(address))?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_name = authority.starts_with('[') || host.chars().all(is_name_char);
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        None if rest.is_empty() => None,
        _ => return None,
    };
    is_name.then_some((host, port))
}

/// Whether the text is an IPv6 address, with or without a zone (RFC 6874).
fn is_ipv6(text: &str) -> bool {
    without_zone(text).parse::<Ipv6Addr>().is_ok()
}

/// An IP address without its zone.
pub(crate) fn without_zone(address: &str) -> &str {
    address.split('%').next().unwrap_or_default()
}

/// A name without the dot of the DNS root at its end.
pub(crate) fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// A character of a host name, of an IPv4 address, or of the ID of a browser extension.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_split_into_host_and_port() {
        for (authority, expected) in [
            ("a.example", Some(("a.example", None))),
            ("my_service:8080", Some(("my_service", Some(8080)))),
            ("127.0.0.1:080", Some(("127.0.0.1", Some(80)))),
            ("[::1]:3", Some(("::1", Some(3)))),
            ("[fe80::1%25eth0]", Some(("fe80::1%25eth0", None))),
            ("", Some(("", None))),
            (":1", Some(("", Some(1)))),
            ("a:", None),
            ("a:65536", None),
            ("a:+1", None),
            ("a:1.", None),
            ("a:b", None),
            ("[::1", None),
            ("[::1]a", None),
            ("[a]", None),
            ("a@b", None),
            ("a b", None),
        ] {
            assert_eq!(host_and_port(authority), expected, "{authority}");
        }
    }

    #[test]
    fn a_host_name_admits_itself() {
        for (allowed, name) in
            [("a.example", "A.EXAMPLE."), ("A.example.", "a.example"), ("*", "b")]
        {
            assert!(allowed.parse::<HostName>().unwrap().admits(name), "{allowed} {name}");
        }
        assert!(!"a.example".parse::<HostName>().unwrap().admits("b.a.example"));
        for text in ["", ".", "-a.example", "*.example", "a:80", "http://a", "a/b", "[::1]", "a b"]
        {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}

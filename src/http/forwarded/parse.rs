//! Parses `Forwarded` (RFC 7239, section 4) and `X-Forwarded-For` from right to left. Whether an
//! element can be trusted is decided in `forwarded`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Serialize, Serializer};

use crate::http::fields::token_or_quoted;

/// An address, and its port if known.
pub(crate) type Node = (IpAddr, Option<u16>);

/// A field in which proxies forward the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForwardedField {
    Forwarded,
    XForwardedFor,
}

/// Why a field, or an element of one, was ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remark {
    /// The request has a field, but the peer is not a trusted proxy.
    NotTrusted,
    /// The peer is a trusted proxy, but the request has no field.
    Nothing,
    /// The request has both fields.
    Both,
    /// An element that cannot be parsed.
    Malformed(String),
    /// An element of `Forwarded` without `for`.
    Unnamed,
    /// The identifier `unknown` (RFC 7239, section 6.2).
    Unknown,
    /// An obfuscated identifier, `_name` (RFC 7239, section 6.3).
    Obfuscated(String),
}

impl ForwardedField {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ForwardedField::Forwarded => "Forwarded",
            ForwardedField::XForwardedFor => "X-Forwarded-For",
        }
    }

    /// The nodes in the elements of these field lines, from the last to the first.
    pub(crate) fn nodes<'a>(
        self,
        lines: impl Iterator<Item = &'a str>,
    ) -> impl Iterator<Item = Result<Node, Remark>> {
        let lines: Vec<_> = lines.collect();
        // Each line separately, so that an unclosed quote does not extend into the next one.
        let elements = lines.into_iter().rev().flat_map(|line| from_right(line, b','));
        elements.filter(|element| !element.is_empty()).map(move |element| self.node(element))
    }

    /// Parses the node of one element. `Err` if it holds no address.
    fn node(self, element: &str) -> Result<Node, Remark> {
        match (self, element.parse()) {
            (ForwardedField::Forwarded, _) => for_value(element).and_then(|value| node(&value)),
            // X-Forwarded-For allows IPv6 without brackets.
            (ForwardedField::XForwardedFor, Ok(ip)) => Ok((ip, None)),
            (ForwardedField::XForwardedFor, Err(_)) => node(element),
        }
    }
}

/// Splits a list at each `separator` outside of quotes, from the last element to the first. From
/// the right, because the trusted proxy has written there: an unclosed quote that a client sent,
/// further left, changes nothing.
fn from_right(list: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest.take()?;
        let at = last_separator(list.as_bytes(), separator);
        rest = at.map(|at| &list[..at]);
        Some(list[at.map_or(0, |at| at + 1)..].trim())
    })
}

fn last_separator(list: &[u8], separator: u8) -> Option<usize> {
    let is_escaped = |at: usize| {
        let backslashes = list[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        backslashes % 2 == 1
    };
    let mut quoted = false;
    (0..list.len()).rev().find(|&at| {
        quoted ^= list[at] == b'"' && !is_escaped(at);
        !quoted && list[at] == separator
    })
}

/// The value of `for` in an element of `Forwarded`; other parameters are ignored. `Err` if `for` is
/// missing, repeated or malformed.
fn for_value(element: &str) -> Result<String, Remark> {
    let mut values = from_right(element, b';')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("for"))
        .map(|(_, value)| value);
    let malformed = || Remark::Malformed(element.to_owned());
    match (values.next(), values.next()) {
        (None, _) if element.contains('=') => Err(Remark::Unnamed),
        (Some(value), None) => token_or_quoted(value).ok_or_else(malformed),
        (None | Some(_), _) => Err(malformed()),
    }
}

/// Parses a node of RFC 7239, section 6: IPv4, IPv6 in brackets, `unknown` or `_name`, with an
/// optional port. `Err` if it holds no address.
fn node(text: &str) -> Result<Node, Remark> {
    let malformed = || Remark::Malformed(text.to_owned());
    let host_end = text.find(']').map_or_else(|| text.find(':'), |at| Some(at + 1));
    let (host, port) = text.split_at(host_end.unwrap_or(text.len()));
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(port) if is_obfuscated(port) => None,
        // `parse` would accept a sign.
        Some(port) if !port.starts_with('+') => Some(port.parse().map_err(|_| malformed())?),
        _ => return Err(malformed()),
    };
    match host {
        _ if host.eq_ignore_ascii_case("unknown") => Err(Remark::Unknown),
        _ if is_obfuscated(host) => Err(Remark::Obfuscated(host.to_owned())),
        _ => ip(host).map(|ip| (ip, port)).ok_or_else(malformed),
    }
}

fn ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => host.parse().ok(),
    }
}

fn is_obfuscated(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.strip_prefix('_').is_some_and(|name| !name.is_empty() && name.chars().all(allowed))
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::NotTrusted => f.write_str(
                "the forwarded address is ignored, as the peer is not a trusted proxy (--trusted-proxy)",
            ),
            Remark::Nothing => f.write_str("the peer is a trusted proxy, but forwards no address"),
            Remark::Both => f.write_str("X-Forwarded-For is ignored beside Forwarded"),
            Remark::Malformed(element) => {
                write!(f, "{element:?} is malformed; the proxy that sent it is taken for the client")
            }
            Remark::Unnamed => f.write_str(
                "an element of Forwarded has no `for`; the proxy that sent it is taken for the client",
            ),
            Remark::Unknown => {
                f.write_str("a proxy does not know its client (`unknown`), and is taken for it")
            }
            Remark::Obfuscated(name) => {
                write!(f, "a proxy hides its client (`{name}`), and is taken for it")
            }
        }
    }
}

impl Serialize for Remark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

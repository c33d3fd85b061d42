//! The fields in which proxies name their clients, and what one element of them says.
//!
//! What it is: the grammar of `Forwarded` (RFC 7239) and `X-Forwarded-For`, read from the right.
//! What it is not: a decision on whether to believe it; `forwarded` has that.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Serialize, Serializer};

use crate::http::head::token_or_quoted;

/// An address, and its port where that is known.
pub(crate) type Node = (IpAddr, Option<u16>);

/// A field in which proxies name their client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForwardedField {
    Forwarded,
    XForwardedFor,
}

/// Why a field, or a part of one, does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remark {
    /// There is a field, and the peer is no trusted proxy.
    NotTrusted,
    /// The peer is a trusted proxy, and there is no field.
    Nothing,
    /// There are both kinds of field.
    Both,
    /// An element that is none.
    Malformed(String),
    /// An element of `Forwarded` without `for`.
    Unnamed,
    /// `unknown`.
    Unknown,
    /// `_name`.
    Obfuscated(String),
}

impl ForwardedField {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ForwardedField::Forwarded => "Forwarded",
            ForwardedField::XForwardedFor => "X-Forwarded-For",
        }
    }

    /// What the elements in the lines of this field name, the last one first.
    pub(crate) fn nodes<'a>(
        self,
        lines: impl Iterator<Item = &'a str>,
    ) -> impl Iterator<Item = Result<Node, Remark>> {
        let lines: Vec<_> = lines.collect();
        // By line: a quote left open in one must not reach into the next.
        let elements = lines.into_iter().rev().flat_map(|line| from_right(line, b','));
        elements.filter(|element| !element.is_empty()).map(move |element| self.node(element))
    }

    /// The node that one element names.
    fn node(self, element: &str) -> Result<Node, Remark> {
        match (self, element.parse()) {
            (ForwardedField::Forwarded, _) => named_by(element).and_then(|name| node(&name)),
            // Here IPv6 may stand without brackets.
            (ForwardedField::XForwardedFor, Ok(ip)) => Ok((ip, None)),
            (ForwardedField::XForwardedFor, Err(_)) => node(element),
        }
    }
}

/// What stands between the `separator`s of a list, the last one first. A separator in quotes is none.
/// From the right, since only there a trusted proxy has written: a quote that a client has left open
/// on the left changes nothing.
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

/// The `for` of an element of `Forwarded`. What else it says is not looked at.
fn named_by(element: &str) -> Result<String, Remark> {
    let mut names = from_right(element, b';')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("for"))
        .map(|(_, value)| value);
    let malformed = || Remark::Malformed(element.to_owned());
    match (names.next(), names.next()) {
        (None, _) if element.contains('=') => Err(Remark::Unnamed),
        (Some(value), None) => token_or_quoted(value).ok_or_else(malformed),
        (None | Some(_), _) => Err(malformed()),
    }
}

/// A node of RFC 7239, section 6: IPv4, IPv6 in brackets, `unknown` or `_name`; then perhaps a port.
fn node(text: &str) -> Result<Node, Remark> {
    let malformed = || Remark::Malformed(text.to_owned());
    let host_end = text.find(']').map_or_else(|| text.find(':'), |at| Some(at + 1));
    let (host, port) = text.split_at(host_end.unwrap_or(text.len()));
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(port) if is_obfuscated(port) => None,
        // `parse` takes a sign as well.
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
                "what the peer says of its client is ignored, as it is no trusted proxy (--trusted-proxy)",
            ),
            Remark::Nothing => f.write_str("the peer is a trusted proxy and names no client"),
            Remark::Both => f.write_str("X-Forwarded-For is ignored beside Forwarded"),
            Remark::Malformed(element) => {
                write!(f, "{element:?} is malformed; the client is taken to be who passed it on")
            }
            Remark::Unnamed => f.write_str(
                "an element of Forwarded has no `for`; the client is taken to be who passed it on",
            ),
            Remark::Unknown => {
                f.write_str("a proxy does not know its client (`unknown`), and stands for it")
            }
            Remark::Obfuscated(name) => {
                write!(f, "a proxy hides its client (`{name}`), and stands for it")
            }
        }
    }
}

impl Serialize for Remark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

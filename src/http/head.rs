//! Reads and parses a request head: request line and header fields, as they arrived.
//!
//! Bodies are never read: `framing` refuses requests that announce one, so that a proxy and this
//! server cannot disagree on where a request ends.
//!
//! **Invariant:** At most `max_head_size` bytes are buffered; the stream's read deadline covers the
//! whole head.

use std::io::{self, Read};

use crate::config::Limits;
use crate::config::tuning::HEAD_READ;
use crate::http::fields::Fields;
use crate::net::transport::append_zeroed;

/// A request head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// The request target as it arrived.
    pub(crate) target: String,
    /// The path of the target, without query; still percent-encoded.
    pub(crate) path: String,
    /// The query of the target, without its `?`; still percent-encoded.
    pub(crate) query: String,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
}

/// The HTTP version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    Http10,
    Http11,
}

impl Version {
    /// As written in a request line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }
}

/// Why no head could be read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// Not complete in time.
    Timeout,
    /// More bytes, or more fields, than allowed.
    TooLarge,
    /// Not HTTP/1.x.
    Version,
    /// Not HTTP, with the parser's message.
    Malformed(String),
    /// No response is due: the connection was closed or lost, idle for too long between two
    /// requests, or interrupted by the stop; or its TLS handshake failed.
    Left,
}

impl Head {
    /// Whether an upgrade to WebSocket is attempted, however wrong the handshake may be.
    pub(crate) fn attempts_websocket(&self) -> bool {
        self.fields.lists("Upgrade", "websocket") || self.fields.get("Sec-WebSocket-Key").is_some()
    }

    /// Whether the client allows another request on this connection (RFC 9112, section 9.3).
    pub(crate) fn keeps_alive(&self) -> bool {
        let is_default = self.version >= Version::Http11;
        !self.fields.lists("Connection", "close")
            && (is_default || self.fields.lists("Connection", "keep-alive"))
    }

    /// Reads a head from `buffer`, then from `stream`. Bytes after the head stay in `buffer`.
    ///
    /// # Errors
    /// See [`HeadError`]. A read that would block counts as a timeout.
    pub(crate) fn read(
        stream: &mut impl Read,
        buffer: &mut Vec<u8>,
        limits: &Limits,
    ) -> Result<Head, HeadError> {
        let mut seen = 0;
        loop {
            // Each parse scans the whole buffer. So it is tried only on the first bytes, to reject
            // other protocols at once, and after a blank line.
            if (seen == 0 && !buffer.is_empty() || has_blank_line(buffer, seen))
                && let Some((head, length)) = parse(buffer, limits)?
            {
                buffer.drain(..length);
                return Ok(head);
            }
            seen = buffer.len();
            let free = limits.max_head_size.saturating_sub(seen);
            if free == 0 {
                return Err(HeadError::TooLarge);
            }
            match fill(stream, buffer, free) {
                Ok(0) => return Err(HeadError::Left),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(HeadError::Timeout);
                }
                Err(_) => return Err(HeadError::Left),
            }
        }
    }
}

/// Appends the result of one read, `max` bytes at most, to `buffer`; `Ok(0)` if that is 0. It reads into the heap: pages
/// of the stack that a handshake has touched stay resident during the session.
pub(crate) fn fill(stream: &mut impl Read, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    append_zeroed(stream, buffer, max.min(HEAD_READ))
}

/// Whether the bytes after the first `seen` ones complete a blank line.
fn has_blank_line(buffer: &[u8], seen: usize) -> bool {
    let tail = &buffer[seen.saturating_sub(3)..];
    tail.windows(2).any(|pair| pair == b"\n\n") || tail.windows(3).any(|three| three == b"\n\r\n")
}

/// Parses a head, and returns it with its length in bytes; `None` if it is not complete yet.
///
/// # Errors
/// [`HeadError::TooLarge`] for too many fields, [`HeadError::Version`] or [`HeadError::Malformed`].
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Option<(Head, usize)>, HeadError> {
    let mut fields = vec![httparse::EMPTY_HEADER; limits.max_headers];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(httparse::Error::Version) => return Err(HeadError::Version),
        Err(error) => return Err(HeadError::Malformed(error.to_string())),
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = path_and_query(target)
        .ok_or_else(|| HeadError::Malformed("invalid request target".to_owned()))?;
    let head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: target.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        version: if request.version == Some(0) { Version::Http10 } else { Version::Http11 },
        fields: Fields::from(&*request.headers),
    };
    Ok(Some((head, length)))
}

/// Schemes of a target in absolute-form. A proxy that terminates TLS may forward the URL of its client
/// as it is.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

/// The path and query of a request target in origin-form or absolute-form (RFC 9112, section 3.2).
/// The path of `*` is `*`; `None` if the target has another form or scheme.
fn path_and_query(target: &str) -> Option<(&str, &str)> {
    let after_host = match target.split_once("://") {
        _ if target == "*" => return Some((target, "")),
        _ if target.starts_with('/') => target,
        Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => return None,
    };
    let before_fragment = after_host.split('#').next().unwrap_or_default();
    let (path, query) = before_fragment.split_once('?').unwrap_or((before_fragment, ""));
    Some((if path.is_empty() { "/" } else { path }, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(Head, Vec<u8>), HeadError> {
        let mut buffer = Vec::new();
        let head = Head::read(&mut &*bytes, &mut buffer, &Limits::default())?;
        Ok((head, buffer))
    }

    /// Returns one byte per read.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(1).min(buf.len());
            let (now, later) = self.0.split_at(n);
            buf[..n].copy_from_slice(now);
            self.0 = later;
            Ok(n)
        }
    }

    #[test]
    fn bytes_after_a_head_stay_in_the_buffer() {
        let (head, rest) =
            read(b"GET /ws?a=b HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: 2\r\n\r\nrest").unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str()), ("GET", "/ws"));
        assert_eq!(head.fields.all("X").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.fields.get("host"), Some("h"));
        assert_eq!(rest, b"rest");
    }

    #[test]
    fn a_head_may_arrive_byte_by_byte() {
        for head in ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\r\nGET / HTTP/1.1\nHost: h\n\n"] {
            let mut buffer = Vec::new();
            let head = Head::read(&mut Trickle(head.as_bytes()), &mut buffer, &Limits::default());
            assert_eq!(head.unwrap().fields.get("Host"), Some("h"));
        }
    }

    #[test]
    fn pipelined_heads_are_read_one_at_a_time() {
        let mut buffer = b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n".to_vec();
        for path in ["/1", "/2"] {
            let head = Head::read(&mut io::empty(), &mut buffer, &Limits::default()).unwrap();
            assert_eq!(head.path, path);
        }
    }

    #[test]
    fn oversized_heads_are_rejected() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(16 * 1024));
        assert!(matches!(read(long.as_bytes()), Err(HeadError::TooLarge)));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
        assert!(matches!(read(many.as_bytes()), Err(HeadError::TooLarge)));
        let at_the_limit = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
        assert!(read(at_the_limit.as_bytes()).is_ok());
    }

    #[test]
    fn malformed_heads_are_rejected_at_once() {
        assert!(matches!(read(b"\x16\x03\x01\x02\x00\x01"), Err(HeadError::Malformed(_))));
        assert!(matches!(read(b"GET / HTTP/2.0\r\n"), Err(HeadError::Version)));
        assert!(matches!(read(b"GET / HTTP/1.1\r\nA b: c\r\n\r\n"), Err(HeadError::Malformed(_))));
        assert!(matches!(
            read(b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
            Err(HeadError::Malformed(_))
        ));
        assert!(matches!(read(b"CONNECT h:1 HTTP/1.1\r\n\r\n"), Err(HeadError::Malformed(_))));
    }

    #[test]
    fn request_targets_are_split_into_path_and_query() {
        for (target, expected) in [
            ("/", Some(("/", ""))),
            ("/a/b?c/d", Some(("/a/b", "c/d"))),
            ("/?x?y#z", Some(("/", "x?y"))),
            ("/a#b?c", Some(("/a", ""))),
            ("http://h/a?b", Some(("/a", "b"))),
            ("WS://h:1/a", Some(("/a", ""))),
            ("https://h:443/a?b", Some(("/a", "b"))),
            ("wss://h?x=http://y/", Some(("/", "x=http://y/"))),
            ("http://h", Some(("/", ""))),
            ("http://h?x", Some(("/", "x"))),
            ("*", Some(("*", ""))),
            ("h:1", None),
            ("ftp://h/a", None),
            ("httpss://h/a", None),
            ("://h/a", None),
            ("a", None),
        ] {
            assert_eq!(path_and_query(target), expected, "{target}");
        }
    }

    #[test]
    fn keep_alive_is_the_default_from_http_1_1_on() {
        for (head, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
            ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
        ] {
            assert_eq!(read(head.as_bytes()).unwrap().0.keeps_alive(), expected, "{head}");
        }
    }
}

//! Error responses unrelated to the request's content: no request could be parsed (400, 408, 431,
//! 505), or the server has no capacity or is shutting down (503).

use std::fmt;

use super::diagnosis::Diagnosis;
use super::excerpt::{escaped, request_line};
use super::head::{Head, HeadError};
use super::response::Response;
use crate::config::tuning::{RETRY_AFTER_SECS, SHOWN_BYTES, SHOWN_VALUE};
use crate::net::admission::LimitReached;

/// Why the server is temporarily unavailable (503).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// A limit on connections or sessions is reached.
    LimitReached(LimitReached),
    /// The operating system cannot create a thread.
    NoThread,
    /// Shutting down.
    Stopping,
    /// Not accepting connections yet; only the admin listener answers so.
    Starting,
}

/// The status of every [`Unavailable`] response: 503 Service Unavailable.
pub(crate) const STATUS: u16 = 503;

/// The reasons for which a client may be refused.
pub(crate) const REASONS: [Unavailable; 5] = [
    Unavailable::LimitReached(LimitReached::Connections),
    Unavailable::LimitReached(LimitReached::Sessions),
    Unavailable::LimitReached(LimitReached::Address),
    Unavailable::NoThread,
    Unavailable::Stopping,
];

/// The response to bytes that are not a valid request; `None` if the peer closed the connection.
pub(crate) fn no_request(error: &HeadError, arrived: &[u8]) -> Option<Diagnosis> {
    let (status, problem, cause, fix) = match error {
        HeadError::Timeout => (
            408,
            "The request head did not arrive in time (--handshake-timeout).".to_owned(),
            "A connection opened in advance and not used, a head without the blank line at its end,\n\
             or a slow network.",
            "Send the whole head at once, with a blank line after it.",
        ),
        HeadError::TooLarge => (
            431,
            "The request head is too large.".to_owned(),
            "Cookies that have grown too large, or a proxy loop that adds fields on each pass.",
            "Send fewer and shorter fields; in a browser, delete the cookies of this host.",
        ),
        HeadError::Version => (
            505,
            "This server speaks HTTP/1.1.".to_owned(),
            "A client or a proxy that is set to speak HTTP/2 with prior knowledge.",
            "Use HTTP/1.1; nginx: proxy_http_version 1.1; HAProxy: no `proto h2` at the server.",
        ),
        HeadError::Malformed(what) => (
            400,
            format!("This is not an HTTP request: {what}."),
            "Another protocol: TLS (https:// or wss://) on a port for http:// and ws://, the PROXY\n\
             protocol, or WebSocket frames without a handshake.",
            "Connect with http:// or ws://, or to the proxy that terminates TLS for this server.",
        ),
        HeadError::Left => return None,
    };
    Some(Diagnosis {
        status,
        problem: problem.into(),
        arrived: vec![first_bytes(arrived)],
        cause: cause.into(),
        fix: fix.into(),
    })
}

/// The response to plaintext on a TLS port. `head` is `None` if the bytes were not a request.
pub(crate) fn plaintext_on_tls_port(head: Option<&Head>, arrived: &[u8]) -> Diagnosis {
    let host = head.and_then(|head| head.get("Host")).unwrap_or("HOST:PORT");
    let host = escaped(host, SHOWN_VALUE);
    Diagnosis {
        status: 400,
        problem: format!("This port speaks TLS: its URL is https://{host}/ or wss://{host}/.")
            .into(),
        arrived: vec![head.map_or_else(|| first_bytes(arrived), request_line)],
        cause: "http:// or ws:// in the URL; or a proxy that is not set to use TLS to this server."
            .into(),
        fix: "Use https:// for the page, and wss:// for a WebSocket.\n\
              nginx: proxy_pass https://…; HAProxy: `ssl` at the server."
            .into(),
    }
}

/// The number of bytes, and the first `SHOWN_BYTES` of them, escaped.
fn first_bytes(arrived: &[u8]) -> String {
    let shown = &arrived[..arrived.len().min(SHOWN_BYTES)];
    let more = if shown.len() < arrived.len() { ", beginning with" } else { ":" };
    match arrived.len() {
        0 => "(nothing)".to_owned(),
        length => format!("{length} bytes{more} {}", shown.escape_ascii()),
    }
}

/// The 503 for this reason. `head` is `None` if no request was read.
pub(crate) fn unavailable(why: Unavailable, head: Option<&Head>) -> Diagnosis {
    let (cause, fix) = why.explained();
    Diagnosis {
        status: STATUS,
        problem: format!("Unavailable: {why}; retry in {RETRY_AFTER_SECS} seconds.").into(),
        arrived: vec![head.map_or("a connection; no request was read".to_owned(), request_line)],
        cause: cause.into(),
        fix: fix.into(),
    }
}

/// The response to a health or readiness check: 200 with the text `good`, or a 503.
pub(crate) fn state(good: &str, state: Result<(), Unavailable>, head: &Head) -> Response {
    match state {
        Ok(()) => Response::text(200, good),
        Err(why) => unavailable(why, Some(head)).answer(head),
    }
}

impl Unavailable {
    /// The value of the label `reason` in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Unavailable::LimitReached(LimitReached::Connections) => "connections",
            Unavailable::LimitReached(LimitReached::Sessions) => "sessions",
            Unavailable::LimitReached(LimitReached::Address) => "address",
            Unavailable::NoThread => "thread",
            Unavailable::Stopping => "stopping",
            Unavailable::Starting => "starting",
        }
    }

    /// The usual cause, and the fix.
    fn explained(self) -> (&'static str, &'static str) {
        match self {
            Unavailable::LimitReached(LimitReached::Sessions | LimitReached::Connections) => (
                "More clients than the server is configured for; or clients that reconnect without\n\
                 closing their previous connections.",
                "Close unused WebSockets, or wait; the operator can raise --max-connections.",
            ),
            Unavailable::LimitReached(LimitReached::Address) => (
                "Several clients behind one address, such as those of a proxy or an office; or a client\n\
                 that reconnects without closing its previous connections.",
                "Close unused connections, or wait; the operator can raise --max-connections-per-ip.",
            ),
            Unavailable::NoThread => (
                "A limit on threads is reached (ulimit -u, TasksMax=, pids.max), or memory is exhausted.",
                "Wait; the operator can raise the limit, or lower --max-connections below it.",
            ),
            Unavailable::Stopping => (
                "The server is being stopped, for example to install a new version.",
                "Wait, and reconnect; a client should do so automatically, after a random delay.",
            ),
            Unavailable::Starting => {
                ("The server was started a moment ago.", "Wait, and try again.")
            }
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::LimitReached(full) => full.fmt(f),
            Unavailable::NoThread => f.write_str("no thread could be created"),
            Unavailable::Stopping => f.write_str("the server is shutting down"),
            Unavailable::Starting => f.write_str("the server does not accept connections yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::fuzzing::assert_readable;

    #[test]
    fn first_bytes_of_an_invalid_request_are_shown() {
        for (error, bytes, status, shown) in [
            (HeadError::Timeout, &b""[..], 408, "(nothing)"),
            (HeadError::TooLarge, &[b'x'; 20], 431, "20 bytes, beginning with xxxxxxxxxxxxxxxx"),
            (HeadError::Version, b"PRI * HTTP/2.0\r\n", 505, "16 bytes: PRI * HTTP/2.0\\r\\n"),
            (HeadError::Malformed("x".into()), b"\x16\x03\xff", 400, "3 bytes: \\x16\\x03\\xff"),
        ] {
            let diagnosis = no_request(&error, bytes).unwrap();
            assert_eq!((diagnosis.status, diagnosis.arrived[0].as_str()), (status, shown));
            assert_readable(&diagnosis);
        }
        assert!(no_request(&HeadError::Left, b"GET").is_none());
        // Any amount of binary data is shown in one line.
        assert_readable(&no_request(&HeadError::TooLarge, &[0xff; 16384]).unwrap());
    }

    #[test]
    fn plaintext_on_a_tls_port_is_told_the_url() {
        let head =
            crate::http::head::parse(b"GET /a HTTP/1.1\r\nHost: h:1\r\n\r\n", &Limits::default());
        let diagnosis = plaintext_on_tls_port(Some(&head.unwrap().unwrap().0), &[]);
        assert_eq!((diagnosis.status, diagnosis.arrived[0].as_str()), (400, "GET /a HTTP/1.1"));
        let expected = "This port speaks TLS: its URL is https://h:1/ or wss://h:1/.";
        assert_eq!(diagnosis.problem, expected);
        assert_readable(&diagnosis);
        let diagnosis = plaintext_on_tls_port(None, b"\xff");
        assert!(diagnosis.problem.contains("wss://HOST:PORT/"), "{}", diagnosis.problem);
        assert_eq!(diagnosis.arrived, ["1 bytes: \\xff"]);
        assert_readable(&diagnosis);
    }

    #[test]
    fn every_503_says_when_to_retry() {
        for why in REASONS.into_iter().chain([Unavailable::Starting]) {
            let diagnosis = unavailable(why, None);
            assert_eq!(diagnosis.status, 503);
            let problem = format!("Unavailable: {why}; retry in 5 seconds.");
            assert_eq!(diagnosis.problem, problem);
            assert_readable(&diagnosis);
        }
    }
}

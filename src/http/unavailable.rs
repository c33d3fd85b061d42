//! Refusals that no request head explains: there is none, or it is fine and there is no place.
//!
//! What it is: the words. What it is not: the decision, which was made by whoever asks here.

use std::fmt;

use super::diagnosis::Diagnosis;
use super::excerpt::{escaped, request_line};
use super::head::{Head, HeadError};
use super::response::Response;
use crate::config::tuning::{RETRY_AFTER_SECS, SHOWN_BYTES, SHOWN_VALUE};
use crate::net::admission::LimitReached;

/// Why a server that could does not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The places are taken.
    LimitReached(LimitReached),
    /// The machine gives no thread.
    NoThread,
    /// It parts.
    Stopping,
    /// It has not opened its doors yet.
    Starting,
}

/// The status of all of them.
pub(crate) const STATUS: u16 = 503;

/// Those that a client may be refused for.
pub(crate) const REASONS: [Unavailable; 5] = [
    Unavailable::LimitReached(LimitReached::Connections),
    Unavailable::LimitReached(LimitReached::Sessions),
    Unavailable::LimitReached(LimitReached::Address),
    Unavailable::NoThread,
    Unavailable::Stopping,
];

/// The answer to what was not a request, of which these bytes have arrived; none where nobody is
/// left to read it.
pub(crate) fn no_request(error: &HeadError, arrived: &[u8]) -> Option<Diagnosis> {
    let (status, problem, cause, fix) = match error {
        HeadError::Timeout => (
            408,
            "The request head did not arrive in time (--handshake-timeout).".to_owned(),
            "A connection that was opened ahead and not used; a head without the blank line at its\n\
             end; or a slow network.",
            "Send the whole head at once, with a blank line after it.",
        ),
        HeadError::TooLarge => (
            431,
            "The request head is too large.".to_owned(),
            "Cookies that have grown, or a proxy that adds fields in a loop.",
            "Send fewer and shorter fields; in a browser, delete the cookies of this host.",
        ),
        HeadError::Version => (
            505,
            "This server speaks HTTP/1.1.".to_owned(),
            "A client or a proxy that was told to speak HTTP/2 without asking (prior knowledge).",
            "Speak HTTP/1.1; nginx: proxy_http_version 1.1; HAProxy: no `proto h2` at the server.",
        ),
        HeadError::Malformed(what) => (
            400,
            format!("This is not an HTTP request: {what}."),
            "Another protocol: TLS (https:// or wss://) to a port that speaks http:// and ws://, the\n\
             PROXY protocol, or WebSocket frames without a handshake before them.",
            "Connect with http:// or ws://, or to the proxy that speaks TLS for this server.",
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

/// The answer to who speaks without TLS where that is spoken: to a request, or to these bytes.
pub(crate) fn plaintext_on_tls_port(head: Option<&Head>, arrived: &[u8]) -> Diagnosis {
    let host = head.and_then(|head| head.get("Host")).unwrap_or("HOST:PORT");
    let host = escaped(host, SHOWN_VALUE);
    Diagnosis {
        status: 400,
        problem: format!("This port speaks TLS: its URL is https://{host}/ or wss://{host}/.")
            .into(),
        arrived: vec![head.map_or_else(|| first_bytes(arrived), request_line)],
        cause:
            "http:// or ws:// in the URL; or a proxy that was not told to speak TLS to this server."
                .into(),
        fix: "Put an s into the scheme: https:// for a page, wss:// for a WebSocket.\n\
              nginx: proxy_pass https://…; HAProxy: `ssl` at the server."
            .into(),
    }
}

fn first_bytes(arrived: &[u8]) -> String {
    let shown = &arrived[..arrived.len().min(SHOWN_BYTES)];
    let more = if shown.len() < arrived.len() { ", beginning with" } else { ":" };
    match arrived.len() {
        0 => "(nothing)".to_owned(),
        length => format!("{length} bytes{more} {}", shown.escape_ascii()),
    }
}

/// A handshake that came at the wrong time; none where its head was not read.
pub(crate) fn unavailable(why: Unavailable, head: Option<&Head>) -> Diagnosis {
    let (cause, fix) = why.explained();
    Diagnosis {
        status: STATUS,
        problem: format!("Not now: {why}; try again in {RETRY_AFTER_SECS} seconds.").into(),
        arrived: vec![head.map_or("a connection; no request was read".to_owned(), request_line)],
        cause: cause.into(),
        fix: fix.into(),
    }
}

/// What a question about the server's state gets: `good`, or why it is not.
pub(crate) fn state(good: &str, state: Result<(), Unavailable>, head: &Head) -> Response {
    match state {
        Ok(()) => Response::text(200, good),
        Err(why) => unavailable(why, Some(head)).answer(head),
    }
}

impl Unavailable {
    /// In a word.
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

    /// What usually causes it, and the fix.
    fn explained(self) -> (&'static str, &'static str) {
        match self {
            Unavailable::LimitReached(LimitReached::Sessions | LimitReached::Connections) => (
                "More clients than the server is set up for; or clients that connect again and again\n\
                 without closing what they have.",
                "Close a WebSocket that is not needed, or wait; the operator can raise\n\
                 --max-connections.",
            ),
            Unavailable::LimitReached(LimitReached::Address) => (
                "Several clients behind one address, such as those of a proxy or of an office; or one\n\
                 that connects again and again without closing what it has.",
                "Close a connection that is not needed, or wait; the operator can raise\n\
                 --max-connections-per-ip.",
            ),
            Unavailable::NoThread => (
                "The machine's limit of threads is reached (ulimit -u, TasksMax=, pids.max), or its memory.",
                "Wait; the operator can raise that limit, or lower --max-connections below it.",
            ),
            Unavailable::Stopping => (
                "It was told to stop, as happens when a new version is put in its place.",
                "Wait, and connect again; a client should do so by itself, after a random pause.",
            ),
            Unavailable::Starting => ("It was started a moment ago.", "Wait, and ask again."),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::LimitReached(full) => full.fmt(f),
            Unavailable::NoThread => f.write_str("no thread could be made"),
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
    fn what_was_no_request_is_shown() {
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
        // However unreadable, it is a line.
        assert_readable(&no_request(&HeadError::TooLarge, &[0xff; 16384]).unwrap());
    }

    #[test]
    fn who_speaks_without_tls_has_the_url() {
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
    fn every_lack_of_a_place_says_when_to_come_back() {
        for why in REASONS.into_iter().chain([Unavailable::Starting]) {
            let diagnosis = unavailable(why, None);
            assert_eq!(diagnosis.status, 503);
            assert_eq!(diagnosis.problem, format!("Not now: {why}; try again in 5 seconds."));
            assert_readable(&diagnosis);
        }
    }
}

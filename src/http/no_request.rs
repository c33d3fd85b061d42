//! Responses to bytes that are not a request of this port: 400, 408, 431, 505.

use super::diagnosis::Diagnosis;
use super::excerpt::{escaped, request_line};
use super::head::{Head, HeadError};
use crate::config::tuning::{SHOWN_BYTES, SHOWN_VALUE};

/// The response to bytes that are not a valid request; `None` if the peer closed the connection.
pub(crate) fn diagnosis(error: &HeadError, arrived: &[u8]) -> Option<Diagnosis> {
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
    let host = head.and_then(|head| head.fields.get("Host")).unwrap_or("HOST:PORT");
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
            let diagnosis = super::diagnosis(&error, bytes).unwrap();
            assert_eq!((diagnosis.status, diagnosis.arrived[0].as_str()), (status, shown));
            assert_readable(&diagnosis);
        }
        assert!(diagnosis(&HeadError::Left, b"GET").is_none());
        // Any amount of binary data is shown in one line.
        assert_readable(&diagnosis(&HeadError::TooLarge, &[0xff; 16384]).unwrap());
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
}

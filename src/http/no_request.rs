//! Responses to bytes that are not a request of this port: 400, 408, 431, 505.

use super::diagnosis::Diagnosis;
use super::excerpt::{escaped, request_line};
use super::head::{Head, HeadError};
use crate::config::tuning::{SHOWN_BYTES, SHOWN_VALUE};
use crate::products;

/// The response to bytes that are not a valid request; `None` if the peer closed the connection, or has sent
/// nothing: browsers open connections in advance, and would take a 408 on one for the answer to the request
/// that they are just sending on it. `is_plaintext_on_tls`: the port speaks TLS, and the bytes are plaintext.
pub(crate) fn diagnosis(
    error: &HeadError,
    arrived: &[u8],
    is_plaintext_on_tls: bool,
) -> Option<Diagnosis> {
    let (status, problem, cause, fix) = explained(error, arrived)?;
    if let Some(version) = proxy_protocol(arrived).filter(|_| is_invalid(error)) {
        return Some(proxy_protocol_sent(version, arrived));
    }
    if is_plaintext_on_tls {
        return Some(plaintext_on_tls_port(None, arrived));
    }
    Some(Diagnosis {
        status,
        problem: problem.into(),
        arrived: vec![first_bytes(arrived)],
        cause: cause.into(),
        fix: fix.into(),
    })
}

/// Whether the bytes are complete, and no request.
fn is_invalid(error: &HeadError) -> bool {
    matches!(error, HeadError::Version | HeadError::Malformed(_))
}

/// The status, the problem, its usual cause and the fix; `None` if no response is due.
fn explained(
    error: &HeadError,
    arrived: &[u8],
) -> Option<(u16, String, &'static str, &'static str)> {
    Some(match error {
        _ if is_invalid(error) && has_space_in_target(arrived) => (
            400,
            "There is a space in the request target.".to_owned(),
            "A client or a script that does not percent-encode the path or the query of its URL.",
            "Write %20 for each space; in JavaScript: encodeURIComponent.",
        ),
        HeadError::Timeout if arrived.is_empty() => return None,
        HeadError::Timeout => (
            408,
            "The request head did not arrive in time (--handshake-timeout).".to_owned(),
            "A head without the blank line at its end, or a slow network.",
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
            "Another protocol: TLS (https:// or wss://) on a port for http:// and ws://, or\n\
             WebSocket frames without a handshake.",
            "Connect with http:// or ws://, or to the proxy that terminates TLS for this server.",
        ),
        HeadError::Left => return None,
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

fn proxy_protocol_sent(version: u8, arrived: &[u8]) -> Diagnosis {
    let switches = products::proxy_protocol_switches(version);
    Diagnosis {
        status: 400,
        problem: format!(
            "This is the PROXY protocol, version {version}, which this server does not speak."
        )
        .into(),
        arrived: vec![first_bytes(arrived)],
        cause: "A proxy that is set to send the address of its client ahead of the request. This server reads\n\
            it from Forwarded or X-Forwarded-For (--trusted-proxy)."
            .into(),
        fix: format!("Remove the switch that sends it:\n{switches}").into(),
    }
}

/// The version of the PROXY protocol whose header has arrived; `None` if none has
/// (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>).
fn proxy_protocol(arrived: &[u8]) -> Option<u8> {
    const V1: [&[u8]; 3] = [b"PROXY TCP4", b"PROXY TCP6", b"PROXY UNKNOWN"];
    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    match arrived {
        _ if arrived.starts_with(V2) => Some(2),
        _ if V1.iter().any(|start| arrived.starts_with(start)) => Some(1),
        _ => None,
    }
}

/// Whether a request line has more words than method, target and version.
fn has_space_in_target(arrived: &[u8]) -> bool {
    let arrived = arrived.trim_ascii_start();
    let line = arrived.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let words: Vec<_> = line.trim_ascii_end().split(|byte| *byte == b' ').collect();
    words.len() > 3 && words.last().is_some_and(|version| version.starts_with(b"HTTP/1."))
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
            (HeadError::Timeout, &b"GET"[..], 408, "3 bytes: GET"),
            (HeadError::TooLarge, &[b'x'; 20], 431, "20 bytes, beginning with xxxxxxxxxxxxxxxx"),
            (HeadError::Version, b"PRI * HTTP/2.0\r\n", 505, "16 bytes: PRI * HTTP/2.0\\r\\n"),
            (HeadError::Malformed("x".into()), b"\x16\x03\xff", 400, "3 bytes: \\x16\\x03\\xff"),
        ] {
            let diagnosis = super::diagnosis(&error, bytes, false).unwrap();
            assert_eq!((diagnosis.status, diagnosis.arrived[0].as_str()), (status, shown));
            assert_readable(&diagnosis);
        }
        assert!(diagnosis(&HeadError::Left, b"GET", false).is_none());
        assert!(diagnosis(&HeadError::Timeout, b"", false).is_none());
        // Any amount of binary data is shown in one line.
        assert_readable(&diagnosis(&HeadError::TooLarge, &[0xff; 16384], false).unwrap());
    }

    #[test]
    fn near_misses_of_a_request_have_their_own_diagnosis() {
        let problem = |bytes: &[u8]| {
            let error = crate::http::head::parse(bytes, &Limits::default()).unwrap_err();
            let diagnosis = super::diagnosis(&error, bytes, false).unwrap();
            assert_readable(&diagnosis);
            format!("{}: {}", diagnosis.status, diagnosis.problem)
        };
        for (bytes, version, switch) in [
            (
                &b"PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET / HTTP/1.1\r\n\r\n"[..],
                1,
                "\nHAProxy: `send-proxy` ",
            ),
            (b"PROXY TCP6 ::1 ::1 1 80\r\n", 1, "\nnginx: `proxy_protocol on` "),
            (b"PROXY UNKNOWN\r\n", 1, "\nVarnish: `.proxy_header = 1` "),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 2, "\nHAProxy: `send-proxy-v2` "),
        ] {
            let start = format!("400: This is the PROXY protocol, version {version}, ");
            assert!(problem(bytes).starts_with(&start), "{bytes:?}");
            assert!(proxy_protocol_sent(version, bytes).fix.contains(switch), "{bytes:?}");
        }
        for bytes in [&b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"GET /?a b c HTTP/1.0\r\n"] {
            assert!(problem(bytes).starts_with("400: There is a space"), "{bytes:?}");
        }
        for bytes in
            [&b"GET /a HTTP/2.0\r\n"[..], b"OPTIONS * RTSP/1.0\r\n", b"GET /a b RTSP/1.0\r\n"]
        {
            assert!(problem(bytes).starts_with("505"), "{bytes:?}");
        }
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

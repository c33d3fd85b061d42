//! Which protocol a port speaks that does not answer in HTTP/1.x.

use super::Verdict;
use crate::check::report::quoted;

/// The first bytes of a server, and its protocol.
const GREETINGS: [(&[u8], &str); 13] = [
    (b"SSH-", "SSH"),
    (b"220", "SMTP or FTP"),
    (b"* OK", "IMAP"),
    (b"+OK", "POP3"),
    (b"RFB ", "VNC"),
    (b"-ERR", "Redis"),
    (b"-DENIED", "Redis"),
    (b"ERROR\r\n", "memcached"),
    (b"AMQP", "AMQP"),
    (b"RTSP/", "RTSP"),
    (b"SIP/", "SIP"),
    (b"ICY ", "Icecast"),
    (b"@RSYNCD", "rsync"),
];

/// Explains bytes that are not an HTTP/1.x response.
pub(crate) fn not_http(bytes: &[u8], wss_url: &str) -> Verdict {
    let shown = quoted(&String::from_utf8_lossy(bytes));
    if is_tls(bytes) {
        return Verdict::new(
            "This port speaks TLS, and the URL begins with ws://.",
            format!("Use {wss_url}."),
        );
    }
    if is_http2(bytes) {
        return Verdict::new(
            "This port speaks HTTP/2 only; a WebSocket handshake is HTTP/1.1.",
            "Switch HTTP/1.1 on (HAProxy: no `proto h2` at the bind; Envoy: codec_type AUTO), or use \
             another port.",
        );
    }
    match GREETINGS.iter().find(|(start, _)| bytes.starts_with(start)) {
        Some((_, protocol)) => Verdict::new(
            format!("This port speaks {protocol}, not HTTP/1.1: {shown}."),
            "Correct the port in the URL.",
        ),
        None => Verdict::new(
            format!("The response is not HTTP/1.1: {shown}."),
            "Correct the port in the URL: another protocol is spoken there.",
        ),
    }
}

/// Whether the bytes begin with a TLS record (RFC 8446, section 5.1) of any content type, with the
/// legacy version 3.x.
pub(crate) fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 3, ..])
}

/// Whether the bytes begin with SETTINGS or GOAWAY on stream 0 (RFC 9113, section 4.1), or are a
/// status line of HTTP/2, which no server sends.
fn is_http2(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, _, 4 | 7, _, 0, 0, 0, 0, ..]) || bytes.starts_with(b"HTTP/2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_recognized_by_their_first_bytes() {
        for (bytes, problem) in [
            (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "speaks TLS"),
            (
                b"SSH-2.0-OpenSSH_9.2p1\x1b\r\n",
                "speaks SSH, not HTTP/1.1: \"SSH-2.0-OpenSSH_9.2p1\\u{1b}",
            ),
            (b"220 mail.example ESMTP Postfix\r\n", "SMTP or FTP"),
            (b"* OK [CAPABILITY IMAP4rev1]", "IMAP"),
            (b"\0\0\x12\x04\0\0\0\0\0\0\x03", "HTTP/2 only"),
            (b"\0\0\x08\x07\0\0\0\0\0", "HTTP/2 only"),
            (b"HTTP/2 200\r\n\r\n", "HTTP/2 only"),
            (b"\0\0\x12\x09\0", "not HTTP/1.1: "),
            (b"hello\n", "not HTTP/1.1: \"hello\\n\""),
        ] {
            let Verdict { problem: found, fix, .. } = not_http(bytes, "wss://h/");
            assert!(found.contains(problem), "{found}");
            assert!(!fix.is_empty());
        }
        assert_eq!(not_http(b"\x15\x03\x03", "wss://h:1/a").fix, "Use wss://h:1/a.");
    }
}

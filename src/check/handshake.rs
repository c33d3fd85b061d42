//! The client side of the opening handshake (RFC 6455, section 4.1), without I/O: builds the
//! request, parses and validates the response.
//!
//! tungstenite's client handshake is not used because its errors lack what a check has to show: the
//! bytes of a response that is not HTTP, the field that is wrong, the body of a refusal.

use tungstenite::handshake::derive_accept_key;

use super::limits::{BODY_MAX, FIELDS_MAX};
use super::options::CheckOptions;
use super::report::{quoted, shortened};
use crate::http::fields::Fields;

/// Builds the request. Fields of the user replace `Host` and `User-Agent`.
pub(crate) fn request(options: &CheckOptions, key: &str) -> String {
    let mut fields = vec![
        ("Host", options.target.authority.as_str()),
        ("User-Agent", concat!("wsecho/", env!("CARGO_PKG_VERSION"))),
    ];
    fields
        .retain(|(name, _)| !options.fields.iter().any(|own| own.name.eq_ignore_ascii_case(name)));
    fields.extend([("Connection", "Upgrade"), ("Upgrade", "websocket")]);
    fields.extend([("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]);
    fields.extend(options.origin.as_deref().map(|origin| ("Origin", origin)));
    let subprotocols = options.subprotocols.join(", ");
    if !subprotocols.is_empty() {
        fields.push(("Sec-WebSocket-Protocol", &subprotocols));
    }
    fields.extend(options.fields.iter().map(|own| (own.name.as_str(), own.value.as_str())));
    let lines: String =
        fields.iter().map(|(name, value)| [*name, ": ", value, "\r\n"].concat()).collect();
    format!("GET {} HTTP/1.1\r\n{lines}\r\n", options.target.resource)
}

/// The status line and header section of a response.
#[derive(Debug)]
pub(crate) struct ServerResponse {
    pub(crate) status: u16,
    reason: String,
    fields: Fields,
}

impl ServerResponse {
    /// Parses a response head. Returns it with its length in bytes; `None` if it is not complete
    /// yet.
    ///
    /// # Errors
    /// Describes why the bytes are not a valid HTTP/1.1 response.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(ServerResponse, usize)>, String> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes) {
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete(length)) => {
                Ok(Some((ServerResponse::from(&response), length)))
            }
            Err(error) if bytes.starts_with(b"HTTP/1.") => {
                Err(format!("the response's header section is malformed: {error}"))
            }
            Err(_) => Err(not_http(bytes)),
        }
    }

    /// Whether this is an interim response (1xx other than 101; RFC 9110, section 15.2).
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
    }

    fn is_chunked(&self) -> bool {
        self.fields.lists("Transfer-Encoding", "chunked")
    }

    /// Whether `body` is complete according to the header section (RFC 9112, section 6.3). Always
    /// false if the end of the connection delimits the body.
    pub(crate) fn is_complete(&self, body: &[u8]) -> bool {
        match self.fields.get("Content-Length").map(str::parse::<usize>) {
            _ if matches!(self.status, 204 | 304) => true,
            _ if self.is_chunked() => body.ends_with(b"0\r\n\r\n"),
            Some(Ok(length)) => body.len() >= length,
            _ => false,
        }
    }

    /// Returns `body` as text to print: without its chunked coding, and truncated.
    pub(crate) fn explanation(&self, body: &[u8]) -> String {
        let mut body = if self.is_chunked() { unchunked(body) } else { body.to_vec() };
        let is_cut = body.len() > BODY_MAX;
        body.truncate(BODY_MAX);
        let text = String::from_utf8_lossy(&body);
        if is_cut {
            format!("{}\n… (truncated)", text.trim_end())
        } else {
            text.trim_end().to_owned()
        }
    }

    /// Returns the status, the reason phrase and the `Server` field in one line.
    pub(crate) fn title(&self) -> String {
        let ServerResponse { status, reason, .. } = self;
        let title = format!("{status} {}", shortened(reason));
        match self.fields.get("Server") {
            Some(server) => format!("{} from {}", title.trim_end(), shortened(server)),
            None => title.trim_end().to_owned(),
        }
    }

    /// Whether the server is only out of capacity. A proxy whose server is gone sends no `Retry-After`.
    pub(crate) fn is_full(&self) -> bool {
        self.status == 503 && self.fields.get("Retry-After").is_some()
    }

    /// Explains what a refusal with this status usually means.
    pub(crate) fn meaning(&self) -> String {
        match (self.status, self.fields.get("Location")) {
            (300..=399, Some(location)) => {
                format!("redirects to {}; check that URL", quoted(location))
            }
            (200..=299, _) => "no WebSocket endpoint, or a proxy dropped the Upgrade field".into(),
            (401 | 407, _) => "credentials are required (--header 'Authorization: …')".into(),
            (403, _) => {
                "another Origin (--origin) or credentials (--header) may be required".into()
            }
            (404, _) => "the server has nothing at this path, or for this Host".into(),
            (503, _) if self.is_full() => {
                "the server lives, but is full or shutting down; try again later".into()
            }
            (502 | 504, _) => "a proxy answered, but cannot reach the server behind it".into(),
            _ => "the server refused the upgrade".into(),
        }
    }
}

impl From<&httparse::Response<'_, '_>> for ServerResponse {
    fn from(response: &httparse::Response<'_, '_>) -> ServerResponse {
        ServerResponse {
            status: response.code.unwrap_or_default(),
            reason: response.reason.unwrap_or_default().to_owned(),
            fields: Fields::from(&*response.headers),
        }
    }
}

/// Describes bytes that are not an HTTP/1.x response.
fn not_http(bytes: &[u8]) -> String {
    match bytes {
        // A TLS record (RFC 8446, section 5.1): any content type, legacy version 3.x.
        [0x14..=0x17, 3, ..] if cfg!(feature = "tls") => {
            "this port speaks TLS; try wss://".to_owned()
        }
        [0x14..=0x17, 3, ..] => "this port speaks TLS, and this build has no TLS; \
             check the plain port behind it"
            .to_owned(),
        _ => format!("the response is not HTTP/1.1: {}", quoted(&String::from_utf8_lossy(bytes))),
    }
}

/// Joins the chunks of `body`, up to the first malformed or incomplete one.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    while let Ok(httparse::Status::Complete((start, length))) = httparse::parse_chunk_size(body) {
        let rest = &body[start..];
        let end = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        if end == 0 {
            break;
        }
        joined.extend_from_slice(&rest[..end]);
        body = rest[end..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    joined
}

/// Validates a 101 as RFC 6455, section 4.1, requires of a client. Returns the selected
/// subprotocol.
///
/// # Errors
/// Describes why a client must fail the connection.
pub(crate) fn validate<'r>(
    response: &'r ServerResponse,
    key: &str,
    offered: &[String],
) -> Result<Option<&'r str>, String> {
    for (name, token) in [("Upgrade", "websocket"), ("Connection", "Upgrade")] {
        if !response.fields.lists(name, token) {
            return Err(format!("101 without `{name}: {token}`; a proxy may have dropped it"));
        }
    }
    let (accept, expected) =
        (response.fields.get("Sec-WebSocket-Accept"), derive_accept_key(key.as_bytes()));
    if accept != Some(&expected) {
        let accept = accept.map_or("missing".to_owned(), quoted);
        return Err(format!(
            "Sec-WebSocket-Accept is {accept}, but the key {key} requires {expected:?}; \
             the response is to another handshake, or not from a WebSocket server"
        ));
    }
    if let Some(extensions) = response.fields.get("Sec-WebSocket-Extensions") {
        return Err(format!("the server selected extension {}, not offered", quoted(extensions)));
    }
    match response.fields.get("Sec-WebSocket-Protocol") {
        None if !offered.is_empty() => {
            Err("the server selected no subprotocol; browsers then fail the connection".to_owned())
        }
        Some(selected) if !offered.iter().any(|offer| offer == selected) => {
            Err(format!("the server selected subprotocol {}, not offered", quoted(selected)))
        }
        selected => Ok(selected),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn options(arguments: &[&str]) -> CheckOptions {
        let command = CheckOptions::augment_args(clap::Command::new("check").no_binary_name(true));
        CheckOptions::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    fn response(text: &str) -> ServerResponse {
        ServerResponse::parse(text.as_bytes()).unwrap().unwrap().0
    }

    fn validated(fields: &str, offered: &[&str]) -> Result<Option<String>, String> {
        let offered: Vec<_> = offered.iter().map(|&name| name.to_owned()).collect();
        let response = response(&format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n"));
        validate(&response, KEY, &offered).map(|selected| selected.map(str::to_owned))
    }

    #[test]
    fn request_has_the_required_fields_and_the_users() {
        let user_agent = format!("User-Agent: wsecho/{}\r\n", env!("CARGO_PKG_VERSION"));
        let handshake = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        );
        assert_eq!(
            request(&options(&["ws://[::1]:8080/a?b"]), KEY),
            format!("GET /a?b HTTP/1.1\r\nHost: [::1]:8080\r\n{user_agent}{handshake}\r\n")
        );
        let all =
            "ws://h --origin http://o --subprotocol a --subprotocol b --header host:x --header X:y";
        let all: Vec<_> = all.split(' ').collect();
        assert_eq!(
            request(&options(&all), KEY),
            format!(
                "GET / HTTP/1.1\r\n{user_agent}{handshake}Origin: http://o\r\n\
                 Sec-WebSocket-Protocol: a, b\r\nhost: x\r\nX: y\r\n\r\n"
            )
        );
    }

    #[test]
    fn a_101_is_validated_as_rfc_6455_requires() {
        const GOOD: &str = "Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let chat = format!("{GOOD}Sec-WebSocket-Protocol: chat\r\n");
        assert_eq!(validated(GOOD, &[]), Ok(None));
        assert_eq!(validated(&chat, &["x", "chat"]), Ok(Some("chat".to_owned())));
        for (fields, offered, expected) in [
            (GOOD.replace("Upgrade: WebSocket", "Upgrade: h2c"), &[][..], "`Upgrade: websocket`"),
            (GOOD.replace(", upgrade", ""), &[], "`Connection: Upgrade`"),
            (GOOD.replace("s3pP", "S3pP"), &[], "is \"S3pPLM"),
            (GOOD.replace("Sec-WebSocket-Accept", "X"), &[], "Accept is missing"),
            (format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n"), &[], "extension"),
            (GOOD.to_owned(), &["chat"], "selected no subprotocol"),
            (chat.clone(), &["Chat"], "not offered"),
            (chat, &[], "not offered"),
        ] {
            let error = validated(&fields, offered).unwrap_err();
            assert!(error.contains(expected), "{fields}: {error}");
        }
    }

    #[test]
    fn invalid_responses_are_described() {
        for (bytes, expected) in [
            (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "TLS"),
            (b"SSH-2.0-OpenSSH\x1b\r\n", "not HTTP/1.1: \"SSH-2.0-OpenSSH\\u{1b}\\r\\n\""),
            (b"\0\0\x12\x04\0", "not HTTP/1.1"),
            (b"HTTP/2 200\r\n\r\n", "not HTTP/1.1"),
            (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "header section is malformed"),
            (&[b"HTTP/1.1 200 OK\r\n".as_slice(), &b"A: b\r\n".repeat(101)].concat(), "malformed"),
        ] {
            let error = ServerResponse::parse(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(ServerResponse::parse(b"HTTP/1.1 101 S\r\nA: b\r\n"), Ok(None)));
    }

    #[test]
    fn bodies_are_complete_by_length_or_last_chunk_and_truncated() {
        let plain = response("HTTP/1.1 403 F\r\nContent-Length: 4\r\n\r\n");
        assert!(!plain.is_complete(b"not") && plain.is_complete(b"not "));
        assert_eq!(plain.explanation(b"not "), "not");
        let long = plain.explanation(&b"x".repeat(BODY_MAX + 1));
        assert_eq!(long, "x".repeat(BODY_MAX) + "\n… (truncated)");
        let chunked = response("HTTP/1.1 403 F\r\nTransfer-Encoding: chunked\r\n\r\n");
        let body = b"3;x=y\r\nnot\r\nA\r\n welcome\r\n\r\n0\r\n\r\n";
        assert!(chunked.is_complete(body) && !chunked.is_complete(&body[..20]));
        assert_eq!(chunked.explanation(body), "not welcome");
        assert_eq!(chunked.explanation(&body[..20]), "not welc");
        assert_eq!(chunked.explanation(b"zzz"), "");
        let open = response("HTTP/1.0 403 F\r\n\r\n");
        assert!(!open.is_complete(b"anything"));
        assert!(response("HTTP/1.1 304 N\r\nContent-Length: 4\r\n\r\n").is_complete(b""));
    }

    #[test]
    fn refusals_are_explained_by_their_status() {
        let moved = response("HTTP/1.1 301 Moved\r\nLocation: /ws/\r\n\r\n");
        assert_eq!(moved.meaning(), "redirects to \"/ws/\"; check that URL");
        assert!(response("HTTP/1.1 200 OK\r\n\r\n").meaning().contains("no WebSocket"));
        assert!(response("HTTP/1.1 502 B\r\n\r\n").meaning().contains("proxy"));
        assert_eq!(response("HTTP/1.1 418 T\r\nServer: a b\r\n\r\n").title(), "418 T from a b");
        assert_eq!(response("HTTP/1.1 418\r\n\r\n").title(), "418");
        assert!(response("HTTP/1.1 103 E\r\n\r\n").is_interim());
        assert!(!response("HTTP/1.1 101 S\r\n\r\n").is_interim());
    }
}

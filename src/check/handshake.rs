//! The client's half of the opening handshake: the request, and what is wrong with a response.
//!
//! What it is: pure. What it is not: tungstenite's client handshake, whose error has neither the
//! bytes that were no HTTP, nor the field that is wrong, nor all of a refusal's body: the very
//! things that a check is to show.

use tungstenite::handshake::derive_accept_key;

use super::limits::{BODY_MAX, FIELDS_MAX};
use super::options::CheckOptions;
use super::report::{quoted, shortened};

/// The request.
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

/// Status line and header section of a response.
#[derive(Debug)]
pub(crate) struct ServerResponse {
    pub(crate) status: u16,
    reason: String,
    fields: Vec<(String, String)>,
}

impl ServerResponse {
    /// A response and its length in bytes; none while it is not complete.
    ///
    /// # Errors
    /// What is wrong with these bytes, in words.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(ServerResponse, usize)>, String> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes) {
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete(length)) => {
                Ok(Some((ServerResponse::from(&response), length)))
            }
            Err(error) if bytes.starts_with(b"HTTP/1.") => {
                Err(format!("the response's header section is broken: {error}"))
            }
            Err(_) => Err(not_http(bytes)),
        }
    }

    /// The first value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether a comma-separated field, repeated or not, lists `token`.
    fn lists(&self, name: &str, token: &str) -> bool {
        self.fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split(','))
            .any(|listed| listed.trim().eq_ignore_ascii_case(token))
    }

    /// Whether another response follows this one: 100 or 103, say.
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
    }

    fn is_chunked(&self) -> bool {
        self.lists("Transfer-Encoding", "chunked")
    }

    /// Whether `body` is all of it, as far as the header section tells.
    pub(crate) fn is_whole(&self, body: &[u8]) -> bool {
        match self.get("Content-Length").map(str::parse::<usize>) {
            _ if matches!(self.status, 204 | 304) => true,
            _ if self.is_chunked() => body.ends_with(b"0\r\n\r\n"),
            Some(Ok(length)) => body.len() >= length,
            _ => false,
        }
    }

    /// What a person reads of `body`: chunks joined, and cut.
    pub(crate) fn explanation(&self, body: &[u8]) -> String {
        let mut body = if self.is_chunked() { unchunked(body) } else { body.to_vec() };
        let is_cut = body.len() > BODY_MAX;
        body.truncate(BODY_MAX);
        let text = String::from_utf8_lossy(&body);
        if is_cut {
            format!("{}\n… (the rest is cut)", text.trim_end())
        } else {
            text.trim_end().to_owned()
        }
    }

    /// Status, reason and server in one line.
    pub(crate) fn title(&self) -> String {
        let ServerResponse { status, reason, .. } = self;
        let title = format!("{status} {}", shortened(reason));
        match self.get("Server") {
            Some(server) => format!("{} from {}", title.trim_end(), shortened(server)),
            None => title.trim_end().to_owned(),
        }
    }

    /// What a refusal with this status usually means.
    pub(crate) fn meaning(&self) -> String {
        match (self.status, self.get("Location")) {
            (300..=399, Some(location)) => {
                format!("it redirects to {}; check that one", quoted(location))
            }
            (200..=299, _) => "a page and no WebSocket, or a proxy that dropped the upgrade".into(),
            (401 | 407, _) => "it wants credentials (--header 'Authorization: …')".into(),
            (403, _) => "it wants another Origin (--origin), or credentials (--header)".into(),
            (404, _) => "there is nothing at this path, or at this Host".into(),
            (502 | 504, _) => "a proxy answered, and does not reach the server behind it".into(),
            _ => "the server refuses the upgrade".into(),
        }
    }
}

impl From<&httparse::Response<'_, '_>> for ServerResponse {
    fn from(response: &httparse::Response<'_, '_>) -> ServerResponse {
        let lossy = |value| String::from_utf8_lossy(value).into_owned();
        ServerResponse {
            status: response.code.unwrap_or_default(),
            reason: response.reason.unwrap_or_default().to_owned(),
            fields: response.headers.iter().map(|f| (f.name.to_owned(), lossy(f.value))).collect(),
        }
    }
}

/// Bytes that are no HTTP/1.x.
fn not_http(bytes: &[u8]) -> String {
    match bytes {
        // A record of TLS: change of cipher, alert, handshake or data, of version 3.x.
        [0x14..=0x17, 3, ..] if cfg!(feature = "tls") => {
            "TLS is spoken on this port; try wss://".to_owned()
        }
        [0x14..=0x17, 3, ..] => "TLS is spoken on this port, and not in this build; \
             check the plain port behind it"
            .to_owned(),
        _ => format!("this is no HTTP/1.1: {}", quoted(&String::from_utf8_lossy(bytes))),
    }
}

/// The chunks in `body`, as far as it is chunked.
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

/// The subprotocol that a 101 has chosen.
///
/// # Errors
/// Why a client must not accept it, in words.
pub(crate) fn judge<'r>(
    response: &'r ServerResponse,
    key: &str,
    offered: &[String],
) -> Result<Option<&'r str>, String> {
    for (name, token) in [("Upgrade", "websocket"), ("Connection", "Upgrade")] {
        if !response.lists(name, token) {
            return Err(format!("101 without `{name}: {token}`; a proxy may have dropped it"));
        }
    }
    let (accept, expected) =
        (response.get("Sec-WebSocket-Accept"), derive_accept_key(key.as_bytes()));
    if accept != Some(&expected) {
        let accept = accept.map_or("missing".to_owned(), quoted);
        return Err(format!(
            "Sec-WebSocket-Accept is {accept} where {key} makes {expected:?}; \
             the answer is not to this handshake, or from no WebSocket server"
        ));
    }
    if let Some(extensions) = response.get("Sec-WebSocket-Extensions") {
        return Err(format!("it chose the extension {}; none was offered", quoted(extensions)));
    }
    match response.get("Sec-WebSocket-Protocol") {
        None if !offered.is_empty() => {
            Err("it chose none of the offered subprotocols; browsers give up then".to_owned())
        }
        Some(chosen) if !offered.iter().any(|offer| offer == chosen) => {
            Err(format!("it chose the subprotocol {}, which was not offered", quoted(chosen)))
        }
        chosen => Ok(chosen),
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

    fn judged(fields: &str, offered: &[&str]) -> Result<Option<String>, String> {
        let offered: Vec<_> = offered.iter().map(|&name| name.to_owned()).collect();
        let response = response(&format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n"));
        judge(&response, KEY, &offered).map(|chosen| chosen.map(str::to_owned))
    }

    #[test]
    fn the_request() {
        let own = format!("User-Agent: wsecho/{}\r\n", env!("CARGO_PKG_VERSION"));
        let handshake = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        );
        assert_eq!(
            request(&options(&["ws://[::1]:8080/a?b"]), KEY),
            format!("GET /a?b HTTP/1.1\r\nHost: [::1]:8080\r\n{own}{handshake}\r\n")
        );
        let every =
            "ws://h --origin http://o --subprotocol a --subprotocol b --header host:x --header X:y";
        let every: Vec<_> = every.split(' ').collect();
        assert_eq!(
            request(&options(&every), KEY),
            format!(
                "GET / HTTP/1.1\r\n{own}{handshake}Origin: http://o\r\n\
                 Sec-WebSocket-Protocol: a, b\r\nhost: x\r\nX: y\r\n\r\n"
            )
        );
    }

    #[test]
    fn what_a_client_accepts() {
        const GOOD: &str = "Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let chat = format!("{GOOD}Sec-WebSocket-Protocol: chat\r\n");
        assert_eq!(judged(GOOD, &[]), Ok(None));
        assert_eq!(judged(&chat, &["x", "chat"]), Ok(Some("chat".to_owned())));
        for (fields, offered, expected) in [
            (GOOD.replace("Upgrade: WebSocket", "Upgrade: h2c"), &[][..], "`Upgrade: websocket`"),
            (GOOD.replace(", upgrade", ""), &[], "`Connection: Upgrade`"),
            (GOOD.replace("s3pP", "S3pP"), &[], "is \"S3pPLM"),
            (GOOD.replace("Sec-WebSocket-Accept", "X"), &[], "Accept is missing"),
            (format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n"), &[], "extension"),
            (GOOD.to_owned(), &["chat"], "none of the offered"),
            (chat.clone(), &["Chat"], "not offered"),
            (chat, &[], "not offered"),
        ] {
            let error = judged(&fields, offered).unwrap_err();
            assert!(error.contains(expected), "{fields}: {error}");
        }
    }

    #[test]
    fn what_is_no_response() {
        for (bytes, expected) in [
            (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "TLS"),
            (b"SSH-2.0-OpenSSH\x1b\r\n", "no HTTP/1.1: \"SSH-2.0-OpenSSH\\u{1b}\\r\\n\""),
            (b"\0\0\x12\x04\0", "no HTTP/1.1"),
            (b"HTTP/2 200\r\n\r\n", "no HTTP/1.1"),
            (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "header section is broken"),
            (&[b"HTTP/1.1 200 OK\r\n".as_slice(), &b"A: b\r\n".repeat(101)].concat(), "broken"),
        ] {
            let error = ServerResponse::parse(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(ServerResponse::parse(b"HTTP/1.1 101 S\r\nA: b\r\n"), Ok(None)));
    }

    #[test]
    fn bodies() {
        let plain = response("HTTP/1.1 403 F\r\nContent-Length: 4\r\n\r\n");
        assert!(!plain.is_whole(b"not") && plain.is_whole(b"not "));
        assert_eq!(plain.explanation(b"not "), "not");
        let long = plain.explanation(&b"x".repeat(BODY_MAX + 1));
        assert_eq!(long, "x".repeat(BODY_MAX) + "\n… (the rest is cut)");
        let chunked = response("HTTP/1.1 403 F\r\nTransfer-Encoding: chunked\r\n\r\n");
        let body = b"3;x=y\r\nnot\r\nA\r\n welcome\r\n\r\n0\r\n\r\n";
        assert!(chunked.is_whole(body) && !chunked.is_whole(&body[..20]));
        assert_eq!(chunked.explanation(body), "not welcome");
        assert_eq!(chunked.explanation(&body[..20]), "not welc");
        assert_eq!(chunked.explanation(b"zzz"), "");
        let open = response("HTTP/1.0 403 F\r\n\r\n");
        assert!(!open.is_whole(b"anything"));
        assert!(response("HTTP/1.1 304 N\r\nContent-Length: 4\r\n\r\n").is_whole(b""));
    }

    #[test]
    fn refusals_have_a_meaning() {
        let moved = response("HTTP/1.1 301 Moved\r\nLocation: /ws/\r\n\r\n");
        assert_eq!(moved.meaning(), "it redirects to \"/ws/\"; check that one");
        assert!(response("HTTP/1.1 200 OK\r\n\r\n").meaning().contains("no WebSocket"));
        assert!(response("HTTP/1.1 502 B\r\n\r\n").meaning().contains("proxy"));
        assert_eq!(response("HTTP/1.1 418 T\r\nServer: a b\r\n\r\n").title(), "418 T from a b");
        assert_eq!(response("HTTP/1.1 418\r\n\r\n").title(), "418");
        assert!(response("HTTP/1.1 103 E\r\n\r\n").is_interim());
        assert!(!response("HTTP/1.1 101 S\r\n\r\n").is_interim());
    }
}

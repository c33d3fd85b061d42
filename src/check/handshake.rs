//! The client side of the opening handshake (RFC 6455, section 4.1), without I/O: builds the
//! request, parses and validates the response.
//!
//! tungstenite's client handshake is not used because its errors lack what a check has to show: the
//! bytes of a response that is not HTTP, the field that is wrong, the body of a refusal.

use tungstenite::handshake::derive_accept_key;

use super::connection_options::ConnectionOptions;
use super::deflate::{Agreement, OFFER};
use super::limits::{BODY_MAX, FIELDS_MAX};
use super::options::CheckOptions;
use super::report::{quoted, shortened};
use crate::http::fields::Fields;

/// Builds the handshake. Fields of the user replace `Host`, `User-Agent` and the credentials of the URL.
pub(crate) fn request(options: &CheckOptions, key: &str) -> String {
    let mut handshake = vec![("Connection", "Upgrade"), ("Upgrade", "websocket")];
    handshake.extend([("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]);
    if !options.no_compression {
        handshake.push(("Sec-WebSocket-Extensions", OFFER));
    }
    let subprotocols = options.subprotocols.join(", ");
    if !subprotocols.is_empty() {
        handshake.push(("Sec-WebSocket-Protocol", &subprotocols));
    }
    get(&options.connection, &handshake)
}

/// Builds a request for the same resource without the handshake.
pub(crate) fn plain_request(options: &ConnectionOptions) -> String {
    get(options, &[("Connection", "close")])
}

/// Builds a request with fields of its own beside the usual ones.
pub(crate) fn get(options: &ConnectionOptions, own: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("Host", options.target.authority.as_str()),
        ("User-Agent", concat!("wsecho/", env!("CARGO_PKG_VERSION"))),
    ];
    fields.extend(options.target.authorization.as_deref().map(|value| ("Authorization", value)));
    fields.retain(|(name, _)| {
        !options.fields.iter().any(|given| given.name.eq_ignore_ascii_case(name))
    });
    fields.extend_from_slice(own);
    fields.extend(options.origin.as_deref().map(|origin| ("Origin", origin)));
    fields.extend(options.fields.iter().map(|given| (given.name.as_str(), given.value.as_str())));
    let lines: String =
        fields.iter().map(|(name, value)| [*name, ": ", value, "\r\n"].concat()).collect();
    format!("GET {} HTTP/1.1\r\n{lines}\r\n", options.target.resource)
}

/// Why bytes are not a response of HTTP/1.x.
#[derive(Debug)]
pub(crate) enum ResponseError {
    /// Its header section is malformed.
    Malformed(httparse::Error),
    /// They are of another protocol.
    NotHttp,
}

/// The status line and header section of a response.
#[derive(Debug)]
pub(crate) struct ServerResponse {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) fields: Fields,
}

impl ServerResponse {
    /// Parses a response head. Returns it with its length in bytes; `None` if it is not complete
    /// yet.
    ///
    /// # Errors
    /// Why the bytes are not a valid response.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(ServerResponse, usize)>, ResponseError> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes) {
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete(length)) => {
                Ok(Some((ServerResponse::from(&response), length)))
            }
            Err(error) if bytes.starts_with(b"HTTP/1.") => Err(ResponseError::Malformed(error)),
            Err(_) => Err(ResponseError::NotHttp),
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

    /// Returns `body` as text, without its chunked coding.
    pub(crate) fn text(&self, body: &[u8]) -> String {
        let body = if self.is_chunked() { &unchunked(body) } else { body };
        String::from_utf8_lossy(body).trim_end().to_owned()
    }

    /// Returns what to print of a text from [`text`](ServerResponse::text): of a page its title, and
    /// of another text the beginning.
    pub(crate) fn explanation(&self, text: &str) -> String {
        let is_page =
            self.fields.get("Content-Type").is_some_and(|kind| kind.starts_with("text/html"));
        if let Some(title) = title(text).filter(|_| is_page) {
            return title.to_owned();
        }
        let most = BODY_MAX.min(text.len());
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        let (shown, rest) = text.split_at(end);
        if rest.is_empty() {
            shown.to_owned()
        } else {
            format!("{}\n… (truncated)", shown.trim_end())
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

    /// The first value of a field; `None` if it is missing.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
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

/// The title of a page in HTML.
fn title(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    Some(title.trim())
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

/// What the server has chosen of the offers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chosen<'r> {
    pub(crate) subprotocol: Option<&'r str>,
    pub(crate) compression: Option<Agreement>,
}

/// Validates a 101 as RFC 6455, section 4.1, requires of a client. Returns what was chosen.
///
/// # Errors
/// Describes why a client must fail the connection.
pub(crate) fn validate<'r>(
    response: &'r ServerResponse,
    key: &str,
    offered: &[String],
    offers_compression: bool,
) -> Result<Chosen<'r>, String> {
    for (name, token) in [("Upgrade", "websocket"), ("Connection", "Upgrade")] {
        if !response.fields.lists(name, token) {
            return Err(format!(
                "The response is 101 without `{name}: {token}`; a proxy may have dropped it."
            ));
        }
    }
    let (accept, expected) =
        (response.fields.get("Sec-WebSocket-Accept"), derive_accept_key(key.as_bytes()));
    if accept != Some(&expected) {
        let accept = accept.map_or("missing".to_owned(), quoted);
        return Err(format!(
            "Sec-WebSocket-Accept is {accept}, but the key {key} requires {expected:?}; \
             the response is to another handshake, or not from a WebSocket server."
        ));
    }
    let extensions = response.fields.get("Sec-WebSocket-Extensions");
    let compression = extensions.map(|extensions| {
        let agreed = if offers_compression {
            Agreement::parse(extensions)
        } else {
            Err("it was not offered".to_owned())
        };
        agreed.map_err(|why| {
            format!("The server selected extension {}, but {why}.", quoted(extensions))
        })
    });
    let compression = compression.transpose()?;
    let subprotocol = match response.fields.get("Sec-WebSocket-Protocol") {
        None if !offered.is_empty() => {
            return Err(
                "The server selected no subprotocol; browsers then fail the connection.".to_owned()
            );
        }
        Some(selected) if !offered.iter().any(|offer| offer == selected) => {
            return Err(format!(
                "The server selected subprotocol {}, but it was not offered.",
                quoted(selected)
            ));
        }
        selected => selected,
    };
    Ok(Chosen { subprotocol, compression })
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
        validate(&response, KEY, &offered, false)
            .map(|chosen| chosen.subprotocol.map(str::to_owned))
    }

    #[test]
    fn request_has_the_required_fields_and_the_users() {
        let user_agent = format!("User-Agent: wsecho/{}\r\n", env!("CARGO_PKG_VERSION"));
        let handshake = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
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
                "GET / HTTP/1.1\r\n{user_agent}{handshake}Sec-WebSocket-Protocol: a, b\r\n\
                 Origin: http://o\r\nhost: x\r\nX: y\r\n\r\n"
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
    fn malformed_responses_differ_from_other_protocols() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"[..],
            &[b"HTTP/1.1 200 OK\r\n".as_slice(), &b"A: b\r\n".repeat(101)].concat(),
        ] {
            let error = ServerResponse::parse(bytes).unwrap_err();
            assert!(matches!(error, ResponseError::Malformed(_)), "{error:?}");
        }
        for bytes in [&b"SSH-2.0-OpenSSH\r\n"[..], b"\0\0\x12\x04\0", b"HTTP/2 200\r\n\r\n"] {
            let error = ServerResponse::parse(bytes).unwrap_err();
            assert!(matches!(error, ResponseError::NotHttp), "{error:?}");
        }
        assert!(matches!(ServerResponse::parse(b"HTTP/1.1 101 S\r\nA: b\r\n"), Ok(None)));
    }

    #[test]
    fn bodies_are_complete_by_length_or_last_chunk_and_truncated() {
        let plain = response("HTTP/1.1 403 F\r\nContent-Length: 4\r\n\r\n");
        assert!(!plain.is_complete(b"not") && plain.is_complete(b"not "));
        assert_eq!(plain.text(b"not "), "not");
        assert_eq!(plain.text(b"\xff"), "\u{fffd}");
        let long = plain.explanation(&"x".repeat(BODY_MAX + 1));
        assert_eq!(long, "x".repeat(BODY_MAX) + "\n… (truncated)");
        let page = response("HTTP/1.1 403 F\r\nContent-Type: text/html; charset=x\r\n\r\n");
        assert_eq!(page.explanation("<html><title> No\n</title><p>entry"), "No");
        assert_eq!(page.explanation("<p>No entry"), "<p>No entry");
        let chunked = response("HTTP/1.1 403 F\r\nTransfer-Encoding: chunked\r\n\r\n");
        let body = b"3;x=y\r\nnot\r\nA\r\n welcome\r\n\r\n0\r\n\r\n";
        assert!(chunked.is_complete(body) && !chunked.is_complete(&body[..20]));
        assert_eq!(chunked.text(body), "not welcome");
        assert_eq!(chunked.text(&body[..20]), "not welc");
        assert_eq!(chunked.text(b"zzz"), "");
        let open = response("HTTP/1.0 403 F\r\n\r\n");
        assert!(!open.is_complete(b"anything"));
        assert!(response("HTTP/1.1 304 N\r\nContent-Length: 4\r\n\r\n").is_complete(b""));
    }

    #[test]
    fn a_response_is_titled_by_status_and_server() {
        assert_eq!(response("HTTP/1.1 418 T\r\nServer: a b\r\n\r\n").title(), "418 T from a b");
        assert_eq!(response("HTTP/1.1 418\r\n\r\n").title(), "418");
        assert!(response("HTTP/1.1 103 E\r\n\r\n").is_interim());
        assert!(!response("HTTP/1.1 101 S\r\n\r\n").is_interim());
    }
}

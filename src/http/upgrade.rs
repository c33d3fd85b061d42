//! The opening handshake of RFC 6455: accepted, or refused with the reason in words.
//!
//! What it is: a pure decision over a request head. tungstenite makes the 101 response; since it
//! says only *that* it does not like a request, the checks that a client's author needs to read
//! about come first.
//! What it is not: the decision which path speaks WebSocket (`route`), or who may (`origin`).

use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use super::head::{Head, Version};
use super::response::Response;

/// Whether the request means to become a WebSocket, even if it says so wrongly.
pub(crate) fn is_meant(head: &Head) -> bool {
    head.lists("Upgrade", "websocket") || head.get("Sec-WebSocket-Key").is_some()
}

/// The bytes of the 101 response.
///
/// # Errors
/// The refusal, when the request is no valid handshake.
pub(crate) fn accept(head: &Head) -> Result<Vec<u8>, Response> {
    check(head)?;
    let refuse =
        |error: tungstenite::Error| Response::text(400, format!("No WebSocket: {error}.\n"));
    let mut response = create_response(&canonical(head)).map_err(refuse)?;
    // The client offered these in order of preference; an echo server speaks every one of them,
    // and a browser fails the connection when none is chosen.
    if let Some(first) = offered_subprotocols(head).next()
        && let Ok(value) = HeaderValue::from_str(first)
    {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response).map_err(refuse)?;
    Ok(bytes)
}

/// What tungstenite would refuse as well, in the order in which a client's author wants to know.
fn check(head: &Head) -> Result<(), Response> {
    let bad = |text: String| Err(Response::text(400, text));
    if head.method != "GET" {
        let text =
            format!("A WebSocket handshake is a GET request; this one is {}.\n", head.method);
        return Err(Response::text(405, text).with("Allow", "GET, HEAD"));
    }
    if head.version < Version::Http11 {
        return bad("A WebSocket handshake needs HTTP/1.1; this request is HTTP/1.0. \
             A proxy in between may have to be told (nginx: proxy_http_version 1.1;).\n"
            .to_owned());
    }
    if !head.lists("Upgrade", "websocket") {
        return bad("The request has a Sec-WebSocket-Key but no `Upgrade: websocket`. \
             A proxy in between probably dropped it.\n"
            .to_owned());
    }
    if !head.lists("Connection", "upgrade") {
        return bad("The request has `Upgrade: websocket` but no `Connection: Upgrade`. \
             A proxy in between probably dropped it.\n"
            .to_owned());
    }
    let versions: Vec<_> = head.all("Sec-WebSocket-Version").collect();
    if versions != ["13"] {
        let text = format!("Sec-WebSocket-Version must be 13; it is {versions:?}.\n");
        return Err(Response::text(426, text).with("Sec-WebSocket-Version", "13"));
    }
    let keys: Vec<_> = head.all("Sec-WebSocket-Key").collect();
    if keys.len() != 1 {
        return bad(format!("One Sec-WebSocket-Key is needed; there are {}.\n", keys.len()));
    }
    Ok(())
}

/// The request as tungstenite likes it: it reads single fields, not lists.
fn canonical(head: &Head) -> Request {
    let mut request = Request::new(());
    let fields = request.headers_mut();
    fields.insert("Connection", HeaderValue::from_static("Upgrade"));
    fields.insert("Upgrade", HeaderValue::from_static("websocket"));
    fields.insert("Sec-WebSocket-Version", HeaderValue::from_static("13"));
    if let Some(key) = head.get("Sec-WebSocket-Key").and_then(|key| HeaderValue::from_str(key).ok())
    {
        fields.insert("Sec-WebSocket-Key", key);
    }
    request
}

/// Offered subprotocols that are tokens, in order of preference.
fn offered_subprotocols(head: &Head) -> impl Iterator<Item = &str> {
    head.all("Sec-WebSocket-Protocol").flat_map(|value| value.split(',')).map(str::trim).filter(
        |name| {
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            !name.is_empty() && name.chars().all(is_token)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::head::parse;

    /// RFC 6455, section 1.3.
    const SAMPLE: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    fn accepted(head: &str) -> Result<String, u16> {
        let head = parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0;
        accept(&head)
            .map(|bytes| String::from_utf8(bytes).unwrap().to_lowercase())
            .map_err(|r| r.status)
    }

    #[test]
    fn the_sample_of_the_rfc() {
        let response = accepted(SAMPLE).unwrap();
        assert!(response.starts_with("http/1.1 101 switching protocols\r\n"), "{response}");
        assert!(
            response.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
            "{response}"
        );
        assert!(!response.contains("sec-websocket-protocol"), "{response}");
    }

    #[test]
    fn fields_may_be_lists() {
        let lists = SAMPLE
            .replace("Connection: Upgrade", "Connection: keep-alive\r\nConnection: x,upgrade")
            .replace("Upgrade: websocket", "Upgrade: WebSocket, h2c");
        assert!(accepted(&lists).is_ok());
    }

    #[test]
    fn the_first_offered_subprotocol_is_chosen() {
        let offer =
            "Sec-WebSocket-Protocol: , a b, chat\r\nSec-WebSocket-Protocol: superchat\r\n\r\n";
        let response = accepted(&SAMPLE.replace("\r\n\r\n", &format!("\r\n{offer}"))).unwrap();
        assert!(response.contains("sec-websocket-protocol: chat\r\n"), "{response}");
    }

    #[test]
    fn what_is_refused() {
        for (valid, broken, status) in [
            ("GET /", "POST /", 405),
            ("HTTP/1.1", "HTTP/1.0", 400),
            ("Upgrade: websocket", "Upgrade: h2c", 400),
            ("Connection: Upgrade", "Connection: close", 400),
            ("Version: 13", "Version: 8", 426),
            ("Sec-WebSocket-Version: 13\r\n", "", 426),
            ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 8", 426),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
            ("ub25jZQ==", "ub25jZQ", 400),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQA=", 400),
            ("dGhlIHNhbXBsZSBub25jZQ==", "????????????????????????", 400),
            ("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x\r\nSec-WebSocket-Key: ", 400),
        ] {
            assert_ne!(SAMPLE, SAMPLE.replace(valid, broken), "{valid} is not in the sample");
            assert_eq!(accepted(&SAMPLE.replace(valid, broken)), Err(status), "{broken}");
        }
    }
}

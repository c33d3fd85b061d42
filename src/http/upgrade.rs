//! The opening handshake of RFC 6455: accepted, or refused with the reason in words.
//!
//! What it is: a pure decision over a request head. The checks and the 101 are written out here,
//! because a client's author needs to read *what* is wrong; the accept key is tungstenite's.
//! What it is not: the decision which path speaks WebSocket (`route`), or who may (`origin`).

use data_encoding::BASE64;
use tungstenite::handshake::derive_accept_key;

use super::head::{Head, Version};
use super::response::Response;

/// Whether the request means to become a WebSocket, even if it says so wrongly.
pub(crate) fn is_meant(head: &Head) -> bool {
    head.lists("Upgrade", "websocket") || head.get("Sec-WebSocket-Key").is_some()
}

/// The 101 response.
///
/// # Errors
/// The refusal, when the request is no valid handshake.
pub(crate) fn accept(head: &Head) -> Result<String, Response> {
    let key = check(head)?;
    // The client offered these in order of preference; an echo server speaks every one of them,
    // and a browser fails the connection when none is chosen.
    let subprotocol = offered_subprotocols(head)
        .next()
        .map_or(String::new(), |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n{subprotocol}\r\n",
        derive_accept_key(key.as_bytes())
    ))
}

/// The key of a valid handshake; the checks are in the order in which a client's author wants to
/// know.
fn check(head: &Head) -> Result<&str, Response> {
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
    let [key] = keys[..] else {
        return bad(format!("One Sec-WebSocket-Key is needed; there are {}.\n", keys.len()));
    };
    // 16 bytes make 24 characters; without that look, a key of a kilobyte would be decoded.
    if key.len() != 24 || BASE64.decode(key.as_bytes()).map_or(0, |nonce| nonce.len()) != 16 {
        return bad(format!("Sec-WebSocket-Key must be 16 bytes in Base64; it is {key:?}.\n"));
    }
    Ok(key)
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
        accept(&head).map(|response| response.to_lowercase()).map_err(|r| r.status)
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

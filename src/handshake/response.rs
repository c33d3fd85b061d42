//! The server's half of the opening handshake of RFC 6455.
//!
//! What it is: the 101, from a request head whose handshake is valid; the accept key is
//! tungstenite's.
//! What it is not: the look at the client's half; `diagnosis` has it.

use tungstenite::handshake::derive_accept_key;

use super::extensions::Extension;
use crate::http::head::{Head, is_token};
use crate::session::faults::HandshakeFaults;

/// Whether the request means to become a WebSocket, even if it says so wrongly.
pub(crate) fn is_meant(head: &Head) -> bool {
    head.lists("Upgrade", "websocket") || head.get("Sec-WebSocket-Key").is_some()
}

/// What was chosen of what the client offered.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) subprotocol: Option<String>,
    pub(crate) extension: Option<Extension>,
}

/// The 101 response to a valid handshake with this key. `bad_accept`: with a wrong answer to it.
pub(crate) fn accept(key: &str, chosen: &Chosen, bad_accept: bool) -> String {
    // A right answer to another key is a wrong one to this.
    let key = if bad_accept { "" } else { key };
    let accept = derive_accept_key(key.as_bytes());
    let subprotocol = field("Sec-WebSocket-Protocol: ", chosen.subprotocol.as_deref());
    let extension = chosen.extension.as_ref().map(|extension| extension.answer.as_str());
    let extension = field("Sec-WebSocket-Extensions: ", extension);
    let fixed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: ";
    [&[fixed, &accept, "\r\n"][..], &subprotocol, &extension, &["\r\n"]].concat().concat()
}

/// The parts of a field's line; of none where there is no value.
fn field<'a>(name: &'a str, value: Option<&'a str>) -> [&'a str; 3] {
    value.map_or([""; 3], |value| [name, value, "\r\n"])
}

/// The client offered these in order of preference; an echo server speaks every one of them, and a
/// browser fails the connection when none is chosen. So it is the first, unless another is response_with.
pub(crate) fn chosen_subprotocol<'a>(head: &'a Head, faults: &HandshakeFaults) -> Option<&'a str> {
    let wanted = faults.subprotocol.as_deref();
    offered_subprotocols(head).find(|offered| wanted.is_none_or(|wanted| wanted == *offered))
}

/// Offered subprotocols that are tokens, in order of preference.
pub(crate) fn offered_subprotocols(head: &Head) -> impl Iterator<Item = &str> {
    head.list("Sec-WebSocket-Protocol").filter(|name| is_token(name))
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

    fn accepted(head: &str) -> String {
        let head = parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0;
        response_with(&head, &HandshakeFaults::default())
    }

    fn response_with(head: &Head, faults: &HandshakeFaults) -> String {
        let key = head.get("Sec-WebSocket-Key").unwrap();
        let subprotocol = chosen_subprotocol(head, faults).map(str::to_owned);
        let chosen = Chosen { subprotocol, extension: None };
        accept(key, &chosen, faults.bad_accept).to_lowercase()
    }

    #[test]
    fn what_was_ordered_is_done() {
        let offer = SAMPLE.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, b\r\n\r\n");
        let head = parse(offer.as_bytes(), &Limits::default()).unwrap().unwrap().0;
        let chosen = |name: &str| {
            let subprotocol = Some(name.to_owned());
            response_with(&head, &HandshakeFaults { subprotocol, ..HandshakeFaults::default() })
        };
        assert!(chosen("b").contains("sec-websocket-protocol: b\r\n"));
        assert!(!chosen("c").contains("sec-websocket-protocol"));
        let bad = response_with(
            &head,
            &HandshakeFaults { bad_accept: true, ..HandshakeFaults::default() },
        );
        assert!(bad.contains("sec-websocket-accept: ") && !bad.contains("s3pplmb"), "{bad}");
    }

    #[test]
    fn the_sample_of_the_rfc() {
        let response = accepted(SAMPLE);
        assert!(response.starts_with("http/1.1 101 switching protocols\r\n"), "{response}");
        assert!(
            response.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
            "{response}"
        );
        assert!(!response.contains("sec-websocket-protocol"), "{response}");
    }

    #[test]
    fn the_first_offered_subprotocol_is_chosen() {
        let offer =
            "Sec-WebSocket-Protocol: , a b, chat\r\nSec-WebSocket-Protocol: superchat\r\n\r\n";
        let response = accepted(&SAMPLE.replace("\r\n\r\n", &format!("\r\n{offer}")));
        assert!(response.contains("sec-websocket-protocol: chat\r\n"), "{response}");
    }
}

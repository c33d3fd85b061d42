//! The 101 response.

use tungstenite::handshake::derive_accept_key;

use super::negotiate::Negotiated;
use crate::http::head::Head;

/// The response to a valid handshake. `bad_accept`: with a wrong `Sec-WebSocket-Accept`.
pub(crate) fn switching_protocols(
    head: &Head,
    negotiated: &Negotiated,
    bad_accept: bool,
) -> String {
    // For `bad_accept`: the answer to an empty key, which is wrong for this one.
    let key = head.fields.get("Sec-WebSocket-Key").filter(|_| !bad_accept).unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let subprotocol = field("Sec-WebSocket-Protocol: ", negotiated.subprotocol.as_deref());
    let extension = negotiated.compression.as_ref().map(|chosen| chosen.parameters.to_string());
    let extension = field("Sec-WebSocket-Extensions: ", extension.as_deref());
    let fixed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: ";
    [&[fixed, &accept, "\r\n"][..], &subprotocol, &extension, &["\r\n"]].concat().concat()
}

/// The parts of a field's line; empty without a value.
fn field<'a>(name: &'a str, value: Option<&'a str>) -> [&'a str; 3] {
    value.map_or([""; 3], |value| [name, value, "\r\n"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::handshake::negotiate::NegotiatedCompression;
    use crate::http::head::parse;
    use crate::session::deflate::DeflateParameters;

    /// RFC 6455, section 1.3.
    const SAMPLE: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    fn response(negotiated: &Negotiated, bad_accept: bool) -> String {
        let head = parse(SAMPLE.as_bytes(), &Limits::default()).unwrap().unwrap().0;
        switching_protocols(&head, negotiated, bad_accept)
    }

    #[test]
    fn the_sample_of_the_rfc_gets_its_accept_key() {
        assert_eq!(
            response(&Negotiated::default(), false),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        let bad = response(&Negotiated::default(), true);
        assert!(bad.contains("Sec-WebSocket-Accept: ") && !bad.contains("s3pPLMB"), "{bad}");
    }

    #[test]
    fn chosen_offers_are_named() {
        let parameters = DeflateParameters::negotiate(&[], false).unwrap();
        let negotiated = Negotiated {
            subprotocol: Some("soap".to_owned()),
            compression: Some(NegotiatedCompression { offer: 0, parameters }),
        };
        let response = response(&negotiated, false);
        assert!(response.contains("\r\nSec-WebSocket-Protocol: soap\r\n"), "{response}");
        assert!(
            response.contains("\r\nSec-WebSocket-Extensions: permessage-deflate; "),
            "{response}"
        );
    }
}

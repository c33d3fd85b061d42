//! `/info`: describes the request as the server received it.
//!
//! **Invariants:** No field is left out, changed or reordered; only bytes that are not UTF-8 become
//! U+FFFD. Pages of other origins cannot read the response, as it repeats the client's cookies and
//! credentials, and the fields that proxies added: it has no `Access-Control-Allow-Origin`, and a
//! `Cross-Origin-Resource-Policy`.

use serde::Serialize;

use crate::handshake::extensions;
use crate::handshake::negotiate::{Negotiated, offered_subprotocols};
use crate::http::excerpt::method;
use crate::http::forwarded::Client;
use crate::http::head::Head;
use crate::http::response::Response;
use crate::metrics::tally::CompressionStats;
use crate::net::address::Address;
use crate::net::tls::TlsDetails;

/// The description; its fields are serialized in this order.
#[derive(Debug, Serialize)]
pub(crate) struct Info<'a> {
    server: ServerInfo,
    /// The session's number; `None` over HTTP.
    session: Option<u64>,
    request_line: String,
    http_version: &'static str,
    /// Name and value, in the order of arrival.
    headers: &'a [(String, String)],
    peer: Address,
    local: Option<Address>,
    /// TLS of this connection, not of a client's connection to a proxy; `None` without TLS.
    tls: Option<&'a TlsDetails>,
    client: &'a Client,
    subprotocols: OfferedSubprotocols<'a>,
    extensions: OfferedExtensions<'a>,
}

#[derive(Debug, Serialize)]
struct ServerInfo {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct OfferedSubprotocols<'a> {
    offered: Vec<&'a str>,
    chosen: Option<&'a str>,
}

/// Extensions with their parameters; the chosen one with the negotiated parameters. Over HTTP, none
/// is chosen or declined.
#[derive(Debug, Serialize)]
struct OfferedExtensions<'a> {
    offered: Vec<&'a str>,
    chosen: Option<String>,
    declined: Vec<&'a str>,
    /// The effect of compression; `None` if it was not negotiated.
    reached: Option<CompressionStats>,
}

/// The session that a request was upgraded to.
#[derive(Debug)]
pub(crate) struct SessionInfo<'a> {
    pub(crate) number: u64,
    pub(crate) negotiated: &'a Negotiated,
    pub(crate) reached: Option<CompressionStats>,
}

/// Describes a request. `opened` is the session over a WebSocket, `None` over HTTP.
pub(crate) fn describe<'a>(
    head: &'a Head,
    client: &'a Client,
    local: Option<Address>,
    tls: Option<&'a TlsDetails>,
    opened: Option<SessionInfo<'a>>,
) -> Info<'a> {
    let session = opened.as_ref().map(|opened| opened.number);
    let negotiated = opened.as_ref().map(|opened| opened.negotiated);
    let compression = negotiated.and_then(|negotiated| negotiated.compression.as_ref());
    let is_declined = |index: usize| {
        negotiated.is_some() && compression.is_none_or(|chosen| chosen.offer != index)
    };
    let declined = extensions::offered(head).enumerate().filter(|(index, _)| is_declined(*index));
    let http_version = head.version.name();
    Info {
        server: ServerInfo { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        session,
        request_line: format!("{} {} {http_version}", method(head), head.target),
        http_version,
        headers: &head.fields.0,
        peer: client.peer,
        local,
        tls,
        client,
        subprotocols: OfferedSubprotocols {
            offered: offered_subprotocols(head).collect(),
            chosen: negotiated.and_then(|negotiated| negotiated.subprotocol.as_deref()),
        },
        extensions: OfferedExtensions {
            offered: extensions::offered(head).collect(),
            chosen: compression.map(|chosen| chosen.parameters.to_string()),
            declined: declined.map(|(_, offer)| offer).collect(),
            reached: opened.and_then(|opened| opened.reached),
        },
    }
}

/// The response to `/info` over HTTP.
pub(crate) fn answer(
    head: &Head,
    client: &Client,
    local: Option<Address>,
    tls: Option<&TlsDetails>,
) -> Response {
    Response::json(200, &describe(head, client, local, tls, None), true).own_origin_only()
}

/// The reply to the message `?info` over a WebSocket.
pub(crate) fn text(info: &Info) -> String {
    // Strings and numbers can always be serialized.
    serde_json::to_string_pretty(info).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::handshake::negotiate::NegotiatedCompression;
    use crate::http::head::parse;
    use crate::metrics::tally::CompressedBytes;
    use crate::session::deflate::DeflateParameters;

    fn client(peer: &str) -> Client {
        Client::of_connection(Address::Ip(peer.parse().unwrap()))
    }

    #[test]
    fn all_fields_are_described_in_order() {
        let head = b"GET /ws?a=%20b HTTP/1.1\r\nB: 2\r\na: \xff\"\r\nB: 1\r\n\
            Sec-WebSocket-Protocol: soap, wamp\r\n\
            Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x\r\n\r\n";
        let head = parse(head, &Limits::default()).unwrap().unwrap().0;
        let client = client("[::ffff:10.0.0.1]:7");
        let local = ([127, 0, 0, 1], 80).into();
        let parameters = DeflateParameters::negotiate(&[], true).unwrap();
        let negotiated = Negotiated {
            subprotocol: Some("soap".to_owned()),
            compression: Some(NegotiatedCompression { offer: 0, parameters }),
        };
        let reached = Some(CompressionStats {
            received: CompressedBytes { bytes: 900, on_the_wire: 30 },
            sent: CompressedBytes { bytes: 7, on_the_wire: 7 },
        });
        let opened = Some(SessionInfo { number: 3, negotiated: &negotiated, reached });
        let info = describe(&head, &client, Some(local), None, opened);
        let info = serde_json::to_string(&info).unwrap();
        let expected = [
            r#"{"server":{"name":"wsecho","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#""},"session":3,"request_line":"GET /ws?a=%20b HTTP/1.1","http_version":"HTTP/1.1","#,
            "\"headers\":[[\"B\",\"2\"],[\"a\",\"\u{fffd}\\\"\"],[\"B\",\"1\"],",
            r#"["Sec-WebSocket-Protocol","soap, wamp"],"#,
            r#"["Sec-WebSocket-Extensions","permessage-deflate; client_max_window_bits, x"]],"#,
            r#""peer":"[::ffff:10.0.0.1]:7","local":"127.0.0.1:80","tls":null,"#,
            r#""client":{"address":"10.0.0.1","port":7,"source":"the connection itself","remarks":[]},"#,
            r#""subprotocols":{"offered":["soap","wamp"],"chosen":"soap"},"#,
            r#""extensions":{"offered":["permessage-deflate; client_max_window_bits","x"],"#,
            r#""chosen":"permessage-deflate","declined":["x"],"#,
            r#""reached":{"received":{"bytes":900,"on_the_wire":30},"#,
            r#""sent":{"bytes":7,"on_the_wire":7}}}}"#,
        ];
        assert_eq!(info, expected.concat());
    }

    #[test]
    fn without_a_session_number_and_choice_are_null() {
        let head = parse(b"GET /info HTTP/1.0\r\n\r\n", &Limits::default()).unwrap().unwrap().0;
        let info =
            serde_json::to_value(describe(&head, &client("10.0.0.1:7"), None, None, None)).unwrap();
        assert_eq!(info["request_line"], "GET /info HTTP/1.0");
        assert!(info["session"].is_null() && info["local"].is_null(), "{info}");
        assert!(info["subprotocols"]["chosen"].is_null(), "{info}");
    }
}

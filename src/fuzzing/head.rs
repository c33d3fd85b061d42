//! Fuzz target for request heads, from the first byte to the response.

use std::net::IpAddr;

use super::assert_readable;
use super::peer::{Peer, PeerBehavior, PeerOutput};
use crate::chat::join_request;
use crate::config::Limits;
use crate::connection::info;
use crate::connection::route::{PlainRoute, Route, route};
use crate::handshake::check::{self, AccessPolicy};
use crate::handshake::negotiate::negotiate;
use crate::handshake::refusals;
use crate::handshake::response::switching_protocols;
use crate::http::diagnosis::Diagnosis;
use crate::http::forwarded;
use crate::http::forwarded::Client;
use crate::http::head::{Head, HeadError, parse};
use crate::session::faults;

/// Asserts that a request does not depend on how its bytes are split, stays within the limits, and
/// gets exactly one response, which is valid HTTP without injected fields, and a readable diagnosis
/// if it is a refusal.
///
/// The first byte is the number of bytes per read, the second selects default or tight limits.
///
/// # Panics
/// If an assertion fails.
pub fn head(bytes: &[u8]) {
    let Some((&[piece, tight], mut rest)) = bytes.split_first_chunk() else { return };
    let limits = if tight & 1 == 0 {
        Limits::default()
    } else {
        Limits { max_head_size: 128, max_headers: 4, ..Limits::default() }
    };
    let mut output = PeerOutput::default();
    let mut peer =
        Peer::new(rest, 0, PeerBehavior { piece, ..PeerBehavior::default() }, &mut output);
    let mut buffer = Vec::new();
    while let Some((head, length)) = next(&mut peer, &mut buffer, rest, &limits) {
        assert!(0 < length && length <= limits.max_head_size, "a head of {length} bytes");
        assert!(head.fields.0.len() <= limits.max_headers, "{} fields", head.fields.0.len());
        rest = &rest[length..];
        assert!(rest.starts_with(&buffer), "bytes after a head were changed");
        check_client(&head);
        check_answer(&head);
    }
}

/// Asserts that only trusted proxies can forward a client's address, and that the address which the
/// last proxy appends counts.
fn check_client(head: &Head) {
    let ip = [127, 0, 0, 1];
    let peer = (ip, 1).into();
    let untrusted = forwarded::resolve(peer, &[], head);
    assert_eq!((untrusted.to_string(), untrusted.port), (peer.to_string(), Some(1)));
    let trusted = [IpAddr::from(ip).into()];
    forwarded::resolve(peer, &trusted, head);
    let mut head = head.clone();
    match head.fields.0.iter_mut().rfind(|(name, _)| name.eq_ignore_ascii_case("Forwarded")) {
        Some((_, value)) => value.push_str(", for=\"[2001:db8::1]:80\""),
        None => head.fields.0.push(("Forwarded".to_owned(), "for=\"[2001:db8::1]:80\"".to_owned())),
    }
    let client = forwarded::resolve(peer, &trusted, &head);
    assert_eq!((client.address.to_string().as_str(), client.port), ("2001:db8::1", Some(80)));
}

/// Reads the next head piece by piece, and parses it from `rest` at once; both must agree. `None`
/// if there is no further head.
fn next(
    peer: &mut Peer,
    buffer: &mut Vec<u8>,
    rest: &[u8],
    limits: &Limits,
) -> Option<(Head, usize)> {
    let read = Head::read(peer, buffer, limits);
    assert!(buffer.len() <= limits.max_head_size, "{} bytes are kept", buffer.len());
    let is_long = rest.len() >= limits.max_head_size;
    match (read, parse(&rest[..rest.len().min(limits.max_head_size)], limits)) {
        (Ok(head), Ok(Some((whole, length)))) => {
            assert_eq!(head, whole, "pieces change the request");
            return Some((head, length));
        }
        (Err(HeadError::TooLarge), Ok(None)) => assert!(is_long, "too large before it is"),
        (Err(HeadError::Left), Ok(None)) => assert!(!is_long, "more than the limit was read"),
        // Head::read parses only the first bytes and after blank lines, so it may reach the limit
        // or the end of the stream before it sees the invalid bytes.
        (Err(HeadError::TooLarge), Err(_)) if is_long => {}
        (Err(HeadError::Left), Err(_)) if !is_long => {}
        (Err(read), Err(whole)) => {
            assert_eq!(format!("{read:?}"), format!("{whole:?}"), "pieces change the error");
        }
        (read, whole) => panic!("in pieces {read:?}, at once {whole:?}"),
    }
    None
}

fn check_answer(head: &Head) {
    let client = Client::of_connection(([192, 0, 2, 1], 7).into());
    let text = serde_json::to_string(&info::describe(head, &client, None, None, None)).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    match route(head) {
        Route::WebSocket => check_handshake(head),
        Route::Plain(plain) => check_plain(&plain, head),
        Route::Malformed(refusal) => check_refusal(&refusal, head, false),
    }
}

fn check_plain(route: &PlainRoute, head: &Head) {
    let keep = head.keeps_alive();
    if let Err(refusal) = check::check_host(head, &AccessPolicy { local: true, ..POLICY }) {
        check_refusal(&refusal, head, keep);
    }
    match route {
        PlainRoute::Health => assert_eq!(head.path, "/healthz"),
        PlainRoute::Ready => assert_eq!(head.path, "/readyz"),
        PlainRoute::Help => assert_eq!(head.path, "/help"),
        PlainRoute::Info => assert_eq!(head.path, "/info"),
        PlainRoute::Report => {
            assert_eq!(head.path, "/report");
            check_refusal(&refusals::unknown_report(head), head, keep);
        }
        PlainRoute::Refusals => assert_eq!(head.path, "/refusals"),
        PlainRoute::Page(path) => {
            assert_eq!(path, &head.path);
            check_refusal(&refusals::not_found(head), head, keep);
        }
        PlainRoute::UpgradeRequired => {
            check_refusal(&check::no_upgrade(head, &POLICY), head, keep);
        }
        PlainRoute::Options => assert_eq!(head.method, "OPTIONS"),
        PlainRoute::MethodNotAllowed => {
            check_refusal(&refusals::method_not_allowed(head), head, keep);
        }
    }
}

const POLICY: AccessPolicy = AccessPolicy::OF_NETWORK;

/// Checks handshakes on loopback and other connections.
fn check_handshake(head: &Head) {
    for local in [false, true] {
        let endpoint = match check::check(head, &AccessPolicy { local, ..POLICY }) {
            Ok(endpoint) => endpoint,
            Err(refusal) => {
                check_refusal(&refusal, head, false);
                continue;
            }
        };
        match faults::parse(&head.query, &Limits::default()) {
            Ok(faults) => {
                let negotiated = negotiate(head, endpoint, &faults, true);
                let bad_accept = faults.handshake.bad_accept;
                check_upgrade(switching_protocols(head, &negotiated, bad_accept).as_bytes());
            }
            Err(why) => check_refusal(&refusals::bad_parameters(head, why), head, false),
        }
        if let Err(why) = join_request::parse(&head.query) {
            check_refusal(&refusals::bad_join_request(head, why), head, false);
        }
    }
}

/// Asserts that the response is one 101 with the fields of the handshake only, each once.
fn check_upgrade(response: &[u8]) {
    let (status, names, body) = read_response(response);
    assert_eq!((status, body), (101, &[][..]));
    let known = [
        "connection",
        "upgrade",
        "sec-websocket-accept",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    ];
    for (index, (name, _)) in names.iter().enumerate() {
        assert!(known.contains(&name.as_str()), "{name}");
        assert!(!names[..index].iter().any(|(earlier, _)| earlier == name), "{name} twice");
    }
}

/// Asserts that the refusal is readable, and its response a 4xx with one Content-Length that
/// matches the body.
fn check_refusal(refusal: &Diagnosis, head: &Head, keep: bool) {
    assert_readable(refusal);
    let expected = refusal.status;
    let mut bytes = Vec::new();
    let head_only = head.method == "HEAD";
    refusal.answer(head).write(&mut bytes, head_only, keep.then_some(head.version)).unwrap();
    let (status, fields, body) = read_response(&bytes);
    assert!(status == expected && (400..500).contains(&status), "{status}");
    let all = |name: &str| fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect();
    let (lengths, types): (Vec<&String>, Vec<&String>) =
        (all("content-length"), all("content-type"));
    assert_eq!((lengths.len(), types.len()), (1, 1), "{fields:?}");
    assert!(if head_only { body.is_empty() } else { *lengths[0] == body.len().to_string() });
    if !head_only && types[0] == "application/json" {
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok(), "{body:?}");
    }
}

/// Parses the status, the fields (with names in lower case) and the bytes after the head.
fn read_response(bytes: &[u8]) -> (u16, Vec<(String, String)>, &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut fields);
    let length = response.parse(bytes).expect("valid HTTP").unwrap();
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("a field in ASCII");
    let fields =
        response.headers.iter().map(|field| (field.name.to_lowercase(), text(field.value)));
    (response.code.unwrap(), fields.collect(), &bytes[length..])
}

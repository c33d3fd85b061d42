//! Request heads that are anything, from the first byte to the answer.

use super::peer::{Manner, Output, Peer};
use crate::config::Limits;
use crate::http::head::{Head, HeadError, parse};
use crate::http::response::Response;
use crate::http::route::{Route, route};
use crate::http::{origin, upgrade};

/// However a request arrives, it is the same request; it is kept within the limits; it gets exactly
/// one answer, which is valid HTTP and holds nothing that the peer could have put there.
///
/// The first byte is how many bytes arrive at once, the second whether the limits are tight.
///
/// # Panics
/// When that does not hold.
pub fn head(bytes: &[u8]) {
    let Some((&[piece, tight], mut rest)) = bytes.split_first_chunk() else { return };
    let limits = if tight & 1 == 0 {
        Limits::default()
    } else {
        Limits { max_head_size: 128, max_headers: 4, ..Limits::default() }
    };
    let mut output = Output::default();
    let mut peer = Peer::new(rest, 0, Manner { piece, ..Manner::default() }, &mut output);
    let mut buffer = Vec::new();
    while let Some((head, length)) = next(&mut peer, &mut buffer, rest, &limits) {
        assert!(0 < length && length <= limits.max_head_size, "a head of {length} bytes");
        assert!(head.fields.len() <= limits.max_headers, "{} fields", head.fields.len());
        rest = &rest[length..];
        assert!(rest.starts_with(&buffer), "bytes after a head were changed");
        check_answer(&head);
    }
}

/// Reads the next head, and parses it from `rest`, where it is whole: both must agree.
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
        // What is wrong may stand where nobody has looked yet when the bytes are out.
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
    let keep = head.keeps_alive();
    assert!(origin::allows(None, head.get("Host").unwrap_or_default(), false, &[]));
    match route(head) {
        Route::Health => assert_eq!(head.path, "/healthz"),
        Route::Page(path) => assert_eq!(path, head.path),
        Route::WebSocket(_) => {
            // It reads fields that nothing has checked yet.
            let host = head.get("Host").unwrap_or_default();
            origin::allows(head.get("Origin"), host, true, &[]);
            match upgrade::accept(head) {
                Ok(response) => check_upgrade(response.as_bytes()),
                Err(refusal) => check_refusal(refusal, head, false),
            }
        }
        Route::UpgradeRequired(refusal) | Route::Refusal(refusal) => {
            check_refusal(refusal, head, keep);
        }
        Route::End(refusal) => check_refusal(refusal, head, false),
    }
}

/// A 101 and nothing else, with no field but those of the handshake.
fn check_upgrade(response: &[u8]) {
    let (status, names, body) = read_response(response);
    assert_eq!((status, body), (101, &[][..]));
    let known = ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol"];
    for (index, (name, _)) in names.iter().enumerate() {
        assert!(known.contains(&name.as_str()), "{name}");
        assert!(!names[..index].iter().any(|(earlier, _)| earlier == name), "{name} twice");
    }
}

/// A client's error, with one length, which is that of the body.
fn check_refusal(refusal: Response, head: &Head, keep: bool) {
    let expected = refusal.status;
    let mut bytes = Vec::new();
    let head_only = head.method == "HEAD";
    refusal.write(&mut bytes, head_only, keep).unwrap();
    let (status, fields, body) = read_response(&bytes);
    assert!(status == expected && (400..500).contains(&status), "{status}");
    let lengths: Vec<_> = fields.iter().filter(|(name, _)| name == "content-length").collect();
    assert_eq!(lengths.len(), 1, "{fields:?}");
    assert!(if head_only { body.is_empty() } else { lengths[0].1 == body.len().to_string() });
}

/// Status, fields (their names in small letters) and what follows the head.
fn read_response(bytes: &[u8]) -> (u16, Vec<(String, String)>, &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut fields);
    let length = response.parse(bytes).expect("valid HTTP").unwrap();
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("a field in ASCII");
    let fields =
        response.headers.iter().map(|field| (field.name.to_lowercase(), text(field.value)));
    (response.code.unwrap(), fields.collect(), &bytes[length..])
}

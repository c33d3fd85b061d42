//! permessage-deflate (RFC 7692) over real sockets: negotiation, messages, and errors.

use serde_json::Value;
use wsecho::Config;

use super::WIRE;
use crate::support::client::{
    FIN_CLOSE, FIN_PING, FIN_PONG, FIN_TEXT, frame, handshake, wait_until,
};
use crate::support::deflate::{DeflateClient, offer};
use crate::support::program::Program;
use crate::support::server::{CLOSE_TIMEOUT, TestServer};

const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// The response to an offer without parameters.
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// "Hello", compressed: RFC 7692, section 7.2.3.1.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

fn open(server: &TestServer, path: &str) -> DeflateClient {
    DeflateClient::open(server.raw(), path)
}

/// Returns the server's Sec-WebSocket-Extensions for a handshake with these fields; `None` if it
/// declines.
fn answer(server: &TestServer, path: &str, fields: &str) -> Option<String> {
    let (_, response) = offer(server.raw(), path, fields);
    response.get("Sec-WebSocket-Extensions").map(str::to_owned)
}

/// Sends `bytes` in a session with compression. Returns the code of the server's Close.
fn close_code_after(server: &TestServer, bytes: &[u8]) -> u16 {
    let mut client = open(server, "/echo");
    client.raw.send(bytes).close_code()
}

#[test]
fn the_first_acceptable_offer_is_selected() {
    let server = TestServer::over(WIRE, |_| {});
    let with = |more: &str| Some(format!("{AGREED}; {more}"));
    for (fields, expected) in [
        ("Sec-WebSocket-Extensions: permessage-deflate", Some(AGREED.to_owned())),
        (
            "Sec-WebSocket-Extensions: x, permessage-deflate; y, permessage-deflate",
            Some(AGREED.to_owned()),
        ),
        (
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\"10\"",
            with("server_max_window_bits=10"),
        ),
        (
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9",
            with("client_max_window_bits=9"),
        ),
        ("Sec-WebSocket-Extensions: permessage-bzip2", None),
        ("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits", None),
        ("Sec-WebSocket-Extensions: permessage-deflate;", None),
        ("Sec-WebSocket-Extensions:", None),
        ("X-Nothing: x", None),
    ] {
        assert_eq!(answer(&server, "/echo", fields), expected, "{fields}");
    }
}

#[test]
fn compression_is_declined_in_chats_with_malformed_frames_and_when_off() {
    let field = "Sec-WebSocket-Extensions: permessage-deflate";
    let server = TestServer::over(WIRE, |_| {});
    for (path, expected) in [
        ("/ws", true),
        ("/", true),
        ("/chat", false),
        ("/echo?compression=off", false),
        ("/echo?compression=always", true),
        ("/echo?fragment=10&pong=off", true),
        ("/echo?bad=utf8", false),
        ("/echo?close=4000", true),
    ] {
        assert_eq!(answer(&server, path, field).is_some(), expected, "{path}");
    }
    let server = TestServer::over(WIRE, |config| config.compression = false);
    assert_eq!(answer(&server, "/echo", field), None);
    assert_eq!(answer(&server, "/echo?compression=always", field), None);
}

#[test]
fn compressed_messages_are_answered_compressed() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = open(&server, "/echo");
    let long = "what comes again ".repeat(5000);
    for (opcode, message, is_compressed) in [
        (TEXT, long.as_str(), true),
        (BINARY, &long[..1000], true),
        (TEXT, "short", false),
        (BINARY, "", false),
    ] {
        client.send(opcode, message.as_bytes());
        let (compressed, kind, reply, on_wire) = client.message();
        assert_eq!((compressed, kind), (is_compressed, opcode));
        assert_eq!(String::from_utf8(reply).unwrap(), message);
        assert!(!compressed || on_wire * 10 < message.len(), "{on_wire} of {}", message.len());
    }
    client.raw.send(frame(FIN_TEXT, long.as_bytes()));
    assert_eq!(client.message().2, long.as_bytes(), "an uncompressed message is accepted");
    let reply = open(&server, "/ws").ask(&long);
    assert!(reply.starts_with(&format!("You sent: {long} at ")));
}

#[test]
fn compressed_messages_may_be_fragmented_anywhere_with_pings_between() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = open(&server, "/echo");
    for cut in 0..=HELLO.len() {
        let (start, end) = HELLO.split_at(cut);
        let pieces = [frame(0x41, start), frame(FIN_PING, b"?"), frame(0x80, end)].concat();
        client.raw.send(pieces);
        assert_eq!(client.raw.frame(), (FIN_PONG, b"?".to_vec()));
        assert_eq!(client.message().2, b"Hello", "cut at {cut}");
    }
    for byte in frame(0xc1, HELLO) {
        client.raw.send([byte]);
    }
    assert_eq!(client.message().2, b"Hello");
}

#[test]
fn a_message_that_arrives_with_the_handshake_is_inflated() {
    let server = TestServer::over(WIRE, |_| {});
    let field = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let mut packet = handshake("/echo").replace("\r\n\r\n", field).into_bytes();
    packet.extend(frame(0xc1, HELLO));
    let mut raw = server.raw();
    assert_eq!(raw.send(packet).response_to_head().status, 101);
    assert_eq!(raw.frame(), (FIN_TEXT, b"Hello".to_vec()));
}

#[test]
fn invalid_deflate_data_is_closed_with_1007() {
    let server = TestServer::over(WIRE, |_| {});
    let no_utf8 = open(&server, "/echo").deflate(b"\xff\xff");
    for (case, payload) in [
        ("no block type", &b"\x06"[..]),
        ("half a message", &HELLO[..3]),
        ("a reference to an earlier message", b"\xf2\x00\x11\x00\x00"),
        ("not UTF-8", &no_utf8),
    ] {
        assert_eq!(close_code_after(&server, &frame(0xc1, payload)), 1007, "{case}");
    }
    let mut client = open(&server, "/echo");
    client.raw.send(frame(0xc1, b"\x06"));
    let (first, payload) = client.raw.frame();
    assert_eq!((first, &payload[2..]), (FIN_CLOSE, &b"compressed data that is not DEFLATE"[..]));
    client.raw.finish();
    assert_eq!(client.raw.rest(), b"");
}

#[test]
fn misplaced_reserved_bits_are_closed_with_1002() {
    let server = TestServer::over(WIRE, |_| {});
    for (case, bytes) in [
        ("RSV1 on a Ping", frame(0xc9, b"")),
        ("RSV1 on a Close", frame(0xc8, b"")),
        ("RSV1 on a continuation", [frame(0x41, HELLO), frame(0xc0, b"")].concat()),
        ("RSV2", frame(0xa1, b"x")),
        ("RSV3", frame(0x91, b"x")),
        ("RSV1 with RSV3", frame(0xd1, HELLO)),
        ("a message inside another", [frame(0x41, b""), frame(0xc1, HELLO)].concat()),
        ("unmasked", [&b"\xc1\x07"[..], HELLO].concat()),
    ] {
        assert_eq!(close_code_after(&server, &bytes), 1002, "{case}");
    }
}

#[test]
fn a_decompression_bomb_is_closed_with_1009() {
    let server = TestServer::over(WIRE, |config| config.limits.max_message_size = 100_000);
    let mut client = open(&server, "/echo");
    let (largest, bomb) = (vec![0; 100_000], client.bomb(64));
    assert!(bomb.len() < 100_000);
    client.send(BINARY, &largest);
    assert_eq!(client.message().2, largest);
    assert_eq!(client.raw.send(frame(0xc2, &bomb)).close_code(), 1009);
}

#[test]
fn compression_always_compresses_every_reply() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = open(&server, "/echo?compression=always");
    assert_eq!(client.agreed, AGREED);
    for text in ["", "x", "Hello"] {
        client.send(TEXT, text.as_bytes());
        let (is_compressed, _, reply, _) = client.message();
        assert!(is_compressed && reply == text.as_bytes(), "{text:?}");
    }
    let mut client = open(&server, "/echo?fragment=3&compression=always");
    client.send(TEXT, b"Hello");
    let first_bytes: Vec<_> = (0..3).map(|_| client.raw.frame().0).collect();
    assert_eq!(first_bytes, [0x41, 0x00, 0x80]);
    assert_eq!(client.ask(&"long".repeat(100)), "long".repeat(100));
}

#[test]
fn compression_takeover_keeps_the_context() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = open(&server, "/echo?compression=takeover");
    assert_eq!(client.agreed, "permessage-deflate");
    let text = "It was the best of times, it was the worst of times.";
    let lengths = [0; 3].map(|_| {
        client.send(TEXT, text.as_bytes());
        let (is_compressed, _, reply, on_wire) = client.message();
        assert!(is_compressed && reply == text.as_bytes());
        on_wire
    });
    assert!(lengths[2] * 2 < lengths[0], "{lengths:?}");
    let field = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover";
    let answer = answer(&server, "/echo?compression=takeover", field);
    assert_eq!(answer.as_deref(), field.split_once(": ").map(|(_, offer)| offer));
}

#[test]
fn context_takeover_is_limited_to_64_sessions() {
    let server = TestServer::over(WIRE, |_| {});
    let path = "/echo?compression=takeover";
    let mut clients: Vec<_> = (0..64).map(|_| open(&server, path)).collect();
    assert!(clients.iter().all(|client| client.agreed == "permessage-deflate"));
    let mut late = open(&server, path);
    assert_eq!(late.agreed, AGREED);
    assert_eq!(late.ask("x"), "x");
    let mut left = clients.pop().unwrap();
    left.raw.send(frame(FIN_CLOSE, b"")).assert_ended();
    // The slot is released shortly before or after the client sees the end of the connection.
    wait_until("the slot is released", || open(&server, path).agreed != AGREED);
}

#[test]
fn info_reports_the_selected_extension_and_its_byte_counts() {
    let server = TestServer::over(WIRE, |_| {});
    let fields = "Sec-WebSocket-Extensions: permessage-deflate; x, permessage-deflate, y";
    let mut client = DeflateClient::offering(server.raw(), "/echo", fields);
    let mut ask = || -> Value { serde_json::from_str(&client.ask("?info")).unwrap() };
    let extensions = ask()["extensions"].take();
    assert_eq!(
        extensions["offered"],
        serde_json::json!(["permessage-deflate; x", "permessage-deflate", "y"])
    );
    assert_eq!(extensions["chosen"], AGREED);
    assert_eq!(extensions["declined"], serde_json::json!(["permessage-deflate; x", "y"]));
    assert_eq!(extensions["reached"]["received"]["bytes"], 5);
    assert_eq!(extensions["reached"]["sent"]["bytes"], 0);
    // A later `?info` reports the counts since.
    let before = ask()["extensions"]["reached"].take();
    assert_eq!(client.ask(&"again ".repeat(1000)), "again ".repeat(1000));
    let after: Value = serde_json::from_str(&client.ask("?info")).unwrap();
    for way in ["received", "sent"] {
        let count = |info: &Value, field| info[way][field].as_u64().unwrap();
        let after = &after["extensions"]["reached"];
        assert!(count(after, "bytes") >= count(&before, "bytes") + 6000, "{before} {after}");
        assert!(
            count(after, "on_the_wire") < count(&before, "on_the_wire") + 1000,
            "{before} {after}"
        );
    }
    let body: Value = serde_json::from_str(&server.raw().get("/info").body).unwrap();
    assert!(body["extensions"]["chosen"].is_null(), "{body}");
    let (mut raw, _) = offer(server.raw(), "/chat", fields);
    raw.send(frame(FIN_TEXT, b"?info"));
    let info = loop {
        let frame: Value = serde_json::from_slice(&raw.frame().1).unwrap();
        if frame["extensions"].is_object() {
            break frame;
        }
    };
    assert!(info["extensions"]["chosen"].is_null());
    assert_eq!(info["extensions"]["declined"], info["extensions"]["offered"]);
}

/// Sends a long compressed text in one session, and closes it.
fn echo_compressed(program: &Program) {
    let mut client = DeflateClient::open(program.raw(), "/echo");
    client.ask(&"again and ".repeat(100));
    client.raw.send(frame(FIN_CLOSE, b"\x03\xe8")).assert_ended();
}

#[test]
fn the_log_line_has_compressed_byte_counts() {
    let mut program = Program::over(WIRE, &[]);
    echo_compressed(&program);
    let line = program.log_line("session 1");
    let (_, bytes) = line.split_once("in 1 (1000 bytes, ").expect(&line);
    let (received, rest) = bytes.split_once(" on the wire), out 1 (1000 bytes, ").expect(&line);
    let (sent, _) = rest.split_once(" on the wire), ").expect(&line);
    for bytes in [received, sent] {
        assert!((10..100).contains(&bytes.parse::<u32>().unwrap()), "{line}");
    }
    program.raw().upgrade("/echo").send(frame(FIN_CLOSE, b"")).assert_ended();
    let line = program.log_line("session 2");
    assert!(!line.contains("wire"), "{line}");
}

#[test]
fn the_json_log_line_has_compressed_byte_counts() {
    let mut program = Program::over(WIRE, &["--log-format", "json"]);
    echo_compressed(&program);
    let line: Value = serde_json::from_str(&program.log_line("session 1")).unwrap();
    let read = |name: &str| line[name].as_u64().unwrap();
    assert_eq!((read("bytes_in"), read("bytes_out")), (1000, 1000));
    assert!(
        (10..100).contains(&read("wire_in")) && (10..100).contains(&read("wire_out")),
        "{line}"
    );
}

#[test]
fn compression_off_declines_every_offer() {
    let program = Program::over(WIRE, &["--compression", "off"]);
    let field = "Sec-WebSocket-Extensions: permessage-deflate";
    let (mut raw, response) = offer(program.raw(), "/echo", field);
    assert_eq!(response.get("Sec-WebSocket-Extensions"), None);
    assert_eq!(raw.send(frame(0xc1, HELLO)).close_code(), 1002);
    assert!(Config::default().compression);
}

#[test]
fn shutdown_closes_a_session_in_the_middle_of_a_message() {
    // This client does not answer the Close.
    let server = TestServer::over(WIRE, |config| config.timeouts.close = CLOSE_TIMEOUT);
    let mut client = open(&server, "/echo");
    assert_eq!(client.ask("first"), "first");
    client.raw.send(&frame(0xc1, HELLO)[..8]);
    server.stop();
    assert_eq!(client.raw.close_code(), 1001);
}

//! RFC 6455 beyond messages: protocol errors, control frames, close codes, subprotocols.

use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::WIRE;
use crate::support::client::{FIN_BINARY, FIN_CLOSE, FIN_PING, FIN_TEXT, frame, handshake};
use crate::support::server::TestServer;

/// Sends `bytes` in a session. Returns the code of the server's Close, and asserts that the server
/// then ends the stream.
fn close_code_after(server: &TestServer, bytes: &[u8]) -> u16 {
    let mut raw = server.raw();
    raw.upgrade("/echo").send(bytes);
    let code = raw.close_code();
    raw.finish();
    assert_eq!(raw.rest(), b"", "something follows the Close");
    code
}

#[test]
fn a_message_over_the_limit_is_closed_with_1009() {
    let server = TestServer::over(WIRE, |config| config.limits.max_message_size = 1000);
    assert_eq!(close_code_after(&server, &frame(FIN_BINARY, &[0; 1001])), 1009);
    let fragments = [frame(0x02, &[0; 600]), frame(0x80, &[0; 600])].concat();
    assert_eq!(close_code_after(&server, &fragments), 1009);
    let largest = vec![7; 1000];
    assert_eq!(server.open("/echo").ask(largest.clone()), Message::binary(largest));
}

#[test]
fn a_client_that_is_still_sending_can_read_the_close() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = server.open("/echo");
    // Far more than the socket buffers hold: if the server did not read on, the send would fail by
    // a reset.
    client.0.send(Message::binary(vec![0; 8 * 1024 * 1024])).unwrap();
    assert_eq!(client.close_code(), 1009);
}

#[test]
fn text_that_is_not_utf8_is_closed_with_1007() {
    let server = TestServer::over(WIRE, |_| {});
    assert_eq!(close_code_after(&server, &frame(FIN_TEXT, b"\xff")), 1007);
    assert_eq!(close_code_after(&server, &frame(FIN_TEXT, b"\xc3")), 1007);
    assert_eq!(close_code_after(&server, &frame(FIN_TEXT, b"\xed\xa0\x80")), 1007);
    let in_pieces = [frame(0x01, b"\xc3"), frame(0x80, b"(")].concat();
    assert_eq!(close_code_after(&server, &in_pieces), 1007);
}

#[test]
fn broken_frames_are_closed_with_1002() {
    let server = TestServer::over(WIRE, |_| {});
    for (case, bytes) in [
        ("unmasked", b"\x81\x02hi".to_vec()),
        ("RSV1", frame(0xc1, b"x")),
        ("reserved opcode", frame(0x83, b"x")),
        ("reserved control opcode", frame(0x8b, b"")),
        ("continuation of nothing", frame(0x80, b"x")),
        ("a message inside another", [frame(0x01, b"x"), frame(FIN_TEXT, b"y")].concat()),
        ("fragmented ping", frame(0x09, b"")),
        ("ping of 126 bytes", frame(FIN_PING, &[0; 126])),
        ("Close of one byte", frame(FIN_CLOSE, b"x")),
        ("Close 999", frame(FIN_CLOSE, &999u16.to_be_bytes())),
        ("Close 1005", frame(FIN_CLOSE, &1005u16.to_be_bytes())),
    ] {
        assert_eq!(close_code_after(&server, &bytes), 1002, "{case}");
    }
}

#[test]
fn close_codes_are_echoed() {
    let server = TestServer::over(WIRE, |_| {});
    for code in [1000, 1001, 1003, 1007, 1011, 3000, 4999] {
        let mut client = server.open("/echo");
        let frame = CloseFrame { code: CloseCode::from(code), reason: "bye".into() };
        client.0.close(Some(frame.clone())).unwrap();
        assert_eq!(client.0.read().unwrap(), Message::Close(Some(frame)));
        client.assert_closed();
    }
    let mut client = server.open("/echo");
    client.0.close(None).unwrap();
    assert_eq!(client.close_code(), 1005);
    client.assert_closed();
}

#[test]
fn pending_replies_precede_the_close() {
    let server = TestServer::over(WIRE, |_| {});
    let mut raw = server.raw();
    let burst =
        [frame(FIN_TEXT, b"a"), frame(FIN_TEXT, b"b"), frame(FIN_CLOSE, b"\x03\xe8")].concat();
    raw.upgrade("/echo").send(burst);
    assert_eq!(raw.rest(), b"\x81\x01a\x81\x01b\x88\x02\x03\xe8");
}

#[test]
fn pings_are_answered_with_their_payload() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = server.open("/echo");
    for payload in [vec![], vec![1, 2, 3], vec![7; 125]] {
        let ping = Message::Ping(payload.clone().into());
        assert_eq!(client.ask(ping), Message::Pong(payload.into()));
    }
}

#[test]
fn control_frames_may_come_between_fragments() {
    let server = TestServer::over(WIRE, |_| {});
    let mut raw = server.raw();
    raw.upgrade("/echo")
        .send([frame(0x01, b"hel"), frame(FIN_PING, b"?"), frame(0x80, b"lo")].concat());
    assert_eq!(raw.frame(), (0x8a, b"?".to_vec()));
    assert_eq!(raw.frame(), (0x81, b"hello".to_vec()));
}

#[test]
fn frames_that_arrive_with_the_handshake_are_answered() {
    let server = TestServer::over(WIRE, |_| {});
    let mut packet = handshake("/echo").into_bytes();
    packet.extend(frame(FIN_TEXT, b"early"));
    let mut raw = server.raw();
    assert_eq!(raw.send(packet).response_to_head().status, 101);
    assert_eq!(raw.frame(), (0x81, b"early".to_vec()));
}

#[test]
fn frames_in_one_byte_pieces_are_answered() {
    let server = TestServer::over(WIRE, |_| {});
    let mut raw = server.raw();
    raw.upgrade("/echo");
    for byte in frame(FIN_TEXT, &[b'x'; 200]) {
        raw.send([byte]);
    }
    assert_eq!(raw.frame(), (0x81, vec![b'x'; 200]));
}

#[test]
fn the_first_offered_subprotocol_is_selected() {
    let server = TestServer::over(WIRE, |_| {});
    let offer = "\r\nSec-WebSocket-Protocol: soap, wamp\r\n\r\n";
    let response =
        server.raw().send(handshake("/echo").replace("\r\n\r\n", offer)).response_to_head();
    assert_eq!((response.status, response.get("Sec-WebSocket-Protocol")), (101, Some("soap")));
}

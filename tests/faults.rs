//! Fault injection: every query parameter, over real sockets.

use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::error::ProtocolError;
use tungstenite::{Error, Message};

use crate::support::client::{
    Client, FIN_BINARY, FIN_PING, FIN_PONG, FIN_TEXT, Raw, frame, handshake, wait_until,
};
use crate::support::program::command;
use crate::support::server::{CLOSE_TIMEOUT, TestServer};

/// Sends a plain GET for `path`, as the page does after a failed handshake to learn the reason.
/// Returns status and body.
fn plain(server: &TestServer, path: &str) -> (u16, String) {
    let response = server.raw().get(path);
    (response.status, response.body)
}

/// Sends a handshake for `path` that is refused. Returns status and body.
fn refused(server: &TestServer, path: &str) -> (u16, String) {
    let response = server.raw().send(handshake(path)).response();
    (response.status, response.body)
}

#[test]
fn delay_postpones_each_reply() {
    let server = TestServer::start();
    let mut client = server.open("/ws?delay=60ms");
    for _ in 0..2 {
        let asked = Instant::now();
        assert!(client.ask("x").to_text().unwrap().starts_with("You sent: x at "));
        assert!(asked.elapsed() >= Duration::from_millis(60));
    }
}

#[test]
fn shutdown_cuts_a_delay_short_and_sends_its_reply() {
    let server = TestServer::with(|config| config.timeouts.close = CLOSE_TIMEOUT);
    let mut raw = server.raw();
    raw.upgrade("/echo?delay=1min").send(frame(FIN_TEXT, b"x"));
    server.stop();
    assert_eq!(raw.frame(), (FIN_TEXT, b"x".to_vec()));
    assert_eq!(raw.close_code(), 1001);
    drop(raw);
    server.join();
}

#[test]
fn handshake_delay_postpones_the_101() {
    let server = TestServer::start();
    let asked = Instant::now();
    let mut client = server.open("/echo?handshake-delay=60ms");
    assert!(asked.elapsed() >= Duration::from_millis(60));
    assert_eq!(client.ask("x"), Message::text("x"));
}

#[test]
fn a_delayed_handshake_holds_a_session_slot_until_its_client_leaves() {
    let server = TestServer::with(|config| config.limits.max_connections = 1);
    for reset in [false, true] {
        let mut waiting = server.raw();
        waiting.send(handshake("/echo?handshake-delay=1min"));
        wait_until("the slot is taken", || server.raw().get("/readyz").status == 503);
        assert_eq!(server.raw().get("/healthz").status, 200);
        if reset {
            waiting.reset();
        } else {
            drop(waiting);
        }
        wait_until("the slot is free", || server.raw().get("/readyz").status == 200);
    }
}

#[test]
fn a_client_that_leaves_ends_every_wait_of_its_session() {
    let server = TestServer::start();
    for path in ["/echo?delay=1min", "/echo?read=off"] {
        let mut raw = server.raw();
        raw.upgrade(path).send(frame(FIN_TEXT, b"x")).finish();
        assert_eq!(server.ended_session().how, "fin", "{path}");
        let mut raw = server.raw();
        raw.upgrade(path).send(frame(FIN_TEXT, b"x"));
        raw.reset();
        assert_eq!(server.ended_session().how, "rst", "{path}");
    }
}

#[test]
fn a_reply_is_sent_at_once_to_a_client_that_has_ended_its_side() {
    let server = TestServer::start();
    let mut raw = server.raw();
    raw.upgrade("/echo?delay=1min").send([frame(FIN_TEXT, b"x"), frame(FIN_TEXT, b"y")].concat());
    raw.finish();
    assert_eq!(raw.frame(), (FIN_TEXT, b"x".to_vec()));
    assert_eq!(raw.frame(), (FIN_TEXT, b"y".to_vec()));
    assert_eq!(raw.rest(), b"");
}

#[test]
fn status_refuses_the_handshake_and_says_why() {
    let server = TestServer::start();
    for status in [200, 302, 401, 418, 503, 599] {
        let path = format!("/ws?status={status}");
        let (got, body) = refused(&server, &path);
        assert_eq!(got, status, "{body}");
        assert!(
            body.starts_with(&format!("Refused with {status}, as the query asks.\n")),
            "{body}"
        );
        assert_eq!(plain(&server, &path), (status, body));
    }
}

#[test]
fn a_forced_status_without_content_has_none() {
    let server = TestServer::start();
    for (status, length) in [(204, None), (205, Some("0")), (304, None)] {
        for request in [handshake as fn(&str) -> String, |path| {
            format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
        }] {
            let mut raw = server.raw();
            let response = raw.send(request(&format!("/ws?status={status}"))).response_to_head();
            assert_eq!((response.status, response.get("Content-Length")), (status, length));
            raw.finish();
            assert_eq!(raw.rest(), b"", "{status}");
        }
    }
}

#[test]
fn invalid_parameters_get_400_with_a_correct_example() {
    let server = TestServer::start();
    for (query, words) in [
        ("delay=soon", "delay=\"soon\" is not valid; a valid example is delay=250ms."),
        ("token=%3Cb%3E%1b", "There is no query parameter \"token\"."),
        ("close=4001&abort=rst", "exclude each other"),
    ] {
        let path = format!("/echo?{query}");
        let (status, body) = refused(&server, &path);
        assert!(status == 400 && body.contains(words), "{status} {body}");
        assert!(!body.contains('\u{1b}'), "{body:?}");
        assert_eq!(plain(&server, &path), (400, body));
    }
}

#[test]
fn close_is_sent_after_the_given_number_of_messages() {
    let server = TestServer::start();
    let mut client = server.open("/echo?close=4001&reason=bye&after=3");
    for _ in 0..3 {
        assert_eq!(client.ask("x"), Message::text("x"));
    }
    assert_eq!(client.close(), (4001, "bye".to_owned()));
    client.assert_closed();
    for code in [1000, 1003, 1007, 1012, 1013, 1014, 3000, 4999] {
        let mut raw = server.raw();
        raw.upgrade(&format!("/ws?close={code}"));
        assert_eq!(raw.close_code(), code, "at once");
        raw.send(frame(0x88, &code.to_be_bytes()));
        assert_eq!(raw.rest(), b"", "{code}");
    }
}

#[test]
fn abort_sends_rst_or_fin_without_a_close() {
    let server = TestServer::start();
    let mut client = server.open("/echo?abort=rst&after=1");
    assert_eq!(client.ask("x"), Message::text("x"));
    match client.0.read() {
        Err(Error::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        other => panic!("no reset: {other:?}"),
    }
    let mut client = server.open("/echo?abort=fin&after=1");
    assert_eq!(client.ask("x"), Message::text("x"));
    let end = client.0.read();
    assert!(
        matches!(end, Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))),
        "{end:?}"
    );
}

#[test]
fn ping_sends_pings_on_a_timer_during_traffic() {
    let server = TestServer::start();
    let mut raw = server.raw();
    raw.upgrade("/echo?ping=20ms");
    let mut pings = 0;
    while pings < 3 {
        match raw.send(frame(FIN_TEXT, b"x")).frame() {
            (FIN_PING, _) => pings += 1,
            (FIN_TEXT, payload) => assert_eq!(payload, b"x"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pong_off_leaves_pings_unanswered() {
    let server = TestServer::start();
    for (path, expected) in [("/echo", FIN_PONG), ("/echo?pong=off", FIN_TEXT)] {
        let mut raw = server.raw();
        raw.upgrade(path).send(frame(FIN_PING, b"?")).send(frame(FIN_TEXT, b"x"));
        assert_eq!(raw.frame().0, expected, "{path}");
    }
}

#[test]
fn read_off_still_sends_pings_and_the_close_at_shutdown() {
    let server = TestServer::with(|config| config.timeouts.close = CLOSE_TIMEOUT);
    let mut raw = server.raw();
    raw.upgrade("/echo?read=off&ping=20ms").send(frame(FIN_TEXT, b"x"));
    for _ in 0..5 {
        assert_eq!(raw.frame().0, FIN_PING, "the session has read");
    }
    server.stop();
    assert_eq!(raw.close_code(), 1001);
    drop(raw);
    server.join();
}

#[test]
fn read_off_sends_the_handshake_and_pushes_before_it_waits() {
    let server = TestServer::with(|config| config.timeouts.close = CLOSE_TIMEOUT);
    let mut silent = server.raw();
    silent.upgrade("/echo?read=off");
    let mut raw = server.raw();
    raw.upgrade("/echo?read=off&push=20ms&size=3");
    for _ in 0..3 {
        assert_eq!(raw.frame(), (FIN_BINARY, b"xxx".to_vec()));
    }
    drop((silent, raw));
    server.stop();
    server.join();
}

#[test]
fn fragment_splits_replies() {
    let server = TestServer::start();
    let mut raw = server.raw();
    raw.upgrade("/echo?fragment=2").send(frame(FIN_TEXT, b"hello"));
    assert_eq!(raw.frame(), (0x01, b"he".to_vec()));
    assert_eq!(raw.frame(), (0x00, b"ll".to_vec()));
    assert_eq!(raw.frame(), (0x80, b"o".to_vec()));
    let (status, body) = refused(&server, "/echo?size=1MiB&fragment=1");
    assert_eq!(status, 400);
    assert!(body.contains("more than 65536 fragments"), "{body}");
    let long = "é".repeat(100_000);
    assert_eq!(server.open("/echo?fragment=1").ask(long.as_str()), Message::text(long.as_str()));
    assert_eq!(server.open("/echo?fragment=777").ask(long.as_str()), Message::text(long));
}

#[test]
fn size_sets_the_reply_length_and_keeps_its_type() {
    let server = TestServer::start();
    let mut client = server.open("/echo?size=64KiB");
    assert_eq!(client.ask("x"), Message::text("x".repeat(65536)));
    assert_eq!(client.ask(vec![0]), Message::binary(vec![b'x'; 65536]));
    assert_eq!(server.open("/ws?size=0").ask("x"), Message::text(""));
    let largest = server.open("/echo?size=1TiB").ask("x").len();
    assert_eq!(largest, wsecho::Limits::default().max_message_size);
}

#[test]
fn subprotocol_selects_among_those_offered() {
    let server = TestServer::start();
    for (query, chosen) in
        [("", Some("a")), ("?subprotocol=b", Some("b")), ("?subprotocol=c", None)]
    {
        let offer = handshake(&format!("/echo{query}"))
            .replace("Host: h", "Host: h\r\nSec-WebSocket-Protocol: a, b");
        let response = server.raw().send(offer).response_to_head();
        assert_eq!(response.get("Sec-WebSocket-Protocol"), chosen, "{query}");
    }
}

#[test]
fn bad_accept_fails_the_handshake_at_the_client() {
    let server = TestServer::start();
    let stream = std::net::TcpStream::connect(server.address).unwrap();
    let url = format!("ws://{}/echo?bad=accept", server.address);
    match tungstenite::client(url, stream) {
        Err(tungstenite::HandshakeError::Failure(Error::Protocol(
            ProtocolError::SecWebSocketAcceptKeyMismatch,
        ))) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_sends_a_malformed_frame_after_the_valid_messages() {
    let server = TestServer::start();
    for (bad, bytes) in [
        ("utf8", &b"\x81\x02x\xff"[..]),
        ("rsv", b"\xc1\x01x"),
        ("opcode", b"\x83\x01x"),
        ("mask", b"\x81\x81\x0f\xf0\x0f\xf0w"),
        ("length", b"\x81\x7f\0\0\0\0\0\0\0\x01x"),
    ] {
        let mut raw = server.raw();
        raw.upgrade(&format!("/echo?bad={bad}&after=1"));
        assert_eq!(raw.send(frame(FIN_TEXT, b"x")).bytes(3), b"\x81\x01x", "{bad}");
        assert_eq!(raw.send(frame(FIN_TEXT, b"x")).bytes(bytes.len()), bytes, "{bad}");
    }
}

#[test]
fn queries_are_ignored_without_faults_and_on_tutorial_paths() {
    let off = TestServer::with(|config| config.faults = false);
    assert_eq!(off.open("/echo?size=3&delay=soon").ask("x"), Message::text("x"));
    assert_eq!(plain(&off, "/echo?status=503").0, 426);
    assert!(plain(&off, "/help").1.contains("--no-faults"));
    let on = TestServer::start();
    let mut client = on.open("/WebSocketGenericHandler.ashx?user=1&close=4000");
    assert!(client.ask("x").to_text().unwrap().starts_with("You sent: x"));
}

#[test]
fn help_lists_the_parameters() {
    let server = TestServer::start();
    let (status, body) = plain(&server, "/help");
    assert_eq!(status, 200);
    let help = String::from_utf8(command(&["--help"]).output().unwrap().stdout).unwrap();
    let parameters: Vec<_> = body.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(parameters.len(), 22, "{body}");
    for line in parameters {
        assert!(help.contains(line), "--help has no line {line:?}");
    }
    assert!(body.contains("  close=4001 "), "{body}");
}

#[test]
fn info_as_the_first_message_reports_the_handshake() {
    let server = TestServer::start();
    for (path, second) in [("/echo", "?info"), ("/ws", "You sent: ?info at ")] {
        let mut client = server.open(path);
        let info = client.ask("?info");
        let info: Value = serde_json::from_str(info.to_text().unwrap()).unwrap();
        assert_eq!(info["request_line"], format!("GET {path} HTTP/1.1"));
        assert_eq!(info["local"], server.address.to_string());
        assert_eq!(info["peer"], client.0.get_ref().local_addr().unwrap().to_string());
        assert!(info["session"].as_u64().is_some_and(|number| number > 0), "{info}");
        assert!(info["headers"].as_array().is_some_and(|fields| fields.len() >= 5), "{info}");
        assert!(
            client.ask("?info").to_text().unwrap().starts_with(second),
            "only the first message is a command"
        );
    }
    let mut late = server.open("/echo");
    assert_eq!(late.ask("x"), Message::text("x"));
    assert_eq!(late.ask("?info"), Message::text("?info"));
    let mut binary = server.open("/echo");
    assert_eq!(binary.ask(b"?info".to_vec()), Message::binary(b"?info".to_vec()));
}

#[test]
fn faults_do_not_affect_protocol_errors_and_closes() {
    let server = TestServer::start();
    let mut raw: Raw = server.raw();
    raw.upgrade("/echo?fragment=1&ping=10ms&close=4000&after=9");
    raw.send(frame(0xc1, b"x"));
    assert_eq!(raw.close_code(), 1002);
    let mut client: Client = server.open("/echo?pong=off");
    client.0.close(None).unwrap();
    client.assert_closed();
}

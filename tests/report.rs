//! Reports: what the server saw of a session, asked for over another connection.

use serde_json::{Value, json};
use tungstenite::Message;

use crate::WIRE;
use crate::support::client::{
    FIN_BINARY, FIN_CLOSE, FIN_PING, FIN_PONG, FIN_TEXT, frame, handshake, wait_for, wait_until,
};
use crate::support::server::{CLOSE_TIMEOUT, TestServer};

const TOKEN: &str = "0123456789-abcdef_ABCDEF";

/// CRC-32 of "123456789".
const CHECK: u32 = 0xcbf4_3926;

fn start() -> TestServer {
    TestServer::over(WIRE, |config| config.timeouts.close = CLOSE_TIMEOUT)
}

fn path(query: &str) -> String {
    format!("/echo?report={TOKEN}{query}")
}

fn report(server: &TestServer) -> Value {
    let response = server.raw().get(&format!("/report?token={TOKEN}"));
    assert_eq!(response.status, 200, "{}", response.body);
    assert_eq!(response.get("Cross-Origin-Resource-Policy"), Some("same-origin"));
    assert_eq!(response.get("Access-Control-Allow-Origin"), None);
    serde_json::from_str(&response.body).unwrap()
}

/// The report once the session has ended.
fn final_report(server: &TestServer) -> Value {
    wait_for(|| {
        let report = report(server);
        if report["end"].is_null() { Err(format!("goes on: {report}")) } else { Ok(report) }
    })
}

/// A frame without its time.
fn seen(from: &str, opcode: u8, rest: &Value) -> Value {
    let mut frame = json!({
        "from": from, "opcode": opcode, "fin": true, "rsv": 0, "masked": from == "client",
        "length": 0, "crc32": 0,
    });
    frame.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    frame
}

/// The frames without their times, which must not fall.
fn frames(report: &Value) -> Vec<Value> {
    let mut last = 0;
    let frames = report["frames"].as_array().unwrap().iter().map(|frame| {
        let mut frame = frame.clone();
        let at = frame.as_object_mut().unwrap().remove("at_us").unwrap().as_u64().unwrap();
        assert!(at >= last, "{report}");
        last = at;
        frame
    });
    frames.collect()
}

#[test]
fn a_report_has_both_heads_all_frames_and_the_end() {
    let server = start();
    let mut raw = server.raw();
    raw.upgrade(&path("")).send(frame(0x02, b"1234")).send(frame(FIN_PING, b"p"));
    assert_eq!(raw.frame().0, FIN_PONG);
    raw.send(frame(0x80, b"56789"));
    assert_eq!(raw.frame(), (FIN_BINARY, b"123456789".to_vec()));
    let open = report(&server);
    assert!(open["end"].is_null() && open["age_us"].as_u64() > Some(0), "{open}");
    raw.send(frame(FIN_CLOSE, b"\x0f\xa1bye")).assert_ended();

    let report = final_report(&server);
    assert_eq!(report["request"]["line"], format!("GET {} HTTP/1.1", path("")));
    assert_eq!(report["request"]["fields"][0], json!(["Host", "h"]));
    assert_eq!(report["response"]["line"], "HTTP/1.1 101 Switching Protocols");
    assert_eq!(
        report["response"]["fields"][2],
        json!(["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])
    );
    let seen_frames = frames(&report);
    let [first, asked, pong, second, reply, close, answer] = &seen_frames[..] else {
        panic!("{report}")
    };
    assert_eq!((&first["opcode"], &first["fin"]), (&json!(2), &json!(false)));
    let p = json!({"length": 1, "crc32": asked["crc32"]});
    assert_eq!((asked, pong), (&seen("client", 9, &p), &seen("server", 10, &p)));
    assert_eq!((&second["opcode"], &second["length"]), (&json!(0), &json!(5)));
    assert_eq!(*reply, seen("server", 2, &json!({"length": 9, "crc32": CHECK})));
    assert_eq!((&close["opcode"], &close["length"]), (&json!(8), &json!(5)));
    assert_eq!(answer["from"], "server");
    assert_eq!(report["frames_not_recorded"], 0);
    let end = &report["end"];
    assert_eq!(
        (&end["by"], &end["how"], &end["code"]),
        (&json!("client"), &json!("close"), &json!(4001))
    );
    assert_eq!(end["reason"], "bye");
    assert_eq!(end["text"], r#"closed by the client: 4001 Private Use "bye""#);
}

#[test]
fn large_and_compressed_frames_are_recorded_as_on_the_wire() {
    let server = start();
    let mut raw = server.raw();
    let large = vec![7; 100_000];
    raw.upgrade(&path("")).send(frame(FIN_BINARY, &large));
    assert_eq!(raw.frame().1.len(), large.len());
    drop(raw);
    let recorded = frames(&final_report(&server));
    assert_eq!(recorded[0]["length"], 100_000);
    assert_eq!(recorded[0]["crc32"], recorded[1]["crc32"]);

    let server = start();
    let mut raw = server.raw();
    let request = handshake(&path("&compression=always"))
        .replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    raw.send(request);
    assert_eq!(raw.response_to_head().status, 101);
    // "Hello": RFC 7692, section 7.2.3.1.
    raw.send(frame(FIN_TEXT | 0x40, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
    assert_eq!(raw.frame().0, FIN_TEXT | 0x40);
    let recorded = frames(&report(&server));
    assert_eq!((&recorded[0]["rsv"], &recorded[0]["length"]), (&json!(4), &json!(7)));
    assert_eq!((&recorded[1]["rsv"], &recorded[1]["from"]), (&json!(4), &json!("server")));
}

#[test]
fn bytes_that_arrive_with_the_handshake_are_recorded() {
    let server = start();
    let mut raw = server.raw();
    raw.send([handshake(&path("")).as_bytes(), &frame(FIN_TEXT, b"early")].concat());
    assert_eq!(raw.response_to_head().status, 101);
    assert_eq!(raw.frame(), (FIN_TEXT, b"early".to_vec()));
    assert_eq!(frames(&report(&server)).len(), 2);
}

#[test]
fn every_end_is_reported() {
    for (query, by, how) in [
        ("&close=4001&reason=bye", "server", "close"),
        ("&abort=rst", "server", "rst"),
        ("&abort=fin", "server", "fin"),
    ] {
        let server = start();
        let mut raw = server.raw();
        raw.upgrade(&path(query));
        drop(raw);
        let end = final_report(&server)["end"].clone();
        assert_eq!((&end["by"], &end["how"]), (&json!(by), &json!(how)), "{query}: {end}");
    }
    let server = start();
    server.raw().upgrade(&path("")).finish();
    assert_eq!(final_report(&server)["end"]["how"], "fin");
    let server = start();
    let mut raw = server.raw();
    raw.upgrade(&path(""));
    raw.reset();
    assert_eq!(final_report(&server)["end"]["how"], "rst");
}

#[test]
fn a_token_names_one_session() {
    let server = start();
    let mut first = server.open(&path(""));
    let second = server.raw().send(handshake(&path(""))).response();
    assert_eq!(second.status, 409, "{}", second.body);
    assert_eq!(first.ask("x"), Message::text("x"));
    for token in ["", "?token=", "?token=0123456789-abcdef_ABCDEG", "?other=1"] {
        assert_eq!(server.raw().get(&format!("/report{token}")).status, 404, "{token}");
    }
}

#[test]
fn without_fault_injection_nothing_is_recorded() {
    let server = TestServer::over(WIRE, |config| config.faults = false);
    let mut client = server.open(&path(""));
    assert_eq!(client.ask("x"), Message::text("x"));
    assert_eq!(server.raw().get(&format!("/report?token={TOKEN}")).status, 404);
}

#[test]
fn many_frames_are_counted_beyond_the_room_of_the_report() {
    let server = start();
    let mut client = server.open(&path("&reply=off"));
    for _ in 0..3000 {
        client.0.write(Message::text("")).unwrap();
    }
    client.0.close(None).unwrap();
    client.assert_closed();
    let report = final_report(&server);
    let recorded = report["frames"].as_array().unwrap().len() as u64;
    assert!((1000..3000).contains(&recorded), "{recorded}");
    // The two Closes, too.
    assert_eq!(recorded + report["frames_not_recorded"].as_u64().unwrap(), 3002);
}

#[test]
fn a_flood_of_tokens_removes_ended_reports_and_no_open_one() {
    let server = start();
    let token = |n: usize| format!("{n:022}");
    let open = |n: usize| {
        server
            .raw()
            .send(handshake(&format!("/echo?report={}", token(n))))
            .response_to_head()
            .status
    };
    let mut kept = server.open(&format!("/echo?report={}", token(0)));
    for n in 1..=200 {
        wait_until("the session before has ended", || open(n) == 101 || n < 64);
    }
    let status = |n| server.raw().get(&format!("/report?token={}", token(n))).status;
    assert_eq!([status(0), status(1), status(200)], [200, 404, 200]);
    assert_eq!(kept.ask("x"), Message::text("x"));
}

#[test]
fn reports_of_open_sessions_leave_no_room_for_another() {
    let server = start();
    let path = |n: usize| format!("/echo?report={n:022}");
    let _open: Vec<_> = (0..64).map(|n| server.open(&path(n))).collect();
    let refused = server.raw().send(handshake(&path(64))).response();
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(server.open("/echo").ask("x"), Message::text("x"));
}

#[test]
fn the_greeting_leaves_together_with_the_101() {
    for metrics in [false, true] {
        let server = TestServer::over(WIRE, |config| {
            if metrics {
                config.admin = Some("127.0.0.1:0".parse().unwrap());
            }
        });
        let mut raw = server.raw();
        raw.upgrade("/echo?greet=hello%20you");
        assert_eq!(raw.frame(), (FIN_TEXT, b"hello you".to_vec()));
        raw.send(frame(FIN_TEXT, b"x"));
        assert_eq!(raw.frame(), (FIN_TEXT, b"x".to_vec()));
    }
}

#[test]
fn the_greeting_is_no_reply() {
    let server = start();
    let mut client = server.open("/echo?greet=hello&close=4001&after=1");
    assert_eq!(client.0.read().unwrap(), Message::text("hello"));
    assert_eq!(client.ask("x"), Message::text("x"));
    assert_eq!(client.close_code(), 4001);
}

#[test]
fn reply_off_reads_and_does_not_answer() {
    let server = start();
    let mut raw = server.raw();
    raw.upgrade("/echo?reply=off").send(frame(FIN_TEXT, b"x")).send(frame(FIN_PING, b"p"));
    assert_eq!(raw.frame(), (FIN_PONG, b"p".to_vec()));
}

#[test]
fn a_blackhole_answers_nothing_until_its_end_or_the_stop() {
    let server = start();
    let mut raw = server.raw();
    raw.upgrade(&path("&blackhole=40ms&greet=hello"));
    assert_eq!(raw.frame().0, FIN_TEXT);
    raw.send(frame(FIN_PING, b"p"));
    assert_eq!(raw.frame(), (FIN_PONG, b"p".to_vec()));
    let pong = report(&server)["frames"][2].clone();
    assert!(pong["at_us"].as_u64() >= Some(40_000), "{pong}");

    let mut waiting = server.raw();
    waiting.upgrade("/echo?blackhole=1h");
    server.stop();
    assert_eq!(waiting.close_code(), 1001);
    drop((raw, waiting));
    server.join();
}

#[test]
fn a_client_that_leaves_ends_a_blackhole() {
    let server = start();
    server.raw().upgrade(&path("&blackhole=1h")).finish();
    let end = final_report(&server)["end"].clone();
    assert_eq!(end["how"], "fin", "{end}");
    assert!(end["at_us"].as_u64() < Some(60_000_000));
}

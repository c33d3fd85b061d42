//! The admin listener of the real binary: metrics, the list of sessions, readiness and health.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::client::{
    Client, FIN_CLOSE, FIN_PING, FIN_PONG, FIN_TEXT, Raw, Response, frame, handshake, wait_for,
};
use crate::support::program::{Program, command, tool};

/// Metrics of a server without any counted session.
const NO_SESSIONS: [&str; 5] = [
    "wsecho_sessions 0",
    "wsecho_sessions_total 0",
    "wsecho_messages_received_total 0",
    "wsecho_upgrade_duration_seconds_count 0",
    "wsecho_echo_duration_seconds_count 0",
];

/// Starts the binary with an admin listener on a free port.
fn start(options: &[&str]) -> Program {
    Program::start(&[&["--admin", "127.0.0.1:0"], options].concat())
}

fn ask(program: &Program, path: &str) -> Response {
    program.ask_admin(path)
}

/// Waits until `/metrics` contains all of `lines`. Returns the page.
fn wait_for_metrics(program: &Program, lines: &[&str]) -> String {
    wait_for(|| {
        let page = ask(program, "/metrics").body;
        let missing: Vec<_> =
            lines.iter().filter(|line| !page.lines().any(|found| found == **line)).collect();
        if missing.is_empty() { Ok(page) } else { Err(format!("{missing:?} are not in:\n{page}")) }
    })
}

fn sessions(program: &Program) -> Vec<Value> {
    serde_json::from_str(&ask(program, "/sessions").body).unwrap()
}

/// Waits until `/readyz` has this status, and asserts that its body contains `reason`.
fn wait_until_readyz_is(program: &Program, status: u16, reason: &str) {
    let ready = wait_for(|| {
        let ready = ask(program, "/readyz");
        if ready.status == status { Ok(ready) } else { Err(format!("{ready:?}")) }
    });
    assert!(ready.body.contains(reason), "{}", ready.body);
    assert_eq!(ready.get("Retry-After").is_some(), status == 503, "{}", ready.head);
}

/// Completes a closing handshake.
fn close(mut client: Client) {
    client.0.close(None).unwrap();
    client.assert_closed();
}

#[test]
fn metrics_count_sessions_messages_and_bytes() {
    let program = start(&["--reply", "{message}!"]);
    wait_for_metrics(&program, &NO_SESSIONS);
    wait_for_metrics(&program, &["wsecho_sessions_max 1024"]);
    let mut first = Client::open(program.address(), "/echo");
    let mut second = Client::open(program.address(), "/ws");
    for _ in 0..3 {
        assert_eq!(first.ask(vec![7; 100]), Message::from(vec![7; 100]));
    }
    assert_eq!(second.ask("hello"), Message::text("hello!"));
    first.0.send(Message::Ping("no message".into())).unwrap();
    assert!(first.0.read().unwrap().is_pong());
    let done = [
        "wsecho_sessions_total 2",
        "wsecho_messages_received_total 4",
        "wsecho_message_received_bytes_total 305",
        "wsecho_messages_sent_total 4",
        "wsecho_message_sent_bytes_total 306",
        "wsecho_upgrade_duration_seconds_count 2",
        // Four messages and a Ping, each of which was answered before the next one.
        "wsecho_echo_duration_seconds_count 5",
        "wsecho_echo_duration_seconds_bucket{le=\"+Inf\"} 5",
    ];
    let on = ["wsecho_sessions 2", "wsecho_connections 2", "wsecho_threads 2"];
    let page = wait_for_metrics(&program, &[&done[..], &on].concat());
    assert!(!page.contains("wsecho_session_ends_total{"), "{page}");

    close(first);
    drop(second);
    let mut third = Raw::connect(program.address());
    third.upgrade("/echo").send(frame(0x83, b"")); // a reserved opcode
    assert_eq!(third.close_code(), 1002);
    drop(third);
    wait_for_metrics(
        &program,
        &[
            "wsecho_sessions 0",
            "wsecho_sessions_total 3",
            "wsecho_connections 0",
            "wsecho_session_ends_total{by=\"client\",how=\"close\",code=\"\"} 1",
            "wsecho_session_ends_total{by=\"client\",how=\"fin\",code=\"\"} 1",
            "wsecho_session_ends_total{by=\"server\",how=\"close\",code=\"1002\"} 1",
            // Ended sessions remain in the totals.
            "wsecho_messages_received_total 4",
            "wsecho_message_sent_bytes_total 306",
        ],
    );
}

#[test]
fn a_burst_is_one_latency_sample_and_keepalive_pings_are_none() {
    let program = start(&["--ping-interval", "20ms"]);
    let mut raw = Raw::connect(program.address());
    raw.upgrade("/echo");
    // The server sends the second Ping after it has processed the Pong to the first one.
    for _ in 0..2 {
        assert_eq!(raw.frame(), (FIN_PING, vec![]));
        raw.send(frame(FIN_PONG, b""));
    }
    wait_for_metrics(&program, &["wsecho_echo_duration_seconds_count 0"]);
    raw.send(frame(FIN_TEXT, b"x").repeat(10));
    let mut echoes = 0;
    while echoes < 10 {
        echoes += usize::from(raw.frame().0 == FIN_TEXT);
    }
    wait_for_metrics(
        &program,
        &["wsecho_messages_received_total 10", "wsecho_echo_duration_seconds_count 1"],
    );
    let known = sessions(&program)[0]["ping_ms"].as_f64().unwrap();
    assert!(known > 0.0, "{known}");
}

#[test]
fn a_large_echo_is_one_latency_sample() {
    let program = start(&[]);
    let mut client = Client::open(program.address(), "/echo");
    let large = Message::from(vec![7; 1_000_000]);
    assert_eq!(client.ask(large.clone()), large);
    wait_for_metrics(
        &program,
        &["wsecho_message_sent_bytes_total 1000000", "wsecho_echo_duration_seconds_count 1"],
    );
}

#[test]
fn sessions_are_listed_while_they_are_open() {
    let program = start(&["--trusted-proxy", "127.0.0.1"]);
    assert_eq!(sessions(&program), [] as [Value; 0]);
    let mut echo = Raw::connect(program.address());
    let fields = "Forwarded: for=203.0.113.9\r\nSec-WebSocket-Protocol: soap, wamp\r\n\r\n";
    let mut request = handshake("/echo?size=3&screen=lobby%203");
    request.replace_range(request.len() - 2.., fields);
    assert_eq!(echo.send(request).response_to_head().status, 101);
    assert_eq!(echo.send(frame(FIN_TEXT, b"hello")).frame(), (FIN_TEXT, b"xxx".to_vec()));
    let mut member = Client::open(program.address(), "/chat?room=tea&name=ann");
    member.0.send("hi".into()).unwrap();

    let listed = wait_for(|| {
        let listed = sessions(&program);
        // The welcome, the join and the member's own message.
        let has_all = listed.get(1).is_some_and(|member| member["messages_out"] == 3);
        if has_all { Ok(listed) } else { Err(format!("{listed:?}")) }
    });
    let [mut echo_line, mut chat_line] = <[Value; 2]>::try_from(listed).unwrap();
    for line in [&mut echo_line, &mut chat_line] {
        assert!(line["since"].take().as_str().unwrap().ends_with('Z'));
        assert!(line["seconds"].take().as_f64().unwrap() > 0.0);
        assert!(line["peer"].take().as_str().unwrap().starts_with("127.0.0.1:"));
    }
    assert_eq!(
        echo_line,
        json!({
            "session": 1, "client": "203.0.113.9", "peer": null, "screen": "lobby 3",
            "path": "/echo", "subprotocol": "soap", "room": null, "name": null, "since": null, "seconds": null,
            "messages_in": 1, "bytes_in": 5, "messages_out": 1, "bytes_out": 3, "ping_ms": null,
        })
    );
    let bytes_out = chat_line["bytes_out"].take();
    assert_eq!(
        chat_line,
        json!({
            "session": 2, "client": "127.0.0.1", "peer": null, "screen": null,
            "path": "/chat", "subprotocol": null, "room": "tea", "name": "ann", "since": null, "seconds": null,
            "messages_in": 1, "bytes_in": 2, "messages_out": 3, "bytes_out": null, "ping_ms": null,
        })
    );
    let mut received = 0;
    for _ in 0..3 {
        received += member.0.read().unwrap().len();
    }
    assert_eq!(bytes_out, received);
    wait_for_metrics(&program, &["wsecho_messages_sent_total 4"]);

    drop(echo);
    close(member);
    wait_for(|| match sessions(&program).len() {
        0 => Ok(()),
        open => Err(format!("{open} sessions are still open")),
    });
    wait_for_metrics(&program, &["wsecho_messages_sent_total 4"]);
}

#[test]
fn refusals_are_counted_by_reason() {
    let program = start(&["--max-connections", "1"]);
    let address = program.address();
    let status = |request: String| Raw::connect(address).send(request).response().status;
    let session = Client::open(address, "/echo");
    assert_eq!(status(handshake("/echo")), 503);
    // A plain request gets the same status; it is no refused handshake and not counted as one.
    assert_eq!(Raw::connect(address).get("/echo").status, 503);
    let foreign = handshake("/echo").replace("\r\n\r\n", "\r\nOrigin: http://x.example\r\n\r\n");
    assert_eq!(status(foreign), 403);
    assert_eq!(status(handshake("/nowhere")), 404);
    assert_eq!(status(handshake("/echo").replace("Version: 13", "Version: 7")), 426);
    // A forced 503 is no lack of capacity.
    for forced in [418, 503] {
        assert_eq!(status(handshake(&format!("/echo?status={forced}"))), forced);
    }
    let by_reason = |connections| {
        [
            format!("wsecho_refused_total{{reason=\"connections\"}} {connections}"),
            "wsecho_refused_total{reason=\"sessions\"} 1".to_owned(),
            "wsecho_refused_total{reason=\"address\"} 0".to_owned(),
            "wsecho_refused_total{reason=\"thread\"} 0".to_owned(),
            "wsecho_refused_total{reason=\"stopping\"} 0".to_owned(),
        ]
    };
    wait_for_metrics(&program, &by_reason(0).each_ref().map(String::as_str));
    wait_for_metrics(
        &program,
        &[
            "wsecho_handshakes_refused_total{status=\"400\"} 0",
            "wsecho_handshakes_refused_total{status=\"403\"} 1",
            "wsecho_handshakes_refused_total{status=\"404\"} 1",
            "wsecho_handshakes_refused_total{status=\"426\"} 1",
            "wsecho_handshakes_refused_total{status=\"other\"} 2",
            "wsecho_connections 1",
        ],
    );

    // The oldest silent connection makes room for one too many.
    let mut silent: Vec<_> = (0..64).map(|_| Raw::connect(address)).collect();
    wait_for_metrics(&program, &["wsecho_connections 65"]);
    assert_eq!(Raw::connect(address).get("/healthz").status, 200);
    assert_eq!(silent[0].rest(), b"");
    wait_for_metrics(&program, &by_reason(1).each_ref().map(String::as_str));
    drop((session, silent));
}

#[test]
fn silent_connections_do_not_hold_the_admin_listener() {
    let program = start(&["--handshake-timeout", "1h"]);
    let mut silent: Vec<_> = (0..8).map(|_| Raw::connect(program.admin_address())).collect();
    for _ in 0..8 {
        assert_eq!(ask(&program, "/healthz").status, 200);
    }
    for oldest in &mut silent[..4] {
        assert_eq!(oldest.rest(), b"");
    }
}

#[test]
fn per_ip_refusals_are_counted_with_and_without_a_proxy() {
    let program = start(&["--max-connections-per-ip", "1"]);
    let _first = Client::open(program.address(), "/echo");
    assert_eq!(Raw::connect(program.address()).response().status, 503);
    wait_for_metrics(&program, &["wsecho_refused_total{reason=\"address\"} 1"]);

    let program = start(&["--max-connections-per-ip", "1", "--trusted-proxy", "127.0.0.1"]);
    let sent_for = |path| handshake(path).replace("Host: h", "Host: h\r\nForwarded: for=192.0.2.1");
    let mut first = Raw::connect(program.address());
    assert_eq!(first.send(sent_for("/echo")).response_to_head().status, 101);
    assert_eq!(Raw::connect(program.address()).send(sent_for("/echo")).response().status, 503);
    wait_for_metrics(&program, &["wsecho_refused_total{reason=\"address\"} 1"]);
}

#[test]
fn readyz_is_503_when_full_and_during_shutdown() {
    let program = start(&["--max-connections", "1", "--grace-period", "1h"]);
    wait_until_readyz_is(&program, 200, "ready");
    assert_eq!(ask(&program, "/healthz").body, "ok\n");
    let first = Client::open(program.address(), "/echo");
    wait_until_readyz_is(&program, 503, "all session slots are in use (--max-connections)");
    assert_eq!(ask(&program, "/healthz").status, 200);
    close(first);
    wait_until_readyz_is(&program, 200, "ready");

    let mut last = Client::open(program.address(), "/echo");
    program.signal(Signal::SIGTERM);
    assert_eq!(last.close_code(), 1001); // the server waits for the answering Close
    wait_until_readyz_is(&program, 503, "the server is shutting down");
    assert_eq!(ask(&program, "/healthz").status, 503);
    let mut late = Raw::connect(program.address());
    assert_eq!(late.send(handshake("/echo")).response().status, 503);
    drop(late);
    wait_for_metrics(
        &program,
        &["wsecho_sessions 1", "wsecho_refused_total{reason=\"stopping\"} 1"],
    );
    last.assert_closed();
    let (status, log) = program.wait();
    assert!(status.success(), "{log}");
}

#[test]
fn open_admin_connections_do_not_delay_shutdown() {
    let program = start(&["--handshake-timeout", "1h", "--keep-alive-timeout", "1h"]);
    let mut silent: Vec<_> = (0..3).map(|_| Raw::connect(program.admin_address())).collect();
    let mut halfway = Raw::connect(program.admin_address());
    halfway.send("GET /metrics HTTP/1.1\r\n");
    // All four threads are occupied by the connections above, so these stay in the queue.
    let mut waiting: Vec<_> = (0..10).map(|_| Raw::connect(program.admin_address())).collect();
    program.signal(Signal::SIGTERM);
    let (status, log) = program.wait();
    assert!(status.success(), "{log}");
    for connection in silent.iter_mut().chain([&mut halfway]).chain(&mut waiting) {
        connection.assert_ended();
    }
}

#[test]
fn silent_admin_connections_free_their_threads() {
    let program = start(&["--handshake-timeout", "200ms"]);
    let mut silent: Vec<_> = (0..4).map(|_| Raw::connect(program.admin_address())).collect();
    assert_eq!(ask(&program, "/healthz").status, 200);
    assert_eq!(silent[0].rest(), b"");
}

#[test]
fn admin_serves_one_request_per_connection_and_no_websocket() {
    let program = start(&[]);
    let send = |request: &str| Raw::connect(program.admin_address()).send(request).response();
    let page = send("GET /metrics?x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!(page.get("Connection"), Some("close"));
    assert_eq!(page.get("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(ask(&program, "/sessions").get("Content-Type"), Some("application/json"));
    let mut raw = Raw::connect(program.admin_address());
    let head = raw.send("HEAD /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").response_to_head();
    assert_eq!((head.status, raw.rest()), (200, vec![]));

    for path in ["/", "/echo", "/info", "/metrics/"] {
        let not_found = ask(&program, path);
        assert_eq!(not_found.status, 404, "{path}");
        for endpoint in ["/metrics", "/sessions", "/readyz", "/healthz"] {
            assert!(not_found.body.contains(endpoint), "{}", not_found.body);
        }
    }
    for (path, status) in [("/echo", 404), ("/metrics", 200)] {
        assert_eq!(send(&handshake(path).replace("Host: h", "Host: [::1]")).status, status);
    }
    let rebound = send("GET /sessions HTTP/1.1\r\nHost: example.com:9080\r\n\r\n");
    assert_eq!(rebound.status, 421);
    assert!(rebound.body.contains("accepts only `Host: localhost` or a loopback"), "{rebound:?}");
    let post = send("POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert_eq!((post.status, post.get("Allow")), (405, Some("GET, HEAD")));
    let body = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(send(body).status, 413);
    assert_eq!(send("\x16\x03\x01\r\n\r\n").status, 400);
    // Admin requests are not counted, and the endpoints exist only on the admin listener.
    wait_for_metrics(&program, &["wsecho_connections 0", "wsecho_sessions_total 0"]);
    assert_eq!(Raw::connect(program.address()).get("/metrics").status, 404);
    assert_eq!(Raw::connect(program.address()).get("/sessions").status, 404);
}

#[test]
fn admin_listens_on_a_unix_socket_and_removes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin");
    let at = format!("unix:{},mode=0600", path.display());
    let program = Program::start(&["--admin", &at, "--handshake-timeout", "1h"]);
    assert_eq!(program.admin.as_deref(), at.strip_suffix(",mode=0600"));
    assert_eq!(Raw::connect_unix(&path).get("/healthz").status, 200);
    let mut silent = Raw::connect_unix(&path);
    program.signal(Signal::SIGTERM);
    assert!(program.wait().0.success());
    silent.assert_ended();
    assert!(!path.exists());
}

#[test]
fn watchdog_sessions_are_not_counted() {
    let mut watched = command(&["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-v"]);
    let mut program = Program::spawn(watched.env("WATCHDOG_USEC", "100000"), 1);
    for _ in 1..=3 {
        program.log_line(": closed by the client");
    }
    wait_for_metrics(&program, &NO_SESSIONS);
    assert_eq!(sessions(&program), [] as [Value; 0]);
}

#[test]
fn accept_errors_are_counted() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 32; exec \"$0\" --listen 127.0.0.1:0 --admin 127.0.0.1:0"]);
    limited.arg(command(&[]).get_program());
    let mut program = Program::spawn(&mut limited, 1);
    wait_for_metrics(&program, &["wsecho_accept_errors_total 0"]);
    let crowd: Vec<_> = (0..40).map(|_| Raw::connect(program.address())).collect();
    program.log_line("cannot accept connections, trying again");
    drop(crowd);
    wait_for(|| {
        let page = ask(&program, "/metrics").body;
        let line = page.lines().find_map(|line| line.strip_prefix("wsecho_accept_errors_total "));
        if line.unwrap() == "0" { Err(page) } else { Ok(()) }
    });
}

#[test]
fn public_admin_address_is_warned_about_and_a_taken_one_fails_the_start() {
    let program = Program::start(&["--admin", "0.0.0.0:0"]);
    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    assert!(log.contains("--admin 0.0.0.0:0 can be reached from other machines"), "{log}");
    let program = start(&[]);
    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    assert!(!log.contains("--admin"), "{log}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(&["--listen", "127.0.0.1:0", "--admin", &address]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("another port with --admin"), "{stderr}");
}

#[test]
#[ignore = "needs promtool; scripts/test runs it"]
fn promtool_accepts_the_metrics() {
    let program = start(&[]);
    let mut raw = Raw::connect(program.address());
    raw.upgrade("/echo").send(frame(FIN_TEXT, b"hello"));
    assert_eq!(raw.frame(), (FIN_TEXT, b"hello".to_vec()));
    assert_eq!(raw.send(frame(FIN_CLOSE, b"")).close_code(), 1005);
    Client::open(program.address(), "/chat");
    let page = wait_for_metrics(
        &program,
        &["wsecho_session_ends_total{by=\"client\",how=\"close\",code=\"\"} 1"],
    );
    assert_eq!(promtool_check(&page), "");
    // The check itself can fail.
    assert!(
        promtool_check(&page.replace("_sessions_total", "_sessions_sum")).contains("_sessions_sum")
    );
}

/// Runs `promtool check metrics`. Returns what it prints; nothing if it accepts the page.
fn promtool_check(page: &str) -> String {
    let mut promtool = Command::new(tool("promtool"));
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut running = promtool.stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let mut printed = String::new();
    running.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    running.stderr.take().unwrap().read_to_string(&mut printed).unwrap();
    let status = running.wait().unwrap();
    assert_eq!(status.success(), printed.is_empty(), "{printed}");
    printed
}

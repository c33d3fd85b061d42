//! `wsecho check`: its reports and exit codes, against the real server and against servers that
//! violate the protocol. `reach` has the ways to a server, `output` the
//! forms of the report.

mod output;
mod reach;

use std::io::{BufRead, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use socket2::{SockRef, Socket};
use tungstenite::handshake::derive_accept_key;

use crate::support::client::{FIN_BINARY, FIN_CLOSE, FIN_PING, FIN_TEXT, Raw};
use crate::support::port::bound;
use crate::support::program::{Program, command};
use crate::support::server::TestServer;

const FIN_PONG: u8 = 0x8a;

/// Timeout if every answer is expected to come.
const LONG: [&str; 2] = ["--timeout", "20s"];
/// Timeout if a later answer is expected to be missing, so that the earlier ones arrive in time.
const SOME: [&str; 2] = ["--timeout", "1s"];
/// Timeout if the first answer is expected to be missing.
const SHORT: [&str; 2] = ["--timeout", "150ms"];

/// The steps of a server without compression, if all is well.
const WELL: &str = "ok resolve, ok connect, ok upgrade, ok echo, ok ping, ok close";
/// The steps of wsecho.
const ALL_WELL: &str = "ok resolve, ok connect, ok upgrade, ok echo, ok deflate, ok ping, ok close";

/// Runs a check. Returns exit code and stdout.
fn check(url: &str, options: &[&str]) -> (i32, String) {
    let output = command(&["check", url]).args(options).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    (output.status.code().unwrap(), text(&output.stdout))
}

/// Runs the binary with invalid arguments. Returns exit code and stderr.
fn refused(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = command(arguments).output().unwrap();
    assert!(stdout.is_empty(), "{}", text(&stdout));
    (status.code().unwrap(), text(&stderr))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Extracts verdict and name of each step of a report.
fn steps(report: &str) -> String {
    let is_step = |line: &&str| line.starts_with("ok ") || line.starts_with("FAILED ");
    let words = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    report.lines().filter(is_step).map(words).collect::<Vec<_>>().join(", ")
}

/// A scripted server for one client.
struct Peer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Peer {
    fn new(serve: impl FnOnce(&mut Raw) + Send + 'static) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            serve(&mut Raw::on(stream));
        });
        Peer { address, serving }
    }

    /// Answers the request with these bytes, and keeps the connection open.
    fn answering(response: impl Into<Vec<u8>>) -> Peer {
        let response = response.into();
        Peer::new(move |raw| {
            request(raw);
            send(raw, &response);
            raw.assert_ended();
        })
    }

    /// Accepts the handshake, and then calls `serve`.
    fn accepting(serve: impl FnOnce(&mut Raw) + Send + 'static) -> Peer {
        Peer::new(move |raw| {
            accept(raw);
            serve(raw);
        })
    }

    /// Serves correctly, except that it ignores frames whose first byte is `ignored`.
    fn ignoring(ignored: u8) -> Peer {
        Peer::accepting(move |raw| serve_but(raw, ignored))
    }

    /// Runs a check against this server. Returns exit code and stdout.
    fn check(self, options: &[&str]) -> (i32, String) {
        let result = check(&format!("ws://{}/a?b=c", self.address), options);
        self.serving.join().unwrap();
        result
    }

    /// Runs a check against this server, and asserts its exit code, its steps, and texts in its
    /// report.
    fn assert(self, options: &[&str], code: i32, expected_steps: &str, texts: &[&str]) {
        let (exit_code, report) = self.check(options);
        assert_eq!((exit_code, steps(&report).as_str()), (code, expected_steps), "{report}");
        for expected in texts {
            assert!(report.contains(expected), "{expected} is not in:\n{report}");
        }
    }
}

/// Sends to a client that may already have closed the connection.
fn send(raw: &mut Raw, bytes: impl AsRef<[u8]>) {
    let _ = raw.0.get_mut().write_all(bytes.as_ref());
}

/// Reads the head of the request.
fn request(raw: &mut Raw) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(raw.0.read_line(&mut head).unwrap(), 0, "closed after {head:?}");
    }
    head
}

/// Returns a 101 response with `fields` added to its head.
fn switching(fields: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         {fields}\r\n"
    )
}

/// Reads the request and accepts it. Returns its head.
fn accept(raw: &mut Raw) -> String {
    let head = request(raw);
    send(raw, switching(&format!("Sec-WebSocket-Accept: {}\r\n", accept_key(&head))));
    head
}

/// Returns the value of `Sec-WebSocket-Accept` for the request.
fn accept_key(head: &str) -> String {
    let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap().lines().next().unwrap();
    derive_accept_key(key.as_bytes())
}

/// Reads the client's next frame, of at most 125 bytes. Returns its first byte and its payload.
fn receive(raw: &mut Raw) -> (u8, Vec<u8>) {
    let [first, length] = raw.bytes(2).try_into().unwrap();
    assert!(length >= 0x80, "the frame is not masked");
    let mask = raw.bytes(4);
    let masked = raw.bytes(usize::from(length - 0x80));
    (first, masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
}

/// Encodes a server's frame of at most 125 bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(FIN_CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// Answers every frame up to the Close, except those whose first byte is `ignored`.
fn serve_but(raw: &mut Raw, ignored: u8) {
    loop {
        let (first, payload) = receive(raw);
        match first {
            _ if first == ignored => {}
            FIN_PING => send(raw, frame(FIN_PONG, &payload)),
            _ => send(raw, frame(first, &payload)),
        }
        if first == FIN_CLOSE {
            return;
        }
    }
}

/// Fills the accept queue of `socket`, so that further connections to its address are not answered.
fn fill_queue(socket: &Socket, address: SocketAddr) -> Vec<TcpStream> {
    socket.listen(0).unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    std::iter::from_fn(connect).collect()
}

#[test]
fn every_step_of_a_healthy_server_is_ok() {
    let program = Program::start(&[]);
    for (path, reply) in
        [("/ws", "\"You sent: wsecho check 1 at "), ("/echo", "\"wsecho check 1\"")]
    {
        let (code, report) = check(&format!("ws://{}{path}", program.address()), &LONG);
        assert_eq!((code, steps(&report).as_str()), (0, ALL_WELL), "{report}");
        for expected in ["101 Switching Protocols", reply, "Pong", "1000 Normal Closure"] {
            assert!(report.contains(expected), "{report}");
        }
        assert!(!report.contains("round trips"), "statistics of one round trip: {report}");
    }
    program.signal(nix::sys::signal::Signal::SIGTERM);
    let (_, log) = program.wait();
    let end = "/echo: closed by the client: 1000 Normal Closure \"\"; in 2 (1054 bytes, ";
    assert!(log.contains(end), "{log}");
}

#[test]
fn a_full_server_lives_and_has_its_own_exit_code() {
    let server = TestServer::with(|config| config.limits.max_connections = 1);
    let _session = server.open("/echo");
    let url = format!("ws://{}/echo", server.address);
    let (code, report) = check(&url, &LONG);
    assert_eq!(code, 10, "{report}");
    assert!(report.contains("problem: The server lives, but is full"), "{report}");
    assert!(report.contains("| Unavailable: all session slots are in use"), "{report}");
    let (code, accepted) = check(&url, &["--accept-full", LONG[0], LONG[1]]);
    assert_eq!(code, 0, "{accepted}");
    assert!(accepted.contains("FAILED upgrade"), "{accepted}");
    let proxy = Peer::answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let failed = "ok resolve, ok connect, FAILED upgrade";
    proxy.assert(&["--accept-full", LONG[0], LONG[1]], 5, failed, &["503 Service Unavailable"]);
}

#[test]
fn round_trips_report_their_count_and_sorted_percentiles() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    let (code, line) =
        check(&url, &["--count", "50", "--size", "200KiB", "--json", LONG[0], LONG[1]]);
    assert_eq!((code, line.lines().count()), (0, 1), "{line}");
    let report: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&report["url"], &report["ok"]), (&url.as_str().into(), &true.into()));
    assert_eq!(report["exit_code"], 0);
    let names: Vec<_> = report["steps"].as_array().unwrap().iter().map(|s| &s["step"]).collect();
    assert_eq!(names, ["resolve", "connect", "upgrade", "echo", "deflate", "ping", "close"]);
    assert_eq!(report["steps"][2]["status"], 101);
    let trips = &report["steps"][3]["round_trips"];
    assert_eq!((&trips["count"], &trips["size"]), (&50.into(), &(200 * 1024).into()));
    let times = ["min_us", "median_us", "p90_us", "p99_us", "max_us"];
    let times = times.map(|name| trips[name].as_u64().unwrap());
    assert!(times.is_sorted() && times[0] > 0, "{trips}");

    let (code, report) = check(&url, &["--count", "3", "--size", "2", LONG[0], LONG[1]]);
    assert_eq!((code, steps(&report).as_str()), (0, ALL_WELL), "{report}");
    assert!(report.contains("\n       3 round trips of 2 bytes: min "), "{report}");
}

#[test]
fn a_refusal_is_shown_with_the_servers_explanation() {
    let server = TestServer::start();
    let url = format!("ws://{}/ws", server.address);
    let elsewhere = ["--origin", "http://elsewhere.example", LONG[0], LONG[1]];
    let (code, report) = check(&url, &elsewhere);
    assert_eq!((code, steps(&report).as_str()), (5, "ok resolve, ok connect, FAILED upgrade"));
    for expected in [
        "problem: Pages of this origin may not open a WebSocket on this server.\nfix:     ",
        " --allow-origin http://elsewhere.example",
        "403 Forbidden from wsecho\n",
        "\n       |   Origin: http://elsewhere",
    ] {
        assert!(report.contains(expected), "{report}");
    }

    let (code, line) = check(&format!("ws://{}/nothing", server.address), &["--json"]);
    let report: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((code, &report["exit_code"], &report["ok"]), (5, &5.into(), &false.into()));
    assert_eq!(report["steps"][2]["status"], 404);
    assert!(report["steps"][2]["body"].as_str().unwrap().contains("/healthz"), "{line}");
}

#[test]
fn compression_is_offered_and_tried() {
    let program = Program::start(&[]);
    for query in ["", "?compression=takeover"] {
        let url = format!("ws://{}/echo{query}", program.address());
        let (code, report) = check(&url, &["--count", "3", LONG[0], LONG[1]]);
        assert_eq!((code, steps(&report).as_str()), (0, ALL_WELL), "{report}");
        assert!(report.contains("101 Switching Protocols, permessage-deflate"), "{report}");
        assert!(report.contains("1040 bytes are "), "{report}");
    }
    let url = format!("ws://{}/echo", program.address());
    for (url, options) in
        [(&url, &["--no-compression"][..]), (&format!("{url}?compression=off"), &[])]
    {
        let (code, report) = check(url, &[options, &LONG].concat());
        assert_eq!((code, steps(&report).as_str()), (0, WELL), "{report}");
        assert!(!report.contains("permessage-deflate"), "{report}");
    }
    let wrong = switching("Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Extensions: x\r\n");
    let peer = Peer::new(move |raw| {
        let head = request(raw);
        send(raw, wrong.replace("ACCEPT", &accept_key(&head)));
    });
    let expected = "The server selected extension \"x\", but it was not offered.";
    peer.assert(&LONG, 5, "ok resolve, ok connect, FAILED upgrade", &[expected]);
}

#[test]
fn the_request_has_the_given_path_origin_and_header() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let peer = Peer::new(move |raw| {
        sender.send(accept(raw)).unwrap();
        serve_but(raw, 0);
    });
    let address = peer.address;
    let fields = ["--origin", "http://o.example", "--header", "X-Token: a b", LONG[0], LONG[1]];
    peer.assert(&fields, 0, WELL, &[]);
    let head = receiver.recv().unwrap();
    assert!(head.starts_with(&format!("GET /a?b=c HTTP/1.1\r\nHost: {address}\r\n")), "{head}");
    assert!(head.ends_with("\r\nOrigin: http://o.example\r\nX-Token: a b\r\n\r\n"), "{head}");
}

#[test]
fn a_subprotocol_is_offered_and_the_selected_one_reported() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    let (code, report) = check(&url, &["--subprotocol", "chat", LONG[0], LONG[1]]);
    assert!(
        code == 0 && report.contains("Protocols, subprotocol chat, permessage-deflate; "),
        "{report}"
    );
}

#[test]
fn bad_usage_exits_with_2_and_an_explanation() {
    for (arguments, expected) in [
        (&["check", "ftp://example.com"][..], "ws[s]://HOST"),
        (&["check", "ws://h", "--proxy", "socks5://h:1"], "http://[USER:PASSWORD@]HOST:PORT"),
        (&["check", "ws://h", "--no-echo", "--expect", "x"], "--no-echo"),
        (&["check", "ws://h", "--listen", "127.0.0.1:0"], "--listen"),
        (&["check", "ws://h", "--count", "0"], "--count"),
        (&["check", "ws://h", "--size", "2GiB"], "1.0 GiB at most"),
        (&["check", "ws://h", "--timeout", "0s"], "more than 0"),
        (&["check", "ws://h", "--header", "Upgrade: h2c"], "set by the handshake"),
        (&["check", "ws://h", "--subprotocol", "a b"], "not a token"),
        (&["--quiet", "check", "ws://h"], "check"),
    ] {
        let (code, stderr) = refused(arguments);
        assert!(code == 2 && stderr.contains(expected), "{arguments:?}: {code} {stderr}");
    }
}

#[test]
fn environment_variables_of_the_server_are_ignored() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    let mut checking = command(&["check", &url, LONG[0], LONG[1]]);
    checking.env("WSECHO_LISTEN", "nonsense").env("WSECHO_MAX_MESSAGE_SIZE", "nonsense");
    let output = checking.env("PORT", "nonsense").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(steps(&text(&output.stdout)), ALL_WELL);
}

#[test]
fn without_a_url_the_server_on_this_machine_is_checked() {
    let server = TestServer::start();
    let port = server.address.port().to_string();
    let output = command(&["check", LONG[0], LONG[1]]).env("PORT", port).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(steps(&text(&output.stdout)), ALL_WELL);
}

#[test]
fn help_of_server_and_check_list_their_own_options_only() {
    let help = |arguments: &[&str]| text(&command(arguments).output().unwrap().stdout);
    let (server, check) = (help(&["--help"]), help(&["check", "--help"]));
    assert!(server.contains("\n  check ") && server.contains("--listen"), "{server}");
    assert!(!server.contains("--count"), "{server}");
    for expected in ["--count", "3 resolve, 4 connect or proxy, 5 upgrade, 6 first or echo, 7 ping"]
    {
        assert!(check.contains(expected), "{check}");
    }
    assert!(!check.contains("--listen") && !check.contains("WSECHO_"), "{check}");
}

#[test]
fn a_closed_stdout_does_not_change_the_exit_code() {
    let server = TestServer::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let url = format!("ws://{}/echo", server.address);
    let mut checking = command(&["check", &url, LONG[0], LONG[1]]);
    assert_eq!(checking.stdout(writer).status().unwrap().code(), Some(0));
}

#[test]
fn an_unresolvable_name_exits_with_3() {
    // A label of 64 characters is invalid, so that no DNS server is asked.
    let (code, report) = check(&format!("ws://{}/", "a".repeat(64)), &LONG);
    assert_eq!((code, steps(&report).as_str()), (3, "FAILED resolve"), "{report}");
    assert!(report.contains("aaa has no address: "), "{report}");
}

#[test]
fn localhost_tries_ipv4_and_then_ipv6() {
    let (_bound, address) = bound();
    let server = TestServer::at((Ipv6Addr::LOCALHOST, address.port()).into());
    let (code, report) = check(&format!("ws://localhost:{}/echo", address.port()), &LONG);
    assert_eq!((code, steps(&report).as_str()), (0, ALL_WELL), "{report}");
    assert!(report.contains(" 127.0.0.1, ::1\n"), "{report}");
    let expected = format!(" {} (127.0.0.1 refused, ::1 open)\n", server.address);
    assert!(report.contains(&expected), "{report}");
}

#[test]
fn an_unresponsive_address_leaves_time_for_the_next() {
    let (silent, address) = bound();
    let _queue = fill_queue(&silent, address);
    let server = TestServer::at((Ipv6Addr::LOCALHOST, address.port()).into());
    let (code, report) = check(&format!("ws://localhost:{}/echo", address.port()), &SOME);
    assert_eq!((code, steps(&report).as_str()), (0, ALL_WELL), "{report}");
    let expected = format!(" {} (127.0.0.1 does not answer, ::1 open)\n", server.address);
    assert!(report.contains(&expected), "{report}");
}

#[test]
fn a_bracketed_ipv6_address_is_accepted() {
    let server = TestServer::at((Ipv6Addr::LOCALHOST, 0).into());
    let (code, report) = check(&format!("ws://{}/echo", server.address), &LONG);
    assert_eq!((code, steps(&report).as_str()), (0, ALL_WELL), "{report}");
}

#[test]
fn a_refused_connection_exits_with_4() {
    let (_bound, address) = bound();
    let (code, report) = check(&format!("ws://{address}/"), &LONG);
    assert_eq!((code, steps(&report).as_str()), (4, "ok resolve, FAILED connect"), "{report}");
    assert!(report.contains(&format!("{address}: connection refused, nothing")), "{report}");
}

#[test]
fn a_connect_timeout_exits_with_4() {
    let (silent, address) = bound();
    let _queue = fill_queue(&silent, address);
    let (code, report) = check(&format!("ws://{address}/"), &SHORT);
    assert_eq!((code, steps(&report).as_str()), (4, "ok resolve, FAILED connect"), "{report}");
    assert!(report.contains(&format!("{address}: no answer in time")), "{report}");
}

#[test]
fn failed_upgrades_exit_with_5_and_are_explained() {
    let page = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    // The first read of 16 KiB ends within the body.
    let filler = "x".repeat(16 * 1024 - 48);
    let long = format!("HTTP/1.1 400 No\r\nContent-Length: 9\r\nX: {filler}\r\n\r\nexplained");
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(64 * 1024));
    for (response, expected) in [
        (
            "HTTP/1.1 301 Moved Permanently\r\nLocation: /ws/\r\nContent-Length: 0\r\n\r\n"
                .to_owned(),
            &["redirects to \"/ws/\"", "Check ws://127.0.0.1:", "FAILED upgrade"][..],
        ),
        (
            "HTTP/1.1 401 No\r\nServer: n\u{202e}x\r\nContent-Length: 9\r\n\r\na\r\nb\x1b[2J\r"
                .into(),
            &["wants credentials (401 No from n\\u{202e}x)", "| a\n", "| b\\u{1b}[2J\n"],
        ),
        (format!("{page}3\r\nnot\r\n4\r\n wel\r\n4\r\ncome\r\n0\r\n\r\n"), &["| not welcome\n"]),
        (long, &["| explained\n"]),
        (endless, &["header section exceeds 16384 bytes"]),
        (
            switching("Sec-WebSocket-Accept: x\r\n"),
            &["Sec-WebSocket-Accept is \"x\", but the key "],
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n".into(),
            &["101 without `Upgrade: websocket`"],
        ),
        (
            "SSH-2.0-OpenSSH_9.2p1\r\n".into(),
            &["speaks SSH, not HTTP/1.1: \"SSH-2.0-OpenSSH_9.2p1\\r\\n\""],
        ),
        ("\x15\x03\x01\0\x02\x02\x46".into(), &["This port speaks TLS", "Use wss://127.0.0.1:"]),
    ] {
        let failed = "ok resolve, ok connect, FAILED upgrade";
        Peer::answering(response).assert(&LONG, 5, failed, expected);
    }
}

#[test]
fn an_endless_response_body_is_truncated() {
    /// Far more than the socket buffers hold.
    const MIB_MAX: usize = 32;
    let (sender, receiver) = std::sync::mpsc::channel();
    let peer = Peer::new(move |raw| {
        request(raw);
        send(raw, "HTTP/1.1 500 Oh\r\n\r\n");
        let mib = vec![b'x'; 1024 * 1024];
        sender
            .send((0..MIB_MAX).take_while(|_| raw.0.get_mut().write_all(&mib).is_ok()).count())
            .unwrap();
    });
    let (code, report) = peer.check(&LONG);
    assert!(code == 5 && report.contains("x\n       | … (truncated)\n"), "{report}");
    assert!(report.len() < 4096, "{} bytes", report.len());
    assert!(receiver.recv().unwrap() < MIB_MAX, "the whole body was read");
}

#[test]
fn a_missing_or_partial_response_exits_with_5() {
    let failed = "ok resolve, ok connect, FAILED upgrade";
    let leaving = Peer::new(|raw| drop(request(raw)));
    leaving.assert(&LONG, 5, failed, &["neither a handshake nor HTTP: the connection was closed"]);
    let torn = Peer::new(|raw| {
        request(raw);
        send(raw, "HTTP/1.1 101 Switch");
    });
    torn.assert(&LONG, 5, failed, &["The response ended after \"HTTP/1.1 101 Switch\""]);
    Peer::answering("").assert(
        &SHORT,
        5,
        failed,
        &["neither a handshake nor HTTP: nothing within 150ms"],
    );
    Peer::answering("HT").assert(&SHORT, 5, failed, &["The response timed out after \"HT\""]);
}

#[test]
fn an_interim_response_is_skipped() {
    let peer = Peer::new(|raw| {
        send(raw, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
        accept(raw);
        serve_but(raw, 0);
    });
    peer.assert(&LONG, 0, WELL, &["101 Switching Protocols"]);
}

#[test]
fn a_missing_echo_exits_with_6_after_ping_and_close_were_tried() {
    let steps = "ok resolve, ok connect, ok upgrade, FAILED echo, ok ping, ok close";
    let silent = "no echo of message 1 within 1s; no other message received";
    Peer::ignoring(FIN_TEXT).assert(&SOME, 6, steps, &[silent]);
    let talking = Peer::accepting(|raw| {
        receive(raw);
        send(raw, frame(FIN_TEXT, b"{\"error\":\"\x1b[2J\"}"));
        send(raw, frame(FIN_BINARY, b"\xff"));
        serve_but(raw, 0);
    });
    let talk = r#"within 1s; 2 other messages received: "{\"error\":\"\u{1b}[2J\"}", "#;
    talking.assert(&[&SOME[..], &["--expect", "ok"]].concat(), 6, steps, &["matches \"ok\"", talk]);
}

/// A server that answers each message with "ack", and every Ping and Close.
fn acknowledging() -> Peer {
    Peer::accepting(|raw| {
        loop {
            match receive(raw) {
                (FIN_TEXT, _) => send(raw, frame(FIN_TEXT, b"ack 17")),
                (FIN_PING, payload) => send(raw, frame(FIN_PONG, &payload)),
                (FIN_CLOSE, payload) => return send(raw, frame(FIN_CLOSE, &payload)),
                other => panic!("{other:?}"),
            }
        }
    })
}

#[test]
fn a_server_that_is_no_echo_passes() {
    acknowledging().assert(&LONG, 0, WELL, &["\"ack 17\", which is no echo\n"]);
    let expecting = [&LONG[..], &["--message", "{\"a\":1}", "--expect", "^ack \\d+$"]].concat();
    acknowledging().assert(&expecting, 0, WELL, &[" \"ack 17\"\n"]);
    let without = "ok resolve, ok connect, ok upgrade, ok ping, ok close";
    acknowledging().assert(&[&LONG[..], &["--no-echo"]].concat(), 0, without, &[]);
}

#[test]
fn a_server_may_speak_first() {
    let greeting = |greeting: &'static str| {
        Peer::accepting(move |raw| {
            send(raw, frame(FIN_TEXT, greeting.as_bytes()));
            serve_but(raw, 0);
        })
    };
    let first = [&LONG[..], &["--first"]].concat();
    let steps = "ok resolve, ok connect, ok upgrade, ok first, ok ping, ok close";
    let socket_io = "\"0{\\\"sid\\\":\\\"x\\\"}\", of Socket.IO (Engine.IO 4)\n";
    greeting("0{\"sid\":\"x\"}").assert(&first, 0, steps, &[socket_io]);
    let and_then = [&first[..], &["--message", "hello"]].concat();
    let steps = "ok resolve, ok connect, ok upgrade, ok first, ok echo, ok ping, ok close";
    greeting("welcome").assert(&and_then, 0, steps, &["\"welcome\"\n", "\"hello\"\n"]);
    let silent = Peer::accepting(|raw| serve_but(raw, 0));
    let failed = "ok resolve, ok connect, ok upgrade, FAILED first, ok ping, ok close";
    let first = ["--first", SHORT[0], SHORT[1]];
    silent.assert(&first, 6, failed, &["no first message within 150ms"]);
}

/// Answers plain HTTP on every connection, and what else arrives with `handshake`.
fn without_upgrade(handshake: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut raw = Raw::on(stream.unwrap());
            if request(&mut raw).contains("Upgrade: websocket") {
                send(&mut raw, handshake);
                kept.extend(handshake.is_empty().then_some(raw));
            } else {
                send(
                    &mut raw,
                    "HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n",
                );
            }
        }
    });
    address
}

#[test]
fn an_unanswered_handshake_is_asked_again_over_http() {
    let address = without_upgrade(b"");
    let (code, report) = check(&format!("ws://{address}/"), &SOME);
    assert_eq!((code, steps(&report).as_str()), (5, "ok resolve, ok connect, FAILED upgrade"));
    let lines: Vec<_> = report.lines().take(2).collect();
    assert_eq!(
        lines[0],
        "problem: HTTP gets through (404 Not Found from nginx), the upgrade does not: it was not \
         answered within 1s."
    );
    assert!(lines[1].starts_with("fix:     nginx, beside proxy_pass: "), "{report}");
}

#[test]
fn a_greeting_before_the_echo_is_tolerated() {
    let peer = Peer::accepting(|raw| {
        send(raw, frame(FIN_TEXT, b"welcome"));
        send(raw, frame(FIN_PING, b""));
        serve_but(raw, FIN_PONG);
    });
    let expected = "\"wsecho check 1\" (1 other message received: \"welcome\")";
    peer.assert(&LONG, 0, WELL, &[expected]);
}

#[test]
fn a_session_that_ends_before_the_echo_exits_with_6() {
    let large = [&[FIN_BINARY, 127][..], &(2_u64 << 20).to_be_bytes()].concat();
    for (final_bytes, expected) in [
        (close(1008, "no \x1b"), r#"1, but Close 1008 Policy Violation "no \u{1b}";"#),
        (frame(FIN_CLOSE, b""), "1, but Close without a code;"),
        (vec![], "no echo of message 1: the connection was closed without a Close;"),
        (vec![0xc1, 0], "the server violated the protocol: Reserved bits are non-zero;"),
        (frame(FIN_TEXT, b"\xff"), "the server violated the protocol: text that is not UTF-8;"),
        (large, "a message of 2097152 bytes exceeds the limit of 1048576;"),
    ] {
        let is_close = final_bytes.first() == Some(&FIN_CLOSE);
        let peer = Peer::accepting(move |raw| {
            receive(raw);
            send(raw, &final_bytes);
            if is_close {
                assert_eq!(receive(raw).0, FIN_CLOSE, "a Close is answered");
            }
        });
        peer.assert(&LONG, 6, "ok resolve, ok connect, ok upgrade, FAILED echo", &[expected]);
    }
    let reset = Peer::accepting(|raw| {
        receive(raw);
        SockRef::from(raw.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let failed = "ok resolve, ok connect, ok upgrade, FAILED echo";
    reset.assert(&LONG, 6, failed, &["no echo of message 1: the connection was reset;"]);
}

#[test]
fn an_unanswered_ping_exits_with_7() {
    let steps = "ok resolve, ok connect, ok upgrade, ok echo, FAILED ping, ok close";
    Peer::ignoring(FIN_PING).assert(&SOME, 7, steps, &["no Pong within 1s; no other"]);
    let other = Peer::accepting(|raw| {
        let (first, payload) = receive(raw);
        send(raw, frame(first, &payload));
        send(raw, frame(FIN_PONG, b"unsolicited"));
        serve_but(raw, FIN_PING);
    });
    other.assert(&SOME, 7, steps, &["no Pong within 1s"]);
}

#[test]
fn an_unanswered_close_exits_with_8() {
    let steps = "ok resolve, ok connect, ok upgrade, ok echo, ok ping, FAILED close";
    let silent = Peer::accepting(|raw| {
        serve_but(raw, FIN_CLOSE);
        raw.assert_ended();
    });
    silent.assert(&SOME, 8, steps, &["no Close within 1s; no other message received"]);
    let lingering = Peer::accepting(|raw| {
        serve_but(raw, 0);
        raw.assert_ended();
    });
    let open = "1000 Normal Closure, but the connection stays open";
    lingering.assert(&SOME, 8, steps, &[open]);
    let leaving = Peer::accepting(|raw| {
        for answer in [FIN_TEXT, FIN_PONG] {
            let (_, payload) = receive(raw);
            send(raw, frame(answer, &payload));
        }
        receive(raw);
    });
    let gone = "no Close: the connection was closed without a Close";
    leaving.assert(&LONG, 8, steps, &[gone]);
}

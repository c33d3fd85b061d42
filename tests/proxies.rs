//! The server behind a real nginx and a real HAProxy, each with its sample configuration from
//! `scripts/proxies`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tungstenite::Message;

use crate::support::browser::Browser;
use crate::support::client::{
    Client, FIN_CLOSE, FIN_PING, FIN_PONG, FIN_TEXT, Raw, Response, frame, handshake,
};
use crate::support::program::Program;
use crate::support::proxy::Kind::{Haproxy, Nginx};
use crate::support::proxy::{Kind, Proxy, Sample};

/// The addresses of two clients. The proxies connect to the server from 127.0.0.1.
const ALICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 21);
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 22);

/// Starts a server with these options, and a proxy with its sample in front of it.
fn behind(kind: Kind, options: &[&str]) -> (Program, Proxy) {
    behind_changed(kind, options, |sample| sample)
}

/// Like `behind`, with a modified sample.
fn behind_changed(
    kind: Kind,
    options: &[&str],
    change: impl FnOnce(Sample) -> Sample,
) -> (Program, Proxy) {
    let program = Program::start(options);
    let proxy = change(Sample::of(kind, program.address())).start();
    (program, proxy)
}

/// Sends a handshake with `fields` from `source` through the proxy. Returns the response and the
/// connection.
fn upgrade_from(source: Ipv4Addr, proxy: &Proxy, fields: &str) -> (Response, Raw) {
    let mut raw = Raw::connect_from(source, proxy.address);
    let request = handshake("/echo").replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
    (raw.send(request).response(), raw)
}

fn close(mut session: Raw) {
    assert_eq!(session.send(frame(FIN_CLOSE, b"")).close_code(), 1005);
}

/// Stops the server. Returns its log.
fn log_of(program: Program) -> String {
    program.signal(Signal::SIGTERM);
    program.wait().1
}

#[test]
#[ignore = "needs nginx and HAProxy; scripts/test runs it"]
fn echo_page_and_health_work_behind_each_proxy() {
    for kind in [Nginx, Haproxy] {
        let (_program, proxy) = behind(kind, &[]);
        let mut client = Client::open(proxy.address, "/echo");
        for message in [Message::text("héllo"), Message::binary(vec![7; 100_000])] {
            assert_eq!(client.ask(message.clone()), message, "{kind:?}");
        }
        client.0.close(None).unwrap();
        client.assert_closed();
        let mut raw = Raw::connect(proxy.address);
        assert!(raw.get("/").body.contains("<title>WebSocket echo"), "{kind:?}");
        assert_eq!(raw.get("/healthz").body, "ok\n", "{kind:?}");
        assert_eq!(raw.get("/ws").status, 426, "{kind:?}");
    }
}

/// Sends a message from the page in a real browser.
fn the_page_echoes_through(kind: Kind) {
    let (_program, proxy) = behind(kind, &[]);
    let mut browser = Browser::launch();
    browser.open(&format!("http://{}/", proxy.address));
    browser.wait_for_text("Connection Opened with ws");
    browser.fill("Message", "through the proxy");
    browser.click("button", "Send");
    browser.wait_for_text("You sent: through the proxy at ");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs nginx and Chromium; scripts/test runs it"]
fn the_page_echoes_through_nginx() {
    the_page_echoes_through(Nginx);
}

#[test]
#[ignore = "needs HAProxy and Chromium; scripts/test runs it"]
fn the_page_echoes_through_haproxy() {
    the_page_echoes_through(Haproxy);
}

#[test]
#[ignore = "needs nginx and HAProxy; scripts/test runs it"]
fn with_trusted_proxy_clients_are_limited_and_cannot_be_spoofed() {
    for kind in [Nginx, Haproxy] {
        let options = ["--trusted-proxy", "127.0.0.1", "--max-connections-per-ip", "1"];
        let (program, proxy) = behind(kind, &options);
        let as_bob = format!("X-Forwarded-For: {BOB}\r\nForwarded: for={BOB}\r\n");
        let (accepted, alice) = upgrade_from(ALICE, &proxy, &as_bob);
        let (refused, _) = upgrade_from(ALICE, &proxy, &as_bob);
        assert_eq!((accepted.status, refused.status), (101, 503), "{kind:?}");
        assert!(refused.body.contains("--max-connections-per-ip"), "{kind:?}: {refused:?}");
        let (accepted, bob) = upgrade_from(BOB, &proxy, "");
        assert_eq!(accepted.status, 101, "{kind:?}");
        close(alice);
        close(bob);
        let log = log_of(program);
        for (number, client) in [(1, ALICE), (2, BOB)] {
            let expected = format!("session {number} {client} via 127.0.0.1:");
            assert!(log.contains(&expected), "{kind:?}: no {expected:?} in {log}");
        }
    }
}

#[test]
#[ignore = "needs nginx and HAProxy; scripts/test runs it"]
fn without_trusted_proxy_the_proxy_is_the_client() {
    for kind in [Nginx, Haproxy] {
        // The limit leaves slots for HAProxy's health checks beside Alice's session.
        let (program, proxy) = behind(kind, &["--max-connections-per-ip", "4"]);
        let (accepted, alice) = upgrade_from(ALICE, &proxy, "");
        assert_eq!(accepted.status, 101, "{kind:?}");
        // The slots that others hold count for Bob, too.
        let sessions = (0..4).map(|_| upgrade_from(BOB, &proxy, ""));
        let (accepted, refused): (Vec<_>, Vec<_>) =
            sessions.partition(|(response, _)| response.status == 101);
        assert!(!refused.is_empty(), "{kind:?}");
        assert!(refused.iter().all(|(response, _)| response.status == 503), "{kind:?}");
        close(alice);
        for (_, session) in accepted {
            close(session);
        }
        let log = log_of(program);
        assert!(log.contains("session 1 127.0.0.1:"), "{kind:?}: {log}");
        assert!(!log.contains(" via "), "{kind:?}: {log}");
    }
}

#[test]
#[ignore = "needs nginx and HAProxy; scripts/test runs it"]
fn origin_is_compared_with_the_host_in_the_browsers_request() {
    /// As the samples say.
    const TRUSTED: &[&str] = &["--trusted-proxy", "127.0.0.1"];
    const PAGE: &str = "Origin: http://echo.example:8000\r\n";
    let status = |proxy: &Proxy, origin: &str| {
        let mut raw = Raw::connect(proxy.address);
        let request = handshake("/echo").replace("Host: h\r\n", "Host: echo.example:8000\r\n");
        let request = request.replace("\r\n\r\n", &format!("\r\n{origin}\r\n"));
        raw.send(request).response_to_head().status
    };
    for kind in [Nginx, Haproxy] {
        let (_program, proxy) = behind(kind, TRUSTED);
        assert_eq!(status(&proxy, PAGE), 101, "{kind:?}");
        assert_eq!(status(&proxy, "Origin: http://evil.example\r\n"), 403, "{kind:?}");
        let (_program, proxy) = behind(kind, &[]);
        assert_eq!(status(&proxy, PAGE), 421, "{kind:?}: not trusted");
        let (_program, proxy) = behind(kind, &["--allow-host", "echo.example"]);
        assert_eq!(status(&proxy, PAGE), 101, "{kind:?}: with the name as an option");
    }
    let (_program, proxy) = behind_changed(Nginx, TRUSTED, |sample| {
        sample.with("        proxy_set_header Host $http_host;\n", "")
    });
    assert_eq!(status(&proxy, PAGE), 403, "without the sample's line");
}

#[test]
#[ignore = "needs nginx and HAProxy; scripts/test runs it"]
fn a_handshake_broken_by_the_proxy_is_explained() {
    type Break = fn(Sample) -> Sample;
    let broken: [(Kind, Break, [&str; 2]); 3] = [
        (
            Nginx,
            |sample| {
                sample
                    .with("        proxy_set_header Upgrade $http_upgrade;\n", "")
                    .with("        proxy_set_header Connection $wsecho_connection;\n", "")
            },
            ["without `Upgrade: websocket`", "proxy_set_header Upgrade $http_upgrade;"],
        ),
        (
            Nginx,
            |sample| sample.with("        proxy_http_version 1.1;\n", ""),
            ["this request is HTTP/1.0", "proxy_http_version 1.1;"],
        ),
        (
            Haproxy,
            |sample| {
                let line = "    http-request del-header Forwarded\n";
                sample.with(line, &format!("{line}    http-request del-header Upgrade\n"))
            },
            ["without `Upgrade: websocket`", "HAProxy: "],
        ),
    ];
    for (kind, break_it, [fault, fix]) in broken {
        let (_program, proxy) = behind_changed(kind, &[], break_it);
        let response = Raw::connect(proxy.address).send(handshake("/echo")).response();
        assert_eq!(response.status, 400, "{kind:?}: {response:?}");
        assert!(response.body.lines().next().unwrap().contains(fault), "{kind:?}: {response:?}");
        assert!(response.body.contains(fix), "{kind:?}: {response:?}");
    }
}

/// Replaces the samples' timeout of 60 s, after which a proxy drops a silent connection.
const PROXY_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens a session through a proxy that drops it after `PROXY_TIMEOUT` of silence.
fn session_with_a_short_timeout(kind: Kind, ping_interval: &str) -> (Program, Proxy, Raw) {
    let line = match kind {
        Nginx => "proxy_read_timeout ",
        Haproxy => "timeout tunnel ",
    };
    let short = format!("{line}{}s", PROXY_TIMEOUT.as_secs());
    let (program, proxy) = behind_changed(kind, &["--ping-interval", ping_interval], |sample| {
        sample.with(&format!("{line}60s"), &short)
    });
    let mut raw = Raw::connect(proxy.address);
    raw.upgrade("/echo");
    (program, proxy, raw)
}

/// Asserts that pings keep a session without messages open, and that it is dropped without them.
fn an_idle_session_outlives(kind: Kind) {
    let (_program, _proxy, mut idle) = session_with_a_short_timeout(kind, "50ms");
    let (_silent_program, _silent_proxy, mut silent) = session_with_a_short_timeout(kind, "0s");
    let since = Instant::now();
    while since.elapsed() < PROXY_TIMEOUT * 2 {
        assert_eq!(idle.frame(), (FIN_PING, vec![]));
        idle.send(frame(FIN_PONG, b""));
    }
    idle.send(frame(FIN_TEXT, b"still there"));
    let answer = std::iter::repeat_with(|| idle.frame()).find(|(first, _)| *first != FIN_PING);
    assert_eq!(answer, Some((FIN_TEXT, b"still there".to_vec())));
    silent.assert_ended();
}

#[test]
#[ignore = "needs nginx; scripts/test runs it"]
fn an_idle_session_outlives_the_timeout_of_nginx() {
    an_idle_session_outlives(Nginx);
}

#[test]
#[ignore = "needs HAProxy; scripts/test runs it"]
fn an_idle_session_outlives_the_timeout_of_haproxy() {
    an_idle_session_outlives(Haproxy);
}

#[test]
#[ignore = "needs HAProxy; scripts/test runs it"]
fn haproxy_balances_sessions_and_survives_a_stopped_server() {
    let [one, two] = [(); 2].map(|()| Program::start(&[]));
    let proxy = Sample::of(Haproxy, one.address())
        .with(&format!("server two {} ", one.address()), &format!("server two {} ", two.address()))
        .start();
    let open = || {
        let mut raw = Raw::connect(proxy.address);
        raw.upgrade("/echo");
        raw
    };
    let sessions = [(); 4].map(|()| open());
    sessions.into_iter().for_each(close);
    assert_eq!(log_of(one).matches("session ").count(), 2);
    // If the first server were still alive, `leastconn` would give it one of these two sessions.
    let sessions = [(); 2].map(|()| open());
    sessions.into_iter().for_each(close);
    assert_eq!(log_of(two).matches("session ").count(), 4);
}

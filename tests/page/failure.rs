//! The page explains failures.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::{message_text, open, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_server_that_shuts_down_is_reported_and_then_unreachable() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");

    drop(server);
    wait_for_state(&mut browser, "CLOSED");
    browser.wait_for_text("Closed by the server: 1001 Going Away \"the server is shutting down\"");
    browser.fill("Message", "kept");
    browser.click("button", "Send");
    browser.wait_for_text("The underlying connection is closed.");
    assert_eq!(message_text(&mut browser), "kept");

    browser.click("button", "Connect");
    browser.wait_for_text("Unexpected Error.");
    browser.wait_for_text("The server cannot be reached.");
    wait_for_state(&mut browser, "CLOSED");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_path_without_websocket_is_explained_by_the_server() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/nothing");
    wait_for_row(&mut browser, "event", "Unexpected Error.");
    browser.wait_for_text("The server is reachable, but has nothing at this path.");
    assert!(browser.text("#notice-answer").contains("WebSocket: answers with the same message"));

    browser.replace("combobox", "Address", "/echo");
    browser.press("Enter", 13);
    wait_for_state(&mut browser, "OPEN");
    assert_eq!(browser.eval("document.querySelector('#notice').hidden"), true);
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn an_unanswered_handshake_is_asked_about_over_http_and_waited_for() {
    let server = TestServer::start();
    let mut browser = open(&server, "?wait=50&url=%2Fecho%3Fhandshake-delay%3D60s");
    browser.wait_for_text(
        "The server is reachable, but got no WebSocket handshake; a proxy may drop it.",
    );
    wait_for_state(&mut browser, "CONNECTING");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_full_server_explains_its_503() {
    let server = TestServer::with(|config| config.limits.max_connections = 1);
    let _session = server.open("/echo");
    let mut browser = open(&server, "");
    browser.wait_for_text("The server is reachable, but accepts no WebSocket now.");
    browser.wait_for_text("session slots are in use (--max-connections); retry in 5 seconds.");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn an_explanation_keeps_its_lines_and_the_kiosk_shows_the_first() {
    let server = TestServer::start();
    let first = "delay=\"soon\" is not valid; a valid example is delay=250ms.";
    let mut browser = open(&server, "?url=/ws?delay=soon");
    browser.wait_for_text("The server is reachable, but answers with 400.");
    for (width, height) in [(320, 568), (1000, 640)] {
        browser.resize(width, height);
        assert!(browser.text("#notice-answer strong").starts_with(first));
        let answer = browser.text("#notice-answer");
        for line in ["What arrived:", "  GET /ws?delay=soon HTTP/1.1", "The fix:"] {
            assert!(answer.lines().any(|found| found == line), "no line {line:?} in {answer}");
        }
        let height = browser.eval("document.querySelector('#notice-answer').clientHeight");
        assert!((40..=160).contains(&height.as_i64().unwrap()), "{height} pixels");
    }

    browser.open(&format!("http://{}/?kiosk&url=/ws?delay=soon", server.address));
    browser.wait_for_text(first);
    browser.resize(320, 480);
    let apart = browser.eval(
        "(([box, send]) => box.bottom <= send.top && send.bottom <= innerHeight)\
         (['#message', '#send'].map(id => document.querySelector(id).getBoundingClientRect()))",
    );
    assert_eq!(apart, true, "the explanation covers the message box");
    let shown = browser.eval("document.body.innerText");
    assert!(!shown.as_str().unwrap().contains("What arrived"), "{shown}");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn other_origins_and_invalid_addresses_are_explained() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");
    let address = format!("ws://localhost:{}/nothing", server.address.port());
    browser.replace("combobox", "Address", &address);
    browser.press("Enter", 13);
    browser.wait_for_text("The browser hides the reason");

    browser.replace("combobox", "Address", "ftp://example.org/");
    browser.press("Enter", 13);
    browser.wait_for_text("Cannot connect.");
    wait_for_state(&mut browser, "CLOSED");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn offline_is_shown() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");
    browser.offline(true);
    browser.wait_for_text("This device is offline.");
    browser.offline(false);
    browser.wait("document.querySelector('#notice').hidden");
}

/// Starts a proxy that forwards upgrades, and replaces the Host by its own. It makes `page.localhost`, which a
/// browser resolves by itself, the name of a site elsewhere.
fn proxy_with_its_own_host(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for browser in listener.incoming().map(Result::unwrap) {
            let server = TcpStream::connect(server).unwrap();
            let (from, to) = (server.try_clone().unwrap(), browser.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut &from, &mut &to));
            thread::spawn(move || forward(&browser, &server));
        }
    });
    address
}

/// Forwards requests with the Host replaced; a browser writes each request head in one piece.
fn forward(mut browser: &TcpStream, mut server: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = browser.read(&mut buffer)?;
        if length == 0 {
            return server.shutdown(Shutdown::Write);
        }
        let head = String::from_utf8_lossy(&buffer[..length]);
        let head = head.replace("Host: page.localhost", "Host: server");
        server.write_all(head.replace("//page.localhost", "//page.example").as_bytes())?;
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_proxy_that_rewrites_host_is_explained_by_the_server() {
    let server = TestServer::start();
    let proxy = proxy_with_its_own_host(server.address);
    let mut browser = Browser::launch();
    browser.open(&format!("http://page.localhost:{}/?url=/ws", proxy.port()));
    browser
        .wait_for_text("/ws accepts WebSockets from pages of its host; this one is from another.");
    let answer = browser.text("#notice-answer");
    assert!(answer.contains("proxy_set_header Host $http_host;"), "{answer}");
}

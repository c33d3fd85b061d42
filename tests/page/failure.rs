//! The page explains failures.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use super::{message_text, open, wait_for_row, wait_for_state};
use crate::support::browser::{Browser, executable};
use crate::support::port::bound;
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
    browser.wait_for_text("No WebSocket is served at /nothing.");
    browser.wait_for_text("The server refused the handshake with 404.");
    assert!(browser.text("#notice-fix").contains("WebSocket: answers with the same message"));
    browser.wait_for_text("CLOSED ws://");

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
    browser.wait_for_text("The server is reachable, but has refused no handshake of this browser.");
    wait_for_state(&mut browser, "CONNECTING");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_broken_answer_to_the_handshake_is_not_blamed_on_a_proxy() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/ws?bad=accept");
    browser.wait_for_text("The server answered the handshake with a wrong Sec-WebSocket-Accept");
    assert_eq!(browser.text("#notice-fix"), "Remove bad=accept from the address.");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_full_server_explains_its_503() {
    let server = TestServer::with(|config| config.limits.max_connections = 1);
    let _session = server.open("/echo");
    let mut browser = open(&server, "");
    browser.wait_for_text("session slots are in use (--max-connections); retry in 5 seconds.");
}

/// Asserts that problem and fix are seen without scrolling.
fn assert_seen_at_once(browser: &mut Browser) {
    browser.resize(1000, 640);
    let is_seen = "[...document.querySelectorAll('#notice-title, #notice-text, #notice-fix')].every((part) => \
        part.innerText && part.scrollHeight <= part.clientHeight && part.getBoundingClientRect().bottom <= innerHeight)";
    assert_eq!(browser.eval(is_seen), true, "{}", browser.text("#notice"));
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn problem_and_fix_come_first_and_the_kiosk_shows_the_problem() {
    let server = TestServer::start();
    let first = "delay=\"soon\" is not valid; a valid example is delay=250ms.";
    let mut browser = open(&server, "?url=/nothing");
    browser.wait_for_text("No WebSocket is served at /nothing.");
    assert_seen_at_once(&mut browser);
    browser.open(&format!("http://{}/?url=/ws?delay=soon", server.address));
    browser.wait_for_text(first);
    assert_seen_at_once(&mut browser);
    for (width, height) in [(320, 568), (1000, 640)] {
        browser.resize(width, height);
        assert_eq!(browser.text("#notice-title"), first);
        assert_eq!(browser.eval("document.querySelector('#notice-more').open"), false);
        assert!(browser.text("#notice-fix").starts_with("Remove the query, or use these"));
    }
    browser.eval("navigator.clipboard.writeText = async (text) => { window.copied = text; }");
    browser.click("button", "Copy");
    browser.wait("window.copied");
    browser.eval("document.querySelector('#notice-more').open = true");
    for text in [browser.text("#notice-details"), browser.eval("copied").as_str().unwrap().into()] {
        for line in ["What arrived:", "  GET /ws?delay=soon HTTP/1.1", "The usual cause:"] {
            assert!(text.lines().any(|found| found == line), "no line {line:?} in {text}");
        }
    }
    assert!(browser.eval("copied").as_str().unwrap().starts_with(first));

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
fn another_server_is_probed_and_invalid_addresses_are_explained() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");
    let plain = format!("localhost:{}", server.address.port());
    let (_socket, closed) = bound();
    for (address, said) in [
        (
            format!("ws://{plain}/nothing"),
            format!("{plain} answers HTTP, but refuses this handshake."),
        ),
        (format!("wss://{plain}/ws"), format!("{plain} speaks plain HTTP, not TLS.")),
        (format!("ws://{closed}/ws"), format!("Nothing answers at {closed}.")),
        (
            format!("wss://{closed}/ws"),
            format!("Nothing answers at {closed}, or its certificate is not trusted."),
        ),
        ("ws://127.0.0.1:6000/".to_owned(), "Browsers do not connect to port 6000.".to_owned()),
        ("ftp://example.org/".to_owned(), "ftp:// is no WebSocket.".to_owned()),
        ("127.0.0.1:99999/ws".to_owned(), "“:99999” is not a port, from :1 to :65535.".to_owned()),
    ] {
        browser.replace("combobox", "Address", &address);
        browser.press("Enter", 13);
        browser.wait_for_text(&said);
        wait_for_state(&mut browser, "CLOSED");
    }
    browser.replace("combobox", "Address", &format!("ws://{plain}/nothing"));
    browser.press("Enter", 13);
    browser.wait_for_text(&format!(
        "wsecho check 'ws://{plain}/nothing' --origin http://{}",
        server.address
    ));
    assert_eq!(browser.complaints(), Vec::<String>::new());
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
    browser.wait_for_text("The server refused the handshake with 403.");
    assert_seen_at_once(&mut browser);
    let answer = browser.text("#notice-fix");
    assert!(answer.contains("proxy_set_header Host $http_host;"), "{answer}");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn escape_closes_the_notice_and_ones_own_stop_is_no_error() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/nothing");
    browser.wait("!document.querySelector('#notice').hidden");
    let roles =
        browser.eval("['#state', '#notice'].map(id => document.querySelector(id).role).join()");
    assert_eq!(roles, "status,alert");
    browser.wait_for_text("The server refused the handshake with 404.");
    browser.press("Escape", 27);
    browser.wait("document.querySelector('#notice').hidden");
    assert_eq!(browser.eval("document.activeElement.id"), "message");
    let colour = "getComputedStyle(document.querySelector('#state-word')).color";
    let failed = browser.eval(colour);

    browser.replace("combobox", "Address", "/echo");
    assert_eq!(browser.eval("document.documentElement.dataset.edited"), "true");
    browser.press("Enter", 13);
    wait_for_state(&mut browser, "OPEN");
    assert_eq!(browser.eval("document.documentElement.dataset.edited"), "false");
    browser.click("button", "Stop");
    wait_for_state(&mut browser, "CLOSED");
    browser.wait("document.documentElement.dataset.end === 'ordinary'");
    assert_ne!(browser.eval(colour), failed);
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn what_is_shown_of_the_last_server_goes() {
    let server = TestServer::start();
    let other = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send=x");
    wait_for_row(&mut browser, "received", "x");
    browser.wait("document.querySelector('#rtt-last').innerText !== '–'");
    browser.wait("!document.querySelector('#compression').hidden");
    browser.replace("combobox", "Address", &format!("ws://{}/no", other.address));
    assert!(browser.text("#state").ends_with(&format!("OPEN ws://{}/echo", server.address)));
    browser.press("Enter", 13);
    browser.wait_for_text(&format!("{} answers HTTP, but refuses this handshake.", other.address));
    wait_for_row(&mut browser, "event", "Connection Closed by the client: 1000 Normal Closure");
    wait_for_row(&mut browser, "event", &format!("ws://{}/no does not open.", other.address));
    assert_eq!(browser.eval("document.querySelector('#compression').hidden"), true);
    assert_eq!(browser.text("#rtt-last"), "–");
    assert_eq!(browser.text("#sent"), "0");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn local_network_access_is_explained() {
    let server =
        TestServer::with(|config| config.allow_host = vec!["page.example".parse().unwrap()]);
    let other = TestServer::start();
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(executable());
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--host-resolver-rules=MAP page.example 127.0.0.1")
        .arg(format!("--ip-address-space-overrides={}=public", server.address));
    let mut browser = Browser::start(&mut command);
    let page = format!("http://page.example:{}", server.address.port());
    browser.open(&format!("{page}/?url=ws://{}/echo", other.address));
    browser.click("button", "Connect");
    browser.wait_for_text(
        "The browser keeps this page from 127.0.0.1, which is on your local network",
    );
    browser.wait_for_text("Serve this page over HTTPS");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_content_security_policy_is_explained() {
    let www = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("www");
    fs::create_dir(www.path().join("js")).unwrap();
    for folder in ["", "js"] {
        for entry in fs::read_dir(source.join(folder)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), www.path().join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    let index = www.path().join("index.html");
    let policy = "<meta http-equiv=Content-Security-Policy content=\"connect-src 'self'\">
        <script>const violation = new Promise((resolve) =>
            document.addEventListener(\"securitypolicyviolation\", resolve));</script>
        <title>";
    fs::write(&index, fs::read_to_string(&index).unwrap().replace("<title>", policy)).unwrap();
    // The module that explains failures is loaded late, as over a slow network.
    let module = www.path().join("js/failure.js");
    fs::write(&module, fs::read_to_string(&module).unwrap() + "\nawait violation;\n").unwrap();
    let server = TestServer::with(|config| config.www = Some(www.path().to_owned()));
    let other = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");
    browser.replace("combobox", "Address", &format!("ws://{}/echo", other.address));
    browser.press("Enter", 13);
    browser.wait_for_text("The Content-Security-Policy of this page forbids this connection.");
    browser.wait_for_text(&format!("Add ws://{} to connect-src", other.address));
}

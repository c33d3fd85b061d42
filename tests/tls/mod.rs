//! What is specific to TLS. Limits, deadlines and shutdown over TLS are covered by the modules that
//! `over_tls` in main.rs runs a second time.

mod check;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rcgen::CertificateParams;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;
use tungstenite::Message;

use crate::support::browser::Browser;
use crate::support::client::{Client, FIN_CLOSE, FIN_TEXT, Raw, TIMEOUT, frame, handshake};
use crate::support::program::{Program, command};
use crate::support::server::TestServer;
use crate::support::stream::Wire;
use crate::support::tls::{Files, client};

/// Returns the first flight of a client's TLS handshake.
fn client_hello() -> Vec<u8> {
    let mut hello = Vec::new();
    client().write_tls(&mut hello).unwrap();
    hello
}

fn connect(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Its timeout is longer than a handshake takes on a busy machine.
fn with_short_handshake() -> TestServer {
    TestServer::over(Wire::Tls, |config| config.timeouts.handshake = Duration::from_secs(1))
}

#[test]
fn a_slow_client_hello_is_cut_off_at_the_deadline() {
    let server = with_short_handshake();
    let mut slow = connect(&server);
    slow.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    // One byte every 5 ms, so that each read succeeds, but the handshake is never complete.
    let hello = client_hello();
    let sent = hello.iter().cycle().take_while(|byte| {
        let read = slow.read(&mut [0]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
            && slow.write_all(&[**byte]).is_ok()
    });
    assert!(sent.count() > 1);
    assert_eq!(server.open("/echo").ask("x"), Message::text("x"));
}

#[test]
fn unfinished_handshakes_are_dropped_and_block_no_other_client() {
    let server = with_short_handshake();
    let mut peers: Vec<_> = (0..20).map(|_| connect(&server)).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        let hello = client_hello();
        // From nothing at all to a whole ClientHello without the rest of the handshake.
        peer.write_all(&hello[..hello.len() * number / 19]).unwrap();
    }
    assert_eq!(server.open("/echo").ask("x"), Message::text("x"));
    for peer in &mut peers {
        let mut rest = Vec::new();
        if let Err(error) = peer.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        assert!(!rest.windows(4).any(|bytes| bytes == b"HTTP"), "a response in plaintext");
    }
}

#[test]
fn every_end_is_announced_by_close_notify() {
    type Talk = fn(&mut StreamOwned<ClientConnection, TcpStream>) -> io::Result<()>;
    const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    let server = TestServer::over(Wire::Tls, |config| {
        let short = Duration::from_millis(100);
        let timeouts = &mut config.timeouts;
        (timeouts.keep_alive, timeouts.ping_interval, timeouts.ping) = (short, Some(short), short);
    });
    let talks: [(&str, Talk); 7] = [
        ("idle between two requests", |tls| tls.write_all(GET)),
        ("no answer to a Ping", |tls| tls.write_all(handshake("/echo").as_bytes())),
        ("the last request", |tls| {
            tls.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        }),
        ("close_notify of the client after a request", |tls| {
            tls.write_all(GET)?;
            tls.conn.send_close_notify();
            tls.flush()
        }),
        ("close_notify of the client in a session", |tls| {
            tls.write_all(handshake("/echo").as_bytes())?;
            tls.conn.send_close_notify();
            tls.flush()
        }),
        ("close_notify of the client after a message", |tls| {
            tls.write_all(handshake("/echo").as_bytes())?;
            tls.write_all(&frame(FIN_TEXT, b"the last message"))?;
            tls.conn.send_close_notify();
            tls.flush()
        }),
        ("FIN of the client in a session", |tls| {
            tls.write_all(handshake("/echo").as_bytes())?;
            tls.sock.shutdown(Shutdown::Write)
        }),
    ];
    for (name, talk) in talks {
        let mut tls = StreamOwned::new(client(), connect(&server));
        talk(&mut tls).unwrap();
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(answer.starts_with(b"HTTP/1.1 "), "{name}");
        if name.ends_with("after a message") {
            assert!(answer.ends_with(b"the last message"), "{name}: the reply is missing");
        }
    }
}

#[test]
fn shutdown_does_not_wait_for_a_handshake() {
    let server = TestServer::over(Wire::Tls, |config| {
        config.timeouts.handshake = Duration::from_secs(3600);
        config.timeouts.grace = Duration::from_secs(3600);
    });
    let mut peer = connect(&server);
    peer.write_all(&client_hello()).unwrap();
    peer.read_exact(&mut [0]).unwrap(); // the server has answered the ClientHello
    server.stop();
    server.join();
}

#[test]
fn garbage_instead_of_a_record_ends_the_connection() {
    let mut program = Program::over(Wire::Tls, &["-v"]);
    let mut hello = client_hello();
    hello[20..].fill(0xff);
    for garbage in [hello, vec![0x16; 20_000]] {
        let mut peer = TcpStream::connect(program.address()).unwrap();
        peer.write_all(&garbage).unwrap();
        let mut alert = [0; 2];
        peer.read_exact(&mut alert).unwrap();
        assert_eq!(alert, [0x15, 3], "no alert");
        assert!(program.log_line("TLS failed").contains("DEBUG"));
    }
    let mut raw = program.raw();
    raw.upgrade("/echo");
    // A record that bypasses the TLS session, and so is not validly encrypted.
    (&**raw.0.get_ref()).write_all(b"\x17\x03\x03\x00\x40").unwrap();
    (&**raw.0.get_ref()).write_all(&[0; 0x40]).unwrap();
    raw.assert_ended();
    let line = program.log_line("/echo: dropped by");
    assert!(line.contains("decrypt"), "{line}");
}

#[test]
fn connections_end_with_close_notify() {
    let server = TestServer::over(Wire::Tls, |_| {});
    let mut stream = StreamOwned::new(client(), connect(&server));
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap(); // fails without close_notify
    assert!(response.ends_with("ok\n"), "{response}");

    let mut stream = StreamOwned::new(client(), connect(&server));
    stream.write_all(handshake("/echo?close=4001").as_bytes()).unwrap();
    stream.write_all(&frame(FIN_CLOSE, b"")).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_fin_without_close_notify_is_logged_as_the_clients_end() {
    let mut program = Program::over(Wire::Tls, &[]);
    let client = program.open("/echo");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    program.log_line("/echo: ended by the client: FIN, no Close");
}

#[test]
fn plain_http_on_a_tls_port_gets_400_with_the_right_url() {
    let server = TestServer::over(Wire::Tls, |_| {});
    for (request, url) in [
        ("GET /a HTTP/1.1\r\nHost: example.com:1\r\n\r\n".to_owned(), "wss://example.com:1/"),
        (handshake("/echo"), "https://h/"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "wss://"),
        ("\x05hello\r\n\r\n".to_owned(), "wss://HOST:PORT/"),
    ] {
        let mut raw = Raw::connect(server.address);
        let response = raw.send(&request).response();
        assert_eq!((response.status, response.get("Connection")), (400, Some("close")));
        let first = response.body.lines().next().unwrap();
        assert!(first.starts_with("This port speaks TLS") && first.contains(url), "{first}");
        raw.finish();
        assert_eq!(raw.rest(), b"");
    }
}

#[test]
fn tls_on_a_plain_port_gets_400_with_an_explanation() {
    let server = TestServer::start();
    let mut raw = Raw::connect(server.address);
    let response = raw.send(client_hello()).response();
    assert_eq!(response.status, 400);
    assert!(response.body.contains("https:// or wss://"), "{}", response.body);
}

#[test]
fn info_reports_version_cipher_suite_and_server_name() {
    let server = TestServer::over(Wire::Tls, |_| {});
    let over_http: Value = serde_json::from_str(&server.raw().get("/info").body).unwrap();
    let over_websocket = server.open("/echo").ask("?info").into_text().unwrap();
    for info in [over_http, serde_json::from_str(&over_websocket).unwrap()] {
        let expected = serde_json::json!({
            "version": "TLS 1.3",
            "cipher_suite": "TLS_AES_256_GCM_SHA384",
            "server_name": "localhost",
        });
        assert_eq!(info["tls"], expected);
    }
    let plain: Value = serde_json::from_str(&TestServer::start().raw().get("/info").body).unwrap();
    assert!(plain["tls"].is_null());
}

#[test]
fn a_unix_socket_stays_plaintext() {
    let files = Files::good();
    let path = files.folder().join("socket");
    let mut both = command(&["--listen", "127.0.0.1:0"]);
    both.arg("--listen").arg(format!("unix:{}", path.display())).args(files.options());
    let program = Program::spawn(&mut both, 2);
    assert_eq!(program.listening[0], format!("https://{}/", program.address()));
    assert_eq!(program.listening[1], format!("unix:{}", path.display()));
    assert_eq!(program.open("/echo").ask("x"), Message::text("x"));
    assert_eq!(Client::open_unix(&path, "/echo").ask("x"), Message::text("x"));
}

/// Returns the certificate that the server presents.
fn presented_certificate(program: &Program) -> Vec<u8> {
    let mut stream = TcpStream::connect(program.address()).unwrap();
    let mut connection = client();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).unwrap();
    }
    connection.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn sighup_reloads_the_certificate_and_keeps_sessions() {
    let files = Files::good();
    let mut command = command(&["--listen", "127.0.0.1:0"]);
    let mut program = Program::spawn(command.args(files.options()), 1);
    let before = presented_certificate(&program);
    let mut session = program.open("/echo");
    files.issue(|_| {});
    assert_eq!(presented_certificate(&program), before, "reloaded without the signal");
    program.signal(Signal::SIGHUP);
    program.log_line("certificate reloaded");
    let after = presented_certificate(&program);
    assert_ne!(after, before);
    assert_eq!(session.ask("still here"), Message::text("still here"));

    let half = fs::read(files.chain()).unwrap();
    let broken: [(Break, &str); 3] = [
        (
            &|files| fs::write(files.chain(), &half[..half.len() / 2]).unwrap(),
            "it may not be complete yet",
        ),
        (&|files| fs::write(files.key(), "nothing").unwrap(), "key.pem contains no private key"),
        (&make_fifo, "key.pem cannot be used: it is not a regular file"),
    ];
    for (break_it, expected) in broken {
        files.issue(|_| {});
        break_it(&files);
        program.signal(Signal::SIGHUP);
        let line = program.log_line("cannot reload the certificate, keeping the current one");
        assert!(line.contains(expected), "{line}");
        assert_eq!(presented_certificate(&program), after);
    }
    fs::remove_file(files.key()).unwrap();
    files.issue(|_| {});
    program.signal(Signal::SIGHUP);
    program.log_line("certificate reloaded");
    assert_ne!(presented_certificate(&program), after);
    assert_eq!(session.ask("still here"), Message::text("still here"));

    program.signal(Signal::SIGTERM);
    assert_eq!(session.close_code(), 1001);
    session.assert_closed();
    assert!(program.wait().0.success());
}

#[test]
fn sighup_without_a_certificate_shuts_down() {
    let program = Program::start(&[]);
    program.signal(Signal::SIGHUP);
    assert!(program.wait().0.success());
}

/// Starts the binary with these files, which fails. Returns exit code and stderr.
fn failed(files: &Files) -> (i32, String) {
    let mut command = command(&["--listen", "127.0.0.1:0"]);
    let output = command.args(files.options()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Makes the files unusable.
type Break<'a> = &'a dyn Fn(&Files);

/// Puts a FIFO in the place of the key. It has no writer.
fn make_fifo(files: &Files) {
    fs::remove_file(files.key()).unwrap();
    mkfifo(&files.key(), Mode::S_IRWXU).unwrap();
}

#[test]
fn unusable_certificates_fail_the_start() {
    let other = Files::good();
    let cases: [(Break, &str); 9] = [
        (&make_fifo, "key.pem cannot be used: it is not a regular file"),
        (
            &|files| fs::File::create(files.chain()).unwrap().set_len(1 << 40).unwrap(),
            "chain.pem cannot be used: it is too large",
        ),
        (&|files| fs::remove_file(files.chain()).unwrap(), "chain.pem: No such file"),
        (&|files| fs::remove_file(files.key()).unwrap(), "key.pem: No such file"),
        (&|files| fs::write(files.chain(), "").unwrap(), "chain.pem contains no certificate"),
        (&|files| drop(fs::copy(files.key(), files.chain())), "chain.pem contains no certificate"),
        (&|files| drop(fs::copy(files.chain(), files.key())), "key.pem contains no private key"),
        (&|files| drop(fs::copy(other.key(), files.key())), "key.pem does not belong to the first"),
        (
            &|files| {
                let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
                fs::write(files.chain(), pem).unwrap();
            },
            "chain.pem cannot be used",
        ),
    ];
    for (break_it, expected) in cases {
        let files = Files::good();
        break_it(&files);
        let (code, stderr) = failed(&files);
        assert_eq!((code, stderr.lines().count()), (1, 1), "{expected}: {stderr}");
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    let output = command(&["--tls-cert", "x"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && stderr.contains("--tls-key"), "{stderr}");
}

#[test]
fn the_watchdog_is_notified_over_tls() {
    let files = Files::good();
    let folder = tempfile::tempdir().unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut service = command(&["--listen", "127.0.0.1:0"]);
    service.args(files.options()).args(["--max-connections", "1", "--handshake-timeout", "1h"]);
    service.env("WATCHDOG_USEC", "400000");
    let program = Program::spawn(service.env("NOTIFY_SOCKET", folder.path().join("notify")), 1);
    let notification = || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let url = format!("https://{}/", program.address());
    assert_eq!(notification(), format!("READY=1\nSTATUS=listening on {url}\n"));
    for _ in 0..3 {
        assert_eq!(notification(), "WATCHDOG=1\n");
    }
    // With the reserve of 64 connections occupied too, no thread is left for a TLS handshake.
    let _all: Vec<_> = (0..65).map(|_| TcpStream::connect(program.address()).unwrap()).collect();
    socket.set_nonblocking(true).unwrap();
    while socket.recv(&mut [0; 4096]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    for _ in 0..3 {
        assert_eq!(notification(), "WATCHDOG=1\n");
    }
}

/// Starts a server with a certificate modified by `change`. Returns the files, too.
fn serving(change: impl FnOnce(&mut CertificateParams)) -> (Program, Files) {
    let files = Files::with(change);
    let mut command = command(&["--listen", "127.0.0.1:0"]);
    (Program::spawn(command.args(files.options()), 1), files)
}

#[test]
#[ignore = "needs openssl and curl; scripts/test runs it"]
fn curl_and_openssl_connect() {
    let (program, files) = serving(|_| {});
    let port = program.address().port();
    for (option, version) in [("--tlsv1.3", "TLS 1.3"), ("--tls-max=1.2", "TLS 1.2")] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error"]).args(option.split('='));
        curl.arg("--cacert").arg(files.authority());
        let output = curl.arg(format!("https://localhost:{port}/info")).output().unwrap();
        let info: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(info["tls"]["version"], version);
    }
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-quiet", "-verify_return_error", "-connect"]);
    openssl.arg(format!("localhost:{port}")).arg("-CAfile").arg(files.authority());
    openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut openssl = openssl.spawn().unwrap();
    let mut request = handshake("/echo?abort=fin&after=1").into_bytes();
    request.extend(frame(FIN_TEXT, b"hello"));
    openssl.stdin.as_mut().unwrap().write_all(&request).unwrap();
    let output = openssl.wait_with_output().unwrap(); // ends at close_notify
    assert!(output.stdout.starts_with(b"HTTP/1.1 101 "));
    assert!(output.stdout.windows(7).any(|bytes| bytes == b"\x81\x05hello"));
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_page_echoes_over_wss() {
    let (program, _files) = serving(|_| {});
    let mut browser = Browser::launch();
    browser.call("Security.setIgnoreCertificateErrors", &serde_json::json!({"ignore": true}));
    browser.open(&format!("https://localhost:{}/?send=hello", program.address().port()));
    browser.wait("document.documentElement.dataset.state === 'OPEN'");
    browser.wait_for_text("Press Send to send it.");
    browser.click("button", "Send");
    browser.wait_for_text("You sent: hello at ");
    let requests = browser.requests();
    let expected = format!("wss://localhost:{}/", program.address().port());
    assert!(requests.iter().any(|url| url.starts_with(&expected)), "{requests:?}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

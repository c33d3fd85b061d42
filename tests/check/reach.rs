//! How `wsecho check` gets to a server: addresses as people type them, Unix sockets, proxies.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::{ALL_WELL, LONG, Peer, accept, check, request, send, serve_but, steps, text};
use crate::support::client::Raw;
use crate::support::program::{Program, command};
use crate::support::server::TestServer;

#[test]
fn addresses_are_taken_as_what_they_mean_and_that_is_said() {
    let server = TestServer::start();
    let port = server.address.port();
    for (typed, meant) in [
        (format!("localhost:{port}/echo"), format!("ws://localhost:{port}/echo")),
        (format!(":{port}/echo"), format!("ws://localhost:{port}/echo")),
        (format!("{port}"), format!("ws://localhost:{port}")),
        (format!("http://127.0.0.1:{port}/ws"), format!("ws://127.0.0.1:{port}/ws")),
    ] {
        let (code, report) = check(&typed, &LONG);
        assert_eq!((code, steps(&report).as_str()), (0, ALL_WELL), "{report}");
        let note = format!("note:    the address is taken as {meant}\n");
        assert!(report.starts_with(&note), "{report}");
    }
    let (_, report) = check(&format!("ws://127.0.0.1:{port}/ws"), &LONG);
    assert!(report.starts_with("ok "), "{report}");
}

#[test]
fn every_address_is_tried_and_reported() {
    let server = TestServer::at((Ipv4Addr::LOCALHOST, 0).into());
    let (code, report) = check(&format!("localhost:{}/echo", server.address.port()), &LONG);
    assert_eq!(code, 0, "{report}");
    let expected = format!(" {} (127.0.0.1 open, ::1 refused)\n", server.address);
    assert!(report.contains(&expected), "{report}");
}

#[test]
fn a_unix_socket_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listen = format!("unix:{}", socket.display());
    let program = Program::spawn(&mut command(&["--listen", &listen]), 1);
    let well = "ok connect, ok upgrade, ok echo, ok deflate, ok ping, ok close";
    for url in [listen.clone(), format!("{listen}:/echo")] {
        let (code, report) = check(&url, &LONG);
        assert_eq!((code, steps(&report).as_str()), (0, well), "{report}");
    }
    drop(program);
    let (code, report) = check(&listen, &LONG);
    assert_eq!((code, steps(&report).as_str()), (4, "FAILED connect"), "{report}");
    assert!(report.contains("is left over: no process listens on it.\nfix:     Start"), "{report}");
    let (_, report) = check(&format!("{listen}2"), &LONG);
    assert!(report.contains("does not exist.\nfix:     Correct the path"), "{report}");
}

#[test]
fn a_user_in_the_url_is_sent_and_not_shown() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let peer = Peer::new(move |raw| {
        sender.send(accept(raw)).unwrap();
        serve_but(raw, 0);
    });
    let (code, report) = check(&format!("ws://ann:secret@{}/", peer.address), &LONG);
    assert!(code == 0 && !report.contains("secret"), "{report}");
    let head = receiver.recv().unwrap();
    assert!(head.contains("\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nHost: {}\r\n", peer.address)), "{head}");
}

/// A proxy that answers one CONNECT with `response`, and if that is a 200, forwards to the address in
/// the request. Returns its address.
fn proxy(response: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut raw = Raw::on(listener.accept().unwrap().0);
        let head = request(&mut raw);
        let target = head.strip_prefix("CONNECT ").expect(&head).split(' ').next().unwrap();
        if response.contains("407") {
            assert!(head.contains("Proxy-Authorization: Basic YTpi\r\n"), "{head}");
        }
        send(&mut raw, format!("HTTP/1.1 {response}\r\n\r\n"));
        if response.starts_with("200") {
            forward(raw.0.get_ref(), TcpStream::connect(target).unwrap());
        }
    });
    address
}

/// Copies in both directions until one side ends.
fn forward(client: &TcpStream, server: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                if to.write_all(&piece[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both);
        })
    };
    copy(client.try_clone().unwrap(), server.try_clone().unwrap());
    copy(server, client.try_clone().unwrap()).join().unwrap();
}

#[test]
fn a_check_goes_through_a_proxy() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    let through = |response, user| {
        let proxy = format!("http://{user}{}", proxy(response));
        check(&url, &["--proxy", &proxy, LONG[0], LONG[1]])
    };
    let (code, report) = through("200 Connection established\r\nServer: p", "");
    let well =
        "ok resolve, ok connect, ok proxy, ok upgrade, ok echo, ok deflate, ok ping, ok close";
    assert_eq!((code, steps(&report).as_str()), (0, well), "{report}");
    assert!(report.contains("200 Connection established from p\n"), "{report}");
    for (response, user, expected) in [
        (
            "407 Proxy Authentication Required",
            "a:b@",
            "problem: The proxy wants other credentials (407 ",
        ),
        ("403 Forbidden", "", "problem: The proxy does not open a tunnel to 127.0.0.1:"),
        ("503 No", "", "problem: The proxy does not reach 127.0.0.1:"),
    ] {
        let (code, report) = through(response, user);
        let failed = "ok resolve, ok connect, FAILED proxy";
        assert_eq!((code, steps(&report).as_str()), (4, failed), "{report}");
        assert!(report.starts_with(expected), "{report}");
    }
}

#[test]
fn a_proxy_of_the_environment_is_for_wss_to_other_machines() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    let output = command(&["check", &url, LONG[0], LONG[1]])
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(steps(&text(&output.stdout)), ALL_WELL);
}

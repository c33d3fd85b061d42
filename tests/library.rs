//! The server as a library, in the tests of other programs.

use std::time::Duration;

use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use wsecho::{Config, EndedSession, Running, Server};

use crate::support::client::{Client, TIMEOUT};
use crate::support::port::own_address;
use crate::support::server::CLOSE_TIMEOUT;

fn next(server: &Running) -> EndedSession {
    server.ended_session(TIMEOUT).expect("no session has ended")
}

#[test]
fn a_spawned_server_tells_what_its_sessions_did() {
    let server = wsecho::spawn().unwrap();
    assert_eq!(server.url("/echo"), format!("ws://{}/echo", server.addr()));
    let mut client = Client::open(server.addr(), "/echo?push=10ms&count=2");
    assert_eq!(server.ended_session(Duration::ZERO), None);
    let code = CloseCode::Library(4321);
    client.0.send("hello".into()).unwrap();
    for _ in 0..3 {
        client.0.read().unwrap();
    }
    client.0.close(Some(CloseFrame { code, reason: "enough".into() })).unwrap();
    client.assert_closed();
    let session = next(&server);
    assert_eq!((session.by, session.how, session.code), ("client", "close", Some(4321)));
    assert_eq!((session.path.as_str(), session.reason.as_str()), ("/echo", "enough"));
    assert_eq!((session.messages_received, session.bytes_received), (1, 5));
    assert_eq!(session.messages_sent, 3);

    drop(Client::open(server.addr(), "/ws"));
    let session = next(&server);
    assert_eq!((session.by, session.how, session.code), ("client", "fin", None));
    assert_eq!(session.path, "/ws");
    server.stop().unwrap();
}

#[test]
fn a_dropped_server_closes_its_sessions_and_frees_its_port() {
    let address = own_address();
    let config = Config::default().with(|config| {
        config.listen = vec![address.into()];
        config.timeouts.close = CLOSE_TIMEOUT;
    });
    let server = Server::bind(config).and_then(Server::spawn).unwrap();
    let mut client = Client::open(address, "/echo");
    drop(server);
    assert_eq!(client.close_code(), 1001);
    std::net::TcpListener::bind(address).unwrap();
}

#[test]
fn an_error_names_no_option_of_the_program() {
    let server = wsecho::spawn().unwrap();
    let config = Config::default().with(|config| config.listen = vec![server.addr().into()]);
    let error = Server::bind(config).unwrap_err().to_string();
    let expected =
        format!("cannot listen on {}: Address already in use (os error 98)", server.addr());
    assert_eq!(error, expected);
}

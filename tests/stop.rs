//! Graceful shutdown: every session is closed with 1001, and every received message is answered.

use std::sync::Barrier;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tungstenite::Message;

use super::WIRE;
use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::server::TestServer;

#[test]
fn open_sessions_are_closed_with_1001_and_a_complete_handshake() {
    let server = TestServer::over(WIRE, |_| {});
    let mut clients: Vec<_> = (0..20).map(|_| server.open("/echo")).collect();
    server.stop();
    for client in &mut clients {
        assert_eq!(client.close_code(), 1001);
        client.assert_closed();
    }
    server.join();
}

#[test]
fn idle_http_connections_do_not_delay_shutdown() {
    let server = TestServer::over(WIRE, |config| {
        config.timeouts.keep_alive = Duration::from_secs(3600);
        config.timeouts.handshake = Duration::from_secs(3600);
        config.timeouts.grace = Duration::from_secs(3600);
    });
    let mut kept = server.raw();
    assert_eq!(kept.get("/healthz").status, 200);
    let mut silent = server.raw();
    let _session =
        server.open("/echo").ask("both connections above have been accepted before this one");
    server.stop();
    server.join();
    kept.assert_ended();
    silent.assert_ended();
}

#[test]
fn health_and_upgrades_get_503_during_shutdown() {
    let server = TestServer::over(WIRE, |_| {});
    let mut last = server.open("/echo");
    server.stop();
    assert_eq!(last.close_code(), 1001); // the server waits for the answering Close
    let health = server.raw().get("/healthz");
    assert_eq!((health.status, health.get("Connection")), (503, Some("close")));
    let ready = server.raw().get("/readyz");
    assert_eq!((ready.status, ready.get("Retry-After")), (503, Some("5")));
    assert!(ready.body.starts_with("Unavailable: the server is shutting down"), "{}", ready.body);
    let upgrade = server.raw().send(crate::support::client::handshake("/echo")).response();
    assert_eq!(upgrade.status, 503);
    assert!(upgrade.get("Retry-After").is_some());
    last.assert_closed();
    server.join();
}

#[test]
fn a_peer_that_does_not_answer_is_dropped_after_the_grace_period() {
    let server = TestServer::over(WIRE, |config| {
        config.timeouts.grace = Duration::from_millis(50);
        config.timeouts.close = Duration::from_secs(3600);
    });
    let mut raw = server.raw();
    raw.upgrade("/echo");
    server.stop();
    server.join();
    assert_eq!(raw.close_code(), 1001);
    raw.assert_ended();
}

#[test]
fn received_messages_are_answered_before_the_close() {
    let server = TestServer::over(WIRE, |_| {});
    let mut clients: Vec<_> = (0..20).map(|_| server.open("/echo")).collect();
    for client in &mut clients {
        for number in 0..50 {
            client.0.write(Message::text(number.to_string())).unwrap();
        }
        client.0.flush().unwrap();
        // The first reply shows that the server has received the packet with all fifty.
        assert_eq!(client.0.read().unwrap(), Message::text("0"));
    }
    server.stop();
    for client in &mut clients {
        for number in 1..50 {
            assert_eq!(client.0.read().unwrap(), Message::text(number.to_string()));
        }
        assert_eq!(client.close_code(), 1001);
        client.assert_closed();
    }
    server.join();
}

/// Waits for all other clients, and sends messages, each after the reply to the one before, until the
/// server closes. Returns the number of replies.
fn ask_until_closed(mut client: Client, start: &Barrier) -> u64 {
    start.wait();
    for number in 0.. {
        let message = Message::text(number.to_string());
        match client.ask(message.clone()) {
            Message::Close(Some(frame)) => {
                assert_eq!(u16::from(frame.code), 1001);
                client.assert_closed(); // panics on a reset, and on a truncated frame
                return number;
            }
            reply => assert_eq!(reply, message),
        }
    }
    unreachable!("the server closes first")
}

#[test]
fn five_hundred_busy_sessions_close_without_losing_a_message() {
    const SESSIONS: usize = 500;
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let program = Program::over(WIRE, &["--log-format", "json"]);
    let clients: Vec<_> = (0..SESSIONS).map(|_| program.open("/echo")).collect();
    // Without it, the first clients would leave no CPU time to start the others.
    let start = &Barrier::new(SESSIONS + 1);
    let mut replies: Vec<u64> = std::thread::scope(|scope| {
        let ask = |client| scope.spawn(|| ask_until_closed(client, start));
        let busy: Vec<_> = clients.into_iter().map(ask).collect();
        start.wait();
        program.signal(Signal::SIGTERM);
        busy.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let (status, log) = program.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("every connection has ended"), "{log}");

    // By the server's counts every received message was answered, and every answer has arrived.
    let mut sent = Vec::new();
    for line in log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if line["code"] == 1001 {
            assert_eq!(line["messages_in"], line["messages_out"], "{line}");
            sent.push(line["messages_out"].as_u64().unwrap());
        }
    }
    replies.sort_unstable();
    sent.sort_unstable();
    assert_eq!(sent.len(), SESSIONS);
    assert_eq!(sent, replies);
}

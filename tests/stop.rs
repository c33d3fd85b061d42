//! The stop: everybody is told, nothing received is lost.

use std::time::Duration;

use tungstenite::Message;

use crate::support::server::TestServer;

#[test]
fn open_sessions_are_told_with_1001_and_the_handshake_is_completed() {
    let mut server = TestServer::start();
    let mut clients: Vec<_> = (0..20).map(|_| server.open("/echo")).collect();
    server.stopper.stop();
    for client in &mut clients {
        assert_eq!(client.close_code(), 1001);
        client.assert_closed();
    }
    server.join();
}

#[test]
fn idle_http_connections_do_not_hold_up_the_stop() {
    let mut server = TestServer::with(|config| {
        config.timeouts.keep_alive = Duration::from_secs(3600);
        config.timeouts.handshake = Duration::from_secs(3600);
        config.timeouts.grace = Duration::from_secs(3600);
    });
    let mut kept = server.raw();
    assert_eq!(kept.get("/healthz").status, 200);
    let mut silent = server.raw();
    let _session =
        server.open("/echo").ask("both connections above have been accepted before this one");
    server.stopper.stop();
    server.join();
    kept.assert_ended();
    silent.assert_ended();
}

#[test]
fn while_it_stops_health_and_upgrades_are_refused_with_503() {
    let mut server = TestServer::start();
    let mut last = server.open("/echo");
    server.stopper.stop();
    assert_eq!(last.close_code(), 1001); // not answered yet: the server waits
    let health = server.raw().get("/healthz");
    assert_eq!((health.status, health.get("Connection")), (503, Some("close")));
    let upgrade = server.raw().send(crate::support::client::handshake("/echo")).response();
    assert_eq!(upgrade.status, 503);
    assert!(upgrade.get("Retry-After").is_some());
    last.assert_closed();
    server.join();
}

#[test]
fn a_peer_that_does_not_answer_is_dropped_after_the_grace_period() {
    let mut server = TestServer::with(|config| {
        config.timeouts.grace = Duration::from_millis(50);
        config.timeouts.close = Duration::from_secs(3600);
    });
    let mut raw = server.raw();
    raw.upgrade("/echo");
    server.stopper.stop();
    server.join();
    assert_eq!(raw.close_code(), 1001);
    raw.assert_ended();
}

#[test]
fn what_was_received_whole_is_answered_before_the_goodbye() {
    let mut server = TestServer::start();
    let mut clients: Vec<_> = (0..20).map(|_| server.open("/echo")).collect();
    for client in &mut clients {
        for number in 0..50 {
            client.0.write(Message::text(number.to_string())).unwrap();
        }
        client.0.flush().unwrap();
        // The first reply shows that the packet with all fifty is with the server.
        assert_eq!(client.0.read().unwrap(), Message::text("0"));
    }
    server.stopper.stop();
    for client in &mut clients {
        for number in 1..50 {
            assert_eq!(client.0.read().unwrap(), Message::text(number.to_string()));
        }
        assert_eq!(client.close_code(), 1001);
        client.assert_closed();
    }
    server.join();
}

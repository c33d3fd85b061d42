//! Every limit and timeout, as a client observes it.

use std::io::Read;
use std::time::{Duration, Instant};

use tungstenite::Message;
use wsecho::{Config, Limits, Timeouts};

use super::WIRE;
use crate::support::client::{
    FIN_BINARY, FIN_PING, FIN_TEXT, TIMEOUT, frame, handshake, wait_until,
};
use crate::support::server::{CLOSE_TIMEOUT, TestServer};
use crate::support::stream::Wire;

const SHORT: Duration = Duration::from_millis(150);

fn limited(change: impl FnOnce(&mut Limits)) -> TestServer {
    TestServer::over(WIRE, |config: &mut Config| change(&mut config.limits))
}

fn timed(change: impl FnOnce(&mut Timeouts)) -> TestServer {
    TestServer::over(WIRE, |config: &mut Config| change(&mut config.timeouts))
}

/// Asserts that a new connection is refused before it sends a request: by a 503, or over TLS by an
/// alert, as a TLS handshake would need a thread, and none is free.
fn assert_refused(server: &TestServer, option: &str) {
    let mut refused = match server.try_raw() {
        Ok(refused) => refused,
        Err(error) => return assert!(error.to_string().contains("InternalError"), "{error}"),
    };
    assert_eq!(WIRE, Wire::Plain, "a TLS handshake was made");
    let response = refused.response();
    assert_eq!((response.status, response.get("Retry-After")), (503, Some("5")));
    assert!(response.body.contains(option), "{}", response.body);
    assert_eq!(refused.rest(), b"");
}

#[test]
fn a_head_that_does_not_arrive_in_time_gets_408() {
    let server = timed(|timeouts| timeouts.handshake = SHORT);
    for start in ["G", "GET / HTTP/1.1\r\nHost: "] {
        let mut raw = server.raw();
        let response = raw.send(start).response();
        assert_eq!((response.status, response.get("Connection")), (408, Some("close")));
        raw.finish();
        assert_eq!(raw.rest(), b"");
    }
}

#[test]
fn a_connection_on_which_nothing_was_sent_is_closed_without_a_response() {
    let server = timed(|timeouts| timeouts.handshake = SHORT);
    assert_eq!(server.raw().rest(), b"");
}

#[test]
fn a_head_that_is_too_large_gets_431() {
    let server = TestServer::over(WIRE, |_| {});
    for fields in ["X: ".to_owned() + &"x".repeat(16 * 1024) + "\r\n", "X: y\r\n".repeat(101)] {
        let mut raw = server.raw();
        let response = raw.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).response();
        assert_eq!((response.status, response.get("Connection")), (431, Some("close")));
    }
}

#[test]
fn an_idle_keep_alive_connection_is_closed() {
    let server = timed(|timeouts| timeouts.keep_alive = SHORT);
    let mut raw = server.raw();
    assert_eq!(raw.get("/healthz").status, 200);
    assert_eq!(raw.rest(), b"");
}

#[test]
fn a_connection_ends_after_max_requests() {
    let server = limited(|limits| limits.max_requests = 2);
    let mut raw = server.raw();
    assert_eq!(raw.get("/healthz").get("Connection"), None);
    assert_eq!(raw.get("/healthz").get("Connection"), Some("close"));
    raw.finish();
    assert_eq!(raw.rest(), b"");
}

#[test]
fn pages_are_served_when_every_session_slot_is_taken() {
    let server = limited(|limits| limits.max_connections = 2);
    let mut sessions = [server.open("/echo"), server.open("/ws")];
    let response = server.raw().send(handshake("/echo")).response();
    assert_eq!((response.status, response.get("Retry-After")), (503, Some("5")));
    assert!(response.body.contains("--max-connections"), "{}", response.body);
    assert_eq!(server.raw().get("/").status, 200);
    assert_eq!(server.raw().get("/healthz").status, 200);
    let ready = server.raw().get("/readyz");
    assert_eq!((ready.status, ready.get("Retry-After")), (503, Some("5")));
    assert!(ready.body.starts_with("Unavailable: all session slots are in use"), "{}", ready.body);

    sessions[0].0.close(None).unwrap();
    sessions[0].assert_closed();
    // The server's thread releases the slot shortly after the client sees the end of the session.
    wait_until("the slot is released", || server.raw().get("/readyz").status != 503);
    assert_eq!(server.raw().send(handshake("/echo")).response_to_head().status, 101);
    assert_eq!(sessions[1].ask("x").to_text().unwrap().split(' ').next(), Some("You"));
}

#[test]
fn connections_beyond_the_reserve_are_refused() {
    let server = limited(|limits| (limits.max_connections, limits.reserve) = (2, 0));
    let mut sessions = [server.open("/echo"), server.open("/echo")];
    for _ in 0..50 {
        assert_refused(&server, "--max-connections");
    }
    assert_eq!(sessions[0].ask("x"), Message::text("x"));
}

#[test]
fn the_reserve_is_reachable_beside_silent_and_answered_connections() {
    let server = limited(|limits| (limits.max_connections, limits.reserve) = (1, 8));
    let mut session = server.open("/echo");
    let mut silent: Vec<_> = (0..16).filter_map(|_| server.try_raw().ok()).collect();
    for _ in 0..10 {
        // It is answered with a 503, and stays open.
        let mut refused = server.raw();
        assert_eq!(refused.send(handshake("/echo")).response_to_head().status, 503);
        silent.push(refused);
        // An answered connection makes room a moment after its client has read the answer.
        wait_until("a free slot", || server.raw().get("/healthz").status == 200);
    }
    assert_eq!(silent[0].rest(), b"", "the oldest made room");
    assert_eq!(session.ask("x"), Message::text("x"));
}

#[test]
fn connections_per_ip_are_limited() {
    let server = limited(|limits| limits.max_connections_per_ip = Some(2));
    let (mut first, _second) = (server.open("/echo"), server.open("/echo"));
    assert_refused(&server, "--max-connections-per-ip");
    assert_eq!(first.ask("x"), Message::text("x"));
}

/// Starts a server that trusts proxies on this machine, and permits each client `max` concurrent
/// requests and sessions.
fn behind_a_proxy(max: usize) -> TestServer {
    TestServer::over(WIRE, |config| {
        config.limits.max_connections_per_ip = Some(max);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

/// Adds the X-Forwarded-For field by which a proxy names `client`.
fn sent_for(client: &str, request: &str) -> String {
    request.replacen("\r\n", &format!("\r\nX-Forwarded-For: {client}\r\n"), 1)
}

#[test]
fn each_client_behind_a_trusted_proxy_is_limited() {
    let server = behind_a_proxy(1);
    let status = |client| {
        let mut raw = server.raw();
        (raw.send(sent_for(client, &handshake("/echo"))).response_to_head().status, raw)
    };
    let (first, second) = (status("203.0.113.1"), status("203.0.113.2"));
    assert_eq!((first.0, second.0), (101, 101));
    let mut refused = server.raw();
    let response = refused.send(sent_for("203.0.113.1", &handshake("/echo"))).response();
    assert_eq!((response.status, response.get("Retry-After")), (503, Some("5")));
    assert_eq!(response.get("Connection"), Some("close"));
    assert!(response.body.contains("--max-connections-per-ip"), "{}", response.body);
    drop(first);
    wait_until("the slot is released", || status("203.0.113.1").0 != 503);
    assert_eq!(status("203.0.113.2").0, 503);
}

#[test]
fn idle_proxy_connections_take_no_client_slot() {
    let server = behind_a_proxy(1);
    let mut kept = [server.raw(), server.raw(), server.raw()];
    for client in ["203.0.113.1", "203.0.113.2"].into_iter().cycle().take(100) {
        // Neither an idle connection of the proxy nor an answered request counts for a client.
        for raw in &mut kept {
            let request = sent_for(client, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(raw.send(request).response().status, 200);
        }
    }
}

#[test]
fn forwarded_fields_of_untrusted_peers_are_ignored() {
    let server = TestServer::over(WIRE, |config| {
        config.limits.max_connections_per_ip = Some(1);
        config.trusted_proxies = vec!["127.0.0.2".parse().unwrap()];
    });
    let mut first = server.raw();
    first.send(sent_for("203.0.113.1", &handshake("/echo")));
    assert_eq!(first.response_to_head().status, 101);
    assert_refused(&server, "--max-connections-per-ip");
}

#[test]
fn a_quiet_peer_is_pinged_and_a_dead_one_is_dropped() {
    let server = timed(|timeouts| (timeouts.ping_interval, timeouts.ping) = (Some(SHORT), SHORT));
    let mut raw = server.raw();
    raw.upgrade("/echo");
    assert_eq!(raw.frame(), (0x89, vec![]));
    assert_eq!(raw.rest(), b"", "a Close to a dead peer");
}

#[test]
fn any_frame_answers_a_ping() {
    let server = timed(|timeouts| {
        (timeouts.ping_interval, timeouts.ping) = (Some(SHORT), Duration::from_secs(3600));
    });
    let mut raw = server.raw();
    raw.upgrade("/echo");
    for answer in [frame(0x8a, b""), frame(FIN_TEXT, b"x"), frame(0x8a, b"unasked")] {
        // The server sends the next Ping only after the answer to this one.
        let mut next = raw.frame();
        while next.0 == FIN_TEXT {
            next = raw.frame();
        }
        assert_eq!(next, (0x89, vec![]));
        raw.send(answer);
    }
    assert_eq!(server.open("/echo").ask("x"), Message::text("x"));
}

#[test]
fn bytes_of_a_long_frame_are_a_sign_of_life_unless_they_trickle() {
    const PING: Duration = Duration::from_millis(400);
    const PAUSE: Duration = Duration::from_millis(20);
    let server = timed(|timeouts| {
        (timeouts.ping_interval, timeouts.ping, timeouts.close) =
            (Some(PAUSE), PING, CLOSE_TIMEOUT);
    });
    let message = frame(FIN_BINARY, &vec![7; 60_000]);
    let mut raw = server.raw();
    raw.upgrade("/echo");
    let mut parts = message.chunks(500);
    let start = Instant::now();
    while start.elapsed() < PING * 2 {
        raw.send(parts.next().unwrap());
        std::thread::sleep(PAUSE);
    }
    raw.send(parts.collect::<Vec<_>>().concat());
    assert_eq!(raw.frame(), (FIN_PING, vec![]), "a Ping is sent although bytes arrive");
    let reply = std::iter::repeat_with(|| raw.frame()).find(|(first, _)| *first != FIN_PING);
    assert_eq!(reply, Some((FIN_BINARY, vec![7; 60_000])));

    let mut slow = server.raw();
    slow.upgrade("/echo").send(&message[..10]);
    slow.0.get_ref().set_read_timeout(Some(PAUSE)).unwrap();
    let mut received = Vec::new();
    wait_until("the Close", || {
        let mut buffer = [0; 256];
        if let Ok(length) = slow.send([7]).0.get_mut().read(&mut buffer) {
            received.extend_from_slice(&buffer[..length]);
        }
        received.windows(2).any(|code| code == 1008_u16.to_be_bytes())
    });
}

#[test]
fn a_peer_that_does_not_read_is_dropped() {
    let server = timed(|timeouts| timeouts.write = SHORT);
    let mut raw = server.raw();
    raw.upgrade("/echo");
    let message = frame(FIN_BINARY, &vec![0; 60_000]);
    raw.send_until_closed(&message);
    assert_eq!(server.open("/echo").ask("x"), Message::text("x"));
}

#[test]
fn an_idle_session_is_closed_with_1001_despite_pongs() {
    let server = timed(|timeouts| {
        (timeouts.ping_interval, timeouts.idle) = (Some(SHORT / 4), Some(SHORT * 2));
    });
    let mut client = server.open("/echo"); // answers pings
    assert_eq!(client.close(), (1001, "no data message within the idle timeout".to_owned()));
    client.assert_closed();
}

#[test]
fn a_session_beyond_max_duration_is_closed_with_1001() {
    let server = timed(|timeouts| timeouts.max_duration = Some(SHORT));
    let mut client = server.open("/echo");
    assert_eq!(client.close_code(), 1001);
    client.assert_closed();

    let mut busy = server.open("/echo");
    let deadline = Instant::now() + TIMEOUT;
    while busy.ask("x").is_text() {
        assert!(Instant::now() < deadline, "no Close");
    }
    busy.assert_closed();
}

#[test]
fn max_duration_ends_a_session_in_a_write_a_delay_or_without_reading() {
    let server =
        timed(|timeouts| (timeouts.max_duration, timeouts.close) = (Some(SHORT), CLOSE_TIMEOUT));
    let mut slow = server.raw();
    slow.upgrade("/echo?size=1MiB").send(frame(FIN_TEXT, b"x").repeat(100));
    let ended = server.ended_session();
    assert_eq!((ended.how, ended.reason.contains("longest duration")), ("drop", true), "{ended:?}");
    for path in ["/echo?delay=1min", "/echo?read=off"] {
        let mut raw = server.raw();
        raw.upgrade(path).send(frame(FIN_TEXT, b"x"));
        assert_eq!(raw.close_code(), 1001, "{path}");
    }
}

#[test]
fn a_peer_that_does_not_answer_a_close_is_dropped() {
    let server = timed(|timeouts| (timeouts.max_duration, timeouts.close) = (Some(SHORT), SHORT));
    let mut raw = server.raw();
    raw.upgrade("/echo");
    assert_eq!(raw.close_code(), 1001);
    assert_eq!(raw.rest(), b"");
}

#[test]
fn a_page_of_another_origin_gets_403_unless_it_is_allowed() {
    let status = |server: &TestServer, origin: &str| {
        let from = format!("\r\nOrigin: {origin}\r\n\r\n");
        let mut raw = server.raw();
        let response = raw.send(handshake("/echo").replace("\r\n\r\n", &from)).response_to_head();
        (response.status, raw)
    };
    let server = TestServer::over(WIRE, |_| {});
    let (refused, mut raw) = status(&server, "https://evil.example");
    assert_eq!(refused, 403);
    let body = String::from_utf8(raw.rest()).unwrap();
    assert!(body.contains("https://evil.example") && body.contains("--allow-origin"), "{body}");
    assert_eq!(status(&server, "https://h").0, 101);
    assert_eq!(status(&server, "http://localhost:3000").0, 101);
    let server = TestServer::over(WIRE, |config| {
        config.allow_origin = vec!["https://evil.example".parse().unwrap()];
    });
    assert_eq!(status(&server, "https://evil.example").0, 101);
}

#[test]
fn a_page_whose_name_leads_to_this_machine_gets_421_unless_the_name_is_allowed() {
    let server = TestServer::over(WIRE, |_| {});
    let allowing = TestServer::over(WIRE, |config| {
        config.allow_host = vec!["rebound.example".parse().unwrap()];
    });
    for path in ["/", "/info", "/help", "/healthz", "/nothing", "/chat"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: rebound.example:8080\r\n\r\n");
        let refused = server.raw().send(&request).response();
        assert_eq!(refused.status, 421, "{path}");
        assert!(refused.body.contains("--allow-host rebound.example\n"), "{}", refused.body);
        assert_ne!(allowing.raw().send(&request).response().status, 421, "{path}");
    }
    let own = "Host: rebound.example:8080\r\nOrigin: http://rebound.example:8080";
    let page = handshake("/chat").replace("Host: h", own);
    assert_eq!(server.raw().send(&page).response().status, 421);
    assert_eq!(allowing.raw().send(&page).response_to_head().status, 101);
    // A proxy that is not trusted cannot admit it, nor can a script that pretends to be one.
    let forwarded = page.replace("Host:", "X-Forwarded-For: 192.0.2.7\r\nHost:");
    assert_eq!(server.raw().send(&forwarded).response().status, 421);
    let trusting = TestServer::over(WIRE, |config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    assert_eq!(trusting.raw().send(&forwarded).response_to_head().status, 101);
    assert_eq!(trusting.raw().send(&page).response().status, 421);
}

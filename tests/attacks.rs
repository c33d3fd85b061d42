//! Malicious clients. After each attack the server answers a new client, and has released the
//! threads, descriptors and memory that the attack took.

use std::fs::Permissions;
use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::SockRef;
use tungstenite::Message;

use super::WIRE;
use crate::support::client::{
    FIN_BINARY, FIN_PING, FIN_TEXT, Raw, TIMEOUT, frame, handshake, wait_until,
};
use crate::support::program::{POOL_IDLE, Program, Vitals, command, new_user, timed, tool};
use crate::support::stream::Wire;

/// Permitted growth of resident memory: malloc keeps some memory for its threads.
const GROWTH_MAX_KIB: usize = 8 * 1024;

/// Runs `attack` against a new server, and asserts that its resources are released afterwards.
fn survives(arguments: &[&str], attack: impl FnOnce(&Program)) -> Program {
    let program = Program::over(WIRE, arguments);
    let before = program.rested();
    attack(&program);
    program.wait_for_rest(before);
    let after = program.rested();
    assert!(
        after.resident_kib < before.resident_kib + GROWTH_MAX_KIB,
        "{before:?} before, {after:?} after"
    );
    program
}

fn log_after(program: Program) -> String {
    program.signal(Signal::SIGTERM);
    program.wait().1
}

#[test]
fn slow_head_gets_408() {
    survives(&["--handshake-timeout", "300ms"], |server| {
        let mut raw = server.raw();
        raw.send("GET / HTTP/1.1\r\n");
        let stream = raw.0.get_mut();
        // One byte every 5 ms, so that each read succeeds, but the head is never complete.
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        wait_until("an answer", || {
            stream.write_all(b"x").is_err() || stream.peek(&mut [0]).is_ok()
        });
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_eq!(raw.response().status, 408);
    });
}

#[test]
fn peer_that_never_reads_is_dropped_at_the_write_timeout() {
    let program = survives(&["--write-timeout", "300ms"], |server| {
        let mut raw = server.raw();
        raw.upgrade("/echo");
        let message = frame(FIN_BINARY, &vec![0; 60_000]);
        raw.send_until_closed(&message);
    });
    let log = log_after(program);
    assert!(
        log.contains("/echo: dropped by the server: the client did not read (--write-timeout)"),
        "{log}"
    );
}

#[test]
fn peer_that_never_answers_a_ping_is_dropped() {
    let program = survives(&["--ping-interval", "100ms", "--ping-timeout", "100ms"], |server| {
        let mut raw = server.raw();
        raw.upgrade("/echo");
        raw.assert_ended(); // never answers a Ping
    });
    let log = log_after(program);
    assert!(
        log.contains(
            "/echo: dropped by the server: nothing was received after a Ping (--ping-timeout)"
        ),
        "{log}"
    );
}

/// Starts a client process that sends "hello": websocat; or openssl over TLS, as websocat may be
/// built without it.
fn hello_process(program: &Program) -> Child {
    let (mut client, hello) = match WIRE {
        Wire::Plain => {
            let mut websocat = Command::new(tool("websocat"));
            websocat.arg(format!("ws://{}/echo", program.address()));
            (websocat, b"hello\n".to_vec())
        }
        #[cfg(feature = "tls")]
        Wire::Tls => {
            let mut openssl = Command::new("openssl");
            openssl.args(["s_client", "-quiet", "-connect", &program.address().to_string()]);
            openssl.stderr(Stdio::null());
            (openssl, [handshake("/echo").as_bytes(), &frame(FIN_TEXT, b"hello\n")].concat())
        }
    };
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.as_mut().unwrap().write_all(&hello).unwrap();
    client
}

#[test]
#[ignore = "needs websocat; scripts/test runs it"]
fn suspended_client_is_dropped_after_the_ping_timeout() {
    let program = Program::over(WIRE, &["--ping-interval", "100ms", "--ping-timeout", "100ms"]);
    let before = Vitals { threads: usize::MAX, ..program.rested() };
    let mut client = hello_process(&program);
    let mut line = Vec::new();
    let mut received = timed(client.stdout.as_mut().unwrap());
    while !line.ends_with(b"hello\n") {
        assert_ne!(received.read_until(b'\n', &mut line).unwrap(), 0, "the client has ended");
    }
    kill(Pid::from_raw(i32::try_from(client.id()).unwrap()), Signal::SIGSTOP).unwrap();
    program.wait_for_rest(before);
    client.kill().unwrap();
    client.wait().unwrap();
    let log = log_after(program);
    assert!(
        log.contains(
            "/echo: dropped by the server: nothing was received after a Ping (--ping-timeout)"
        ),
        "{log}"
    );
}

/// Returns the program with this limit on threads. The limit does not apply to root, so the program runs as
/// `user`, and from a copy in `folder` that this user can read.
fn with_threads(folder: &Path, user: u32, threads: usize) -> Command {
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join("wsecho");
    if !copy.exists() {
        std::fs::copy(command(&[]).get_program(), &copy).unwrap();
    }
    let mut limited = Command::new("setpriv");
    limited.arg("--reuid").arg(user.to_string()).args(["--clear-groups", "prlimit"]);
    limited.arg(format!("--nproc={threads}")).arg(copy).args(["--listen", "127.0.0.1:0"]);
    limited.env("WSECHO_POOL_IDLE", POOL_IDLE);
    limited
}

#[test]
#[ignore = "needs root, to run as a user with a low thread limit; scripts/test runs it"]
fn without_a_thread_for_a_connection_the_start_fails() {
    let folder = tempfile::tempdir().unwrap();
    let user = new_user();
    let fails = |threads: &usize| {
        let mut limited = with_threads(folder.path(), user, *threads);
        let mut child = limited.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        timed(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if let Some(url) = line.trim().strip_prefix("listening on http://") {
            let address = url.trim_end_matches('/').parse().unwrap();
            assert_eq!(Raw::connect(address).get("/healthz").status, 200, "{threads} threads");
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(line.is_empty(), output.status.code() == Some(1), "{threads}: {line}{stderr}");
        assert_eq!(line.is_empty(), stderr.contains("TasksMax="), "{threads}: {line}{stderr}");
        line.is_empty()
    };
    // At least two threads: main, and that of the first connection.
    let failures = (1..64).take_while(fails).count();
    assert!((1..63).contains(&failures), "{failures}");
}

#[test]
#[ignore = "needs root, to run as a user with a low thread limit; scripts/test runs it"]
fn upgrade_gets_503_when_no_thread_can_be_spawned() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::spawn(&mut with_threads(folder.path(), new_user(), 10), 1);
    let before = program.rested();
    let mut first = program.open("/echo");
    let mut sessions = Vec::new();
    let refusal = loop {
        let mut raw = program.raw();
        let response = raw.send(handshake("/echo")).response();
        if response.status != 101 {
            break response;
        }
        sessions.push(raw);
    };
    assert_eq!((refusal.status, refusal.get("Retry-After")), (503, Some("5")));
    assert_eq!(first.ask("still there"), Message::text("still there"));
    drop((first, sessions));
    program.wait_for_rest(before);
    program.rested();
}

#[test]
fn connect_flood_beyond_the_descriptor_limit_is_survived() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256; exec \"$0\" --listen 127.0.0.1:0 --handshake-timeout 1s"]);
    limited.arg(command(&[]).get_program()).env("WSECHO_POOL_IDLE", POOL_IDLE);
    let program = Program::spawn(&mut limited, 1);
    let before = program.rested();
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let (mut flood, mut unanswered) = (Vec::new(), 0);
    // With a full backlog the connection attempt times out.
    while flood.len() < 5000 && unanswered < 20 {
        match TcpStream::connect_timeout(&program.address(), Duration::from_millis(20)) {
            Ok(stream) => flood.push(stream),
            Err(_) => unanswered += 1,
        }
    }
    assert!(flood.len() > 1000, "{} connections are no flood", flood.len());
    drop(flood);
    program.rested();
    program.wait_for_rest(before);
    let log = log_after(program);
    assert!(log.contains("--max-connections needs 2209 descriptors and the limit is 256"), "{log}");
    assert!(log.contains("cannot accept connections, trying again"), "{log}");
    assert!(log.lines().count() < 50, "the log was flooded:\n{log}");
}

#[test]
fn resets_anywhere_in_ten_thousand_upgrades_leak_nothing() {
    survives(&["-q"], |server| {
        for number in 0..10_000 {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            let request = handshake("/echo");
            // Cut at each offset: within the head, after it, within a frame.
            let bytes = [request.as_bytes(), &frame(FIN_TEXT, b"hello")].concat();
            let _ = stream.write_all(&bytes[..number % bytes.len()]);
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
}

#[test]
fn endless_fragmented_message_is_closed_with_1009() {
    survives(&["--max-message-size", "64KiB"], |server| {
        let mut raw = server.raw();
        raw.upgrade("/echo").send(frame(0x01, b""));
        let fragments = frame(0x00, b"x").repeat(1000);
        raw.0.get_ref().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        wait_until("an answer", || {
            raw.0.get_mut().write_all(&fragments).is_err() || raw.0.get_ref().peek(&mut [0]).is_ok()
        });
        raw.0.get_ref().set_read_timeout(Some(TIMEOUT)).unwrap();
        assert_eq!(raw.close_code(), 1009);
    });
}

#[test]
fn ping_flood_between_fragments_is_answered() {
    survives(&[], |server| {
        let mut raw = server.raw();
        raw.upgrade("/echo").send(frame(0x01, b"hel"));
        let pings = frame(FIN_PING, &[b'p'; 125]).repeat(100);
        for _ in 0..200 {
            raw.send(&pings);
            // tungstenite may answer only the last of several pings, as RFC 6455 (5.5.3) allows.
            assert_eq!(raw.frame(), (0x8a, vec![b'p'; 125]));
        }
        raw.send(frame(0x80, b"lo"));
        let reply = std::iter::repeat_with(|| raw.frame()).find(|(first, _)| *first != 0x8a);
        assert_eq!(reply, Some((FIN_TEXT, b"hello".to_vec())));
    });
}

#[test]
fn ping_flood_from_a_peer_that_never_reads_ends() {
    survives(&["--write-timeout", "300ms"], |server| {
        let mut raw = server.raw();
        raw.upgrade("/echo");
        let pings = frame(FIN_PING, &[0; 125]).repeat(500);
        raw.send_until_closed(&pings);
    });
}

#[test]
fn announced_frame_length_allocates_no_memory() {
    let options = ["--max-message-size", "1GiB", "--message-memory", "8GiB"];
    let program = Program::over(WIRE, &options);
    let before = program.rested();
    let mut peers: Vec<_> = (0..8).map(|_| program.raw()).collect();
    for raw in &mut peers {
        let mut header = vec![FIN_BINARY, 0xff];
        header.extend((1u64 << 30).to_be_bytes());
        header.extend([0; 4]);
        raw.upgrade("/echo").send(header).send([7; 1000]);
    }
    let during = program.rested();
    assert!(
        during.resident_kib < before.resident_kib + GROWTH_MAX_KIB,
        "{before:?} before, {during:?} during"
    );
    drop(peers);
    program.wait_for_rest(before);
}

#[test]
fn frame_length_near_u64_max_is_rejected() {
    survives(&[], |server| {
        for length in [u64::MAX, 1 << 63, (1 << 63) - 1] {
            let mut raw = server.raw();
            let header = [&[FIN_BINARY, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
            raw.upgrade("/echo").send(header);
            assert!([1002, 1009].contains(&raw.close_code()));
        }
    });
}

#[test]
fn request_fields_cannot_inject_response_fields() {
    survives(&[], |server| {
        for field in [
            "Sec-WebSocket-Protocol: a\rX-Injected: b",
            "Sec-WebSocket-Protocol: a\0b",
            "Sec-WebSocket-Protocol: a\u{7f}, b\u{e9}",
            "Origin: http://h\rX-Injected: b",
        ] {
            let mut raw = server.raw();
            let request = handshake("/echo").replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
            let response = raw.send(request).response_to_head();
            assert!(!response.head.to_lowercase().contains("injected:"), "{}", response.head);
            assert!([101, 400].contains(&response.status), "{}", response.head);
        }
    });
}

#[test]
fn ambiguous_body_lengths_are_rejected() {
    survives(&[], |server| {
        let hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
        for (fields, body) in [
            ("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
            ("Content-Length: 0\r\nContent-Length: 35", ""),
            ("Content-Length: +35", ""),
            ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ] {
            let mut raw = server.raw();
            let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}{hidden}");
            let status = raw.send(request).response().status;
            assert!([400, 413].contains(&status), "{fields}: {status}");
            raw.finish();
            assert_eq!(raw.rest(), b"", "{fields}: the smuggled request was answered");
        }
    });
}

#[test]
fn hosts_and_targets_are_validated() {
    survives(&[], |server| {
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET http://elsewhere/healthz HTTP/1.1\r\nHost: h\r\n\r\n", 200),
            ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ] {
            assert_eq!(server.raw().send(request).response().status, status, "{request}");
        }
        let old = handshake("/echo").replace("HTTP/1.1", "HTTP/1.0");
        assert_eq!(server.raw().send(old).response().status, 400);
    });
}

#[test]
fn endless_pipelining_ends_at_the_request_limit() {
    survives(&[], |server| {
        let mut raw = server.raw();
        let mut writer = raw.0.get_ref().try_clone().unwrap();
        let flood = std::thread::spawn(move || {
            let request = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".repeat(100);
            while writer.write_all(request.as_bytes()).is_ok() {}
        });
        let mut answered = 1;
        while raw.response().get("Connection") != Some("close") {
            answered += 1;
            assert!(answered <= 1000, "not the last one"); // `Limits::max_requests`
        }
        assert_eq!(answered, 1000);
        flood.join().unwrap();
    });
}

#[test]
fn invalid_sec_websocket_keys_get_400() {
    survives(&[], |server| {
        for key in ["", "AA==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSBsb25nZXI="] {
            let request = handshake("/echo").replace("dGhlIHNhbXBsZSBub25jZQ==", key);
            assert_eq!(server.raw().send(request).response().status, 400, "{key}");
        }
        let long = handshake("/echo").replace("dGhl", &"A".repeat(9000));
        assert_eq!(server.raw().send(long).response().status, 400);
    });
}

#[test]
fn garbage_with_any_first_byte_ends_the_connection() {
    survives(&[], |server| {
        for byte in 0..=255 {
            let mut raw = server.raw();
            raw.send([byte, b'\n', b'\r', b'\n', b'\r', b'\n']);
            raw.finish();
            raw.assert_ended();
        }
    });
}

#[test]
fn idle_sessions_cause_no_wakeups() {
    let program = Program::over(WIRE, &["--ping-interval", "0s"]);
    let mut clients: Vec<_> = (0..100).map(|_| program.open("/echo")).collect();
    for client in &mut clients {
        assert_eq!(client.ask("x"), Message::text("x"));
    }
    // A reply is sent before its session blocks in the next read: wait until all sessions do.
    let mut before = program.sleeps();
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = program.sleeps();
        if now == before {
            break;
        }
        before = now;
    }
    std::thread::sleep(Duration::from_secs(2)); // the observed period
    assert_eq!(program.sleeps() - before, 0);
}

//! Signals: the stop, what was ignored at the start, and a process that was stopped for a while.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use tungstenite::Message;

use crate::support::client::{Client, FIN_PING, FIN_PONG, FIN_TEXT, Raw, frame, wait_until};
use crate::support::program::{Program, command};

/// Starts the binary after `preparation`, a line of shell script.
fn prepared(preparation: &str, options: &[&str]) -> Program {
    let script = format!("{preparation}; exec \"$0\" --listen 127.0.0.1:0 \"$@\"");
    let binary = command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(binary.get_program()).args(options);
    Program::spawn(&mut shell, 1)
}

#[test]
fn sigterm_and_sigint_shut_down_cleanly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let program = Program::start(&[]);
        let mut client = Client::open(program.address(), "/echo");
        assert_eq!(client.ask("hello"), Message::text("hello"));
        program.signal(signal);
        assert_eq!(client.close_code(), 1001);
        client.assert_closed();
        let (status, log) = program.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(
            log.contains(
                "/echo: closed by the server: 1001 Going Away \"the server is shutting down\"; \
                 in 1 (5 bytes), out 1 (5 bytes), "
            ),
            "{log}"
        );
    }
}

#[test]
fn a_second_signal_exits_at_once_whatever_holds() {
    let folder = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let mut service = command(&["-v", "--listen", "127.0.0.1:0", "--grace-period", "1h"]);
    service.args(["--close-timeout", "1h"]).env("NOTIFY_SOCKET", folder.path().join("notify"));
    let program = Program::spawn(&mut service, 1); // nobody reads its stderr until `wait`
    for _ in 0..8 {
        let mut client = Raw::connect(program.address());
        for _ in 0..400 {
            assert_eq!(client.get("/healthz").status, 200);
        }
    }
    // Nor does the service manager read.
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"x", folder.path().join("notify")).is_ok() {}
    let mut client = Raw::connect(program.address());
    client.upgrade("/echo");
    program.signal(Signal::SIGTERM);
    assert_eq!(client.close_code(), 1001);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().0.code(), Some(130));
    drop(manager);
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let program = prepared("trap '' HUP INT", &[]);
    let mut client = program.open("/echo");
    for signal in [Signal::SIGHUP, Signal::SIGINT] {
        program.signal(signal);
        assert_eq!(client.ask("still here"), Message::text("still here"));
    }
    program.signal(Signal::SIGTERM);
    assert_eq!(client.close_code(), 1001, "the first signal that is not ignored");
    client.assert_closed();
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn a_log_at_its_file_size_limit_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let program = prepared(&format!("ulimit -f 1; exec 2>>{}", log.display()), &[]);
    let size = || std::fs::metadata(&log).unwrap().len();
    let mut last = None;
    wait_until("the limit", || {
        let mut client = program.open("/echo");
        assert_eq!(client.ask("x"), Message::text("x"));
        client.0.close(None).unwrap();
        client.assert_closed();
        let before = last.replace(size());
        last > Some(256) && before == last
    });
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn what_arrived_while_the_process_was_stopped_is_in_time() {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let program = Program::start(&[
        "--ping-interval=20ms",
        "--ping-timeout=500ms",
        "--handshake-timeout=500ms",
        "--idle-timeout=500ms",
    ]);
    let (mut session, mut head) = (program.raw(), program.raw());
    head.send("GET /healthz HTTP/1.1\r\n");
    session.upgrade("/echo");
    assert_eq!(session.frame().0, FIN_PING);
    program.signal(Signal::SIGSTOP);
    wait_until("stopped", || program.state() == 'T');
    session.send(frame(FIN_PONG, b"")).send(frame(FIN_TEXT, b"x"));
    head.send("Host: h\r\n\r\n");
    sleep(TIMEOUT);
    program.signal(Signal::SIGCONT);
    assert_eq!(head.response().status, 200);
    assert_eq!(
        std::iter::repeat_with(|| session.frame()).find(|(first, _)| *first != FIN_PING),
        Some((FIN_TEXT, b"x".to_vec()))
    );
}

//! As a service: the real binary, and a service manager that is a datagram socket and some
//! descriptors.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use socket2::SockRef;
use tempfile::TempDir;
use tungstenite::Message;

use crate::support::client::{Client, FIN_CLOSE, FIN_TEXT, Raw, TIMEOUT, frame, handshake};
use crate::support::program::{Program, command, tool};

/// The service manager's end of the notifications.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Manager {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        Manager { socket, folder }
    }

    /// Starts `command` as a service.
    fn start(&self, command: &mut Command) -> Program {
        Program::spawn(command.env("NOTIFY_SOCKET", self.folder.path().join("notify")), 1)
    }

    /// The next notification.
    fn told(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// What has been told and not been read yet.
    fn told_so_far(&self) -> String {
        self.socket.set_nonblocking(true).unwrap();
        let mut told = String::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            told.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        self.socket.set_nonblocking(false).unwrap();
        told
    }

    /// Waits until the watchdog has been told `times` from now on.
    fn hears_of_life(&self, times: usize) {
        self.told_so_far();
        for _ in 0..times {
            assert_eq!(self.told(), "WATCHDOG=1\n");
        }
    }
}

/// The binary with a watchdog, which it is to tell every 50 ms.
fn watched(options: &[&str]) -> Command {
    let mut service = command(&["--listen", "127.0.0.1:0"]);
    service.args(options).env("WATCHDOG_USEC", "100000");
    service
}

/// The binary, to which a service manager passes `socket`: descriptor 3, said to be for `pid`.
fn activated(socket: impl Into<OwnedFd>, pid: &str, options: &[&str]) -> Command {
    let script = format!("LISTEN_FDS=1 LISTEN_PID={pid} exec \"$0\" \"$@\" 3<&0 </dev/null");
    let (service, mut shell) = (command(options), Command::new("sh"));
    shell.arg("-c").arg(script).arg(service.get_program()).args(service.get_args());
    for (name, _) in service.get_envs() {
        shell.env_remove(name);
    }
    shell.stdin(Stdio::from(socket.into()));
    shell
}

/// What `sh` calls its own process, which becomes the service.
const ITSELF: &str = "$$";

fn free_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A session that is asked for before anybody accepts it.
fn ask_early(address: SocketAddr) -> Raw {
    let mut early = Raw::connect(address);
    early.send(handshake("/echo")).send(frame(FIN_TEXT, b"early"));
    early
}

fn assert_answered(mut early: Raw) {
    assert_eq!(early.response_to_head().status, 101);
    assert_eq!(early.frame(), (FIN_TEXT, b"early".to_vec()));
    assert_eq!(early.send(frame(FIN_CLOSE, b"")).close_code(), 1005);
}

#[test]
fn it_says_when_it_is_ready_where_it_listens_and_when_it_stops() {
    let manager = Manager::new();
    let program = manager.start(&mut command(&["--listen", "127.0.0.1:0"]));
    let address = program.address();
    assert_eq!(manager.told(), format!("READY=1\nSTATUS=listening on http://{address}/\n"));
    let mut last = Client::open(address, "/echo");
    program.signal(Signal::SIGTERM);
    assert!(manager.told().starts_with("STOPPING=1\nSTATUS=stopping"));
    assert_eq!(last.close_code(), 1001);
    last.assert_closed();
    assert!(program.wait().0.success());
}

#[test]
fn a_manager_that_does_not_listen_is_no_reason_not_to_serve() {
    let mut service = command(&["--listen", "127.0.0.1:0"]);
    let mut program = Program::spawn(service.env("NOTIFY_SOCKET", "/nonexistent/notify"), 1);
    assert!(program.log_line("NOTIFY_SOCKET").contains("WARN"));
    assert_eq!(Client::open(program.address(), "/echo").ask("hello"), Message::text("hello"));
}

#[test]
fn the_watchdog_is_told_after_an_echo_that_only_v_logs() {
    for (options, echoes_are_logged) in [(&[][..], false), (&["-v"], true)] {
        let manager = Manager::new();
        let program = manager.start(&mut watched(options));
        assert!(manager.told().starts_with("READY=1\n"));
        manager.hears_of_life(3);
        Client::open(program.address(), "/ws").ask("of somebody else");
        program.signal(Signal::SIGTERM);
        let (status, log) = program.wait();
        assert!(status.success(), "{log}");
        let echoes = log.matches(" /echo: closed by the client").count();
        assert_eq!(echoes >= 3, echoes_are_logged, "{log}");
        assert_eq!(log.matches(" /ws: ").count(), if echoes_are_logged { 2 } else { 1 }, "{log}");
    }
}

#[test]
fn no_limit_keeps_the_watchdog_from_hearing_of_life() {
    /// Connections beside the sessions.
    const RESERVE: usize = 64;
    let manager = Manager::new();
    let options =
        ["--max-connections", "1", "--max-message-size", "1B", "--handshake-timeout", "1h"];
    let program = manager.start(&mut watched(&options));
    assert!(manager.told().starts_with("READY=1\n"));
    manager.hears_of_life(2);
    let session = loop {
        // The watchdog may have the only place.
        let mut raw = Raw::connect(program.address());
        if raw.send(handshake("/echo")).response_to_head().status == 101 {
            break raw;
        }
    };
    manager.hears_of_life(2);
    let _others: Vec<_> = (0..RESERVE).map(|_| Raw::connect(program.address())).collect();
    manager.hears_of_life(2);
    drop(session);
}

#[test]
fn the_watchdog_is_not_told_while_the_server_does_not_answer_itself() {
    let manager = Manager::new();
    let (listener, _) = free_listener();
    let mut service = activated(listener.try_clone().unwrap(), ITSELF, &[]);
    let mut program = manager.start(service.env("WATCHDOG_USEC", "100000"));
    assert!(manager.told().starts_with("READY=1\n"));
    manager.hears_of_life(2);
    SockRef::from(&listener).shutdown(std::net::Shutdown::Both).unwrap();
    program.log_line("the watchdog's echo failed: Connection refused");
    manager.told_so_far();
    program.log_line("the watchdog's echo failed: Connection refused");
    assert_eq!(manager.told_so_far(), "");
}

#[test]
fn who_came_before_the_start_is_served() {
    let (listener, address) = free_listener();
    for round in 0..2 {
        let early = ask_early(address);
        let mut service =
            activated(listener.try_clone().unwrap(), ITSELF, &["--listen", "[::1]:0"]);
        let program = Program::spawn(&mut service, 1);
        assert_eq!(program.address(), address, "round {round}");
        assert_answered(early);
        program.signal(Signal::SIGTERM);
        let (status, log) = program.wait();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn sockets_for_another_process_are_not_taken() {
    let (listener, address) = free_listener();
    let service = activated(listener, "1", &["--listen", "127.0.0.1:0"]);
    let program = Program::spawn(&mut { service }, 1);
    assert_ne!(program.address(), address);
}

#[test]
fn a_socket_that_its_maker_polled_is_waited_on() {
    let (listener, address) = free_listener();
    listener.set_nonblocking(true).unwrap();
    let program = Program::spawn(&mut activated(listener, ITSELF, &[]), 1);
    assert_eq!(Client::open(address, "/echo").ask("hello"), Message::text("hello"));
    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    assert!(!log.contains("cannot accept"), "{log}");
}

#[test]
fn what_is_passed_has_to_be_a_listener() {
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for (passed, expected) in [
        (OwnedFd::from(bound), "it does not listen"),
        (file.into(), "fd 3 is not a socket"),
        (datagrams.into(), "fd 3 is not a valid"),
    ] {
        let output = activated(passed, ITSELF, &[]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected) && stderr.contains("LISTEN_FDS"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_path_that_is_passed_is_served_and_left_to_its_owner() {
    let manager = Manager::new();
    let path = manager.folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    for _ in 0..2 {
        let mut early = Raw::connect_unix(&path);
        early.send(handshake("/echo")).send(frame(FIN_TEXT, b"early"));
        let mut service = activated(listener.try_clone().unwrap(), ITSELF, &[]);
        let program = manager.start(service.env("WATCHDOG_USEC", "100000"));
        let expected = format!("READY=1\nSTATUS=listening on unix:{}\n", path.display());
        assert_eq!(manager.told(), expected);
        assert_answered(early);
        manager.hears_of_life(2);
        program.signal(Signal::SIGTERM);
        let (status, log) = program.wait();
        assert!(status.success(), "{log}");
        manager.told_so_far();
    }
    assert!(path.exists());
}

const UNITS: [&str; 3] = ["wsecho.service", "wsecho.socket", "wsecho-kiosk.service"];

/// The sample units, in a folder of their own, for the binary under test.
fn units() -> TempDir {
    const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/systemd");
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let unit = std::fs::read_to_string(format!("{SAMPLES}/{name}")).unwrap();
        let unit = unit
            .replace("=/usr/local/bin/wsecho\n", concat!("=", env!("CARGO_BIN_EXE_wsecho"), "\n"))
            // A compositor is nothing that a test needs.
            .replace("=/usr/bin/cage --", "=/usr/bin/env");
        std::fs::write(folder.path().join(name), unit).unwrap();
    }
    folder
}

#[test]
#[ignore = "needs systemd-analyze; scripts/test runs it"]
fn the_sample_units_are_valid_and_hardened() {
    let units = units();
    let analyze = |arguments: &[&str]| {
        let mut analyze = Command::new(tool("systemd-analyze"));
        let output = analyze.args(arguments).current_dir(&units).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    };
    let names = UNITS.map(|name| format!("./{name}"));
    let verified = analyze(&["verify", "--man=no", &names[0], &names[1], &names[2]]);
    assert_eq!(verified, (true, String::new()));
    // The exposure in tenths, of a hundred that a service without any hardening has.
    let (is_low, rating) = analyze(&[
        "security",
        "--offline=true",
        "--threshold=15",
        "--no-pager",
        "./wsecho.service",
    ]);
    assert!(is_low, "{rating}");
}

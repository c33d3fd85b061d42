//! The real binary as a service: notifications, watchdog and socket activation, with a service
//! manager that consists of a datagram socket and passed descriptors.

use std::fs::File;
use std::io::{BufRead, Seek};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::SockRef;
use tempfile::TempDir;
use tungstenite::Message;

use crate::support::client::{Client, FIN_CLOSE, FIN_TEXT, Raw, TIMEOUT, frame, handshake};
use crate::support::program::{Program, command, timed, tool};

/// A service manager that receives notifications (`NOTIFY_SOCKET`).
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

    /// Waits for the next notification.
    fn notification(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Reads the pending notifications without waiting.
    fn drain(&self) -> String {
        self.socket.set_nonblocking(true).unwrap();
        let mut pending = String::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            pending.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        self.socket.set_nonblocking(false).unwrap();
        pending
    }

    /// Waits for `times` new notifications, all of which must be for the watchdog.
    fn expect_watchdog(&self, times: usize) {
        self.drain();
        for _ in 0..times {
            assert_eq!(self.notification(), "WATCHDOG=1\n");
        }
    }
}

/// The watchdog's time in microseconds; half of it is longer than an echo takes on a busy machine.
const WATCHDOG_USEC: &str = "400000";

/// Returns a command for the binary with a watchdog, to be notified every 200 ms.
fn watched(options: &[&str]) -> Command {
    let mut service = command(&["--listen", "127.0.0.1:0"]);
    service.args(options).env("WATCHDOG_USEC", WATCHDOG_USEC);
    service
}

/// Returns a command for the binary that passes `socket` as descriptor 3, with `pid` as
/// `LISTEN_PID`.
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

/// The PID of the shell, which becomes the service by `exec`.
const OWN_PID: &str = "$$";

fn free_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Sends a handshake and a message before any server accepts the connection.
fn connect_early(address: SocketAddr) -> Raw {
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
fn the_manager_is_notified_of_start_address_and_stop() {
    let manager = Manager::new();
    let program = manager.start(&mut command(&["--listen", "127.0.0.1:0"]));
    let address = program.address();
    assert_eq!(manager.notification(), format!("READY=1\nSTATUS=listening on http://{address}/\n"));
    let mut last = Client::open(address, "/echo");
    program.signal(Signal::SIGTERM);
    assert!(manager.notification().starts_with("STOPPING=1\nSTATUS=stopping"));
    assert_eq!(last.close_code(), 1001);
    last.assert_closed();
    assert!(program.wait().0.success());
}

#[test]
fn an_unreachable_notify_socket_is_only_a_warning() {
    let mut service = command(&["--listen", "127.0.0.1:0"]);
    let mut program = Program::spawn(service.env("NOTIFY_SOCKET", "/nonexistent/notify"), 1);
    assert!(program.log_line("NOTIFY_SOCKET").contains("WARN"));
    assert_eq!(Client::open(program.address(), "/echo").ask("hello"), Message::text("hello"));
}

#[test]
fn watchdog_echoes_are_logged_only_with_v() {
    for (options, is_logged) in [(&[][..], false), (&["-v"], true)] {
        let manager = Manager::new();
        let program = manager.start(&mut watched(options));
        assert!(manager.notification().starts_with("READY=1\n"));
        manager.expect_watchdog(3);
        Client::open(program.address(), "/ws").ask("another client");
        program.signal(Signal::SIGTERM);
        let (status, log) = program.wait();
        assert!(status.success(), "{log}");
        let echoes = log.matches(" /echo: closed by the client").count();
        assert_eq!(echoes >= 3, is_logged, "{log}");
        assert_eq!(log.matches(" /ws: ").count(), if is_logged { 2 } else { 1 }, "{log}");
    }
}

#[test]
fn the_watchdog_is_notified_with_every_slot_taken() {
    /// Connections beside the sessions.
    const RESERVE: usize = 64;
    let manager = Manager::new();
    let options =
        ["--max-connections", "1", "--max-message-size", "1B", "--handshake-timeout", "1h"];
    let program = manager.start(&mut watched(&options));
    assert!(manager.notification().starts_with("READY=1\n"));
    manager.expect_watchdog(2);
    let session = loop {
        // The watchdog's echo may occupy the only slot.
        let mut raw = Raw::connect(program.address());
        if raw.send(handshake("/echo")).response_to_head().status == 101 {
            break raw;
        }
    };
    manager.expect_watchdog(2);
    let _others: Vec<_> = (0..RESERVE).map(|_| Raw::connect(program.address())).collect();
    manager.expect_watchdog(2);
    drop(session);
}

#[test]
fn the_watchdog_is_notified_when_the_network_does_not_lead_to_the_listener() {
    let manager = Manager::new();
    let path = manager.folder.path().join("socket");
    let mut service = command(&["--listen", &format!("unix:{}", path.display())]);
    let program = manager.start(service.env("WATCHDOG_USEC", WATCHDOG_USEC));
    assert!(manager.notification().starts_with("READY=1\n"));
    std::fs::remove_file(&path).unwrap();
    manager.expect_watchdog(4);
    program.signal(Signal::SIGTERM);
    let (status, log) = program.wait();
    assert!(status.success() && !log.contains("the watchdog's echo failed"), "{log}");
}

#[test]
fn the_watchdog_is_notified_without_a_free_descriptor() {
    let manager = Manager::new();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 32; exec \"$0\" --listen 127.0.0.1:0"]);
    limited.arg(command(&[]).get_program()).env("WATCHDOG_USEC", WATCHDOG_USEC);
    let mut program = manager.start(&mut limited);
    assert!(manager.notification().starts_with("READY=1\n"));
    let _clients: Vec<_> = (0..64).map(|_| TcpStream::connect(program.address())).collect();
    program.log_line("cannot accept connections");
    manager.expect_watchdog(4);
}

#[test]
fn the_watchdog_is_not_notified_while_the_echo_to_itself_fails() {
    let manager = Manager::new();
    let (listener, _) = free_listener();
    let mut service = activated(listener.try_clone().unwrap(), OWN_PID, &[]);
    let mut program = manager.start(service.env("WATCHDOG_USEC", WATCHDOG_USEC));
    assert!(manager.notification().starts_with("READY=1\n"));
    manager.expect_watchdog(2);
    SockRef::from(&listener).shutdown(std::net::Shutdown::Both).unwrap();
    program.log_line("the watchdog's echo failed: Connection refused");
    manager.drain();
    program.log_line("the watchdog's echo failed: Connection refused");
    assert_eq!(manager.drain(), "");
}

#[test]
fn connections_made_before_the_start_are_served() {
    let (listener, address) = free_listener();
    for round in 0..2 {
        let early = connect_early(address);
        let mut service =
            activated(listener.try_clone().unwrap(), OWN_PID, &["--listen", "[::1]:0"]);
        let program = Program::spawn(&mut service, 1);
        assert_eq!(program.address(), address, "round {round}");
        assert_answered(early);
        program.signal(Signal::SIGTERM);
        let (status, log) = program.wait();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn sockets_passed_to_another_process_are_ignored() {
    let (listener, address) = free_listener();
    let service = activated(listener, "1", &["--listen", "127.0.0.1:0"]);
    let program = Program::spawn(&mut { service }, 1);
    assert_ne!(program.address(), address);
}

#[test]
fn a_nonblocking_socket_can_be_passed() {
    let (listener, address) = free_listener();
    listener.set_nonblocking(true).unwrap();
    let program = Program::spawn(&mut activated(listener, OWN_PID, &[]), 1);
    assert_eq!(Client::open(address, "/echo").ask("hello"), Message::text("hello"));
    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    assert!(!log.contains("cannot accept"), "{log}");
}

#[test]
fn passed_descriptors_must_be_listening_stream_sockets() {
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for (passed, expected) in [
        (OwnedFd::from(bound), "it does not listen"),
        (file.into(), "fd 3 is not a socket"),
        (datagrams.into(), "fd 3 is not a valid"),
    ] {
        let output = activated(passed, OWN_PID, &[]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected) && stderr.contains("LISTEN_FDS"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn a_passed_unix_socket_is_served_and_not_removed() {
    let manager = Manager::new();
    let path = manager.folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    for _ in 0..2 {
        let mut early = Raw::connect_unix(&path);
        early.send(handshake("/echo")).send(frame(FIN_TEXT, b"early"));
        let mut service = activated(listener.try_clone().unwrap(), OWN_PID, &[]);
        let program = manager.start(service.env("WATCHDOG_USEC", WATCHDOG_USEC));
        let expected = format!("READY=1\nSTATUS=listening on unix:{}\n", path.display());
        assert_eq!(manager.notification(), expected);
        assert_answered(early);
        manager.expect_watchdog(2);
        program.signal(Signal::SIGTERM);
        let (status, log) = program.wait();
        assert!(status.success(), "{log}");
        manager.drain();
    }
    assert!(path.exists());
}

const UNITS: [&str; 5] = [
    "wsecho.service",
    "wsecho.socket",
    "wsecho-kiosk.service",
    "wsecho-kiosk-check.service",
    "wsecho-kiosk-check.timer",
];

/// Copies the sample units into a temporary folder, with the path of the binary under test.
fn units() -> TempDir {
    const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/systemd");
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let unit = std::fs::read_to_string(format!("{SAMPLES}/{name}")).unwrap();
        let unit = unit
            .replace("=/usr/local/bin/wsecho\n", concat!("=", env!("CARGO_BIN_EXE_wsecho"), "\n"));
        std::fs::write(folder.path().join(name), unit).unwrap();
    }
    folder
}

/// Returns the inode of a pipe or file as `JOURNAL_STREAM` names it.
fn stream(file: &File) -> String {
    let file = file.metadata().unwrap();
    format!("{}:{}", file.dev(), file.ino())
}

#[test]
fn lines_for_the_journal_have_a_priority_and_no_time() {
    let file = || tempfile::tempfile().unwrap();
    for is_journal in [true, false] {
        let (mut stderr, other) = (file(), file());
        let journal = stream(if is_journal { &stderr } else { &other });
        let mut service = command(&["--listen", "127.0.0.1:0", "--max-connections", "2000000000"]);
        service.env("JOURNAL_STREAM", journal).stdout(Stdio::piped());
        let mut service = service.stderr(stderr.try_clone().unwrap()).spawn().unwrap();
        let mut line = String::new();
        timed(service.stdout.take().unwrap()).read_line(&mut line).unwrap();
        kill(Pid::from_raw(i32::try_from(service.id()).unwrap()), Signal::SIGTERM).unwrap();
        assert!(service.wait().unwrap().success());
        stderr.rewind().unwrap();
        let log = std::io::read_to_string(&stderr).unwrap();
        assert_eq!(log.starts_with("<4>--max-connections"), is_journal, "{log}");
        assert_eq!(log.contains("\n<6>stopping"), is_journal, "{log}");
        assert_eq!(log.contains("Z INFO  stopping"), !is_journal, "{log}");

        let mut failing = command(&["--listen", "192.0.2.1:1"]);
        let stderr = file();
        failing.env("JOURNAL_STREAM", stream(if is_journal { &stderr } else { &other }));
        assert!(!failing.stderr(stderr.try_clone().unwrap()).status().unwrap().success());
        (&stderr).rewind().unwrap();
        let log = std::io::read_to_string(&stderr).unwrap();
        let expected = if is_journal { "<3>wsecho: " } else { "wsecho: " };
        assert!(log.starts_with(expected), "{log}");
    }
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
    let verify = [&["verify", "--man=no"][..], &names.each_ref().map(String::as_str)].concat();
    let verified = analyze(&verify);
    assert_eq!(verified, (true, String::new()));
    // The threshold is ten times the exposure level, which is 10 without any hardening.
    let (is_low, rating) = analyze(&[
        "security",
        "--offline=true",
        "--threshold=15",
        "--no-pager",
        "./wsecho.service",
    ]);
    assert!(is_low, "{rating}");
}

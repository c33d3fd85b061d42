//! The real binary on a Unix socket: its file, and serving, limits and shutdown on it.

use std::fs;
use std::io::Write;
use std::mem::forget;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tungstenite::Message;
use wsecho::{Config, Listen, Server};

use crate::support::client::{
    Client, FIN_CLOSE, FIN_PING, FIN_PONG, Raw, Response, frame, handshake,
};
use crate::support::program::{Program, command, tool};
use crate::support::proxy::{Kind, Sample};

/// Returns a temporary folder, and a path for a socket in it.
fn socket_path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    (folder, path)
}

fn listen(path: &Path, options: &[&str]) -> Command {
    let mut listen = command(&["--listen", &format!("unix:{}", path.display())]);
    listen.args(options);
    listen
}

fn start(path: &Path, options: &[&str]) -> Program {
    let program = Program::spawn(&mut listen(path, options), 1);
    assert_eq!(program.listening, [format!("unix:{}", path.display())]);
    program
}

/// Stops the program. Returns its log.
fn stop(program: Program) -> String {
    program.signal(Signal::SIGTERM);
    let (status, log) = program.wait();
    assert!(status.success(), "{log}");
    log
}

/// Starts the binary, which cannot listen on `path`. Returns stderr.
fn refused(path: &Path) -> String {
    let output = listen(path, &[]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

fn assert_echoes(path: &Path) {
    assert_eq!(Client::open_unix(path, "/echo").ask("hello"), Message::text("hello"));
}

/// Sends a handshake with `field`. Returns the response and the connection.
fn upgrade_with(path: &Path, field: &str) -> (Response, Raw) {
    let mut raw = Raw::connect_unix(path);
    let request = handshake("/echo").replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
    (raw.send(request).response_to_head(), raw)
}

#[test]
fn page_info_echo_and_log_work_on_a_unix_socket() {
    let (_folder, path) = socket_path();
    let program = start(&path, &[]);
    let mut raw = Raw::connect_unix(&path);
    assert!(raw.get("/").body.contains("<title>WebSocket echo"));
    let info: Value = serde_json::from_str(&raw.get("/info").body).unwrap();
    assert_eq!((&info["peer"], &info["local"]), (&"unix".into(), &"unix".into()));
    assert_eq!(
        (&info["client"]["address"], &info["client"]["port"]),
        (&"unix".into(), &Value::Null)
    );
    let mut client = Client::open_unix(&path, "/echo");
    for size in [0, 1000, 1024 * 1024] {
        let message = Message::binary(vec![7; size]);
        assert_eq!(client.ask(message.clone()), message);
    }
    client.0.close(None).unwrap();
    client.assert_closed();
    let log = stop(program);
    assert!(log.contains("session 1 unix /echo: closed by the client"), "{log}");
}

#[test]
fn tcp_and_unix_listeners_serve_side_by_side() {
    let (_folder, path) = socket_path();
    let address = format!("127.0.0.1:0,unix:{},mode=0600", path.display());
    let program = Program::spawn(command(&[]).env("WSECHO_LISTEN", address), 2);
    assert_eq!(Client::open(program.address(), "/echo").ask("hello"), Message::text("hello"));
    assert_echoes(&path);
    stop(program);
}

#[test]
fn the_socket_mode_is_independent_of_the_umask() {
    for mode in [0o600, 0o666] {
        let (_folder, path) = socket_path();
        let listen = format!("unix:{},mode=0{mode:o}", path.display());
        let binary = command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 027; exec \"$0\" --listen \"$1\""]).arg(binary.get_program());
        let _program = Program::spawn(shell.arg(listen), 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn the_socket_is_removed_at_shutdown_and_replaced_after_a_crash() {
    let (_folder, path) = socket_path();
    let program = start(&path, &[]);
    let inode = fs::metadata(&path).unwrap().ino();
    program.signal(Signal::SIGKILL);
    assert!(!program.wait().0.success());
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "removed by a crash");
    let program = start(&path, &[]);
    assert_echoes(&path);
    stop(program);
    assert!(!path.exists());
}

#[test]
fn a_socket_in_use_fails_the_start() {
    let (_folder, path) = socket_path();
    let first = start(&path, &[]);
    let stderr = refused(&path);
    assert!(stderr.contains("another process listens there"), "{stderr}");
    assert_echoes(&path);
    stop(first);

    // A listener whose accept queue is full still counts as alive.
    let busy = UnixListener::bind(&path).unwrap();
    socket2::SockRef::from(&busy).listen(0).unwrap();
    let _waiting = Raw::connect_unix(&path);
    let stderr = refused(&path);
    assert!(stderr.contains("another process listens there"), "{stderr}");
    assert!(path.exists());
}

#[test]
fn files_other_than_stream_sockets_are_not_replaced() {
    type Make = fn(&Path);
    let foreign: [(Make, &str); 4] = [
        (|path| fs::write(path, "mine").unwrap(), "is not a socket is there, and was left alone"),
        (|path| fs::create_dir(path).unwrap(), "is not a socket is there, and was left alone"),
        (
            |path| symlink("elsewhere", path).unwrap(),
            "is not a socket is there, and was left alone",
        ),
        (|path| forget(UnixDatagram::bind(path).unwrap()), "cannot listen on unix:"),
    ];
    for (make, expected) in foreign {
        let (_folder, path) = socket_path();
        make(&path);
        let before = fs::symlink_metadata(&path).unwrap().ino();
        let stderr = refused(&path);
        assert!(stderr.contains(expected), "{stderr}");
        assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), before, "{stderr}");
    }
}

#[test]
fn unusable_paths_are_explained() {
    let (folder, _) = socket_path();
    let stderr = refused(&folder.path().join("none/socket"));
    assert!(stderr.contains("its folder does not exist"), "{stderr}");
    let stderr = refused(&folder.path().join("x".repeat(200)));
    assert!(stderr.contains("cannot listen on unix:"), "{stderr}");
}

#[test]
fn foreign_file_at_the_socket_path_survives_shutdown() {
    let (folder, path) = socket_path();
    let program = start(&path, &[]);
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    fs::write(&path, "foreign").unwrap();
    stop(program);
    assert_eq!(fs::read_to_string(&path).unwrap(), "foreign");
}

#[test]
fn shutdown_answers_received_messages_and_completes_the_handshake() {
    let (_folder, path) = socket_path();
    let program = start(&path, &["--grace-period", "1h", "--close-timeout", "1h"]);
    let mut idle = Client::open_unix(&path, "/echo");
    let mut kept = Raw::connect_unix(&path);
    assert_eq!(kept.get("/healthz").status, 200);
    let mut busy: Vec<_> = (0..20).map(|_| Client::open_unix(&path, "/echo")).collect();
    for client in &mut busy {
        for number in 0..50 {
            client.0.write(Message::text(number.to_string())).unwrap();
        }
        client.0.flush().unwrap();
        assert_eq!(client.0.read().unwrap(), Message::text("0"));
    }
    program.signal(Signal::SIGTERM);
    for client in &mut busy {
        for number in 1..50 {
            assert_eq!(client.0.read().unwrap(), Message::text(number.to_string()));
        }
    }
    assert_eq!(idle.close_code(), 1001);
    assert_eq!(Raw::connect_unix(&path).get("/healthz").status, 503);
    idle.assert_closed();
    for client in &mut busy {
        assert_eq!(client.close_code(), 1001);
        client.assert_closed();
    }
    kept.assert_ended();
    let (status, log) = program.wait();
    assert!(status.success() && log.contains("every connection has ended"), "{log}");
}

#[test]
fn chat_members_receive_messages_and_the_close_at_shutdown() {
    let (_folder, path) = socket_path();
    let program = start(&path, &["--grace-period", "1h", "--close-timeout", "1h"]);
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| {
        let mut member = Client::open_unix(&path, &format!("/chat?name={name}"));
        assert!(member.0.read().unwrap().to_text().unwrap().contains("welcome"));
        member
    });
    alice.0.send("hello from alice".into()).unwrap();
    while !bob.0.read().unwrap().to_text().unwrap().contains("hello from alice") {}
    program.signal(Signal::SIGTERM);
    for member in [&mut alice, &mut bob] {
        assert_eq!(member.close_code(), 1001);
        member.assert_closed();
    }
    assert!(program.wait().0.success());
}

#[test]
fn a_peer_that_does_not_answer_is_dropped_after_the_grace_period() {
    let (_folder, path) = socket_path();
    let program = start(&path, &["--grace-period", "50ms", "--close-timeout", "1h"]);
    let mut raw = Raw::connect_unix(&path);
    raw.upgrade("/echo");
    let log = stop(program);
    assert!(log.contains("1 connections are dropped"), "{log}");
    assert_eq!(raw.close_code(), 1001);
    raw.assert_ended();
}

#[test]
fn ping_and_handshake_timeouts_apply() {
    let (_folder, path) = socket_path();
    let options =
        ["--ping-interval", "50ms", "--ping-timeout", "300ms", "--handshake-timeout", "300ms"];
    let _program = start(&path, &options);
    let mut session = Raw::connect_unix(&path);
    session.upgrade("/echo");
    assert_eq!(session.frame(), (FIN_PING, vec![]));
    session.send(frame(FIN_PONG, b""));
    assert_eq!(session.frame(), (FIN_PING, vec![]));
    session.assert_ended();
    let mut slow = Raw::connect_unix(&path);
    assert_eq!(slow.send("GET /").response().status, 408);
    slow.assert_ended();
}

#[test]
fn max_connections_applies_and_the_per_ip_limit_does_not() {
    let (_folder, path) = socket_path();
    let options = ["--max-connections", "2", "--max-connections-per-ip", "1"];
    let _program = start(&path, &options);
    let _two = [(); 2].map(|()| Client::open_unix(&path, "/echo"));
    let refused = Raw::connect_unix(&path).send(handshake("/echo")).response();
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("--max-connections)"), "{refused:?}");
}

#[test]
fn connections_beyond_the_reserve_get_503() {
    let (_folder, path) = socket_path();
    let config = Config::default().with(|config| {
        config.listen = vec![Listen::Unix { path: path.clone(), mode: None }];
        (config.limits.max_connections, config.limits.reserve) = (1, 0);
    });
    let _server = Server::bind(config).and_then(Server::spawn).unwrap();
    // A session makes no room for another connection.
    let _session = Client::open_unix(&path, "/echo");
    let mut refused = Raw::connect_unix(&path);
    assert_eq!(refused.response().status, 503);
    refused.assert_ended();
}

#[test]
fn local_origins_are_allowed_and_others_get_403() {
    let (_folder, path) = socket_path();
    let _program = start(&path, &[]);
    assert_eq!(upgrade_with(&path, "Origin: http://localhost:3000").0.status, 101);
    assert_eq!(upgrade_with(&path, "Origin: http://evil.example").0.status, 403);
}

#[test]
fn forwarded_fields_count_only_with_trusted_proxy_unix() {
    for (trusted, expected) in
        [("unix", "session 1 203.0.113.9 via unix /echo"), ("0.0.0.0/0", "session 1 unix /echo")]
    {
        let (_folder, path) = socket_path();
        let options = ["--trusted-proxy", trusted, "--max-connections-per-ip", "1"];
        let program = start(&path, &options);
        let (accepted, mut alice) = upgrade_with(&path, "X-Forwarded-For: 203.0.113.9");
        let (second, _) = upgrade_with(&path, "X-Forwarded-For: 203.0.113.9");
        assert_eq!((accepted.status, second.status == 503), (101, trusted == "unix"));
        assert_eq!(alice.send(frame(FIN_CLOSE, b"")).close_code(), 1005);
        let log = stop(program);
        assert!(log.contains(expected), "{log}");
    }
}

#[test]
#[ignore = "needs websocat and curl; scripts/test runs it"]
fn curl_and_websocat_connect() {
    let (_folder, path) = socket_path();
    let _program = start(&path, &[]);
    let mut curl = Command::new("curl");
    let curl = curl.args(["-s", "--unix-socket"]).arg(&path).arg("http://localhost/healthz");
    assert_eq!(curl.output().unwrap().stdout, b"ok\n");
    let mut websocat = Command::new(tool("websocat"));
    let target = format!("ws-c:unix-connect:{}", path.display());
    websocat.args(["-t", "-1", "--ws-c-uri=ws://localhost/echo", "-", &target]);
    let mut websocat = websocat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    websocat.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    assert_eq!(websocat.wait_with_output().unwrap().stdout, b"hello\n");
}

#[test]
#[ignore = "needs nginx; scripts/test runs it"]
fn nginx_proxies_to_a_unix_socket() {
    let (_folder, path) = socket_path();
    let program = start(&path, &["--trusted-proxy", "unix"]);
    let proxy = Sample::before(Kind::Nginx, &format!("unix:{}", path.display())).start();
    let mut client = Client::open(proxy.address, "/echo");
    assert_eq!(client.ask("hello"), Message::text("hello"));
    client.0.close(None).unwrap();
    client.assert_closed();
    let log = stop(program);
    assert!(log.contains("session 1 127.0.0.1 via unix /echo: closed by the client"), "{log}");
}

//! Runs the real binary as a child process.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tungstenite::Message;

use super::client::{Client, Raw, Response, TIMEOUT, wait_for};
use super::stream::Wire;
#[cfg(feature = "tls")]
use super::tls::Files;

pub struct Program {
    child: Child,
    /// The printed listen addresses: URLs, and paths as `unix:/path`.
    pub listening: Vec<String>,
    pub addresses: Vec<SocketAddr>,
    /// The printed address of `--admin`; `None` without that option.
    pub admin: Option<String>,
    stderr: BufReader<TimedPipe<ChildStderr>>,
    wire: Wire,
}

/// A pipe of which a read fails after [`TIMEOUT`]: a test that waits for a line that never comes fails, too.
pub struct TimedPipe<P>(pub P);

/// Reads lines of a child's output, each within [`TIMEOUT`].
pub fn timed<P: AsFd + Read>(pipe: P) -> BufReader<TimedPipe<P>> {
    BufReader::new(TimedPipe(pipe))
}

impl<P: AsFd + Read> Read for TimedPipe<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pipe = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut pipe, PollTimeout::try_from(TIMEOUT).unwrap())? {
            0 => Err(ErrorKind::TimedOut.into()),
            _ => self.0.read(buffer),
        }
    }
}

/// `--pool-idle` of every program: far longer than it takes to reuse a thread.
pub const POOL_IDLE: &str = "100ms";

/// The resources that a process uses.
#[derive(Debug, Clone, Copy)]
pub struct Vitals {
    pub threads: usize,
    pub descriptors: usize,
    pub resident_kib: usize,
}

fn number_after(name: &str, status: &str) -> usize {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Parses the address in a URL that the program prints; `None` for a Unix socket.
fn address(url: &str) -> Option<SocketAddr> {
    url.split_once("://")?.1.trim_end_matches('/').parse().ok()
}

/// Returns a user that has no other processes, whose threads would count for the limit on threads, too.
pub fn new_user() -> u32 {
    static USERS: AtomicU32 = AtomicU32::new(54321);
    USERS.fetch_add(1, Ordering::Relaxed)
}

/// Returns a command for the binary, without the environment variables that would configure it. Its
/// idle threads end after [`POOL_IDLE`], so that `Program::wait_for_rest` does not wait for them.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsecho"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WSECHO_")) {
        command.env_remove(name);
    }
    for name in ["PORT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"] {
        command.env_remove(name);
    }
    command.env("WSECHO_POOL_IDLE", POOL_IDLE); // not an argument, which `check` would not accept
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs one of the project's scripts and waits for its end, without what cargo tells a test about its package:
/// build scripts of crates would run again because of it, and with them everything.
pub fn script(name: &str, arguments: &[&str]) -> Output {
    let path = format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(path);
    for (variable, _) in std::env::vars_os() {
        let of_cargo =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if of_cargo.iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
            command.env_remove(variable);
        }
    }
    command.args(arguments).output().unwrap()
}

/// Returns the path of a third-party tool, which `scripts/tool` installs if it is missing.
pub fn tool(name: &str) -> String {
    String::from_utf8(script("tool", &[name]).stdout).unwrap().trim().to_owned()
}

impl Program {
    /// Starts the binary on a free port.
    pub fn start(arguments: &[&str]) -> Program {
        let mut command = command(&["--listen", "127.0.0.1:0"]);
        command.args(arguments);
        Program::spawn(&mut command, 1)
    }

    /// Like `start`, over `wire`.
    pub fn over(wire: Wire, arguments: &[&str]) -> Program {
        match wire {
            Wire::Plain => Program::start(arguments),
            #[cfg(feature = "tls")]
            Wire::Tls => {
                let files = Files::good(); // read at startup
                let mut command = command(&["--listen", "127.0.0.1:0"]);
                Program::spawn(command.args(files.options()).args(arguments), 1)
            }
        }
    }

    /// Starts `command`, and waits until `listeners` addresses or paths are printed.
    pub fn spawn(command: &mut Command, listeners: usize) -> Program {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = timed(child.stdout.take().unwrap()).lines();
        let mut listening = Vec::new();
        for _ in 0..listeners {
            let line = lines.next().expect("the program ended before it listened").unwrap();
            listening.push(line.strip_prefix("listening on ").expect(&line).to_owned());
        }
        let has_admin =
            command.get_args().any(|option| option.to_string_lossy().contains("--admin"));
        let admin = has_admin.then(|| {
            let line = lines.next().expect("the program ended before it printed the admin address");
            line.unwrap().strip_prefix("admin on ").expect("an admin address").to_owned()
        });
        let addresses = listening.iter().filter_map(|url| address(url)).collect();
        let stderr = timed(child.stderr.take().unwrap());
        #[cfg(feature = "tls")]
        let wire = if listening[0].starts_with("https:") { Wire::Tls } else { Wire::Plain };
        #[cfg(not(feature = "tls"))]
        let wire = Wire::Plain;
        Program { child, listening, addresses, admin, stderr, wire }
    }

    /// Connects, without sending anything.
    pub fn raw(&self) -> Raw {
        Raw::connect_over(self.wire, self.address())
    }

    /// Opens a WebSocket.
    pub fn open(&self, path: &str) -> Client {
        Client::open_over(self.wire, self.address(), path)
    }

    #[allow(dead_code, reason = "for the bench of memory")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Returns the address of `--admin`.
    pub fn admin_address(&self) -> SocketAddr {
        address(self.admin.as_ref().unwrap()).unwrap()
    }

    /// Asks the admin listener for `path`.
    pub fn ask_admin(&self, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:1\r\n\r\n");
        Raw::connect(self.admin_address()).send(request).response()
    }

    /// Reads the resource usage of the process from `/proc`.
    pub fn vitals(&self) -> Vitals {
        let process = format!("/proc/{}", self.child.id());
        let entries = |folder| std::fs::read_dir(format!("{process}/{folder}")).unwrap().count();
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        Vitals {
            threads: entries("task"),
            descriptors: entries("fd"),
            resident_kib: number_after("VmRSS:", &status),
        }
    }

    /// Returns the vitals after one more client was answered and has closed.
    pub fn rested(&self) -> Vitals {
        let mut client = self.open("/echo");
        assert_eq!(client.ask("fresh"), Message::text("fresh"));
        let open = self.vitals();
        client.0.close(None).unwrap();
        client.assert_closed();
        // The server ends its side a moment before it frees the descriptor.
        wait_for(|| {
            let now = self.vitals();
            let is_freed = now.descriptors < open.descriptors;
            is_freed
                .then_some(now)
                .ok_or_else(|| format!("{open:?} with a client, {now:?} without"))
        })
    }

    /// Returns the number of voluntary context switches of all threads.
    pub fn sleeps(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap())
            .map(|status| number_after("voluntary_ctxt_switches:", &status))
            .sum()
    }

    /// Waits until there are no more threads and descriptors than `before`.
    pub fn wait_for_rest(&self, before: Vitals) {
        wait_for(|| {
            let now = self.vitals();
            let rests = now.threads <= before.threads && now.descriptors <= before.descriptors;
            rests.then_some(()).ok_or_else(|| format!("{before:?} before, {now:?} now"))
        });
    }

    /// The state of the process in `/proc`: `T` if it was stopped.
    pub fn state(&self) -> char {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap();
        state.trim_start().chars().next().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Reads the log up to the next line that contains `part`, and returns that line. Panics with the lines
    /// before it after [`TIMEOUT`].
    pub fn log_line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + TIMEOUT;
        let mut others = String::new();
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line);
            assert!(
                read.is_ok_and(|length| length > 0) && Instant::now() < deadline,
                "no line with {part:?}, but:\n{others}{line}"
            );
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
            others += &line;
        }
    }

    /// Waits until the process has exited. Returns its status and the rest of its stderr.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.stderr.read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // These fail after `wait`, as the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

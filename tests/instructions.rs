//! Counts the instructions that the server executes for an echo, a tutorial reply, an upgrade and a
//! page request. The counts hardly depend on the machine and its load, so that a change of cost
//! shows. `scripts/instructions` compares them with `instructions.expected`.
//!
//! The real binary runs under callgrind twice, with `FEW` and with `MANY` repetitions; the
//! difference, divided, is the cost of one, without startup and shutdown. Instructions in the
//! kernel are not counted.

#[allow(dead_code)]
mod support;

use std::process::Command;

use nix::sys::signal::Signal;
use support::client::{Client, Raw};
use support::program::{Program, command};
use tungstenite::Message;

const FEW: u64 = 200;
const MANY: u64 = 1200;

/// Does one kind of work the given number of times.
type Work = fn(&Program, u64);

const KINDS: [(&str, Work); 4] = [
    ("echo of 64 bytes", |program, times| talk(program, "/echo", times)),
    ("tutorial's reply to 64 bytes", |program, times| talk(program, "/ws", times)),
    ("upgrade and close", |program, times| {
        for _ in 0..times {
            let mut client = Client::open(program.address(), "/echo");
            client.0.close(None).unwrap();
            client.assert_closed();
        }
    }),
    ("page request", |program, times| {
        // The server ends a connection after `Limits::max_requests`.
        let mut raw = Raw::connect(program.address());
        for number in 1..=times {
            assert_eq!(raw.get("/").status, 200);
            if number % 500 == 0 {
                raw = Raw::connect(program.address());
            }
        }
    }),
];

fn talk(program: &Program, path: &str, times: u64) {
    let mut client = Client::open(program.address(), path);
    let message = "x".repeat(64);
    for _ in 0..times {
        assert!(client.ask(Message::text(message.clone())).is_text());
    }
}

/// Returns the number of instructions of a whole run.
fn instructions(work: Work, times: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    // A fixed text as time format: otherwise the count would depend on how many seconds the run
    // takes, as the time is formatted once a second.
    let server = command(&["--quiet", "--listen", "127.0.0.1:0", "--utc", "--time-format", "noon"]);
    valgrind.arg(server.get_program()).args(server.get_args());
    let program = Program::spawn(&mut valgrind, 1);
    work(&program, times);
    program.signal(Signal::SIGTERM);
    let (status, log) = program.wait();
    assert!(status.success(), "{log}");
    let profile = std::fs::read_to_string(out).unwrap();
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    total.parse().unwrap()
}

fn main() {
    for (name, work) in KINDS {
        let (few, many) = (instructions(work, FEW), instructions(work, MANY));
        println!("{} {name}", many.saturating_sub(few) / (MANY - FEW));
    }
}

//! Instructions that the server takes for one of each thing it does: the same on every machine and
//! under any load, so that a change of cost shows. `scripts/instructions` compares them with the
//! record.
//!
//! The real binary runs under callgrind twice, for some and for more of the same; the difference is
//! what one costs, without the start and the end. The kernel's share does not count.

#[allow(dead_code)]
mod support;

use std::process::Command;

use nix::sys::signal::Signal;
use support::client::{Client, Raw};
use support::program::{Program, command};
use tungstenite::Message;

const FEW: u64 = 200;
const MANY: u64 = 1200;

/// Does one thing so many times.
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
        // A connection has a last request.
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

/// The instructions of a whole run.
fn instructions(work: Work, times: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    // An unsteady second would change how often the time is formatted; a steady format does not.
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

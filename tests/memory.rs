//! Resident memory of the release binary, as growth of `VmRSS`: of idle sessions, of sessions that were
//! sent large messages, of chat members that do not read, and under attack. `cargo bench --bench memory` runs it; a debug build takes several times as much.

#[path = "memory/attacks.rs"]
mod attacks;
#[allow(dead_code)]
mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use socket2::SockRef;
use support::client::{Client, FIN_TEXT, Raw, TIMEOUT, frame};
use support::program::{Program, Vitals};

/// Sessions whose memory is measured, after [`FIRST`] others.
const SESSIONS: u32 = 1000;
/// Sessions before the first measurement, which fill what the process allocates once.
const FIRST: u32 = 100;
/// The most that an idle session may take: three pages of stack, and its part of the heap.
const IDLE_KIB: f64 = 16.5;
/// What the process takes for itself meanwhile, shared among the sessions: 100 KiB.
const MARGIN_KIB: f64 = 100.0 / SESSIONS as f64;
/// The most that a session may take that is idle again after a large message: 24 KiB more, and its part of
/// the 32 MiB that the allocator may keep for the process.
const AFTER_LARGE_KIB: f64 = IDLE_KIB + 24.0 + 32.0 * 1024.0 / SESSIONS as f64;
/// The most that a chat member's outbox may hold, in KiB.
const OUTBOX_KIB: f64 = 256.0;
/// Members that do not read, all in one room.
const SILENT: u32 = 300;
/// Messages for them: more than their sockets and their outboxes hold.
const MESSAGES: usize = 250;
/// Members that then read a little.
const READERS: usize = 100;
/// Bytes that each of them reads: less than what waits for it.
const LITTLE: usize = 3_000_000;

fn main() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let idle = idle_sessions("/echo");
    println!("{idle:.2} KiB an idle session of /echo");
    assert!(idle <= IDLE_KIB + MARGIN_KIB, "an idle session takes {idle:.2} KiB, over {IDLE_KIB}");
    for path in ["/echo", "/ws"] {
        let after = after_large_messages(path);
        println!("{after:.2} KiB a session of {path} that is idle after a message of 1 MiB");
        assert!(after <= AFTER_LARGE_KIB, "{after:.2} KiB are over {AFTER_LARGE_KIB}");
    }
    let member = members_are_one_thread_each();
    println!("{member:.2} KiB an idle member of a chat, with one thread each");
    let silent = silent_members();
    let bound = IDLE_KIB + OUTBOX_KIB;
    println!("{silent:.2} KiB a member that does not read, at the most");
    assert!(silent < bound, "a member that does not read takes {silent:.2} KiB, over {bound}");
    attacks::survive();
}

fn start(arguments: &[&str]) -> Program {
    let sessions = (FIRST + SESSIONS).to_string();
    let common = ["--quiet", "--ping-interval", "0s", "--max-connections", &sessions];
    Program::start(&[&common, arguments].concat())
}

fn open(program: &Program, path: &str, count: u32) -> Vec<Raw> {
    let open = |_| {
        let mut raw = program.raw();
        raw.upgrade(path);
        raw
    };
    (0..count).map(open).collect()
}

/// The vitals once resident memory has been level for a while.
fn settled(program: &Program) -> Vitals {
    let deadline = Instant::now() + TIMEOUT;
    let mut vitals = program.vitals();
    let mut level = 0;
    while level < 5 {
        assert!(Instant::now() < deadline, "resident memory does not settle: {vitals:?}");
        std::thread::sleep(Duration::from_millis(50));
        let now = program.vitals();
        level = if now.resident_kib == vitals.resident_kib { level + 1 } else { 0 };
        vitals = now;
    }
    vitals
}

/// The growth of resident memory for each of `count` sessions, in KiB.
fn growth(before: Vitals, resident_kib: usize, count: u32) -> f64 {
    let growth = resident_kib.saturating_sub(before.resident_kib);
    f64::from(u32::try_from(growth).unwrap()) / f64::from(count)
}

fn idle_sessions(path: &str) -> f64 {
    let program = start(&[]);
    let _first = open(&program, path, FIRST);
    let before = settled(&program);
    let _sessions = open(&program, path, SESSIONS);
    growth(before, settled(&program).resident_kib, SESSIONS)
}

/// Each session is sent a message of 1 MiB, as many at one time as there is memory for.
fn after_large_messages(path: &str) -> f64 {
    let program = start(&[]);
    let message = frame(FIN_TEXT, &vec![b'x'; 1024 * 1024 - 64]);
    let _first = open(&program, path, FIRST);
    let before = settled(&program);
    let mut sessions = open(&program, path, SESSIONS);
    std::thread::scope(|scope| {
        for sessions in sessions.chunks_mut(SESSIONS as usize / 20) {
            scope.spawn(|| {
                for session in sessions {
                    session.send(&message);
                    assert!(session.frame().1.len() > 1_000_000);
                }
            });
        }
    });
    growth(before, settled(&program).resident_kib, SESSIONS)
}

fn members_are_one_thread_each() -> f64 {
    let program = start(&["--chat-outbox", "1000000"]);
    let _first = open(&program, "/chat?room=first", FIRST);
    let before = settled(&program);
    let _members = open(&program, "/chat?room=r", SESSIONS);
    let after = settled(&program);
    let threads = u32::try_from(after.threads - before.threads).unwrap();
    assert_eq!(threads, SESSIONS, "a member is one thread");
    growth(before, after.resident_kib, SESSIONS)
}

/// Members do not read while the largest messages arrive for them, and then read a little, so that
/// their sessions take all that waits at once. Returns the largest growth for each member, in KiB.
fn silent_members() -> f64 {
    let program = start(&["--chat-rate", "1000000"]);
    let mut members = open(&program, "/chat?room=r", SILENT);
    for member in &members {
        SockRef::from(member.0.get_ref()).set_recv_buffer_size(16 * 1024).unwrap();
    }
    let before = settled(&program);
    let mut speaker = Client::open(program.address(), "/chat?room=r&name=speaker");
    // A control character takes six bytes in JSON.
    let message = frame(FIN_TEXT, "\u{1}".repeat(4096).as_bytes());
    let mut peak = 0;
    for _ in 0..MESSAGES {
        speaker.0.get_mut().write_all(&message).unwrap();
        while !speaker.0.read().unwrap().to_string().starts_with("{\"type\":\"message\"") {}
        peak = peak.max(program.vitals().resident_kib);
    }
    let mut buffer = vec![0; 64 * 1024];
    for member in &mut members[..READERS] {
        member.0.get_ref().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut left = LITTLE;
        while left > 0 {
            match member.0.read(&mut buffer) {
                Ok(length) if length > 0 => left = left.saturating_sub(length),
                _ => break,
            }
        }
        peak = peak.max(program.vitals().resident_kib);
    }
    growth(before, peak, SILENT)
}

//! Clients that make the server hold as much as it can: 1,024 sessions with the default limits, each in
//! the way that costs the client least.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use socket2::SockRef;
use tungstenite::Message;

use super::settled;
use super::support::cgroup::Cgroup;
use super::support::client::{Client, FIN_BINARY, FIN_TEXT, Raw, frame, handshake};
use super::support::program::Program;

/// The default of `--max-connections`.
const SESSIONS: usize = 1024;
/// Memory that the unit gives the server (`MemoryMax=`).
const MEMORY_MAX: usize = 1 << 30;
/// The most resident memory that any of these clients reaches, in KiB: `--message-memory`, 64 KiB a
/// session, and 64 MiB for threads, the program and what the allocator keeps.
const BOUND_KIB: usize = (256 + 64 + 64) * 1024;
/// The default of `--max-message-size`.
const SIZE: usize = 1 << 20;

/// One kind of client.
struct Attack {
    name: &'static str,
    path: &'static str,
    fields: &'static str,
    /// What each client sends.
    bytes: Vec<u8>,
    /// Whether it reads the reply.
    reads: bool,
}

fn attacks() -> [Attack; 5] {
    let zeros = vec![0; SIZE];
    let attack = Attack { name: "", path: "/echo", fields: "", bytes: Vec::new(), reads: false };
    [
        Attack {
            name: "a compressed fragment, and no end",
            fields: "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            bytes: frame(0x42, &deflate(&zeros[..SIZE - 1])),
            ..attack
        },
        Attack {
            name: "a fragment, and a part of another one",
            bytes: [&frame(0x02, &zeros[..SIZE / 2])[..], &frame(0, &zeros)[..SIZE / 2]].concat(),
            ..attack
        },
        Attack {
            name: "idle after a message of 1 MiB",
            bytes: frame(FIN_BINARY, &zeros),
            reads: true,
            ..attack
        },
        Attack {
            name: "fragments of 16 bytes that nobody reads",
            path: "/echo?size=1MiB&fragment=16",
            bytes: frame(FIN_TEXT, b"x"),
            ..attack
        },
        Attack {
            name: "text of /ws that nobody reads",
            path: "/ws",
            bytes: frame(FIN_TEXT, &zeros),
            ..attack
        },
    ]
}

/// Runs each attack on a server of its own, in a memory cgroup if the machine lets. The server has to
/// stay below the bound, and to answer a fresh client meanwhile.
pub fn survive() {
    for attack in attacks() {
        // Dropped after the program, as it cannot be removed before.
        let cgroup = Cgroup::new("wsecho-memory-test", MEMORY_MAX);
        let program = Program::start(&["--quiet", "--max-connections", "1025"]);
        if let Some(cgroup) = &cgroup {
            cgroup.add(program.id());
        }
        let sessions: Vec<_> = (0..SESSIONS).map(|_| attack.open(&program)).collect();
        let peak = settled(&program).resident_kib;
        let mut fresh = Client::open(program.address(), "/echo");
        assert_eq!(fresh.ask("fresh"), Message::text("fresh"));
        let place = if cgroup.is_some() { "in a cgroup of 1 GiB" } else { "without a cgroup" };
        println!("{} MiB: {} sessions, {}, {place}", peak / 1024, sessions.len(), attack.name);
        assert!(peak < BOUND_KIB, "{peak} KiB are over {BOUND_KIB}: {}", attack.name);
    }
}

impl Attack {
    fn open(&self, program: &Program) -> Raw {
        let mut raw = Raw::connect(program.address());
        if !self.reads {
            SockRef::from(raw.0.get_ref()).set_recv_buffer_size(4096).unwrap();
        }
        let request = handshake(self.path).replace("\r\n\r\n", &format!("\r\n{}\r\n", self.fields));
        assert_eq!(raw.send(request).response_to_head().status, 101, "{}", self.name);
        if self.reads {
            raw.send(&self.bytes);
            assert_eq!(raw.frame().1.len(), SIZE);
        } else {
            self.send_what_is_taken(&mut raw);
        }
        raw
    }

    /// Sends as much as the server takes within a moment.
    fn send_what_is_taken(&self, raw: &mut Raw) {
        let stream = raw.0.get_mut();
        stream.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
        match stream.write_all(&self.bytes) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{}", self.name),
        }
    }
}

/// Compresses without an end, as for a fragment that others follow.
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(bytes.len() / 100);
    let mut stream = Compress::new(Compression::default(), false);
    stream.compress_vec(bytes, &mut deflated, FlushCompress::Sync).unwrap();
    deflated
}

//! All kinds of clients at once, for the time given to `scripts/soak SECONDS`; two seconds as a
//! test. Fails if a reply is lost or altered, or if threads, descriptors or memory are leaked.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tungstenite::Message;

mod chat;

use crate::support::client::{Client, FIN_BINARY, Raw, frame, handshake};
use crate::support::program::Program;

/// Permitted growth of resident memory from the first round to the second.
const GROWTH_MAX_KIB: usize = 16 * 1024;

/// What the clients have done so far, for the progress lines.
#[derive(Default)]
struct Counts {
    echoes: AtomicU64,
    bytes: AtomicU64,
    pages: AtomicU64,
    sessions: AtomicU64,
    broken: AtomicU64,
}

struct Soak {
    address: SocketAddr,
    counts: Counts,
    over: AtomicBool,
}

/// A deterministic pseudorandom generator (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// Returns a message, text or binary: mostly small, sometimes large.
    fn message(&mut self) -> Message {
        let size = match self.below(100) {
            0 => self.below(1024 * 1024),
            1..20 => self.below(64 * 1024),
            _ => self.below(200),
        };
        let byte = u8::try_from(self.below(128)).unwrap();
        let bytes: Vec<u8> =
            std::iter::successors(Some(byte), |b| Some((b + 1) % 128)).take(size).collect();
        match self.below(2) {
            0 => Message::text(String::from_utf8(bytes).unwrap()),
            _ => Message::binary(bytes),
        }
    }
}

impl Soak {
    fn is_running(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn count_echo(&self, message: &Message) {
        self.counts.echoes.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
    }

    /// One long session with several messages in flight.
    fn echo(&self, dice: &mut Dice) {
        let mut client = Client::open(self.address, "/echo");
        while self.is_running() {
            let messages: Vec<_> = (0..=dice.below(4)).map(|_| dice.message()).collect();
            for message in &messages {
                client.0.send(message.clone()).unwrap();
            }
            for message in &messages {
                assert!(client.0.read().unwrap() == *message, "an echo was altered");
                self.count_echo(message);
            }
        }
        client.0.close(None).unwrap();
        client.assert_closed();
    }

    /// Short sessions with one message each.
    fn churn(&self, dice: &mut Dice) {
        while self.is_running() {
            let mut client = Client::open(self.address, "/ws");
            let text = dice.below(1_000_000).to_string();
            let reply = client.ask(Message::text(&text)).into_text().unwrap();
            assert!(reply.starts_with(&format!("You sent: {text} at ")), "{reply}");
            client.0.close(None).unwrap();
            client.assert_closed();
            self.counts.sessions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests for the page's files, up to 21 on each connection.
    fn page(&self, dice: &mut Dice) {
        while self.is_running() {
            let mut raw = Raw::connect(self.address);
            for _ in 0..=dice.below(20) {
                let path = ["/", "/js/main.js", "/style.css", "/healthz"][dice.below(4)];
                assert_eq!(raw.get(path).status, 200);
                self.counts.pages.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Clients that disconnect at any point, and corrupt one byte of what they send.
    fn broken(&self, dice: &mut Dice) {
        while self.is_running() {
            let mut stream = TcpStream::connect(self.address).unwrap();
            let mut bytes =
                [handshake("/echo").into_bytes(), frame(FIN_BINARY, &[7; 300])].concat();
            let (at, end) = (dice.below(bytes.len()), dice.below(bytes.len()));
            bytes[at] ^= u8::try_from(dice.below(256)).unwrap();
            // Fails if the server has already refused and closed the connection.
            let _ = stream.write_all(&bytes[..end]);
            if dice.below(2) == 0 {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            } else {
                // Without waiting for the end, these clients would occupy every slot.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
            self.counts.broken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client that reads late, but reads.
    fn slow(&self, dice: &mut Dice) {
        let mut client = Client::open(self.address, "/echo");
        while self.is_running() {
            let messages: Vec<_> =
                (0..8).map(|_| Message::binary(vec![7; dice.below(20_000)])).collect();
            for message in &messages {
                client.0.send(message.clone()).unwrap();
            }
            std::thread::sleep(Duration::from_millis(50)); // makes the client slow
            for message in &messages {
                assert!(client.0.read().unwrap() == *message, "an echo was altered");
                self.count_echo(message);
            }
        }
    }

    fn line(&self, program: &Program, since: Instant) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { echoes, bytes, pages, sessions, broken } = &self.counts;
        let vitals = program.vitals();
        format!(
            "{:6.1} s: {} echoes ({} MiB), {} pages, {} short sessions, {} broken clients; \
             {} KiB resident, {} descriptors, {} threads",
            since.elapsed().as_secs_f64(),
            count(echoes),
            count(bytes) >> 20,
            count(pages),
            count(sessions),
            count(broken),
            vitals.resident_kib,
            vitals.descriptors,
            vitals.threads
        )
    }
}

/// Runs all kinds of clients for `duration`. Returns the resident memory after they have closed.
fn round(soak: &Soak, program: &Program, since: Instant, duration: Duration) -> usize {
    let kinds =
        [Soak::echo, Soak::echo, Soak::echo, Soak::churn, Soak::page, Soak::broken, Soak::slow];
    let before = program.rested();
    println!("start: {}", soak.line(program, since));
    soak.over.store(false, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for (number, kind) in (1..).zip(kinds) {
            scope.spawn(move || kind(soak, &mut Dice(number * 0x9e37_79b9)));
        }
        for _ in 0..10 {
            std::thread::sleep(duration / 10); // a tenth of the round
            println!("       {}", soak.line(program, since));
        }
        soak.over.store(true, Ordering::Relaxed);
    });
    program.wait_for_rest(before);
    println!("end:   {}", soak.line(program, since));
    program.rested().resident_kib
}

/// Returns the duration of a soak in seconds.
fn seconds() -> u64 {
    std::env::var("WSECHO_SOAK_SECONDS").map_or(2, |seconds| seconds.parse().unwrap())
}

#[test]
fn mixed_load_loses_no_reply_and_leaks_nothing() {
    let program = Program::start(&["-q"]);
    let soak = Soak {
        address: program.address(),
        counts: Counts::default(),
        over: AtomicBool::new(false),
    };
    let since = Instant::now();
    // malloc keeps some memory after the first round; the second round must not add to it.
    let [first, second] =
        [1, 2].map(|_| round(&soak, &program, since, Duration::from_secs(seconds()) / 2));
    assert!(
        second < first + GROWTH_MAX_KIB,
        "{first} KiB after one half, {second} KiB after the other"
    );
}

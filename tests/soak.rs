//! All kinds of clients at once, for as long as wanted: `scripts/soak SECONDS`. As a test it takes
//! two seconds; it fails when a reply is lost or altered, or when something is not given back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tungstenite::Message;

mod chat;

use crate::support::client::{Client, FIN_BINARY, Raw, frame, handshake};
use crate::support::program::Program;

/// How much resident memory may differ between two rounds of the same.
const KEPT_KIB: usize = 16 * 1024;

/// What the clients have done.
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

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// Mostly small, sometimes large, in text or binary.
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
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn count_echo(&self, message: &Message) {
        self.counts.echoes.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
    }

    /// One long session, several messages in flight.
    fn echo(&self, dice: &mut Dice) {
        let mut client = Client::open(self.address, "/echo");
        while self.goes_on() {
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

    /// Sessions of one message.
    fn churn(&self, dice: &mut Dice) {
        while self.goes_on() {
            let mut client = Client::open(self.address, "/ws");
            let text = dice.below(1_000_000).to_string();
            let reply = client.ask(Message::text(&text)).into_text().unwrap();
            assert!(reply.starts_with(&format!("You sent: {text} at ")), "{reply}");
            client.0.close(None).unwrap();
            client.assert_closed();
            self.counts.sessions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Visitors of the page, some on a kept connection.
    fn page(&self, dice: &mut Dice) {
        while self.goes_on() {
            let mut raw = Raw::connect(self.address);
            for _ in 0..=dice.below(20) {
                let path = ["/", "/client.js", "/style.css", "/healthz"][dice.below(4)];
                assert_eq!(raw.get(path).status, 200);
                self.counts.pages.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Clients that are cut off anywhere, or talk nonsense.
    fn broken(&self, dice: &mut Dice) {
        while self.goes_on() {
            let mut stream = TcpStream::connect(self.address).unwrap();
            let mut bytes =
                [handshake("/echo").into_bytes(), frame(FIN_BINARY, &[7; 300])].concat();
            let (at, end) = (dice.below(bytes.len()), dice.below(bytes.len()));
            bytes[at] ^= u8::try_from(dice.below(256)).unwrap();
            // It fails where the server has refused already.
            let _ = stream.write_all(&bytes[..end]);
            if dice.below(2) == 0 {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            } else {
                // Waiting for the end keeps this client from taking every place.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
            self.counts.broken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client that reads late, but reads.
    fn slow(&self, dice: &mut Dice) {
        let mut client = Client::open(self.address, "/echo");
        while self.goes_on() {
            let messages: Vec<_> =
                (0..8).map(|_| Message::binary(vec![7; dice.below(20_000)])).collect();
            for message in &messages {
                client.0.send(message.clone()).unwrap();
            }
            std::thread::sleep(Duration::from_millis(50)); // being slow is what it does
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

/// A round of everything at once; the memory in use when it is over and everybody has left.
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
            std::thread::sleep(duration / 10); // the length of the soak
            println!("       {}", soak.line(program, since));
        }
        soak.over.store(true, Ordering::Relaxed);
    });
    program.wait_for_rest(before);
    println!("end:   {}", soak.line(program, since));
    program.rested().resident_kib
}

/// How long a soak takes.
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
    // The first half shows what malloc keeps for good; the second half must not take more.
    let [first, second] =
        [1, 2].map(|_| round(&soak, &program, since, Duration::from_secs(seconds()) / 2));
    assert!(second < first + KEPT_KIB, "{first} KiB after one half, {second} KiB after the other");
}

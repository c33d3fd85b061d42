//! Two hundred chat members that join, send and leave, by a Close or by a reset; some read slowly.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::SockRef;
use tungstenite::{Error, Message};

use super::{Dice, seconds};
use crate::support::client::Client;
use crate::support::program::Program;

const MEMBERS: u64 = 200;
const ROOMS: usize = 4;

struct Churn {
    address: SocketAddr,
    over: AtomicBool,
    /// Set when only the permanent members are left, which then leave.
    is_empty: AtomicBool,
    /// For each room the event of each `seq`, as its first recipient received it.
    events: [Mutex<HashMap<u64, Value>>; ROOMS],
    deliveries: AtomicU64,
    visits: AtomicU64,
    resets: AtomicU64,
    too_slow: AtomicU64,
}

/// How a member reads.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    Brisk,
    Slow,
    /// Pauses for a second after each message that it sends.
    Absent,
}

/// A member from its join to its leave.
struct Visit<'a> {
    churn: &'a Churn,
    client: Client,
    room: usize,
    pace: Pace,
    /// The `seq` expected of the next message.
    next: u64,
}

impl Visit<'_> {
    fn join(churn: &Churn, room: usize, pace: Pace) -> Visit<'_> {
        let mut client = Client::open(churn.address, &format!("/chat?room={room}"));
        let welcome = client.0.read().unwrap().into_text().unwrap();
        let welcome: Value = serde_json::from_str(&welcome).unwrap();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        let seq = welcome["seq"].as_u64().unwrap();
        Visit { churn, client, room, pace, next: seq - seq.min(20) + 1 }
    }

    /// Receives the text of the next message; `None` if the server has closed because the member
    /// was too slow.
    fn receive(&mut self) -> Option<String> {
        if self.pace == Pace::Slow && !self.churn.over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5)); // makes the member slow
        }
        loop {
            let event: Value = match self.client.0.read() {
                Ok(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
                Ok(Message::Close(frame)) => {
                    assert_eq!(frame.map(|frame| frame.code.into()), Some(1013));
                    return None;
                }
                Ok(_) => continue,
                Err(Error::Io(_) | Error::Protocol(_)) if self.pace != Pace::Brisk => return None,
                Err(error) => panic!("{error}"),
            };
            if event["type"] == "message" {
                return Some(self.check(&event));
            }
        }
    }

    /// Asserts that `event` is the next one, and the same as for the other members. Returns its
    /// text.
    fn check(&mut self, event: &Value) -> String {
        assert_eq!(event["seq"], self.next, "a gap or a duplicate: {event}");
        let text = event["text"].as_str().unwrap().to_owned();
        let mut events = self.churn.events[self.room].lock().unwrap();
        let first = events.entry(self.next).or_insert_with(|| event.clone());
        assert_eq!(first, event, "two members received different events");
        self.next += 1;
        self.churn.deliveries.fetch_add(1, Ordering::Relaxed);
        text
    }

    /// Sends a text, and receives messages until it comes back. Returns false if the member was too
    /// slow for that.
    fn send(&mut self, text: &str) -> bool {
        let sent = self.client.0.send(text.into());
        assert!(sent.is_ok() || self.pace != Pace::Brisk, "{sent:?}");
        if self.pace == Pace::Absent {
            std::thread::sleep(Duration::from_secs(1)); // makes the member absent
        }
        std::iter::from_fn(|| self.receive()).any(|received| received == text)
    }

    fn leave(mut self, by_reset: bool) {
        if by_reset {
            SockRef::from(self.client.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
            self.churn.resets.fetch_add(1, Ordering::Relaxed);
        } else if self.client.0.close(None).is_ok() {
            // Fails early if the server has dropped a slow member.
            while self.client.0.read().is_ok() {}
        }
    }
}

impl Churn {
    /// Joins and leaves rooms, one after the other, until the soak is over.
    fn visit_rooms(&self, number: u64) {
        let mut dice = Dice((number + 1) * 0x9e37_79b9);
        let pace = match number % 20 {
            0 => Pace::Absent,
            1 | 2 => Pace::Slow,
            _ => Pace::Brisk,
        };
        let mut turn = 0;
        while !self.over.load(Ordering::Relaxed) {
            let mut visit = Visit::join(self, dice.below(ROOMS), pace);
            self.visits.fetch_add(1, Ordering::Relaxed);
            for _ in 0..=dice.below(10) {
                if self.over.load(Ordering::Relaxed) {
                    break;
                }
                turn += 1;
                let size = if dice.below(10) == 0 { dice.below(4000) } else { dice.below(100) };
                if !visit.send(&format!("{number} {turn} {}", "x".repeat(size))) {
                    self.too_slow.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
            visit.leave(dice.below(3) == 0);
        }
    }

    /// Stays in a room, so that the room and its sequence numbers persist.
    fn stay<'a>(&'a self, mut visit: Visit<'a>) {
        let is_running = || !self.is_empty.load(Ordering::Relaxed);
        loop {
            while is_running() && visit.receive().is_some() {}
            let room = visit.room;
            visit.leave(false);
            if !is_running() {
                return;
            }
            visit = Visit::join(self, room, Pace::Brisk);
        }
    }

    fn line(&self, program: &Program) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let vitals = program.vitals();
        format!(
            "{} messages, {} deliveries, {} visits, {} resets, {} too slow; \
             {} KiB resident, {} descriptors, {} threads",
            self.events.iter().map(|events| events.lock().unwrap().len()).sum::<usize>(),
            count(&self.deliveries),
            count(&self.visits),
            count(&self.resets),
            count(&self.too_slow),
            vitals.resident_kib,
            vitals.descriptors,
            vitals.threads
        )
    }
}

#[test]
fn chat_churn_loses_no_message_and_leaks_nothing() {
    let program =
        Program::start(&["-q", "--chat-rate=1000000", "--chat-message-size=8KiB", "--utc"]);
    let churn = Churn {
        address: program.address(),
        over: AtomicBool::new(false),
        is_empty: AtomicBool::new(false),
        events: Default::default(),
        deliveries: AtomicU64::new(0),
        visits: AtomicU64::new(0),
        resets: AtomicU64::new(0),
        too_slow: AtomicU64::new(0),
    };
    let before = program.rested();
    let (since, churn) = (Instant::now(), &churn);
    std::thread::scope(|scope| {
        for room in 0..ROOMS {
            // Joins before the others: a room is removed when its only member leaves.
            let visit = Visit::join(churn, room, Pace::Brisk);
            scope.spawn(move || churn.stay(visit));
        }
        let members = (0..MEMBERS).map(|number| scope.spawn(move || churn.visit_rooms(number)));
        let members: Vec<_> = members.collect();
        for _ in 0..10 {
            std::thread::sleep(Duration::from_secs(seconds()) / 10); // a tenth of the soak
            println!("{:6.1} s: {}", since.elapsed().as_secs_f64(), churn.line(&program));
        }
        churn.over.store(true, Ordering::Relaxed);
        for member in members {
            member.join().unwrap();
        }
        churn.is_empty.store(true, Ordering::Relaxed);
        // A last message wakes the permanent member of each room, which then leaves.
        for room in 0..ROOMS {
            let mut visit = Visit::join(churn, room, Pace::Brisk);
            visit.send("the end");
            visit.leave(false);
        }
    });
    program.wait_for_rest(before);
    println!("end:      {}", churn.line(&program));
    assert!(churn.deliveries.load(Ordering::Relaxed) > 0);
    for room in 0..ROOMS {
        assert_eq!(Visit::join(churn, room, Pace::Brisk).next, 1, "room {room} still exists");
    }
}

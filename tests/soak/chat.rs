//! Two hundred members who come, talk and leave, cleanly or by a reset, some reading slowly.

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

struct Crowd {
    address: SocketAddr,
    over: AtomicBool,
    /// Nobody but those who stay is there any more.
    is_empty: AtomicBool,
    /// What each number of each room stands for, as the first to hear it heard it.
    said: [Mutex<HashMap<u64, Value>>; ROOMS],
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
    /// Not at all, for a second.
    Absent,
}

/// A member from its joining to its leaving.
struct Visit<'a> {
    crowd: &'a Crowd,
    client: Client,
    room: usize,
    pace: Pace,
    /// The number of the next message.
    next: u64,
}

impl Visit<'_> {
    fn join(crowd: &Crowd, room: usize, pace: Pace) -> Visit<'_> {
        let mut client = Client::open(crowd.address, &format!("/chat?room={room}"));
        let welcome = client.0.read().unwrap().into_text().unwrap();
        let welcome: Value = serde_json::from_str(&welcome).unwrap();
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        let seq = welcome["seq"].as_u64().unwrap();
        Visit { crowd, client, room, pace, next: seq - seq.min(20) + 1 }
    }

    /// The text of the next message; none for who was too slow.
    fn hear(&mut self) -> Option<String> {
        if self.pace == Pace::Slow && !self.crowd.over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5)); // being slow is what it does
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

    fn check(&mut self, event: &Value) -> String {
        assert_eq!(event["seq"], self.next, "a gap or a duplicate: {event}");
        let text = event["text"].as_str().unwrap().to_owned();
        let mut said = self.crowd.said[self.room].lock().unwrap();
        let first = said.entry(self.next).or_insert_with(|| event.clone());
        assert_eq!(first, event, "two heard something different");
        self.next += 1;
        self.crowd.deliveries.fetch_add(1, Ordering::Relaxed);
        text
    }

    /// Says something, and hears all until it comes back. Returns whether it does.
    fn talk(&mut self, text: &str) -> bool {
        let sent = self.client.0.send(text.into());
        assert!(sent.is_ok() || self.pace != Pace::Brisk, "{sent:?}");
        if self.pace == Pace::Absent {
            std::thread::sleep(Duration::from_secs(1)); // being away is what it does
        }
        std::iter::from_fn(|| self.hear()).any(|heard| heard == text)
    }

    fn leave(mut self, by_reset: bool) {
        if by_reset {
            SockRef::from(self.client.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
            self.crowd.resets.fetch_add(1, Ordering::Relaxed);
        } else if self.client.0.close(None).is_ok() {
            // Who was too slow may be gone before that.
            while self.client.0.read().is_ok() {}
        }
    }
}

impl Crowd {
    /// One client's visits, one after another.
    fn churn(&self, number: u64) {
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
                turn += 1;
                let size = if dice.below(10) == 0 { dice.below(4000) } else { dice.below(100) };
                if !visit.talk(&format!("{number} {turn} {}", "x".repeat(size))) {
                    self.too_slow.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
            visit.leave(dice.below(3) == 0);
        }
    }

    /// One who stays, so that a room and its numbers last.
    fn stay<'a>(&'a self, mut visit: Visit<'a>) {
        let goes_on = || !self.is_empty.load(Ordering::Relaxed);
        loop {
            while goes_on() && visit.hear().is_some() {}
            let room = visit.room;
            visit.leave(false);
            if !goes_on() {
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
            self.said.iter().map(|said| said.lock().unwrap().len()).sum::<usize>(),
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
    let crowd = Crowd {
        address: program.address(),
        over: AtomicBool::new(false),
        is_empty: AtomicBool::new(false),
        said: Default::default(),
        deliveries: AtomicU64::new(0),
        visits: AtomicU64::new(0),
        resets: AtomicU64::new(0),
        too_slow: AtomicU64::new(0),
    };
    let before = program.rested();
    let (since, crowd) = (Instant::now(), &crowd);
    std::thread::scope(|scope| {
        for room in 0..ROOMS {
            // In before the others, of whom the first might leave and take the room along.
            let visit = Visit::join(crowd, room, Pace::Brisk);
            scope.spawn(move || crowd.stay(visit));
        }
        let members = (0..MEMBERS).map(|number| scope.spawn(move || crowd.churn(number)));
        let members: Vec<_> = members.collect();
        for _ in 0..10 {
            std::thread::sleep(Duration::from_secs(seconds()) / 10); // the length of the soak
            println!("{:6.1} s: {}", since.elapsed().as_secs_f64(), crowd.line(&program));
        }
        crowd.over.store(true, Ordering::Relaxed);
        for member in members {
            member.join().unwrap();
        }
        crowd.is_empty.store(true, Ordering::Relaxed);
        // A last word each, so that those who stay wake and leave.
        for room in 0..ROOMS {
            let mut visit = Visit::join(crowd, room, Pace::Brisk);
            visit.talk("the end");
            visit.leave(false);
        }
    });
    program.wait_for_rest(before);
    println!("end:      {}", crowd.line(&program));
    assert!(crowd.deliveries.load(Ordering::Relaxed) > 0);
    for room in 0..ROOMS {
        assert_eq!(Visit::join(crowd, room, Pace::Brisk).next, 1, "room {room} did not vanish");
    }
}

//! The sessions of a server: those that are on, one by one, and what the others have done together.
//!
//! What it is: a list that sessions enter and leave, and totals that hold for both.
//! What it is not: there where nobody asks (`--admin`).
//! Invariants: a session is on the list exactly as long as its [`Presence`] lives. What it does is
//! counted once, while it is on and after, so that no total ever goes back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::tally::{SeenTally, Tally};
use crate::config::timestamp;

/// Who ended a session, how, and the code of the Close.
pub(crate) type End = [&'static str; 3];

/// What a session that has told no other end has died of.
const PANIC: End = ["server", "panic", ""];

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In the order in which they came.
    live: BTreeMap<u64, Arc<Live>>,
    opened: u64,
    /// Of those that have ended.
    received: Tally,
    answered: Tally,
    ends: BTreeMap<End, u64>,
}

/// Who a session is.
#[derive(Debug, Serialize)]
pub(crate) struct About {
    pub(crate) client: String,
    pub(crate) peer: String,
    pub(crate) path: String,
    pub(crate) subprotocol: Option<String>,
    /// In a chat; the name is the one that the room gave.
    pub(crate) room: Option<String>,
    pub(crate) name: Option<String>,
}

/// Says who a session is: whoever looks at the list does that work, and has the stack for it.
pub(crate) type Introduce = Box<dyn Fn() -> About + Send + Sync>;

/// A session that is on. What it has done so far is its own to set.
pub(crate) struct Live {
    number: u64,
    introduce: Introduce,
    since: SystemTime,
    started: Instant,
    pub(crate) received: SeenTally,
    /// In a chat its courier's.
    pub(crate) answered: Arc<SeenTally>,
    /// In nanoseconds; 0 before there is one.
    round_trip: AtomicU64,
}

/// A session's line on the list; its values are named as in the log.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    session: u64,
    #[serde(flatten)]
    about: About,
    since: String,
    seconds: f64,
    messages_in: u64,
    bytes_in: u64,
    messages_out: u64,
    bytes_out: u64,
    ping_ms: Option<f64>,
}

/// What all sessions have done, those that are on included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) open: usize,
    pub(super) opened: u64,
    pub(super) received: Tally,
    pub(super) answered: Tally,
    pub(super) ends: Vec<(End, u64)>,
}

impl Roll {
    /// The sessions that are on.
    pub(crate) fn live(&self) -> Vec<Arc<Live>> {
        self.lock().live.values().cloned().collect()
    }

    pub(super) fn totals(&self) -> Totals {
        let state = self.lock();
        let sum = |past: Tally, of: fn(&Live) -> Tally| {
            state.live.values().fold(past, |sum, live| sum.and(of(live)))
        };
        Totals {
            open: state.live.len(),
            opened: state.opened,
            received: sum(state.received, |live| live.received.get()),
            answered: sum(state.answered, |live| live.answered.get()),
            ends: state.ends.iter().map(|(end, count)| (*end, *count)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a poisoned one would still be consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// From a Ping to its Pong.
    pub(crate) fn set_round_trip(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.round_trip.store(nanoseconds, Ordering::Relaxed);
    }

    /// As it is at `now`.
    pub(crate) fn line(&self, now: Instant) -> Line {
        let (received, answered) = (self.received.get(), self.answered.get());
        let round_trip = Duration::from_nanos(self.round_trip.load(Ordering::Relaxed));
        Line {
            session: self.number,
            about: (self.introduce)(),
            since: timestamp(self.since),
            seconds: now.saturating_duration_since(self.started).as_secs_f64(),
            messages_in: received.messages,
            bytes_in: received.bytes,
            messages_out: answered.messages,
            bytes_out: answered.bytes,
            ping_ms: (!round_trip.is_zero()).then_some(round_trip.as_secs_f64() * 1e3),
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("number", &self.number).finish_non_exhaustive()
    }
}

/// A session's place on the list, which it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    roll: Arc<Roll>,
    live: Arc<Live>,
    end: End,
}

impl Presence {
    /// Enters the list. `answered` is where what goes out is counted.
    pub(crate) fn new(
        roll: &Arc<Roll>,
        number: u64,
        introduce: Introduce,
        answered: Arc<SeenTally>,
    ) -> Presence {
        let live = Arc::new(Live {
            number,
            introduce,
            since: SystemTime::now(),
            started: Instant::now(),
            received: SeenTally::default(),
            answered,
            round_trip: AtomicU64::new(0),
        });
        let mut state = roll.lock();
        state.opened += 1;
        state.live.insert(number, Arc::clone(&live));
        drop(state);
        Presence { roll: Arc::clone(roll), live, end: PANIC }
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Says how the session ends.
    pub(crate) fn ends(&mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut state = self.roll.lock();
        state.live.remove(&self.live.number);
        state.received = state.received.and(self.live.received.get());
        state.answered = state.answered.and(self.live.answered.get());
        *state.ends.entry(self.end).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(roll: &Arc<Roll>, number: u64) -> Presence {
        let introduce = || About {
            client: "203.0.113.9".to_owned(),
            peer: "127.0.0.1:5000".to_owned(),
            path: "/echo".to_owned(),
            subprotocol: None,
            room: None,
            name: None,
        };
        Presence::new(roll, number, Box::new(introduce), Arc::default())
    }

    #[test]
    fn totals_are_the_same_before_and_after_an_end() {
        let roll = Arc::<Roll>::default();
        let (mut first, second) = (enter(&roll, 1), enter(&roll, 2));
        first.live().received.set(Tally { messages: 3, bytes: 30 });
        second.live().received.set(Tally { messages: 1, bytes: 5 });
        second.live().answered.set(Tally { messages: 2, bytes: 7 });
        let totals = |open, ends| Totals {
            open,
            opened: 2,
            received: Tally { messages: 4, bytes: 35 },
            answered: Tally { messages: 2, bytes: 7 },
            ends,
        };
        assert_eq!(roll.totals(), totals(2, vec![]));
        let end = ["client", "close", "1000"];
        first.ends(end);
        drop(first);
        assert_eq!(roll.totals(), totals(1, vec![(end, 1)]));
        drop(second);
        assert_eq!(roll.totals(), totals(0, vec![(end, 1), (PANIC, 1)]));
        assert!(roll.live().is_empty());
    }

    #[test]
    fn a_line_is_named_as_in_the_log() {
        let roll = Arc::<Roll>::default();
        let presence = enter(&roll, 7);
        let live = presence.live();
        live.received.set(Tally { messages: 1, bytes: 2 });
        live.answered.set(Tally { messages: 3, bytes: 4 });
        let shown = |seconds| {
            let now = live.started + Duration::from_secs(seconds);
            serde_json::to_value(live.line(now)).unwrap()
        };
        let mut expected = serde_json::json!({
            "session": 7, "client": "203.0.113.9", "peer": "127.0.0.1:5000", "path": "/echo",
            "subprotocol": null, "room": null, "name": null,
            "since": timestamp(live.since), "seconds": 5.0,
            "messages_in": 1, "bytes_in": 2, "messages_out": 3, "bytes_out": 4, "ping_ms": null,
        });
        assert_eq!(shown(5), expected);
        live.set_round_trip(Duration::from_micros(1500));
        expected["ping_ms"] = 1.5.into();
        assert_eq!(shown(5), expected);
    }
}

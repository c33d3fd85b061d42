//! The sessions of a server: those that are on, one by one, and what the others have done together.
//!
//! What it is: a list that sessions enter and leave, and totals that hold for both.
//! What it is not: there where nobody asks (`--admin`).
//! Invariants: a session is on the list exactly as long as its [`Registration`] lives. What it does is
//! counted once, while it is on and after, so that no total ever goes back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::tally::{SharedTally, Tally};
use crate::config::timestamp;

/// Who ended a session, how, and the code of the Close.
pub(crate) type EndLabels = [&'static str; 3];

/// What a session that has told no other end has died of.
const PANIC: EndLabels = ["server", "panic", ""];

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SessionRegistry(Mutex<RegistryState>);

#[derive(Debug, Default)]
struct RegistryState {
    /// In the order in which they came.
    open: BTreeMap<u64, Arc<SessionStats>>,
    opened: u64,
    /// Of those that have ended.
    received: Tally,
    answered: Tally,
    ends: BTreeMap<EndLabels, u64>,
}

/// Who a session is.
#[derive(Debug, Serialize)]
pub(crate) struct SessionIdentity {
    pub(crate) client: String,
    pub(crate) peer: String,
    pub(crate) path: String,
    pub(crate) subprotocol: Option<String>,
    /// In a chat; the name is the one that the room gave.
    pub(crate) room: Option<String>,
    pub(crate) name: Option<String>,
}

/// Says who a session is: whoever looks at the list does that work, and has the stack for it.
pub(crate) type Identify = Box<dyn Fn() -> SessionIdentity + Send + Sync>;

/// A session that is on. What it has done so far is its own to set.
pub(crate) struct SessionStats {
    number: u64,
    identify: Identify,
    since: SystemTime,
    started: Instant,
    pub(crate) received: SharedTally,
    /// In a chat its courier's.
    pub(crate) answered: SharedTally,
    /// In nanoseconds; 0 before there is one.
    round_trip: AtomicU64,
}

/// A session's row on the list; its values are named as in the log.
#[derive(Debug, Serialize)]
pub(crate) struct SessionRow {
    session: u64,
    #[serde(flatten)]
    about: SessionIdentity,
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
    pub(super) ends: Vec<(EndLabels, u64)>,
}

impl SessionRegistry {
    /// The sessions that are on.
    pub(crate) fn open(&self) -> Vec<Arc<SessionStats>> {
        self.lock().open.values().cloned().collect()
    }

    pub(super) fn totals(&self) -> Totals {
        let state = self.lock();
        let sum = |past: Tally, of: fn(&SessionStats) -> Tally| {
            state.open.values().fold(past, |sum, open| sum.and(of(open)))
        };
        Totals {
            open: state.open.len(),
            opened: state.opened,
            received: sum(state.received, |open| open.received.get()),
            answered: sum(state.answered, |open| open.answered.get()),
            ends: state.ends.iter().map(|(end, count)| (*end, *count)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        // Nothing panics while it holds the lock; a poisoned one would still be consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStats {
    /// From a Ping to its Pong.
    pub(crate) fn set_round_trip(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.round_trip.store(nanoseconds, Ordering::Relaxed);
    }

    /// As it is at `now`.
    pub(crate) fn row(&self, now: Instant) -> SessionRow {
        let (received, answered) = (self.received.get(), self.answered.get());
        let round_trip = Duration::from_nanos(self.round_trip.load(Ordering::Relaxed));
        SessionRow {
            session: self.number,
            about: (self.identify)(),
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

impl fmt::Debug for SessionStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStats").field("number", &self.number).finish_non_exhaustive()
    }
}

/// A session's place on the list, which it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<SessionRegistry>,
    stats: Arc<SessionStats>,
    end: EndLabels,
}

impl Registration {
    /// Adds a session to the list.
    pub(crate) fn new(
        registry: &Arc<SessionRegistry>,
        number: u64,
        identify: Identify,
    ) -> Registration {
        let stats = Arc::new(SessionStats {
            number,
            identify,
            since: SystemTime::now(),
            started: Instant::now(),
            received: SharedTally::default(),
            answered: SharedTally::default(),
            round_trip: AtomicU64::new(0),
        });
        let mut list = registry.lock();
        list.opened += 1;
        list.open.insert(number, Arc::clone(&stats));
        drop(list);
        Registration { registry: Arc::clone(registry), stats, end: PANIC }
    }

    pub(crate) fn stats(&self) -> &Arc<SessionStats> {
        &self.stats
    }

    /// Says how the session ends.
    pub(crate) fn set_end(&mut self, end: EndLabels) {
        self.end = end;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        state.open.remove(&self.stats.number);
        state.received = state.received.and(self.stats.received.get());
        state.answered = state.answered.and(self.stats.answered.get());
        *state.ends.entry(self.end).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(registry: &Arc<SessionRegistry>, number: u64) -> Registration {
        let identify = || SessionIdentity {
            client: "203.0.113.9".to_owned(),
            peer: "127.0.0.1:5000".to_owned(),
            path: "/echo".to_owned(),
            subprotocol: None,
            room: None,
            name: None,
        };
        Registration::new(registry, number, Box::new(identify))
    }

    #[test]
    fn totals_are_the_same_before_and_after_an_end() {
        let registry = Arc::<SessionRegistry>::default();
        let (mut first, second) = (enter(&registry, 1), enter(&registry, 2));
        first.stats().received.set(Tally { messages: 3, bytes: 30 });
        second.stats().received.set(Tally { messages: 1, bytes: 5 });
        second.stats().answered.set(Tally { messages: 2, bytes: 7 });
        let totals = |open, ends| Totals {
            open,
            opened: 2,
            received: Tally { messages: 4, bytes: 35 },
            answered: Tally { messages: 2, bytes: 7 },
            ends,
        };
        assert_eq!(registry.totals(), totals(2, vec![]));
        let end = ["client", "close", "1000"];
        first.set_end(end);
        drop(first);
        assert_eq!(registry.totals(), totals(1, vec![(end, 1)]));
        drop(second);
        assert_eq!(registry.totals(), totals(0, vec![(end, 1), (PANIC, 1)]));
        assert!(registry.open().is_empty());
    }

    #[test]
    fn a_line_is_named_as_in_the_log() {
        let registry = Arc::<SessionRegistry>::default();
        let registration = enter(&registry, 7);
        let stats = registration.stats();
        stats.received.set(Tally { messages: 1, bytes: 2 });
        stats.answered.set(Tally { messages: 3, bytes: 4 });
        let shown = |seconds| {
            let now = stats.started + Duration::from_secs(seconds);
            serde_json::to_value(stats.row(now)).unwrap()
        };
        let mut expected = serde_json::json!({
            "session": 7, "client": "203.0.113.9", "peer": "127.0.0.1:5000", "path": "/echo",
            "subprotocol": null, "room": null, "name": null,
            "since": timestamp(stats.since), "seconds": 5.0,
            "messages_in": 1, "bytes_in": 2, "messages_out": 3, "bytes_out": 4, "ping_ms": null,
        });
        assert_eq!(shown(5), expected);
        stats.set_round_trip(Duration::from_micros(1500));
        expected["ping_ms"] = 1.5.into();
        assert_eq!(shown(5), expected);
    }
}

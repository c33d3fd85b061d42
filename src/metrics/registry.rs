//! The registry of sessions: the open ones, and totals over open and ended ones. It exists only
//! with `--admin`.
//!
//! **Invariants:** A session is in the registry exactly as long as its [`Registration`] lives. Its
//! messages are counted exactly once, while it is open and after its end, so no total ever
//! decreases.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::tally::{SharedTally, Tally};
use crate::config::timestamp;
use crate::lock::unpoisoned;

/// The values of the labels `by`, `how` and `code` of `wsecho_session_ends_total`.
pub(crate) type EndLabels = [&'static str; 3];

/// The end of a session that was dropped without another one: its thread panicked.
const PANIC: EndLabels = ["server", "panic", ""];

/// The registry, shared by all sessions of a server.
#[derive(Debug, Default)]
pub(crate) struct SessionRegistry(Mutex<RegistryState>);

#[derive(Debug, Default)]
struct RegistryState {
    /// By session number, and so in the order of their start.
    open: BTreeMap<u64, Arc<SessionStats>>,
    opened: u64,
    /// Totals of the sessions that have ended.
    received: Tally,
    sent: Tally,
    ends: BTreeMap<EndLabels, u64>,
}

/// The client and request of a session, for `/sessions`.
#[derive(Debug, Serialize)]
pub(crate) struct SessionIdentity {
    pub(crate) client: String,
    pub(crate) peer: String,
    /// The name of the client's screen, if it gave one.
    pub(crate) screen: Option<String>,
    pub(crate) path: String,
    pub(crate) subprotocol: Option<String>,
    /// The room, in a chat; `name` is the member's name there.
    pub(crate) room: Option<String>,
    pub(crate) name: Option<String>,
}

/// Builds the identity for `/sessions`. It is a closure, so that the admin thread pays for the
/// formatting, and not each session.
pub(crate) type Identify = Box<dyn Fn() -> SessionIdentity + Send + Sync>;

/// The statistics of an open session, which the session updates.
pub(crate) struct SessionStats {
    number: u64,
    identify: Identify,
    since: SystemTime,
    started: Instant,
    pub(crate) received: SharedTally,
    pub(crate) sent: SharedTally,
    /// The last round-trip time in nanoseconds; 0 before the first one.
    round_trip: AtomicU64,
}

/// An entry of `/sessions`, with the names of the log.
#[derive(Debug, Serialize)]
pub(crate) struct SessionRow {
    session: u64,
    #[serde(flatten)]
    identity: SessionIdentity,
    since: String,
    seconds: f64,
    messages_in: u64,
    bytes_in: u64,
    messages_out: u64,
    bytes_out: u64,
    ping_ms: Option<f64>,
}

/// Totals over all sessions, open and ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) open: usize,
    pub(super) opened: u64,
    pub(super) received: Tally,
    pub(super) sent: Tally,
    pub(super) ends: Vec<(EndLabels, u64)>,
}

impl SessionRegistry {
    /// The open sessions, in the order of their start.
    pub(crate) fn open(&self) -> Vec<Arc<SessionStats>> {
        self.lock().open.values().cloned().collect()
    }

    /// The totals over all sessions at this moment.
    pub(super) fn totals(&self) -> Totals {
        let state = self.lock();
        let sum = |ended: Tally, tally: fn(&SessionStats) -> Tally| {
            state.open.values().fold(ended, |sum, open| sum.and(tally(open)))
        };
        Totals {
            open: state.open.len(),
            opened: state.opened,
            received: sum(state.received, |open| open.received.get()),
            sent: sum(state.sent, |open| open.sent.get()),
            ends: state.ends.iter().map(|(end, count)| (*end, *count)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        unpoisoned(self.0.lock())
    }
}

impl SessionStats {
    /// Sets the round-trip time: from a Ping to its Pong.
    pub(crate) fn set_round_trip(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.round_trip.store(nanoseconds, Ordering::Relaxed);
    }

    /// The session's entry of `/sessions` at `now`.
    pub(crate) fn row(&self, now: Instant) -> SessionRow {
        let (received, sent) = (self.received.get(), self.sent.get());
        let round_trip = Duration::from_nanos(self.round_trip.load(Ordering::Relaxed));
        SessionRow {
            session: self.number,
            identity: (self.identify)(),
            since: timestamp(self.since),
            seconds: now.saturating_duration_since(self.started).as_secs_f64(),
            messages_in: received.messages,
            bytes_in: received.bytes,
            messages_out: sent.messages,
            bytes_out: sent.bytes,
            ping_ms: (!round_trip.is_zero()).then_some(round_trip.as_secs_f64() * 1e3),
        }
    }
}

impl fmt::Debug for SessionStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStats").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Keeps a session in the registry; dropping it removes the session, and adds its counts to the
/// totals.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<SessionRegistry>,
    stats: Arc<SessionStats>,
    end: EndLabels,
}

impl Registration {
    /// Registers a session.
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
            sent: SharedTally::default(),
            round_trip: AtomicU64::new(0),
        });
        let mut locked = registry.lock();
        locked.opened += 1;
        locked.open.insert(number, Arc::clone(&stats));
        drop(locked);
        Registration { registry: Arc::clone(registry), stats, end: PANIC }
    }

    /// The session's statistics, to be updated by the session.
    pub(crate) fn stats(&self) -> &Arc<SessionStats> {
        &self.stats
    }

    /// Sets how the session ended, before the registration is dropped.
    pub(crate) fn set_end(&mut self, end: EndLabels) {
        self.end = end;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        state.open.remove(&self.stats.number);
        state.received = state.received.and(self.stats.received.get());
        state.sent = state.sent.and(self.stats.sent.get());
        *state.ends.entry(self.end).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(registry: &Arc<SessionRegistry>, number: u64) -> Registration {
        let identify = || SessionIdentity {
            client: "203.0.113.9".to_owned(),
            peer: "127.0.0.1:5000".to_owned(),
            screen: None,
            path: "/echo".to_owned(),
            subprotocol: None,
            room: None,
            name: None,
        };
        Registration::new(registry, number, Box::new(identify))
    }

    #[test]
    fn totals_do_not_change_when_sessions_end() {
        let registry = Arc::<SessionRegistry>::default();
        let (mut first, second) = (register(&registry, 1), register(&registry, 2));
        first.stats().received.set(Tally { messages: 3, bytes: 30 });
        second.stats().received.set(Tally { messages: 1, bytes: 5 });
        second.stats().sent.set(Tally { messages: 2, bytes: 7 });
        let totals = |open, ends| Totals {
            open,
            opened: 2,
            received: Tally { messages: 4, bytes: 35 },
            sent: Tally { messages: 2, bytes: 7 },
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
    fn entries_have_the_names_of_the_log() {
        let registry = Arc::<SessionRegistry>::default();
        let registration = register(&registry, 7);
        let stats = registration.stats();
        stats.received.set(Tally { messages: 1, bytes: 2 });
        stats.sent.set(Tally { messages: 3, bytes: 4 });
        let shown = |seconds| {
            let now = stats.started + Duration::from_secs(seconds);
            serde_json::to_value(stats.row(now)).unwrap()
        };
        let mut expected = serde_json::json!({
            "session": 7, "client": "203.0.113.9", "peer": "127.0.0.1:5000", "screen": null,
            "path": "/echo", "subprotocol": null, "room": null, "name": null,
            "since": timestamp(stats.since), "seconds": 5.0,
            "messages_in": 1, "bytes_in": 2, "messages_out": 3, "bytes_out": 4, "ping_ms": null,
        });
        assert_eq!(shown(5), expected);
        stats.set_round_trip(Duration::from_micros(1500));
        expected["ping_ms"] = 1.5.into();
        assert_eq!(shown(5), expected);
    }
}

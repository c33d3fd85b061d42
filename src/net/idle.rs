//! Connections that serve no request at the moment. When all slots are in use, one of them makes room
//! for the next connection.
//!
//! **Invariant:** a connection with a session, or with a complete request that is not answered, is not
//! in the list.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::Weak;
use std::time::Instant;

use super::Stream;
use crate::config::tuning::IDLE_KEPT;

/// What an idle connection waits for. The first kind of this list makes room first, and within one kind
/// the connection that has waited longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Idle {
    /// For the first byte of the peer.
    Silent,
    /// For the end of the stream, after the last response.
    Answered,
    /// For another request. It makes room after [`IDLE_KEPT`] only.
    KeptAlive,
    /// For the rest of a request head. It makes room after [`IDLE_KEPT`] only.
    PartialHead,
}

/// Identifies an idle connection. The number is larger for one that is in the list since later.
pub(super) type IdleKey = (Idle, u64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct IdleConnections {
    next: u64,
    entries: BTreeMap<IdleKey, Entry>,
}

#[derive(Debug)]
struct Entry {
    stream: Weak<Stream>,
    since: Instant,
}

impl IdleConnections {
    pub(super) fn insert(&mut self, idle: Idle, stream: Weak<Stream>, since: Instant) -> IdleKey {
        let key = (idle, self.next);
        self.next += 1;
        self.entries.insert(key, Entry { stream, since });
        key
    }

    /// Takes a connection off the list. Returns whether it was still there.
    pub(super) fn remove(&mut self, key: IdleKey) -> bool {
        self.entries.remove(&key).is_some()
    }

    pub(super) fn contains(&self, key: IdleKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// Whether a connection can make room at `now`.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.first(now).is_some()
    }

    /// Ends a connection that can make room at `now`, and takes it off the list. Returns whether there
    /// was one.
    pub(super) fn make_room(&mut self, now: Instant) -> bool {
        let Some(entry) = self.first(now).and_then(|key| self.entries.remove(&key)) else {
            return false;
        };
        if let Some(stream) = entry.stream.upgrade() {
            // The read that waits ends, and the thread closes the connection: over TLS with a close_notify.
            // It fails on a connection that has ended by itself.
            let _ = stream.shutdown(Shutdown::Read);
        }
        true
    }

    fn first(&self, now: Instant) -> Option<IdleKey> {
        let makes_room = |(kind, _): IdleKey, entry: &Entry| {
            kind <= Idle::Answered || now.saturating_duration_since(entry.since) >= IDLE_KEPT
        };
        self.entries.iter().find(|(key, entry)| makes_room(**key, entry)).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_silent_connection_makes_room_first() {
        let (mut idle, start) = (IdleConnections::default(), Instant::now());
        let mut insert = |kind| idle.insert(kind, Weak::new(), start);
        let [partial, kept, answered, older, newer] =
            [Idle::PartialHead, Idle::KeptAlive, Idle::Answered, Idle::Silent, Idle::Silent]
                .map(&mut insert);
        let mut next = |now| {
            let first = idle.first(now);
            assert_eq!(
                (idle.has_room(now), idle.make_room(now)),
                (first.is_some(), first.is_some())
            );
            first
        };
        assert_eq!([(); 4].map(|()| next(start)), [Some(older), Some(newer), Some(answered), None]);
        let later = start + IDLE_KEPT;
        assert_eq!([(); 3].map(|()| next(later)), [Some(kept), Some(partial), None]);
    }

    #[test]
    fn a_connection_that_is_busy_again_makes_no_room() {
        let (mut idle, start) = (IdleConnections::default(), Instant::now());
        let key = idle.insert(Idle::Silent, Weak::new(), start);
        assert!(idle.remove(key));
        assert!(!idle.make_room(start));
        let key = idle.insert(Idle::Silent, Weak::new(), start);
        assert!(idle.make_room(start));
        assert!(!idle.remove(key), "it has lost its slot");
    }
}

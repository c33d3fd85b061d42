//! What went one way over a WebSocket, as the log and the operator's list tell it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages, and their payload in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    /// One more message, of so many bytes.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// With another one's.
    pub(crate) fn and(self, other: Tally) -> Tally {
        Tally { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }
}

/// A tally that one thread keeps, and others look at meanwhile: for the one it is a plain store.
#[derive(Debug, Default)]
pub(crate) struct SeenTally {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl SeenTally {
    pub(crate) fn set(&self, tally: Tally) {
        self.messages.store(tally.messages, Ordering::Relaxed);
        self.bytes.store(tally.bytes, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Tally {
        Tally {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

//! What went over a WebSocket, as the log, the operator's list and `?info` tell it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

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

/// What compression has reached: payload in bytes, as it was and on the wire.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CompressionStats {
    pub(crate) received: CompressedBytes,
    pub(crate) sent: CompressedBytes,
}

/// One way of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CompressedBytes {
    pub(crate) bytes: u64,
    pub(crate) on_the_wire: u64,
}

/// A tally that one thread keeps, and others look at meanwhile: for the one it is a plain store.
#[derive(Debug, Default)]
pub(crate) struct SharedTally {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl SharedTally {
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

//! Counters of messages and bytes, for the log, the metrics, `/sessions` and `?info`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// A number of messages, and their payload in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    /// Counts one message with a payload of `bytes`.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// The sum of both.
    pub(crate) fn and(self, other: Tally) -> Tally {
        Tally { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }
}

/// The effect of permessage-deflate (RFC 7692) in a session, for `?info`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CompressionStats {
    pub(crate) received: CompressedBytes,
    pub(crate) sent: CompressedBytes,
}

/// The payload bytes of one direction, before compression and on the wire.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CompressedBytes {
    pub(crate) bytes: u64,
    pub(crate) on_the_wire: u64,
}

/// Counters with one writer and many readers: relaxed stores, no read-modify-write. A reader may
/// see the two values of different moments.
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

//! The pool of deflaters and inflaters, which sessions borrow for a message, and the slots of
//! sessions that keep their own for context takeover.
//!
//! An empty pool creates a new deflater or inflater and never makes a session wait.
//!
//! **Invariant:** the pool keeps at most [`DEFLATE_KEPT`] idle ones of each kind, and there are at
//! most [`DEFLATE_TAKEOVERS`] slots.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flate2::{Compress, Compression};

use super::inflater::Inflater;
use crate::config::tuning::{DEFLATE_KEPT, DEFLATE_TAKEOVERS};
use crate::lock::unpoisoned;

/// The pool of one server.
#[derive(Debug, Default)]
pub(crate) struct DeflatePool {
    deflaters: FreeList<Deflater>,
    inflaters: FreeList<Inflater>,
    takeovers: AtomicUsize,
}

/// A raw DEFLATE stream that compresses, with an LZ77 window of `window_bits`.
#[derive(Debug)]
pub(super) struct Deflater {
    pub(super) stream: Compress,
    window_bits: u8,
}

impl DeflatePool {
    /// Returns a deflater without context.
    pub(super) fn deflater(&self, window_bits: u8) -> Deflater {
        if let Some(mut deflater) = self.deflaters.take(|idle| idle.window_bits == window_bits) {
            deflater.stream.reset();
            return deflater;
        }
        Deflater {
            // The fastest level, because an echo is not stored.
            stream: Compress::new_with_window_bits(Compression::fast(), false, window_bits),
            window_bits,
        }
    }

    /// Returns an inflater without context.
    pub(super) fn inflater(&self) -> Inflater {
        let mut inflater = self.inflaters.take(|_| true).unwrap_or_default();
        inflater.reset();
        inflater
    }

    pub(super) fn return_deflater(&self, deflater: Deflater) {
        self.deflaters.put(deflater);
    }

    pub(super) fn return_inflater(&self, inflater: Inflater) {
        self.inflaters.put(inflater);
    }

    /// Takes a slot for context takeover; `None` if all are in use.
    pub(crate) fn takeover(self: &Arc<Self>) -> Option<TakeoverSlot> {
        let more = |taken| (taken < DEFLATE_TAKEOVERS).then_some(taken + 1);
        self.takeovers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(TakeoverSlot(Arc::clone(self)))
    }

    /// Returns the numbers of idle deflaters and inflaters.
    #[cfg(test)]
    pub(super) fn idle(&self) -> (usize, usize) {
        (unpoisoned(self.deflaters.0.lock()).len(), unpoisoned(self.inflaters.0.lock()).len())
    }
}

/// Allows a session to use context takeover; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct TakeoverSlot(Arc<DeflatePool>);

impl Drop for TakeoverSlot {
    fn drop(&mut self) {
        self.0.takeovers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Idle items of one kind, to be used again.
#[derive(Debug)]
struct FreeList<T>(Mutex<Vec<T>>);

impl<T> Default for FreeList<T> {
    fn default() -> Self {
        FreeList(Mutex::default())
    }
}

impl<T> FreeList<T> {
    fn take(&self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let mut idle = unpoisoned(self.0.lock());
        let index = idle.iter().rposition(matches)?;
        Some(idle.swap_remove(index))
    }

    /// Keeps `item`, or drops it if there are enough.
    fn put(&self, item: T) {
        let mut idle = unpoisoned(self.0.lock());
        if idle.len() < DEFLATE_KEPT {
            idle.push(item);
        }
    }
}

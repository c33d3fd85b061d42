//! The pool of deflaters and inflaters, which sessions borrow for a message, and the slots of
//! sessions that keep their own for context takeover.
//!
//! An empty pool creates a new deflater or inflater and never makes a session wait. If there are too many
//! deflaters, a message is sent uncompressed.
//!
//! **Invariant:** the pool keeps at most [`DEFLATE_KEPT`] idle ones of each kind, there are at most
//! [`DEFLATERS_MAX`] deflaters besides those of the at most [`DEFLATE_TAKEOVERS`] slots, and each session has
//! one inflater at most.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flate2::{Compress, Compression};

use super::inflater::Inflater;
use crate::config::tuning::{DEFLATE_KEPT, DEFLATE_TAKEOVERS, DEFLATERS_MAX};
use crate::lock::unpoisoned;

/// The pool of one server.
#[derive(Debug, Default)]
pub(crate) struct DeflatePool {
    deflaters: FreeList<Deflater>,
    inflaters: FreeList<Inflater>,
    takeovers: Arc<AtomicUsize>,
    /// Deflaters that exist.
    live: Arc<AtomicUsize>,
}

/// A raw DEFLATE stream that compresses, with an LZ77 window of `window_bits`.
#[derive(Debug)]
pub(super) struct Deflater {
    pub(super) stream: Compress,
    window_bits: u8,
    _counted: Counted,
}

/// Counts one as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// `None` if `max` are counted already.
    fn new(count: &Arc<AtomicUsize>, max: usize) -> Option<Counted> {
        let more = |counted| (counted < max).then_some(counted + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Counted(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl DeflatePool {
    /// Returns a deflater without context; `None` if there are too many.
    pub(super) fn deflater(&self, window_bits: u8) -> Option<Deflater> {
        if let Some(mut deflater) = self.deflaters.take(|idle| idle.window_bits == window_bits) {
            deflater.stream.reset();
            return Some(deflater);
        }
        let counted = Counted::new(&self.live, DEFLATERS_MAX + DEFLATE_TAKEOVERS)?;
        Some(Deflater {
            // The fastest level, because an echo is not stored.
            stream: Compress::new_with_window_bits(Compression::fast(), false, window_bits),
            window_bits,
            _counted: counted,
        })
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
    pub(crate) fn takeover(&self) -> Option<TakeoverSlot> {
        Counted::new(&self.takeovers, DEFLATE_TAKEOVERS).map(TakeoverSlot)
    }

    /// Returns the numbers of idle deflaters and inflaters.
    #[cfg(test)]
    pub(super) fn idle(&self) -> (usize, usize) {
        (unpoisoned(self.deflaters.0.lock()).len(), unpoisoned(self.inflaters.0.lock()).len())
    }
}

/// Allows a session to use context takeover; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct TakeoverSlot(#[expect(dead_code, reason = "it counts")] Counted);

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

//! Deflaters and inflaters that sessions borrow.
//!
//! What it is: a few of each that are kept for the next message, and the places for sessions that
//! have their own.
//! What it is not: a limit to messages: when none is kept, one is made.
//! Invariant: no more is kept than `config::tuning` says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::{Compress, Compression};

use super::inflater::Inflater;
use crate::config::tuning::{DEFLATE_KEPT, DEFLATE_TAKEOVERS};

/// The pool of one server.
#[derive(Debug, Default)]
pub(crate) struct DeflatePool {
    deflaters: Shelf<Deflater>,
    inflaters: Shelf<Inflater>,
    takeovers: AtomicUsize,
}

/// A zlib stream that compresses within a window.
#[derive(Debug)]
pub(super) struct Deflater {
    pub(super) stream: Compress,
    window: u8,
}

impl DeflatePool {
    /// One that has forgotten what it had before.
    pub(super) fn deflater(&self, window: u8) -> Deflater {
        if let Some(mut deflater) = self.deflaters.take(|kept| kept.window == window) {
            deflater.stream.reset();
            return deflater;
        }
        Deflater {
            // The fastest: an echo is not stored anywhere.
            stream: Compress::new_with_window_bits(Compression::fast(), false, window),
            window,
        }
    }

    /// One that has forgotten what it had before.
    pub(super) fn inflater(&self) -> Inflater {
        let mut inflater = self.inflaters.take(|_| true).unwrap_or_default();
        inflater.reset();
        inflater
    }

    pub(super) fn keep_deflater(&self, deflater: Deflater) {
        self.deflaters.put(deflater);
    }

    pub(super) fn keep_inflater(&self, inflater: Inflater) {
        self.inflaters.put(inflater);
    }

    /// A position for a session that keeps its own; none while all are taken.
    pub(crate) fn takeover(self: &Arc<Self>) -> Option<TakeoverSlot> {
        let more = |taken| (taken < DEFLATE_TAKEOVERS).then_some(taken + 1);
        self.takeovers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(TakeoverSlot(Arc::clone(self)))
    }

    /// Deflaters and inflaters that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.deflaters.lock().len(), self.inflaters.lock().len())
    }
}

/// A session's position for context takeover.
#[derive(Debug)]
pub(crate) struct TakeoverSlot(Arc<DeflatePool>);

impl Drop for TakeoverSlot {
    fn drop(&mut self) {
        self.0.takeovers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is kept of one kind.
#[derive(Debug)]
struct Shelf<T>(Mutex<Vec<T>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf(Mutex::default())
    }
}

impl<T> Shelf<T> {
    fn take(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut kept = self.lock();
        let index = kept.iter().rposition(fits)?;
        Some(kept.swap_remove(index))
    }

    /// Keeps it, or lets it go where there are enough.
    fn put(&self, one: T) {
        let mut kept = self.lock();
        if kept.len() < DEFLATE_KEPT {
            kept.push(one);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The memory that the messages of all sessions may take together.
//!
//! A session takes a part of it before it reads a large message, and gives it back after the reply. A
//! session for which nothing is left waits, and leaves its bytes in the kernel. Sessions that wait get
//! memory in the order in which they came.
//!
//! **Invariant:** the [`Charge`]s that exist never add up to more than the limit.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::unpoisoned;
use crate::net::waker::Waker;

/// Why a client is turned away if there is none left.
pub(crate) const NO_MEMORY: &str = "other messages take all of the server's message memory";

/// See the module.
#[derive(Debug)]
pub(crate) struct MessageMemory {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    waiting: VecDeque<Arc<Claim>>,
}

/// A part of the memory. Dropping it gives the bytes back.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<MessageMemory>,
    bytes: usize,
}

/// A claim to memory that waits in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    memory: Arc<MessageMemory>,
    claim: Arc<Claim>,
}

#[derive(Debug)]
struct Claim {
    bytes: usize,
    /// Set under the lock of the state: `bytes` have been charged.
    is_granted: AtomicBool,
    waker: Arc<Waker>,
}

impl MessageMemory {
    /// `limit` is in bytes.
    pub(crate) fn new(limit: usize) -> Arc<MessageMemory> {
        Arc::new(MessageMemory { limit, state: Mutex::default() })
    }

    /// In bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The bytes that are charged.
    pub(crate) fn used(&self) -> usize {
        self.lock().used
    }

    /// How many wait for memory.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes `bytes`, or all there is if that is less. `None` if they are not free, or others wait.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let bytes = bytes.min(self.limit);
        let mut state = self.lock();
        let is_free = state.waiting.is_empty() && state.add(bytes, self.limit);
        is_free.then(|| Charge { memory: Arc::clone(self), bytes })
    }

    /// As [`take`](Self::take), but before all who wait: for what is small, or has begun.
    pub(crate) fn take_first(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let bytes = bytes.min(self.limit);
        let is_free = self.lock().add(bytes, self.limit);
        is_free.then(|| Charge { memory: Arc::clone(self), bytes })
    }

    /// Queues for `bytes`, or for all there is if that is less.
    ///
    /// # Errors
    /// No descriptor is left for the waker.
    pub(crate) fn wait(self: &Arc<Self>, bytes: usize) -> io::Result<Waiting> {
        let claim = Arc::new(Claim {
            bytes: bytes.min(self.limit),
            is_granted: AtomicBool::new(false),
            waker: Arc::new(Waker::new()?),
        });
        let mut state = self.lock();
        state.waiting.push_back(Arc::clone(&claim));
        self.grant(&mut state);
        Ok(Waiting { memory: Arc::clone(self), claim })
    }

    fn give_back(&self, bytes: usize) {
        let mut state = self.lock();
        state.used -= bytes;
        self.grant(&mut state);
    }

    /// Charges those at the head of the queue, as far as memory is free, and wakes them.
    fn grant(&self, state: &mut State) {
        while let Some(bytes) = state.waiting.front().map(|first| first.bytes)
            && state.add(bytes, self.limit)
            && let Some(first) = state.waiting.pop_front()
        {
            first.is_granted.store(true, Ordering::Relaxed);
            first.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}

impl State {
    /// Charges `bytes` if they are free, and returns whether they are.
    fn add(&mut self, bytes: usize, limit: usize) -> bool {
        let is_free = bytes <= limit - self.used;
        self.used += if is_free { bytes } else { 0 };
        is_free
    }
}

impl Charge {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Raises the charge to `bytes`, or to all there is if that is less, before all who wait. Returns
    /// whether so much was free.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let limit = self.memory.limit;
        let more = bytes.min(limit).saturating_sub(self.bytes);
        let is_free = self.memory.lock().add(more, limit);
        self.bytes += if is_free { more } else { 0 };
        is_free
    }

    /// Adds the bytes of `other`.
    pub(crate) fn merge(&mut self, mut other: Charge) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}

impl Waiting {
    /// Set once the memory is granted.
    pub(crate) fn waker(&self) -> &Arc<Waker> {
        &self.claim.waker
    }

    /// The memory; `None` if it was not granted yet. Ends the wait.
    pub(crate) fn finish(self) -> Option<Charge> {
        let _state = self.memory.lock();
        let is_granted = self.claim.is_granted.swap(false, Ordering::Relaxed);
        is_granted.then(|| Charge { memory: Arc::clone(&self.memory), bytes: self.claim.bytes })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.memory.lock();
        if self.claim.is_granted.load(Ordering::Relaxed) {
            state.used -= self.claim.bytes;
        }
        state.waiting.retain(|claim| !Arc::ptr_eq(claim, &self.claim));
        self.memory.grant(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_never_add_up_to_more_than_the_limit() {
        let memory = MessageMemory::new(100);
        let mut first = memory.take(60).unwrap();
        assert!(memory.take(41).is_none());
        let second = memory.take(40).unwrap();
        assert_eq!(memory.used(), 100);
        assert!(!first.grow(61) && first.grow(60));
        drop(second);
        assert!(first.grow(1000), "all there is");
        assert_eq!((first.bytes(), memory.used()), (100, 100));
        drop(first);
        assert_eq!(memory.used(), 0);
        assert_eq!(memory.take(1000).unwrap().bytes(), 100);
    }

    #[test]
    fn merged_charges_are_given_back_once() {
        let memory = MessageMemory::new(100);
        let mut charge = memory.take(10).unwrap();
        charge.merge(memory.take(20).unwrap());
        assert_eq!((charge.bytes(), memory.used()), (30, 30));
        drop(charge);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn memory_is_granted_in_order() {
        let memory = MessageMemory::new(100);
        let held = memory.take(100).unwrap();
        let [large, small] = [80, 30].map(|bytes| memory.wait(bytes).unwrap());
        assert_eq!(memory.waiting(), 2);
        drop(held);
        assert_eq!((memory.used(), memory.waiting()), (80, 1));
        assert!(memory.take(1).is_none(), "others wait");
        let large = large.finish().unwrap();
        drop(large);
        assert_eq!(small.finish().unwrap().bytes(), 30);
        assert_eq!((memory.used(), memory.waiting()), (0, 0));
    }

    #[test]
    fn leaving_the_queue_gives_back_what_was_granted_and_lets_the_next_one_in() {
        let memory = MessageMemory::new(100);
        let held = memory.take(50).unwrap();
        let [large, small] = [80, 30].map(|bytes| memory.wait(bytes).unwrap());
        drop(large);
        assert_eq!((memory.used(), memory.waiting()), (80, 0), "the small one was granted");
        drop(small);
        drop(held);
        assert_eq!(memory.used(), 0);
        let held = memory.take(100).unwrap();
        assert!(memory.wait(1).unwrap().finish().is_none());
        drop(held);
        assert_eq!((memory.used(), memory.waiting()), (0, 0));
    }
}

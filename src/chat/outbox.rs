//! The queue of frames for one member: filled by the room, emptied by the member's session.
//!
//! **Invariants:** the room never waits here. Beyond the greeting no more than
//! [`ChatLimits::outbox`](crate::ChatLimits::outbox) events and [`OUTBOX_BYTES`] wait, except that an
//! empty outbox takes one event of any size. While no message memory is left, no more than one waits.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::event::EncodedFrame;
use crate::config::chat::OUTBOX_BYTES;
use crate::lock::unpoisoned;
use crate::net::waker::Waker;

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    max_events: usize,
    state: Mutex<OutboxState>,
    /// Set when there is something to take.
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct OutboxState {
    frames: Vec<EncodedFrame>,
    /// Events among the frames, and their bytes. The greeting is not counted: its frames belong to
    /// the room, and are shared.
    events: usize,
    bytes: usize,
    has_overflowed: bool,
}

/// The limits were reached; the member has to be removed from its room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutboxFull;

impl Outbox {
    /// # Errors
    /// No descriptor is left for the waker.
    pub(super) fn new(max_events: usize) -> io::Result<Outbox> {
        Ok(Outbox { max_events, state: Mutex::default(), waker: Arc::new(Waker::new()?) })
    }

    /// Wakes the member's session.
    pub(super) fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }

    /// Adds a frame of the greeting, before the session waits.
    pub(super) fn greet(&self, frame: EncodedFrame) {
        self.lock().frames.push(frame);
    }

    /// Adds an event.
    ///
    /// # Errors
    /// A limit is exceeded. All frames are dropped, and every later [`take`](Outbox::take) fails.
    pub(super) fn put(&self, frame: EncodedFrame) -> Result<(), OutboxFull> {
        let mut state = self.lock();
        let was_empty = state.frames.is_empty();
        let bytes = state.bytes + frame.len();
        let is_full = bytes > OUTBOX_BYTES || !frame.is_charged();
        let result = if state.events >= self.max_events || state.events > 0 && is_full {
            *state = OutboxState { has_overflowed: true, ..OutboxState::default() };
            Err(OutboxFull)
        } else {
            state.frames.push(frame);
            state.events += 1;
            state.bytes = bytes;
            Ok(())
        };
        // A session that is woken needs the lock.
        drop(state);
        if was_empty || result.is_err() {
            self.waker.wake();
        }
        result
    }

    /// Takes all frames that wait.
    ///
    /// # Errors
    /// The outbox has overflowed.
    pub(super) fn take(&self) -> Result<Vec<EncodedFrame>, OutboxFull> {
        let mut state = self.lock();
        if state.has_overflowed {
            return Err(OutboxFull);
        }
        (state.events, state.bytes) = (0, 0);
        Ok(std::mem::take(&mut state.frames))
    }

    pub(super) fn has_overflowed(&self) -> bool {
        self.lock().has_overflowed
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        unpoisoned(self.state.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Frame;
    use super::*;
    use crate::message_memory::MessageMemory;

    fn frame(length: usize) -> EncodedFrame {
        Frame::new(vec![b'x'; length], MessageMemory::new(usize::MAX).take(length))
    }

    /// The lengths of the frames that wait.
    fn taken(outbox: &Outbox) -> Result<Vec<usize>, OutboxFull> {
        outbox.take().map(|frames| frames.iter().map(|frame| frame.len()).collect())
    }

    #[test]
    fn frames_come_out_in_the_order_they_went_in() {
        let outbox = Outbox::new(2).unwrap();
        outbox.put(frame(1)).unwrap();
        outbox.put(frame(2)).unwrap();
        assert_eq!(taken(&outbox), Ok(vec![1, 2]));
        outbox.put(frame(3)).unwrap();
        assert_eq!(taken(&outbox), Ok(vec![3]));
        assert_eq!(taken(&outbox), Ok(vec![]));
    }

    #[test]
    fn too_many_events_overflow_it() {
        let outbox = Outbox::new(1).unwrap();
        outbox.put(frame(1)).unwrap();
        assert!(!outbox.has_overflowed());
        assert_eq!(outbox.put(frame(1)), Err(OutboxFull));
        assert_eq!(taken(&outbox), Err(OutboxFull), "and nothing is kept");
        assert!(outbox.has_overflowed());
    }

    #[test]
    fn too_many_bytes_overflow_it_and_one_large_event_does_not() {
        let outbox = Outbox::new(9).unwrap();
        outbox.put(frame(OUTBOX_BYTES + 1)).unwrap();
        assert_eq!(taken(&outbox), Ok(vec![OUTBOX_BYTES + 1]));
        outbox.put(frame(OUTBOX_BYTES - 1)).unwrap();
        outbox.put(frame(1)).unwrap();
        assert_eq!(outbox.put(frame(1)), Err(OutboxFull));
    }

    #[test]
    fn without_memory_a_second_event_overflows_it() {
        let without_memory = || Frame::new(vec![b'x'], None);
        let outbox = Outbox::new(9).unwrap();
        outbox.put(without_memory()).unwrap();
        assert_eq!(taken(&outbox), Ok(vec![1]));
        outbox.put(frame(1)).unwrap();
        assert_eq!(outbox.put(without_memory()), Err(OutboxFull));
    }

    #[test]
    fn the_greeting_counts_against_no_limit() {
        let outbox = Outbox::new(1).unwrap();
        (0..3).for_each(|_| outbox.greet(frame(OUTBOX_BYTES)));
        outbox.put(frame(1)).unwrap();
        assert_eq!(outbox.put(frame(1)), Err(OutboxFull));
    }
}

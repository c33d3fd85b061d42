//! What waits to be sent to one member.
//!
//! What it is: a bounded queue of whole frames, with one thread (the courier) that writes them.
//! What it is not: the session's own output buffer; a session in a room has all of its frames go
//! this way, Pongs and Closes too.
//! Invariants: one thread alone writes to the socket, a whole frame at a time, so frames never
//! interleave. The room never waits for the socket. A member's own session does, where the answers
//! to its Pings are not read, as a session without an outbox would.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::EncodedFrame;
use crate::config::chat::OWN_WAITING;
use crate::frame::{CLOSE, FIN, TEXT, split};
use crate::metrics::tally::{SharedTally, Tally};

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox {
    limit: usize,
    state: Mutex<OutboxState>,
    changed: Condvar,
    /// What has been written; the courier's.
    delivered: Arc<SharedTally>,
}

#[derive(Debug, Default)]
struct OutboxState {
    frames: VecDeque<EncodedFrame>,
    /// How many of them the limit does not count: the greeting, and the session's own.
    own: usize,
    /// Nothing is taken any more.
    closed: bool,
    /// It was closed because it was full.
    overflowed: bool,
    /// How the courier has ended: after the last frame, or by a failure.
    end: Option<Result<(), io::ErrorKind>>,
    /// The session is over.
    left: bool,
}

/// A frame that was not taken, because too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutboxFull;

impl Outbox {
    /// `limit`: events that may wait.
    pub(crate) fn new(limit: usize) -> Outbox {
        Outbox {
            limit,
            state: Mutex::default(),
            changed: Condvar::new(),
            delivered: Arc::default(),
        }
    }

    /// Adds an event. Into a closed outbox it falls silently: its member is leaving.
    pub(crate) fn put(&self, frame: EncodedFrame) -> Result<(), OutboxFull> {
        let state = self.lock();
        if state.closed {
            return Ok(());
        }
        if state.frames.len() - state.own >= self.limit {
            return Err(OutboxFull);
        }
        self.add(state, frame);
        Ok(())
    }

    /// Adds a frame that greets a newcomer, before there is a courier.
    pub(crate) fn greet(&self, frame: EncodedFrame) {
        let mut state = self.lock();
        state.own += 1;
        self.add(state, frame);
    }

    /// Adds a frame of the member's own session; waits for the courier while many do. Nothing
    /// follows a Close.
    pub(crate) fn put_own(&self, frame: &[u8]) {
        let is_full = |state: &mut OutboxState| state.own >= OWN_WAITING && !state.closed;
        let state = self.changed.wait_while(self.lock(), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if !state.closed {
            state.own += 1;
            state.closed = frame.first() == Some(&(FIN | CLOSE));
            self.add(state, frame.into());
        }
    }

    /// Wakes the courier if it may be waiting, and not into a lock that is still held.
    fn add(&self, mut state: MutexGuard<'_, OutboxState>, frame: EncodedFrame) {
        let was_empty = state.frames.is_empty();
        state.frames.push_back(frame);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Drops what waits, but for `goodbye`, and closes.
    pub(crate) fn overflow(&self, goodbye: EncodedFrame) {
        let mut state = self.lock();
        if !state.closed {
            (state.frames, state.own) = (VecDeque::from([goodbye]), 1);
            (state.closed, state.overflowed) = (true, true);
            self.changed.notify_all();
        }
    }

    /// Whether it was closed because it was full.
    pub(crate) fn overflowed(&self) -> bool {
        self.lock().overflowed
    }

    pub(crate) fn delivered(&self) -> &Arc<SharedTally> {
        &self.delivered
    }

    /// Why the courier ended before its time.
    pub(crate) fn failure(&self) -> Option<io::ErrorKind> {
        self.lock().end?.err()
    }

    /// The session is over: closes, and waits until the courier is done; the write timeout of the socket bounds that.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        (state.closed, state.left) = (true, true);
        self.changed.notify_all();
        while state.end.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the session is over, `time` at most.
    pub(crate) fn wait_for_session(&self, time: Duration) {
        let stays = |state: &mut OutboxState| !state.left;
        drop(self.changed.wait_timeout_while(self.lock(), time, stays));
    }

    /// The courier's life: writes frames until the outbox is closed and empty.
    ///
    /// A failure of `out`, or a panic, ends it too; nothing is taken after that.
    pub(crate) fn deliver(&self, out: &mut impl Write) {
        let mut end = End { outbox: self, result: Ok(()) };
        let (mut frames, mut delivered) = (VecDeque::new(), Tally::default());
        loop {
            for bytes in frames.iter().filter_map(|frame: &EncodedFrame| payload(frame)) {
                delivered.add(bytes);
            }
            self.delivered.set(delivered);
            frames = self.next();
            if frames.is_empty() {
                return;
            }
            if let Err(error) = write(&frames, out) {
                end.result = Err(error.kind());
                return;
            }
        }
    }

    /// Waits for frames, and takes all of them; none when it is over.
    fn next(&self) -> VecDeque<EncodedFrame> {
        let is_idle = |state: &mut OutboxState| state.frames.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.lock(), is_idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.own) >= OWN_WAITING {
            self.changed.notify_all();
        }
        std::mem::take(&mut state.frames)
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        // Nothing panics while it holds the lock; a poisoned one would still be consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a courier, however it comes.
struct End<'a> {
    outbox: &'a Outbox,
    result: Result<(), io::ErrorKind>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut state = self.outbox.lock();
        (state.closed, state.end) = (true, Some(self.result));
        state.frames.clear();
        state.own = 0;
        self.outbox.changed.notify_all();
    }
}

/// Writes several frames as one, which is not kept: a member who was slow once would keep megabytes.
fn write(frames: &VecDeque<EncodedFrame>, out: &mut impl Write) -> io::Result<()> {
    if let [frame] = frames.as_slices().0
        && frames.len() == 1
    {
        return out.write_all(frame);
    }
    let (front, back) = frames.as_slices();
    out.write_all(&[front, back].concat().concat())
}

/// The bytes of payload in a text frame; none in another, which is no message.
fn payload(frame: &[u8]) -> Option<usize> {
    let (first, payload) = split(frame);
    (first == FIN | TEXT).then_some(payload.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> EncodedFrame {
        text.as_bytes().into()
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let outbox = Outbox::new(2);
        outbox.put(frame("a")).unwrap();
        outbox.put(frame("b")).unwrap();
        assert_eq!(outbox.put(frame("c")), Err(OutboxFull));
        outbox.put_own(b"d");
        std::thread::scope(|scope| {
            let delivered = scope.spawn(|| {
                let mut out = Vec::new();
                outbox.deliver(&mut out);
                out
            });
            outbox.finish();
            assert_eq!(delivered.join().unwrap(), b"abd");
        });
        outbox.put(frame("late")).unwrap();
        assert!(!outbox.overflowed());
    }

    #[test]
    fn nothing_follows_a_close() {
        let outbox = Outbox::new(9);
        outbox.put_own(b"\x88\x00");
        outbox.put(frame("late")).unwrap();
        let mut out = Vec::new();
        outbox.deliver(&mut out);
        assert_eq!(out, b"\x88\x00");
    }

    #[test]
    fn who_does_not_keep_up_hears_the_goodbye_alone() {
        let outbox = Outbox::new(1);
        outbox.put(frame("a")).unwrap();
        outbox.overflow(frame("bye"));
        outbox.put(frame("b")).unwrap();
        outbox.put_own(b"c");
        let mut out = Vec::new();
        outbox.deliver(&mut out);
        assert_eq!(out, b"bye");
        assert!(outbox.overflowed());
    }

    #[test]
    fn what_was_delivered_is_counted_by_message_and_payload() {
        let filled = || {
            let outbox = Outbox::new(9);
            outbox.put(EncodedFrame::from(&b"\x81\x02hi"[..])).unwrap();
            outbox.put(EncodedFrame::from(&b"\x8a\x00"[..])).unwrap();
            outbox.put([&[0x81, 126, 0, 200][..], &[b'x'; 200]].concat().into()).unwrap();
            outbox
        };
        let outbox = filled();
        outbox.overflow(frame("bye"));
        assert_eq!(outbox.delivered().get(), Tally::default());
        let outbox = filled();
        std::thread::scope(|scope| {
            scope.spawn(|| outbox.deliver(&mut Vec::new()));
            outbox.finish();
        });
        assert_eq!(outbox.delivered().get(), Tally { messages: 2, bytes: 202 });
    }

    #[test]
    fn a_greeting_takes_nobodys_place() {
        let outbox = Outbox::new(1);
        (0..3).for_each(|_| outbox.greet(frame("hello")));
        outbox.put_own(b"pong");
        outbox.put(frame("a")).unwrap();
        assert_eq!(outbox.put(frame("b")), Err(OutboxFull));
    }

    #[test]
    fn who_pings_and_does_not_read_waits_for_itself() {
        /// Takes nothing before the session has to wait.
        struct Slow<'a>(&'a Outbox);
        impl Write for Slow<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                while self.0.lock().own < OWN_WAITING && !self.0.lock().closed {
                    std::thread::yield_now();
                }
                // Time to put in more, for who does not wait.
                (0..1000).for_each(|_| std::thread::yield_now());
                let waiting = self.0.lock().frames.len().max(bytes.len() / 2);
                assert!(waiting <= OWN_WAITING, "{waiting} Pongs wait");
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let outbox = Outbox::new(1);
        std::thread::scope(|scope| {
            scope.spawn(|| outbox.deliver(&mut Slow(&outbox)));
            (0..100 * OWN_WAITING).for_each(|_| outbox.put_own(b"\x8a\x00"));
            outbox.finish();
        });
    }

    #[test]
    fn a_courier_that_panics_leaves_nobody_waiting() {
        struct Panics;
        impl Write for Panics {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("a test's own")
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let outbox = Outbox::new(1);
        outbox.put(frame("a")).unwrap();
        std::thread::scope(|scope| {
            let courier = scope.spawn(|| outbox.deliver(&mut Panics));
            assert!(courier.join().is_err());
        });
        outbox.finish();
    }

    #[test]
    fn a_socket_that_fails_ends_it_for_everybody() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let outbox = Outbox::new(1);
        outbox.put(frame("a")).unwrap();
        outbox.deliver(&mut Broken);
        assert_eq!(outbox.failure(), Some(io::ErrorKind::TimedOut));
        outbox.put(frame("b")).unwrap();
        outbox.finish(); // would wait for ever for a courier that is gone
    }
}

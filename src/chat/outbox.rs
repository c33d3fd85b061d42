//! What waits to be sent to one member.
//!
//! What it is: a bounded queue of whole frames, with one thread (the courier) that writes them.
//! What it is not: the session's own output buffer; a session in a room has all of its frames go
//! this way, Pongs and Closes too.
//! Invariants: one thread alone writes to the socket, a whole frame at a time, so frames never
//! interleave. Nobody who puts a frame in ever waits for the socket.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::event::Encoded;

/// First bytes of frames: the last one of a text, a Close.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Encoded>,
    /// Nothing is taken any more.
    closed: bool,
    /// It was closed because it was full.
    overflowed: bool,
    /// The courier has written the last frame, or has failed.
    done: bool,
    failure: Option<io::ErrorKind>,
    delivered: Delivered,
}

/// What has been written: messages, and their payload in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// A frame that was not taken, because too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    /// `limit`: frames that may wait.
    pub(crate) fn new(limit: usize) -> Outbox {
        Outbox { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds an event. Into a closed outbox it falls silently: its member is leaving.
    pub(crate) fn put(&self, frame: Encoded) -> Result<(), Full> {
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        if state.frames.len() >= self.limit {
            return Err(Full);
        }
        state.frames.push_back(frame);
        self.changed.notify_one();
        Ok(())
    }

    /// Adds a frame of the member's own session, for which there is always room: a session answers
    /// one frame at a time. Nothing follows a Close.
    pub(crate) fn put_own(&self, frame: &[u8]) {
        let mut state = self.lock();
        if !state.closed {
            state.frames.push_back(frame.into());
            state.closed = frame.first() == Some(&CLOSE);
            self.changed.notify_all();
        }
    }

    /// Drops what waits, but for `goodbye`, and closes.
    pub(crate) fn overflow(&self, goodbye: Encoded) {
        let mut state = self.lock();
        if !state.closed {
            state.frames = VecDeque::from([goodbye]);
            (state.closed, state.overflowed) = (true, true);
            self.changed.notify_all();
        }
    }

    /// Whether it was closed because it was full.
    pub(crate) fn overflowed(&self) -> bool {
        self.lock().overflowed
    }

    pub(crate) fn delivered(&self) -> Delivered {
        self.lock().delivered
    }

    /// Why the courier ended before its time.
    pub(crate) fn failure(&self) -> Option<io::ErrorKind> {
        self.lock().failure
    }

    /// Closes, and waits until the courier is done; the write timeout of the socket bounds that.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        while !state.done {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The courier's life: writes frames until the outbox is closed and empty.
    ///
    /// A failure of `out` ends it too; nothing is taken after that.
    pub(crate) fn deliver(&self, out: &mut impl Write) {
        let mut batch = Vec::new();
        let failure = loop {
            let frames = self.next();
            if frames.is_empty() {
                break None;
            }
            batch.clear();
            for frame in &frames {
                batch.extend_from_slice(frame);
            }
            if let Err(error) = out.write_all(&batch) {
                break Some(error.kind());
            }
            self.lock().delivered.add(&frames);
        };
        let mut state = self.lock();
        (state.closed, state.done, state.failure) = (true, true, failure);
        state.frames.clear();
        self.changed.notify_all();
    }

    /// Waits for frames, and takes all of them; none when it is over.
    fn next(&self) -> VecDeque<Encoded> {
        let is_idle = |state: &mut State| state.frames.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.lock(), is_idle);
        std::mem::take(&mut state.unwrap_or_else(PoisonError::into_inner).frames)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a poisoned one would still be consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivered {
    fn add(&mut self, frames: &VecDeque<Encoded>) {
        for frame in frames.iter().filter(|frame| frame.first() == Some(&TEXT)) {
            let header = match frame.len() {
                0..128 => 2,
                128..65540 => 4,
                _ => 10,
            };
            self.messages += 1;
            self.bytes += (frame.len() - header) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Encoded {
        text.as_bytes().into()
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let outbox = Outbox::new(2);
        outbox.put(frame("a")).unwrap();
        outbox.put(frame("b")).unwrap();
        assert_eq!(outbox.put(frame("c")), Err(Full));
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
        let outbox = Outbox::new(9);
        outbox.put(Encoded::from(&b"\x81\x02hi"[..])).unwrap();
        outbox.put(Encoded::from(&b"\x8a\x00"[..])).unwrap();
        outbox.put([&[0x81, 126, 0, 200][..], &[b'x'; 200]].concat().into()).unwrap();
        outbox.overflow(frame("bye"));
        assert_eq!(outbox.delivered(), Delivered::default());
        let outbox = Outbox::new(9);
        outbox.put(Encoded::from(&b"\x81\x02hi"[..])).unwrap();
        outbox.put(Encoded::from(&b"\x8a\x00"[..])).unwrap();
        outbox.put([&[0x81, 126, 0, 200][..], &[b'x'; 200]].concat().into()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| outbox.deliver(&mut Vec::new()));
            outbox.finish();
        });
        assert_eq!(outbox.delivered(), Delivered { messages: 2, bytes: 202 });
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

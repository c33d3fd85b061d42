//! What a session needs of its stream beside reading and writing.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::waker::Waker;
use crate::config::tuning::READ_AHEAD;

/// How long a read may wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReadTimeout {
    /// For the next byte.
    pub(crate) idle: Option<Duration>,
    /// For everything that is being read, such as a whole request head.
    pub(crate) deadline: Option<Instant>,
    /// If bytes still arrive after it, a read that finds nothing fails at once: by then a frame should have
    /// been complete.
    pub(crate) review: Option<Instant>,
}

impl ReadTimeout {
    pub(crate) fn deadline(deadline: Instant) -> ReadTimeout {
        ReadTimeout { deadline: Some(deadline), ..ReadTimeout::default() }
    }

    /// The time that is left at `now`; `None` if a read may wait for ever.
    pub(crate) fn left(self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let deadline = self.deadline.map(|deadline| deadline.saturating_duration_since(now()));
        match (self.idle, deadline) {
            (Some(idle), Some(deadline)) => Some(idle.min(deadline)),
            (idle, deadline) => idle.or(deadline),
        }
    }
}

/// How a [pause](Transport::pause) ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PauseEnd {
    /// Its time is over, or its waker was set.
    Over,
    /// The server stops.
    Stopping,
    /// The peer has ended its side of the stream. Bytes that it sent before are still to be read.
    PeerLeft,
}

/// The reason inside a `TimedOut`: the write deadline, see [`Transport::set_write_deadline`].
#[derive(Debug)]
pub(crate) struct WritePastDeadline;

impl fmt::Display for WritePastDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time for writing is over")
    }
}

impl std::error::Error for WritePastDeadline {}

/// The stream under a session: a [`Socket`](super::socket::Socket), or a fuzzer's script.
///
/// **Invariants:** a read fails with `WouldBlock` when its time is over, the session was woken, or
/// the server stops. `write` takes all of its bytes or fails; `write_vectored` may take only a
/// part. `TimedOut` from either says that the peer does not read.
pub(crate) trait Transport: Append + Write {
    /// Sets how long reads may wait.
    fn set_read_timeout(&mut self, timeout: ReadTimeout);
    /// Sets until when a write may wait for the peer. Beyond it the write fails with
    /// [`WritePastDeadline`], even if the peer takes bytes now and then.
    fn set_write_deadline(&mut self, deadline: Instant);
    /// Whether the server is stopping. Reads that find nothing then return at once.
    fn is_stopping(&self) -> bool;
    /// Waits without reading, for `time` at most: every wait that is not a read or a write. Sends first
    /// what was written. `waker` ends it, the stop, and a peer that leaves, which then holds no slot.
    ///
    /// # Errors
    /// The peer has reset the connection, or what was written cannot be sent.
    fn pause(&mut self, time: Duration, waker: Option<&Waker>) -> io::Result<PauseEnd>;
    /// When bytes were last received. All messages of one burst share this time, because reading
    /// the clock costs as much as echoing a message.
    fn last_received(&self) -> Instant;
    /// How many bytes have been read so far.
    fn received(&self) -> u64;
    /// Ends the sending side: the peer sees the end of the stream. From here on a stop no longer
    /// interrupts reads, as the connection is about to end anyway.
    fn finish(&mut self) -> io::Result<()>;
    /// Sends what was written, and makes the connection end with a reset (TCP RST) when it closes.
    fn reset(&mut self) -> io::Result<()>;
}

/// Reads to the end of a buffer.
pub(crate) trait Append: Read {
    /// Reads into the spare capacity of `buffer`, which must have some. Fails as `read` does.
    fn append_to(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        append_piece(self, buffer)
    }
}

/// [Appends](Append::append_to) with `read`, a piece at a time.
pub(crate) fn append_piece(
    reader: &mut (impl Read + ?Sized),
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
    let room = buffer.capacity() - buffer.len();
    append_zeroed(reader, buffer, room.min(READ_AHEAD))
}

/// Reads once, to the end of `buffer`, `most` bytes at most; they are filled with zeros first.
pub(crate) fn append_zeroed(
    reader: &mut (impl Read + ?Sized),
    buffer: &mut Vec<u8>,
    most: usize,
) -> io::Result<usize> {
    let filled = buffer.len();
    buffer.resize(filled + most, 0);
    let read = reader.read(&mut buffer[filled..]);
    buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_read_timeout_is_the_shorter_of_the_two() {
        let now = Instant::now();
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
        for (idle, deadline, left) in [
            (None, None, None),
            (Some(short), None, Some(short)),
            (None, Some(now + short), Some(short)),
            (Some(short), Some(now + long), Some(short)),
            (Some(long), Some(now + short), Some(short)),
            (Some(long), Some(now), Some(Duration::ZERO)),
        ] {
            assert_eq!(ReadTimeout { idle, deadline, review: None }.left(|| now), left);
        }
    }
}

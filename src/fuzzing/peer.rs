//! A peer whose every byte, pause and failure is in the fuzzer's input. It never waits, so no result
//! depends on time.
//!
//! **Invariant:** a read returns bytes, or finds nothing once, or has reached the end for good.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::net::transport::{Append, PauseEnd, ReadTimeout, Transport};
use crate::net::waker::Waker;

/// Reads after the end that do not mean an endless loop: those of tungstenite and of the lingering
/// close.
const READS_AFTER_END: usize = 4;

/// How the input arrives, and how the output is taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeerBehavior {
    /// Most bytes of one read; 0 for no limit.
    pub(super) piece: u8,
    /// Whether a read that finds nothing comes before each piece.
    pub(super) pauses: bool,
    /// Bytes after which the server stops; 0 for never.
    pub(super) stop_after: usize,
    /// Bytes that the peer takes before its writes time out; 0 for all.
    pub(super) takes: usize,
}

#[derive(Debug)]
pub(super) struct Peer<'a> {
    manner: PeerBehavior,
    input: &'a [u8],
    read: usize,
    reads_after_end: usize,
    paused: bool,
    stopping: bool,
    finished: bool,
    output: &'a mut PeerOutput,
}

/// What the peer received.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PeerOutput {
    pub(super) bytes: Vec<u8>,
    /// Whether it was sent more than it takes.
    pub(super) refused: bool,
    pub(super) pauses: usize,
}

impl<'a> Peer<'a> {
    /// `early` bytes of the input have been read already.
    pub(super) fn new(
        input: &'a [u8],
        early: usize,
        manner: PeerBehavior,
        output: &'a mut PeerOutput,
    ) -> Self {
        Peer {
            manner,
            input,
            read: early,
            reads_after_end: 0,
            paused: false,
            stopping: false,
            finished: false,
            output,
        }
    }

    /// Whether this read finds nothing.
    fn is_silent(&mut self) -> bool {
        let PeerBehavior { pauses, stop_after, .. } = self.manner;
        if !self.stopping && stop_after > 0 && self.read >= stop_after.min(self.input.len()) {
            self.stopping = true;
            return true;
        }
        // While stopping, a session waits a little after each read that finds nothing.
        self.paused = pauses && !self.stopping && !self.paused;
        self.output.pauses += usize::from(self.paused);
        self.paused
    }

    /// The most bytes that the next read may return.
    fn portion(&self) -> usize {
        let PeerBehavior { piece, stop_after, .. } = self.manner;
        let mut portion = self.input.len() - self.read;
        if piece > 0 {
            portion = portion.min(piece.into());
        }
        if !self.stopping && stop_after > 0 {
            portion = portion.min(stop_after - self.read);
        }
        portion
    }
}

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_silent() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = self.portion().min(buffer.len());
        buffer[..length].copy_from_slice(&self.input[self.read..][..length]);
        self.read += length;
        self.reads_after_end += usize::from(length == 0);
        assert!(self.reads_after_end <= READS_AFTER_END, "reads on and on after the end");
        Ok(length)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.finished, "wrote after the end of its side");
        let PeerOutput { bytes: taken, refused, .. } = self.output;
        if *refused || self.manner.takes > 0 && taken.len() + bytes.len() > self.manner.takes {
            *refused = true;
            return Err(ErrorKind::TimedOut.into());
        }
        taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Append for Peer<'_> {}

impl Transport for Peer<'_> {
    fn set_read_timeout(&mut self, _: ReadTimeout) {}

    fn set_write_deadline(&mut self, _: Instant) {}

    fn is_stopping(&self) -> bool {
        self.stopping
    }

    fn pause(&mut self, _: Duration, _: Option<&Waker>) -> io::Result<PauseEnd> {
        Ok(if self.stopping { PauseEnd::Stopping } else { PauseEnd::Over })
    }

    fn last_received(&self) -> Instant {
        Instant::now()
    }

    fn received(&self) -> u64 {
        self.read as u64
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finished = true;
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        Ok(())
    }
}

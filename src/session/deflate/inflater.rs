//! One zlib stream that inflates messages.
//!
//! What it is: the rules of RFC 7692, section 7.2.2, and of what may end a message.
//! What it is not: frames (`inflow`).

use std::fmt;
use std::io;

use flate2::{Decompress, FlushDecompress, Status};

/// What a sender takes off a message, and the receiver puts back: the end of an empty stored block.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The tail, and a last empty block: a message that is not whole does not come to its end. Only where
/// no later message goes on from here.
const TAIL_AND_END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

/// What a client sent as compressed is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidDeflate;

impl fmt::Display for InvalidDeflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("compressed data that is not DEFLATE")
    }
}

impl std::error::Error for InvalidDeflate {}

impl From<InvalidDeflate> for io::Error {
    fn from(invalid: InvalidDeflate) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, invalid)
    }
}

/// Inflates one message after another.
#[derive(Debug)]
pub(super) struct Inflater {
    stream: Decompress,
    /// Whether a last block was the last. What follows is a stream of its own.
    is_over: bool,
    /// Whether the message has any bytes yet.
    is_begun: bool,
    /// How much of the tail has been put back.
    tail: usize,
}

impl Default for Inflater {
    fn default() -> Self {
        Inflater { stream: Decompress::new(false), is_over: false, is_begun: false, tail: 0 }
    }
}

impl Inflater {
    /// Forgets all earlier messages.
    pub(super) fn reset(&mut self) {
        self.stream.reset(false);
        self.is_over = false;
        self.start();
    }

    /// Begins another message.
    pub(super) fn start(&mut self) {
        self.is_begun = false;
        self.tail = 0;
    }

    /// Inflates into what room `out` has. Returns how much of `input` that took; all of it, when there
    /// is room left.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, InvalidDeflate> {
        let mut used = 0;
        while used < input.len() && out.len() < out.capacity() {
            if self.is_over {
                self.stream.reset(false);
                self.is_over = false;
            }
            self.is_begun = true;
            let (before, room) = (self.stream.total_in(), out.capacity() - out.len());
            let status = self
                .stream
                .decompress_vec(&input[used..], out, FlushDecompress::Sync)
                .map_err(|_| InvalidDeflate)?;
            self.is_over = status == Status::StreamEnd;
            let took = self.stream.total_in() - before;
            used += usize::try_from(took).map_err(|_| InvalidDeflate)?;
            let gave = room - (out.capacity() - out.len());
            if took == 0 && gave == 0 && !self.is_over {
                return Err(InvalidDeflate);
            }
        }
        Ok(used)
    }

    /// Ends the message, as far as `out` has room. Returns whether that was all.
    pub(super) fn end(
        &mut self,
        takeover: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, InvalidDeflate> {
        // A message of nothing at all is as empty as one that says so.
        if self.tail == 0 && (self.is_over || !self.is_begun) {
            return Ok(true);
        }
        let tail = if takeover { &TAIL[..] } else { &TAIL_AND_END };
        self.tail += self.feed(&tail[self.tail..], out)?;
        if self.tail < tail.len() || out.len() == out.capacity() {
            return Ok(false);
        }
        if takeover || self.is_over { Ok(true) } else { Err(InvalidDeflate) }
    }
}

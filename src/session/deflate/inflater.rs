//! A raw DEFLATE stream that inflates messages (RFC 7692, section 7.2.2).
//!
//! It also checks that a message ends where its compressed data does.

use std::fmt;
use std::io;

use flate2::{Decompress, FlushDecompress, Status};

/// The end of an empty stored block, which the sender removes from a message and the receiver
/// appends again.
pub(crate) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The tail, and an empty final block: a truncated message then does not reach the end of the
/// stream. For messages without context takeover only, as the final block ends the stream.
const TAIL_AND_FINAL_BLOCK: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

/// The error of a compressed message whose data is not valid DEFLATE.
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
    /// True after a block with BFINAL; the next byte starts a new DEFLATE stream.
    is_stream_end: bool,
    /// Whether any byte of the message has been inflated.
    has_input: bool,
    /// The length of the part of the tail that has been inflated.
    tail: usize,
}

impl Default for Inflater {
    fn default() -> Self {
        Inflater { stream: Decompress::new(false), is_stream_end: false, has_input: false, tail: 0 }
    }
}

impl Inflater {
    /// Discards the context of earlier messages.
    pub(super) fn reset(&mut self) {
        self.stream.reset(false);
        self.is_stream_end = false;
        self.start_message();
    }

    /// Starts another message, and keeps the context.
    pub(super) fn start_message(&mut self) {
        self.has_input = false;
        self.tail = 0;
    }

    /// Inflates `input` into the spare capacity of `out`. Returns how many bytes of `input` were
    /// used: all of them, if spare capacity is left.
    ///
    /// # Errors
    /// `input` is not valid DEFLATE.
    pub(super) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, InvalidDeflate> {
        let mut used = 0;
        while used < input.len() && out.len() < out.capacity() {
            if self.is_stream_end {
                self.stream.reset(false);
                self.is_stream_end = false;
            }
            self.has_input = true;
            let (total_before, length_before) = (self.stream.total_in(), out.len());
            let status = self
                .stream
                .decompress_vec(&input[used..], out, FlushDecompress::Sync)
                .map_err(|_| InvalidDeflate)?;
            self.is_stream_end = status == Status::StreamEnd;
            let consumed = self.stream.total_in() - total_before;
            used += usize::try_from(consumed).map_err(|_| InvalidDeflate)?;
            if consumed == 0 && out.len() == length_before && !self.is_stream_end {
                return Err(InvalidDeflate);
            }
        }
        Ok(used)
    }

    /// Ends the message, as far as the spare capacity of `out` allows. Returns true when `out` has
    /// the whole message, and false if this is to be called again with more capacity.
    ///
    /// # Errors
    /// The message is truncated, or its data is not valid DEFLATE.
    pub(super) fn finish_message(
        &mut self,
        takeover: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, InvalidDeflate> {
        // A message without any payload is accepted as an empty one.
        if self.tail == 0 && (self.is_stream_end || !self.has_input) {
            return Ok(true);
        }
        let tail = if takeover { &TAIL[..] } else { &TAIL_AND_FINAL_BLOCK };
        self.tail += self.inflate(&tail[self.tail..], out)?;
        if self.tail < tail.len() || out.len() == out.capacity() {
            return Ok(false);
        }
        if takeover || self.is_stream_end { Ok(true) } else { Err(InvalidDeflate) }
    }
}

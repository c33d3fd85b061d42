//! The receiving direction: inflates compressed messages for tungstenite.
//!
//! The reader parses frame headers. Frames of a compressed message (RSV1 on the first one; RFC
//! 7692, section 6) are unmasked and inflated; all other bytes pass unchanged.
//!
//! **Invariants:** each frame of a compressed message becomes one or more fragments, so tungstenite
//! sees every frame, in order, and applies its size limit and its UTF-8 check while the message is
//! being inflated. All input of one read is processed before the next read.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use super::inflater::Inflater;
use super::parameters::DeflateParameters;
use super::pool::DeflatePool;
use crate::config::tuning::DEFLATE_CHUNK;
use crate::frame::{
    BINARY, CONTINUATION, FIN, HEADER_MAX, Header, OPCODE, RSV1, TEXT, mask, masked_header,
};

/// The longest header of a masked fragment with up to `DEFLATE_CHUNK` bytes of payload.
const FRAGMENT_HEADER_MAX: usize = 8;
/// The masking key that changes nothing.
const ZERO_KEY: [u8; 4] = [0; 4];

#[derive(Debug)]
pub(super) struct Inflow {
    pool: Arc<DeflatePool>,
    takeover: bool,
    /// With context takeover, the inflater between two messages.
    context: Option<Inflater>,
    /// The data of the last read.
    input: Vec<u8>,
    /// The length of the part of `input` that has been processed.
    consumed: usize,
    output: OutputFrames,
    header: PartialHeader,
    state: ReadState,
    message: Option<CompressedMessage>,
    received: u64,
}

/// What the next byte of `input` belongs to.
#[derive(Debug, Clone, Copy)]
enum ReadState {
    FrameHeader,
    /// The payload of a frame that passes unchanged.
    PassThrough {
        left: u64,
        is_data: bool,
    },
    /// The payload of a frame of a compressed message. The part of it in `input` is unmasked
    /// already.
    Compressed {
        left: u64,
        key: [u8; 4],
        is_last: bool,
    },
}

/// A compressed message whose last frame has not been received completely.
#[derive(Debug)]
struct CompressedMessage {
    inflater: Inflater,
    /// The opcode of the next fragment to hand over.
    opcode: u8,
}

/// Frames for tungstenite.
#[derive(Debug, Default)]
struct OutputFrames {
    bytes: Vec<u8>,
    /// The length of the part of `bytes` that tungstenite has read.
    taken: usize,
    /// True once `bytes` can be read; false while a fragment is being filled.
    is_readable: bool,
}

/// The header of a client's frame, as far as it has been received.
#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; HEADER_MAX],
    length: usize,
}

impl Inflow {
    pub(super) fn new(
        parameters: DeflateParameters,
        pool: Arc<DeflatePool>,
        early: Vec<u8>,
    ) -> Inflow {
        Inflow {
            pool,
            takeover: parameters.client_takeover,
            context: None,
            input: early,
            consumed: 0,
            output: OutputFrames::default(),
            header: PartialHeader::default(),
            state: ReadState::FrameHeader,
            message: None,
            received: 0,
        }
    }

    /// Returns the payload bytes of data frames received so far, as they were on the wire.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.output.is_readable {
                return Ok(self.output.read(buf));
            }
            let needs_input = self.is_between_messages() || !self.process_input()?;
            if needs_input && self.read_input(inner, buf)? == 0 {
                return Ok(0);
            }
        }
    }

    /// Returns the capacity of the buffers, without the inflater's.
    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.input.capacity() + self.output.bytes.capacity()
    }

    /// Whether all input has been processed, and neither a frame nor a compressed message is
    /// incomplete.
    fn is_between_messages(&self) -> bool {
        let is_consumed = self.consumed == self.input.len();
        is_consumed && self.message.is_none() && matches!(self.state, ReadState::FrameHeader)
    }

    /// Passes all further bytes unchanged.
    pub(super) fn stop_inflating(&mut self) {
        self.message = None;
        self.output = OutputFrames::default();
        self.state = ReadState::PassThrough { left: u64::MAX, is_data: false };
    }

    /// Reads input. Frees the buffers before if no message is under way, as that read may wait
    /// long.
    fn read_input(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        if self.is_between_messages() {
            self.input = Vec::new();
            self.output = OutputFrames::default();
        }
        self.input.clear();
        self.consumed = 0;
        let length = inner.read(buf)?;
        self.input.extend_from_slice(&buf[..length]);
        self.unmask();
        Ok(length)
    }

    /// Processes buffered input. Returns false if more input is needed.
    fn process_input(&mut self) -> io::Result<bool> {
        match self.state {
            ReadState::FrameHeader => {
                self.consumed += self.header.extend(&self.input[self.consumed..]);
                let Some(header) = self.header.parsed() else { return Ok(false) };
                self.start_frame(header);
            }
            ReadState::PassThrough { left, is_data } => {
                let length = self.available(left);
                self.output.push_unchanged(&self.input[self.consumed..][..length]);
                self.consumed += length;
                self.received += if is_data { length as u64 } else { 0 };
                let left = left - length as u64;
                self.state = if left > 0 {
                    ReadState::PassThrough { left, is_data }
                } else {
                    ReadState::FrameHeader
                };
                return Ok(length > 0 || left == 0);
            }
            ReadState::Compressed { .. } => {
                return self.inflate_payload().inspect_err(|_| self.stop_inflating());
            }
        }
        Ok(true)
    }

    /// Returns how many of the next `left` bytes are in `input`.
    fn available(&self, left: u64) -> usize {
        usize::try_from(left).map_or(usize::MAX, |left| left).min(self.input.len() - self.consumed)
    }

    /// Decides whether a frame, whose header is complete, is inflated or passed unchanged.
    fn start_frame(&mut self, header: Header) {
        let received = mem::take(&mut self.header);
        let (first, left) = (header.first, header.length);
        let starts = first & !FIN == RSV1 | TEXT || first & !FIN == RSV1 | BINARY;
        let continues = first & !FIN == CONTINUATION;
        let is_expected = starts && self.message.is_none() || continues && self.message.is_some();
        match header.key {
            Some(key) if is_expected && i64::try_from(left).is_ok() => {
                self.start_message(first & OPCODE);
                self.state = ReadState::Compressed { left, key, is_last: header.is_final() };
                self.unmask();
            }
            _ => {
                self.output.push_unchanged(&received.bytes[..header.size]);
                self.state = ReadState::PassThrough { left, is_data: first & OPCODE <= BINARY };
            }
        }
    }

    /// Takes an inflater for a message, unless a previous frame has started it.
    fn start_message(&mut self, opcode: u8) {
        if self.message.is_none() {
            let mut inflater = self.context.take().unwrap_or_else(|| self.pool.inflater());
            inflater.start_message();
            self.message = Some(CompressedMessage { inflater, opcode });
        }
    }

    /// Keeps the inflater for the next message, or returns it to the pool.
    fn end_message(&mut self) {
        let Some(CompressedMessage { inflater, .. }) = self.message.take() else { return };
        if self.takeover {
            self.context = Some(inflater);
        } else {
            self.pool.return_inflater(inflater);
        }
    }

    /// Unmasks the compressed payload in `input` (RFC 6455, section 5.3).
    fn unmask(&mut self) {
        let ReadState::Compressed { left, mut key, is_last } = self.state else { return };
        let length = self.available(left);
        mask(&mut self.input[self.consumed..][..length], key);
        let turned = length % key.len();
        key.rotate_left(turned);
        self.state = ReadState::Compressed { left, key, is_last };
    }

    /// Inflates payload into a fragment, until the fragment is full or the frame ends. Returns
    /// false if more input is needed.
    fn inflate_payload(&mut self) -> io::Result<bool> {
        let ReadState::Compressed { left, key, is_last } = self.state else { return Ok(true) };
        let length = self.available(left);
        let Some(CompressedMessage { inflater, opcode }) = &mut self.message else {
            return Ok(true);
        };
        let out = self.output.partial_fragment();
        let used = inflater.inflate(&self.input[self.consumed..][..length], out)?;
        self.consumed += used;
        self.received += used as u64;
        let left = left - used as u64;
        self.state = ReadState::Compressed { left, key, is_last };
        let is_frame_end =
            left == 0 && (!is_last || inflater.finish_message(self.takeover, out)?);
        if !is_frame_end && out.len() < out.capacity() {
            return Ok(false);
        }
        self.output.finish_fragment(if is_frame_end && is_last { FIN | *opcode } else { *opcode });
        *opcode = CONTINUATION;
        if is_frame_end {
            self.state = ReadState::FrameHeader;
            if is_last {
                self.end_message();
            }
        }
        Ok(true)
    }
}

impl OutputFrames {
    /// Copies as much as fits into `buf`. Returns the length.
    fn read(&mut self, buf: &mut [u8]) -> usize {
        let length = (self.bytes.len() - self.taken).min(buf.len());
        buf[..length].copy_from_slice(&self.bytes[self.taken..][..length]);
        self.taken += length;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
            self.is_readable = false;
        }
        length
    }

    /// Appends bytes that are not rewritten.
    fn push_unchanged(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.is_readable = !self.bytes.is_empty();
    }

    /// Returns the fragment that is being filled. It begins with space for its header, which is
    /// written once the length is known.
    fn partial_fragment(&mut self) -> &mut Vec<u8> {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(FRAGMENT_HEADER_MAX + DEFLATE_CHUNK);
            self.bytes.extend([0; FRAGMENT_HEADER_MAX]);
        }
        &mut self.bytes
    }

    /// Writes the fragment's header, whose first byte is `first`, and makes the fragment readable.
    fn finish_fragment(&mut self, first: u8) {
        let header = masked_header(first, self.bytes.len() - FRAGMENT_HEADER_MAX, ZERO_KEY);
        self.taken = FRAGMENT_HEADER_MAX - header.len();
        self.bytes[self.taken..FRAGMENT_HEADER_MAX].copy_from_slice(&header);
        self.is_readable = true;
    }
}

impl PartialHeader {
    /// Takes bytes until the header is complete. Returns how many were taken.
    fn extend(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while self.parsed().is_none() && taken < bytes.len() {
            self.bytes[self.length] = bytes[taken];
            self.length += 1;
            taken += 1;
        }
        taken
    }

    /// `None` if the header is not complete.
    fn parsed(&self) -> Option<Header> {
        Header::parse(&self.bytes[..self.length])
    }
}

//! From the client: compressed messages become plain ones.
//!
//! What it is: a reader that knows where frames begin, and inflates those that say so.
//! What it is not: a check; see the module above.
//! Invariants: each frame of a compressed message becomes one or more fragments, so that tungstenite
//! sees every frame, in its order, and counts and checks what was inflated while it is. All that one
//! read brings is used up before the next one.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;

use super::inflater::Inflater;
use super::parameters::DeflateParameters;
use super::pool::DeflatePool;
use crate::config::tuning::DEFLATE_CHUNK;
use crate::frame::{BINARY, CONTINUATION, FIN, MASKED, OPCODE, RSV1, TEXT, header};

/// The longest header that a client's frame can have.
const HEADER_MAX: usize = 14;
/// The longest one that a fragment of `DEFLATE_CHUNK` has.
const FRAGMENT_HEADER_MAX: usize = 8;
/// A mask that changes nothing.
const ZERO_KEY: [u8; 4] = [0; 4];

#[derive(Debug)]
pub(super) struct Inflow {
    pool: Arc<DeflatePool>,
    takeover: bool,
    /// With context takeover, between two messages.
    kept: Option<Inflater>,
    /// Read, and not all used.
    raw: Vec<u8>,
    used: usize,
    ready: ReadyFrames,
    header: FrameHeader,
    position: Position,
    message: Option<DeflatedMessage>,
    received: u64,
}

/// Where in the client's stream `raw` goes on.
#[derive(Debug, Clone, Copy)]
enum Position {
    FrameHeader,
    /// In a payload that passes as it is.
    Plain {
        left: u64,
        is_data: bool,
    },
    /// In a payload to inflate. What of it is in `raw` has been unmasked.
    Deflated {
        left: u64,
        key: [u8; 4],
        is_last: bool,
    },
}

/// A compressed message that is under way.
#[derive(Debug)]
struct DeflatedMessage {
    inflater: Inflater,
    /// Of its next fragment.
    opcode: u8,
}

/// What is for tungstenite.
#[derive(Debug, Default)]
struct ReadyFrames {
    bytes: Vec<u8>,
    taken: usize,
    /// Whether it is; a fragment that is being filled is not yet.
    is_whole: bool,
}

/// The header of a client's frame, as far as it has arrived.
#[derive(Debug, Default)]
struct FrameHeader {
    bytes: [u8; HEADER_MAX],
    length: usize,
}

impl Inflow {
    pub(super) fn new(agreement: DeflateParameters, pool: Arc<DeflatePool>) -> Inflow {
        Inflow {
            pool,
            takeover: agreement.client_takeover,
            kept: None,
            raw: Vec::new(),
            used: 0,
            ready: ReadyFrames::default(),
            header: FrameHeader::default(),
            position: Position::FrameHeader,
            message: None,
            received: 0,
        }
    }

    /// Takes bytes that arrived before the first read.
    pub(super) fn put_early(&mut self, early: Vec<u8>) {
        self.raw = early;
    }

    /// Payload bytes of data frames so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.ready.is_whole {
                return Ok(self.ready.take(buf));
            }
            if (self.is_between() || !self.advance()?) && self.fill(inner, buf)? == 0 {
                return Ok(0);
            }
        }
    }

    /// Bytes of buffers that are held just now, beside the inflater's.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.raw.capacity() + self.ready.bytes.capacity()
    }

    /// Whether all that came is done with, and nothing is under way.
    fn is_between(&self) -> bool {
        let is_used = self.used == self.raw.len();
        is_used && self.message.is_none() && matches!(self.position, Position::FrameHeader)
    }

    /// Lets all that follows pass as it is.
    pub(super) fn give_up(&mut self) {
        self.message = None;
        self.ready = ReadyFrames::default();
        self.position = Position::Plain { left: u64::MAX, is_data: false };
    }

    /// Reads on. Between two frames nothing is kept meanwhile, as it may take long.
    fn fill(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        if self.is_between() {
            self.raw = Vec::new();
            self.ready = ReadyFrames::default();
        }
        self.raw.clear();
        self.used = 0;
        let length = inner.read(buf)?;
        self.raw.extend_from_slice(&buf[..length]);
        self.unmask();
        Ok(length)
    }

    /// Makes something of what was read; not in the frame of the wait for the next. Returns false when
    /// there is nothing left.
    #[inline(never)]
    fn advance(&mut self) -> io::Result<bool> {
        match self.position {
            Position::FrameHeader => {
                self.used += self.header.take(&self.raw[self.used..]);
                if !self.header.is_whole() {
                    return Ok(false);
                }
                self.begin_frame();
            }
            Position::Plain { left, is_data } => {
                let length = self.available(left);
                self.ready.pass(&self.raw[self.used..][..length]);
                self.used += length;
                self.received += if is_data { length as u64 } else { 0 };
                let left = left - length as u64;
                self.position = if left > 0 {
                    Position::Plain { left, is_data }
                } else {
                    Position::FrameHeader
                };
                return Ok(length > 0 || left == 0);
            }
            Position::Deflated { .. } => return self.inflate().inspect_err(|_| self.give_up()),
        }
        Ok(true)
    }

    /// How much of the next `left` bytes has been read.
    fn available(&self, left: u64) -> usize {
        usize::try_from(left).map_or(usize::MAX, |left| left).min(self.raw.len() - self.used)
    }

    /// A header is whole: decides what becomes of its frame.
    fn begin_frame(&mut self) {
        let header = mem::take(&mut self.header);
        let first = header.bytes[0];
        let starts = first & !FIN == RSV1 | TEXT || first & !FIN == RSV1 | BINARY;
        let continues = first & !FIN == CONTINUATION;
        let left = header.payload();
        let is_sound = header.is_masked() && i64::try_from(left).is_ok();
        if is_sound && (starts && self.message.is_none() || continues && self.message.is_some()) {
            self.begin_message(first & OPCODE);
            self.position =
                Position::Deflated { left, key: header.key(), is_last: first & FIN != 0 };
            self.unmask();
        } else {
            self.ready.pass(&header.bytes[..header.length]);
            self.position = Position::Plain { left, is_data: first & OPCODE <= BINARY };
        }
    }

    /// Takes an inflater, where the message has none yet.
    fn begin_message(&mut self, opcode: u8) {
        if self.message.is_none() {
            let mut inflater = self.kept.take().unwrap_or_else(|| self.pool.inflater());
            inflater.start();
            self.message = Some(DeflatedMessage { inflater, opcode });
        }
    }

    /// Gives the inflater back.
    fn end_message(&mut self) {
        let Some(DeflatedMessage { inflater, .. }) = self.message.take() else { return };
        if self.takeover {
            self.kept = Some(inflater);
        } else {
            self.pool.keep_inflater(inflater);
        }
    }

    /// Unmasks what has come of a compressed payload.
    fn unmask(&mut self) {
        let Position::Deflated { left, mut key, is_last } = self.position else { return };
        let length = self.available(left);
        for (byte, key) in self.raw[self.used..][..length].iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
        key.rotate_left(length % ZERO_KEY.len());
        self.position = Position::Deflated { left, key, is_last };
    }

    /// Inflates what has come of a frame: until a fragment is full, or the frame is at its end.
    fn inflate(&mut self) -> io::Result<bool> {
        let Position::Deflated { left, key, is_last } = self.position else { return Ok(true) };
        let length = self.available(left);
        let Some(DeflatedMessage { inflater, opcode }) = &mut self.message else { return Ok(true) };
        let out = self.ready.fragment();
        let used = inflater.feed(&self.raw[self.used..][..length], out)?;
        self.used += used;
        self.received += used as u64;
        let left = left - used as u64;
        self.position = Position::Deflated { left, key, is_last };
        let is_whole = left == 0 && (!is_last || inflater.end(self.takeover, out)?);
        if !is_whole && out.len() < out.capacity() {
            return Ok(false);
        }
        self.ready.finish(if is_whole && is_last { FIN | *opcode } else { *opcode });
        *opcode = CONTINUATION;
        if is_whole {
            self.position = Position::FrameHeader;
            if is_last {
                self.end_message();
            }
        }
        Ok(true)
    }
}

impl ReadyFrames {
    /// Hands over what fits.
    fn take(&mut self, buf: &mut [u8]) -> usize {
        let length = (self.bytes.len() - self.taken).min(buf.len());
        buf[..length].copy_from_slice(&self.bytes[self.taken..][..length]);
        self.taken += length;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
            self.is_whole = false;
        }
        length
    }

    /// Adds bytes that are as they should be.
    fn pass(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.is_whole = !self.bytes.is_empty();
    }

    /// The fragment that is being filled; its header comes before, when its length is known.
    fn fragment(&mut self) -> &mut Vec<u8> {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(FRAGMENT_HEADER_MAX + DEFLATE_CHUNK);
            self.bytes.extend([0; FRAGMENT_HEADER_MAX]);
        }
        &mut self.bytes
    }

    /// The fragment is as long as it gets.
    fn finish(&mut self, first: u8) {
        let mut header = header(first, self.bytes.len() - FRAGMENT_HEADER_MAX);
        header[1] |= MASKED;
        header.extend(ZERO_KEY);
        self.taken = FRAGMENT_HEADER_MAX - header.len();
        self.bytes[self.taken..FRAGMENT_HEADER_MAX].copy_from_slice(&header);
        self.is_whole = true;
    }
}

impl FrameHeader {
    /// Takes what it still lacks. Returns how much that was.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while !self.is_whole() && taken < bytes.len() {
            self.bytes[self.length] = bytes[taken];
            self.length += 1;
            taken += 1;
        }
        taken
    }

    fn is_whole(&self) -> bool {
        self.length >= 2 && self.length == 2 + self.extended() + 4 * usize::from(self.is_masked())
    }

    /// Bytes of a longer length.
    fn extended(&self) -> usize {
        match self.bytes[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn is_masked(&self) -> bool {
        self.bytes[1] & MASKED != 0
    }

    /// The payload's length.
    fn payload(&self) -> u64 {
        let short = self.bytes[1] & !MASKED;
        match self.extended() {
            0 => short.into(),
            extended => self.bytes[2..2 + extended]
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
        }
    }

    /// The masking key.
    fn key(&self) -> [u8; 4] {
        let start = 2 + self.extended();
        [0, 1, 2, 3].map(|index| self.bytes[start + index])
    }
}

//! To the client: messages that are long enough are compressed.
//!
//! What it is: the rewriting of tungstenite's frames, of which each is a whole message or a control
//! frame.
//! Invariant: what a deflater with context has seen was sent compressed.

use std::borrow::Cow;
use std::sync::Arc;

use flate2::FlushCompress;

use super::inflater::TAIL;
use super::parameters::DeflateParameters;
use super::pool::{DeflatePool, Deflater};
use crate::config::tuning::DEFLATE_MIN;
use crate::frame::{BINARY, OPCODE, RSV1, TEXT, header, split};

/// An empty message, compressed: RFC 7692, section 7.2.3.6.
const EMPTY: &[u8] = &[0];

#[derive(Debug)]
pub(super) struct Outflow {
    pool: Arc<DeflatePool>,
    window: u8,
    takeover: bool,
    /// With context takeover, between two messages.
    kept: Option<Deflater>,
    always: bool,
    sent: u64,
}

impl Outflow {
    pub(super) fn new(
        agreement: DeflateParameters,
        pool: Arc<DeflatePool>,
        always: bool,
    ) -> Outflow {
        Outflow {
            pool,
            window: agreement.server_window(),
            takeover: agreement.server_takeover,
            kept: None,
            always,
            sent: 0,
        }
    }

    /// Payload bytes of data frames so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn rewrite<'a>(&mut self, frame: &'a [u8]) -> Cow<'a, [u8]> {
        let (first, payload) = split(frame);
        if !matches!(first & OPCODE, TEXT | BINARY) {
            return frame.into();
        }
        let Some(deflated) = self.deflate(payload) else {
            self.sent += payload.len() as u64;
            return frame.into();
        };
        self.sent += deflated.len() as u64;
        let mut frame = header(first | RSV1, deflated.len());
        frame.extend(deflated);
        frame.into()
    }

    /// The message compressed; none where that is not worth it.
    fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let is_eager = self.always || self.takeover;
        if payload.is_empty() && is_eager {
            return Some(EMPTY.to_vec());
        }
        if payload.len() < DEFLATE_MIN && !is_eager {
            return None;
        }
        let mut deflater = self.kept.take().unwrap_or_else(|| self.pool.deflater(self.window));
        let result = deflater.deflate(payload)?;
        if self.takeover {
            self.kept = Some(deflater);
        } else {
            self.pool.keep_deflater(deflater);
        }
        (is_eager || result.len() < payload.len()).then_some(result)
    }
}

impl Deflater {
    /// The message compressed; none where zlib wants more room than it ever should. Then it is not to
    /// be kept: zlib-rs 0.6 panics some time after a reset that found output waiting.
    fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let mut deflated = Vec::with_capacity(room(payload.len()));
        self.stream.compress_vec(payload, &mut deflated, FlushCompress::Sync).ok()?;
        // Where no room is left there is more to come.
        if deflated.len() == deflated.capacity() || !deflated.ends_with(&TAIL) {
            return None;
        }
        deflated.truncate(deflated.len() - TAIL.len());
        Some(deflated)
    }
}

/// What a message takes that does not get shorter: 9 bits for a byte, and the blocks around it.
fn room(length: usize) -> usize {
    length + length / 4 + 64
}

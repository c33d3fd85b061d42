//! The sending direction: compresses messages that are long enough.
//!
//! It rewrites tungstenite's frames, each of which is a whole message or a control frame.
//!
//! **Invariant:** with context takeover, all data that a deflater has processed was sent
//! compressed, so that its window equals the client's.

use std::borrow::Cow;
use std::sync::Arc;

use flate2::FlushCompress;

use super::inflater::TAIL;
use super::parameters::DeflateParameters;
use super::pool::{DeflatePool, Deflater};
use crate::config::tuning::DEFLATE_MIN;
use crate::frame::{BINARY, OPCODE, RSV1, TEXT};

/// The payload of an empty compressed message (RFC 7692, section 7.2.3.6).
const EMPTY: &[u8] = &[0];

#[derive(Debug)]
pub(super) struct Outflow {
    pool: Arc<DeflatePool>,
    window_bits: u8,
    takeover: bool,
    /// With context takeover, the deflater between two messages.
    context: Option<Deflater>,
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
            window_bits: agreement.server_window_bits(),
            takeover: agreement.server_takeover,
            context: None,
            always,
            sent: 0,
        }
    }

    /// Returns the payload bytes of data frames sent so far, as they were on the wire.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn rewrite<'a>(&mut self, first: u8, payload: &'a [u8]) -> (u8, Cow<'a, [u8]>) {
        if !matches!(first & OPCODE, TEXT | BINARY) {
            return (first, payload.into());
        }
        let deflated = self.deflate(payload);
        self.sent += deflated.as_ref().map_or(payload.len(), Vec::len) as u64;
        deflated.map_or((first, payload.into()), |deflated| (first | RSV1, deflated.into()))
    }

    /// Compresses a message. `None` if it is to be sent uncompressed: it is short, or does not get
    /// smaller.
    fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let compresses_all = self.always || self.takeover;
        if payload.is_empty() && compresses_all {
            return Some(EMPTY.to_vec());
        }
        if payload.len() < DEFLATE_MIN && !compresses_all {
            return None;
        }
        let mut deflater = self.context.take().or_else(|| self.pool.deflater(self.window_bits))?;
        let result = deflater.deflate(payload)?;
        if self.takeover {
            self.context = Some(deflater);
        } else {
            self.pool.return_deflater(deflater);
        }
        (compresses_all || result.len() < payload.len()).then_some(result)
    }
}

impl Deflater {
    /// Compresses a message (RFC 7692, section 7.2.1). `None` if zlib needs more output space than
    /// its bound. The caller then drops the deflater: zlib-rs 0.6 panics some time after a reset
    /// that found pending output.
    fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let mut deflated = Vec::with_capacity(max_deflated_size(payload.len()));
        self.stream.compress_vec(payload, &mut deflated, FlushCompress::Sync).ok()?;
        // A full buffer means that there is more output.
        if deflated.len() == deflated.capacity() || !deflated.ends_with(&TAIL) {
            return None;
        }
        deflated.truncate(deflated.len() - TAIL.len());
        Some(deflated)
    }
}

/// Returns an upper bound of the deflated size: 9 bits per byte in the worst case, plus block
/// headers.
pub(crate) fn max_deflated_size(length: usize) -> usize {
    length + length / 4 + 64
}

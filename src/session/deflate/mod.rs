//! permessage-deflate (RFC 7692), which tungstenite does not implement.
//!
//! In sessions that negotiated the extension, this rewrites data frames between tungstenite and the
//! socket. Frames are not validated here: malformed ones pass unchanged for tungstenite to reject,
//! and its size limits and UTF-8 check apply to the inflated data.
//!
//! ```text
//! socket ──▶ inflow   RSV1 set:  unmask, inflate ──▶ fragments of at most 4 KiB ──▶ tungstenite
//!                     otherwise: unchanged                                               │
//! socket ◀── outflow  RSV1 set  ◀── smaller? ◀── deflate ◀── data, and long enough? ◀────┘
//!                     otherwise: unchanged
//! ```
//!
//! **Invariants:** a read that fails with `WouldBlock` loses no data. A session has an inflater
//! only while a compressed message is being received, and a deflater only while one is being sent,
//! unless it has a slot for context takeover.

mod inflater;
mod inflow;
mod outflow;
mod parameters;
mod pool;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;

pub(crate) use self::inflater::InvalidDeflate;
#[cfg(feature = "cli")]
pub(crate) use self::inflater::TAIL;
use self::inflow::Inflow;
use self::outflow::Outflow;
#[cfg(feature = "cli")]
pub(crate) use self::outflow::max_deflated_size;
pub(crate) use self::parameters::{DeflateParameters, NAME};
pub(crate) use self::pool::{DeflatePool, TakeoverSlot};

/// What a session needs to use the extension, once it was negotiated.
#[derive(Debug)]
pub(crate) struct DeflateSetup {
    pub(crate) parameters: DeflateParameters,
    /// Whether to compress also short messages, and those that do not get smaller.
    pub(crate) always: bool,
    pub(crate) pool: Arc<DeflatePool>,
    /// The slot that context takeover requires, in either direction.
    pub(crate) takeover: Option<TakeoverSlot>,
}

/// The payload bytes of data messages on the wire, compressed or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OnWire {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The extension in one session, in both directions.
#[derive(Debug)]
pub(super) struct Deflate {
    inflow: Inflow,
    outflow: Outflow,
    _takeover: Option<TakeoverSlot>,
}

impl Deflate {
    /// `early`: bytes that arrived together with the handshake; they are read first.
    pub(super) fn new(setup: DeflateSetup, early: Vec<u8>) -> Deflate {
        let DeflateSetup { parameters, always, pool, takeover } = setup;
        Deflate {
            inflow: Inflow::new(parameters, Arc::clone(&pool), early),
            outflow: Outflow::new(parameters, pool, always),
            _takeover: takeover,
        }
    }

    /// Reads frames for tungstenite, with inflated payload.
    ///
    /// # Errors
    /// Those of `inner`, and [`InvalidDeflate`].
    pub(super) fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        self.inflow.read(inner, buf)
    }

    /// Returns the first byte and the payload to send in place of a frame, which is a whole message or a
    /// control frame.
    pub(super) fn rewrite<'a>(&mut self, first: u8, payload: &'a [u8]) -> (u8, Cow<'a, [u8]>) {
        self.outflow.rewrite(first, payload)
    }

    /// Stops inflating: all further input passes unchanged.
    pub(super) fn give_up(&mut self) {
        self.inflow.stop_inflating();
    }

    pub(super) fn on_wire(&self) -> OnWire {
        OnWire { received: self.inflow.received(), sent: self.outflow.sent() }
    }
}

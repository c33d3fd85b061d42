//! permessage-deflate (RFC 7692), which tungstenite has not.
//!
//! What it is: a transformation of data frames between tungstenite and the socket, in sessions that
//! agreed on it. Its rooms are the agreement, the two directions, and the pool that they borrow from.
//! What it is not: a judge of frames. What is wrong goes to tungstenite as it came, and is refused
//! there as it always was; so do its limits and its look at UTF-8 hold for what was inflated.
//!
//! ```text
//! socket ──▶ inflow   RSV1:      unmask, inflate ──▶ fragments of 4 KiB at most ──▶ tungstenite
//!                     all other: as it is                                                │
//! socket ◀── outflow  RSV1, where deflated is smaller ◀── deflate ◀── data? long enough? ◀┘
//!                     all other: as it is
//! ```
//!
//! Invariants: a read that finds nothing loses nothing. A session holds an inflater while a compressed
//! message is under way and a deflater while it writes one, and neither while it waits, unless it has
//! a position for context takeover.

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
use self::inflow::Inflow;
use self::outflow::Outflow;
pub(crate) use self::parameters::{DeflateParameters, NAME};
pub(crate) use self::pool::{DeflatePool, TakeoverSlot};

/// What compression starts with, once it was negotiated.
#[derive(Debug)]
pub(crate) struct DeflateSetup {
    pub(crate) parameters: DeflateParameters,
    /// Whether short messages are compressed, too, and those that do not get smaller.
    pub(crate) always: bool,
    pub(crate) pool: Arc<DeflatePool>,
    /// The slot for context takeover, if that was negotiated in either direction.
    pub(crate) takeover: Option<TakeoverSlot>,
}

/// Payload of data messages as it was on the wire, compressed or not, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OnWire {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// Both directions of one session.
#[derive(Debug)]
pub(crate) struct Deflate {
    inflow: Inflow,
    outflow: Outflow,
    _takeover: Option<TakeoverSlot>,
}

impl Deflate {
    pub(crate) fn new(setup: DeflateSetup) -> Deflate {
        let DeflateSetup { parameters, always, pool, takeover } = setup;
        Deflate {
            inflow: Inflow::new(parameters, Arc::clone(&pool)),
            outflow: Outflow::new(parameters, pool, always),
            _takeover: takeover,
        }
    }

    /// Takes bytes that arrived together with the handshake; they are read first.
    pub(super) fn put_early(&mut self, early: Vec<u8>) {
        self.inflow.put_early(early);
    }

    /// Reads what is for tungstenite.
    ///
    /// # Errors
    /// Those of `inner`, and [`InvalidDeflate`].
    pub(super) fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        self.inflow.read(inner, buf)
    }

    /// What is sent instead of `frame`, which is tungstenite's.
    pub(super) fn rewrite<'a>(&mut self, frame: &'a [u8]) -> Cow<'a, [u8]> {
        self.outflow.rewrite(frame)
    }

    /// Inflates no more: what still comes is not looked at.
    pub(super) fn give_up(&mut self) {
        self.inflow.give_up();
    }

    pub(super) fn on_wire(&self) -> OnWire {
        OnWire { received: self.inflow.received(), sent: self.outflow.sent() }
    }
}

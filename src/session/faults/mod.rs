//! Faults by query: what a client's author asks this server to do, in the address.
//!
//! What it is: the faults of one connection, and the one vocabulary in which they are given.
//! What it is not: their execution: `http` obeys those for the handshake, `ws` the others.
//! Invariant: faults that exist are within their limits, and do not contradict each other.

pub(super) mod malformed;
mod parameters;
pub(super) mod schedule;

use std::time::Duration;

pub use parameters::help;
pub(crate) use parameters::parse;

/// What `/help` answers.
pub(crate) fn manual(is_on: bool) -> String {
    if !is_on {
        return "Orders by query are turned off here (--no-control).\n".to_owned();
    }
    format!(
        "\
The query of /ws and /echo faults what the server does, for the authors of clients:

{}
They go together, as in ws://HOST/echo?delay=250ms&close=4001&reason=bye&after=3
A value over its limit is taken as the limit. What is not understood is refused with 400.
",
        help()
    )
}

/// What a query asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) handshake: HandshakeFaults,
    /// None where the session is an ordinary one.
    pub(crate) session: Option<Box<SessionFaults>>,
}

/// What concerns the handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HandshakeFaults {
    /// Wait before the response.
    pub(crate) delay: Duration,
    /// Refuse with this status.
    pub(crate) status: Option<u16>,
    /// Choose this subprotocol, if it was offered, and else none.
    pub(crate) subprotocol: Option<String>,
    /// Answer with a wrong `Sec-WebSocket-Accept`.
    pub(crate) bad_accept: bool,
    /// How to compress, if it was offered.
    pub(crate) compression: Option<CompressionChoice>,
}

/// Ways to compress that are not the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompressionChoice {
    /// Decline every offer.
    Off,
    /// Compress every reply, however short.
    Always,
    /// That, and let both sides keep their context, unless the client does not want it.
    Takeover,
}

/// What concerns the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionFaults {
    /// Wait before each reply.
    pub(crate) delay: Duration,
    /// A Ping each time this has passed, whatever else is said.
    pub(crate) ping: Option<Duration>,
    /// Do not read.
    pub(crate) read_off: bool,
    /// Reply with so many bytes instead.
    pub(crate) size: Option<usize>,
    /// Send without being asked.
    pub(crate) push: Option<Push>,
    /// Data messages to answer before `end`, or before a frame is spoilt.
    pub(crate) after: u64,
    /// How to end after that.
    pub(crate) end: Option<ForcedEnd>,
    /// How frames leave; none where they leave as they should.
    pub(crate) frames: Option<FrameFaults>,
}

/// Messages that the server sends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Push {
    pub(crate) every: Duration,
    /// How many; 0 is no end.
    pub(crate) count: u64,
    /// So many bytes instead of the number and the time.
    pub(crate) size: Option<usize>,
}

/// An end by order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ForcedEnd {
    /// Close with this code and reason.
    Close(u16, String),
    /// No Close, and the connection is reset.
    Reset,
    /// No Close; the stream just ends.
    Fin,
}

/// What becomes of outgoing frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FrameFaults {
    /// Send no Pong.
    pub(crate) pong_off: bool,
    /// Send data messages in fragments of so many bytes.
    pub(crate) fragment: Option<usize>,
    /// Break the protocol in a data message.
    pub(crate) bad: Option<Malformation>,
}

/// Ways to break the protocol in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformation {
    /// A text message that is not UTF-8.
    Utf8,
    /// RSV1 set, and no extension agreed on.
    Rsv,
    /// A reserved opcode.
    Opcode,
    /// Masked, which only a client may do.
    Mask,
    /// A payload length in more bytes than it takes.
    Length,
}

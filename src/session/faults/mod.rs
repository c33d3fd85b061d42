//! Fault injection: query parameters by which the author of a client makes this server misbehave.
//!
//! This module has the parsed parameters. `parameters` parses them, `schedule` says when a fault is
//! due, `malformed` rewrites frames. Of the handshake's faults, `connection` applies the delay and
//! the status, `handshake::negotiate` the subprotocol and the compression, and
//! `handshake::response` the wrong `Sec-WebSocket-Accept`.
//!
//! **Invariant:** parsed parameters are within their limits, and do not contradict each other.

pub(super) mod malformed;
mod parameters;
pub(super) mod schedule;

use std::time::Duration;

pub(crate) use parameters::{examples, help, parse};

/// The text of `/help`. `is_on`: faults are not turned off by `--no-faults`.
pub(crate) fn manual(is_on: bool) -> String {
    if !is_on {
        return "Fault injection is turned off on this server (--no-faults).\n".to_owned();
    }
    format!(
        "\
Query parameters of /ws and /echo inject faults and delays, to test clients:

{}
They can be combined, as in ws://HOST/echo?delay=250ms&close=4001&reason=bye&after=3
A value above its limit is lowered to the limit. Invalid parameters are refused with 400.
",
        help()
    )
}

/// The faults that a query asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) handshake: HandshakeFaults,
    /// `None` for an ordinary session.
    pub(crate) session: Option<Box<SessionFaults>>,
    /// The token of the report that the client asks for.
    pub(crate) report: Option<String>,
    /// The name of the client's screen, for the log and `/sessions`.
    pub(crate) screen: Option<String>,
}

/// Faults of the handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HandshakeFaults {
    /// Wait before the response.
    pub(crate) delay: Duration,
    /// Refuse with this status.
    pub(crate) status: Option<u16>,
    /// Choose this subprotocol if it was offered, and none otherwise.
    pub(crate) subprotocol: Option<String>,
    /// Answer with a wrong `Sec-WebSocket-Accept`.
    pub(crate) bad_accept: bool,
    /// How to compress, if the client offers it.
    pub(crate) compression: Option<CompressionChoice>,
}

/// How to compress, if not by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompressionChoice {
    /// Decline every offer.
    Off,
    /// Compress every reply, however short.
    Always,
    /// As [`Always`](Self::Always), with context takeover unless the client declines it.
    Takeover,
}

/// Faults of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SessionFaults {
    /// Wait before each reply.
    pub(crate) delay: Duration,
    /// Interval of Pings, beside those of the keepalive.
    pub(crate) ping: Option<Duration>,
    /// Text message to send first.
    pub(crate) greeting: Option<String>,
    /// Time without reads, writes and Pings, from the 101 on.
    pub(crate) blackhole: Duration,
    /// Do not read.
    pub(crate) read_off: bool,
    /// Do not reply to messages.
    pub(crate) reply_off: bool,
    /// Size of each reply in bytes, instead of the message.
    pub(crate) size: Option<usize>,
    /// Messages to send without being asked.
    pub(crate) push: Option<Push>,
    /// Data messages to answer before `end`, or before the first malformed frame.
    pub(crate) after: u64,
    /// How to end the session.
    pub(crate) end: Option<ForcedEnd>,
    /// Faults of single frames; `None` if frames are sent as they are.
    pub(crate) frames: Option<FrameFaults>,
}

/// Messages that the server sends without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Push {
    pub(crate) every: Duration,
    /// Number of messages; 0 for no end.
    pub(crate) count: u64,
    /// Size in bytes; `None` for a number and the time as JSON.
    pub(crate) size: Option<usize>,
}

/// How the server ends the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ForcedEnd {
    /// Close with this code and reason.
    Close(u16, String),
    /// Reset the connection (TCP RST), without a Close.
    Reset,
    /// End the stream (TCP FIN), without a Close.
    Fin,
}

/// Faults of outgoing frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FrameFaults {
    /// Send no Pong.
    pub(crate) pong_off: bool,
    /// Size of fragments of data messages in bytes.
    pub(crate) fragment: Option<usize>,
    /// Send malformed data messages.
    pub(crate) bad: Option<Malformation>,
}

/// How a frame is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformation {
    /// A text message that is not UTF-8.
    Utf8,
    /// RSV1 set without an extension that uses it.
    Rsv,
    /// A reserved opcode.
    Opcode,
    /// Masked, as only clients may (RFC 6455, section 5.1).
    Mask,
    /// A payload length in more bytes than needed.
    Length,
}

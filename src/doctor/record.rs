//! What one end of a connection saw of it: both heads, the frames in both directions, the end. The
//! comparisons take two of these, the client's and the server's.

use crate::report::MessageHead;

/// An end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    /// What goes from this side to the other, for the middle of a sentence.
    pub(crate) fn direction(self) -> &'static str {
        match self {
            Side::Client => "on the way to the server",
            Side::Server => "on the way to the client",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }

    pub(crate) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// A frame on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireFrame {
    /// Microseconds since the 101, by the clock of this end.
    pub(crate) at_us: u64,
    pub(crate) from: Side,
    pub(crate) opcode: u8,
    pub(crate) fin: bool,
    /// The three reserved bits; RSV1 is 4.
    pub(crate) rsv: u8,
    pub(crate) length: u64,
    /// CRC-32 of the payload, unmasked.
    pub(crate) crc32: u32,
}

impl WireFrame {
    pub(crate) fn is_data(&self) -> bool {
        self.opcode & crate::frame::CLOSE == 0
    }
}

/// How the stream of bytes from the other end was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    Fin,
    Reset,
    /// Another end, such as a timeout or a limit of the recording end.
    Other,
}

/// The end of a connection as one end saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenEnd {
    pub(crate) at_us: u64,
    /// Which side ended it, in the eyes of this end.
    pub(crate) by: Side,
    pub(crate) how: StreamEnd,
    /// The Close of that side; `None` if there was none.
    pub(crate) close: Option<SeenClose>,
    /// The words of the log; empty at the client.
    pub(crate) text: String,
}

/// What a Close frame contained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenClose {
    /// `None` for an empty payload.
    pub(crate) code: Option<u16>,
    pub(crate) reason: String,
}

impl SeenClose {
    pub(crate) fn parse(payload: &[u8]) -> SeenClose {
        match payload {
            [high, low, reason @ ..] => SeenClose {
                code: Some(u16::from_be_bytes([*high, *low])),
                reason: String::from_utf8_lossy(reason).into_owned(),
            },
            _ => SeenClose { code: None, reason: String::new() },
        }
    }
}

/// What one end saw. See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) request: MessageHead,
    pub(crate) response: MessageHead,
    pub(crate) frames: Vec<WireFrame>,
    /// `None` while it is open.
    pub(crate) end: Option<SeenEnd>,
    /// The address at the other end; empty at the client.
    pub(crate) peer: String,
    /// Whether there was no room for all frames.
    pub(crate) lacks_frames: bool,
}

impl Record {
    /// The frames of one direction.
    pub(crate) fn from(&self, side: Side) -> impl Iterator<Item = &WireFrame> {
        self.frames.iter().filter(move |frame| frame.from == side)
    }

    /// The data frames of one direction.
    pub(crate) fn data(&self, side: Side) -> Vec<WireFrame> {
        self.from(side).filter(|frame| frame.is_data()).copied().collect()
    }
}

/// One session, seen from both ends.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) client: Record,
    pub(crate) server: Record,
}

impl Both {
    /// What `side` saw.
    pub(crate) fn at(&self, side: Side) -> &Record {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

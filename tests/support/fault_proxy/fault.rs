//! The faults that the proxy can commit.

use std::time::Duration;

use tungstenite::protocol::frame::coding::OpCode;

use super::frame::Frame;

/// The direction in which bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A clean path.
    None,
    /// Changes the request of a handshake.
    Request(HeadFault),
    /// Changes the response to a handshake.
    Response(HeadFault),
    /// Answers handshakes itself, with this status.
    Refuse(u16),
    /// Replaces `Sec-WebSocket-Key`. If it mends the response, the client gets the
    /// `Sec-WebSocket-Accept` of its own key.
    ReplaceKey {
        mends_accept: bool,
    },
    /// Loses the frames that arrive together with the 101.
    LoseBehind101,
    SwallowPings(Way),
    SwallowPongs(Way),
    /// Answers Pings itself, and does not forward them.
    AnswerPings(Way),
    /// Drops data frames of more bytes.
    LoseLarge(Way, usize),
    /// Clears the reserved bits of frames.
    ClearRsv(Way),
    /// Makes one frame of a message's fragments.
    MergeFragments(Way),
    /// Makes frames of at most so many bytes of data frames.
    SplitFrames(Way, usize),
    /// Changes one bit of the payload's byte with this index, in each data frame that is long enough.
    FlipByte(Way, usize),
    /// Ends the connection in place of what is larger.
    Oversized(Way, Size, Ending),
    /// Ends the connection so long after the 101.
    Age(Duration, Ending),
    /// Ends the connection after so long without traffic.
    Silence(Duration, Counts, Ending),
    /// Forwards what arrives so long after its first byte, in one write.
    Buffer(Way, Duration),
    /// Changes a Close.
    Close(Way, Close),
    /// Resets the connection at an end of stream (FIN).
    ResetForFin(Way),
    /// Puts a Close with this code before an end of stream (FIN).
    CloseBeforeFin(Way, u16),
    /// Makes an end of stream (FIN) of a reset.
    FinForReset(Way),
    /// Does not forward an end of stream (FIN) or a reset.
    HideEnd(Way),
    /// Ends both directions when one ends.
    NoHalfClose,
}

/// A change of a request head or a response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    Remove(&'static str),
    /// Sets the value of a field that is there.
    Set(&'static str, &'static str),
    /// Adds a field at the end.
    Add(&'static str, &'static str),
    /// Merges the fields of one name into one line.
    Merge(&'static str),
    /// Makes `websocket, websocket` of `websocket`.
    Duplicate(&'static str),
    /// Sorts the fields by name.
    Sort,
    /// Replaces a part of the first line, such as path or version.
    FirstLine(&'static str, &'static str),
}

/// A limit on payload, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Frame(usize),
    /// All fragments of a message together.
    Message(usize),
}

/// How the proxy ends a connection, towards both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Fin,
    Rst,
    /// A Close with this code, then FIN.
    Close(u16),
    /// Forwards nothing any more, and tells neither end.
    Nothing,
}

/// What a Close becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    WithoutCode,
    Fin,
    Rst,
}

/// The frames that count as traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    All,
    Data,
    /// Frames of this direction.
    Only(Way),
}

impl Way {
    pub fn opposite(self) -> Way {
        match self {
            Way::ToServer => Way::ToClient,
            Way::ToClient => Way::ToServer,
        }
    }
}

impl Counts {
    pub(super) fn has(self, way: Way, frame: &Frame) -> bool {
        match self {
            Counts::All => true,
            Counts::Data => matches!(frame.header.opcode, OpCode::Data(_)),
            Counts::Only(counted) => way == counted,
        }
    }
}

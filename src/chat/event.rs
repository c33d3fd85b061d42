//! What members of a room are told, as JSON in text messages.
//!
//! What it is: the events, and their encoding into one frame that all members share.

use std::sync::Arc;

use serde::Serialize;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

/// A whole frame, ready to be written; one for all who are sent it.
pub(crate) type EncodedFrame = Arc<[u8]>;

/// An event.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    /// To a newcomer alone, first of all.
    Welcome {
        room: &'a str,
        /// The newcomer's name, which is its own in this room.
        name: &'a str,
        members: Vec<&'a str>,
        /// The last message so far; the next one has the number after it.
        seq: u64,
    },
    /// Somebody came, the newcomer included.
    Join { name: &'a str, at: &'a str },
    /// Somebody left.
    Leave { name: &'a str, at: &'a str },
    /// Somebody said something.
    Message { from: &'a str, text: &'a str, at: &'a str, seq: u64 },
}

impl Event<'_> {
    pub(crate) fn encode(&self) -> EncodedFrame {
        // Strings and numbers always become JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        encoded(Frame::message(json, OpCode::Data(Data::Text), true))
    }
}

/// The Close for a member who does not keep up.
pub(crate) fn too_slow(reason: &str) -> EncodedFrame {
    encoded(Frame::close(Some(CloseFrame { code: CloseCode::Again, reason: reason.into() })))
}

fn encoded(frame: Frame) -> EncodedFrame {
    let mut bytes = Vec::with_capacity(frame.len());
    // A Vec takes every byte.
    let _ = frame.format(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_text_frames_of_json() {
        let event = Event::Message { from: "ann", text: "\"é\"\n", at: "noon", seq: 7 };
        let frame = event.encode();
        let json = r#"{"type":"message","from":"ann","text":"\"é\"\n","at":"noon","seq":7}"#;
        assert_eq!(frame[..2], [0x81, u8::try_from(json.len()).unwrap()]);
        assert_eq!(&frame[2..], json.as_bytes());
        assert_eq!(&too_slow("x")[..], [0x88, 3, 0x03, 0xf5, b'x']);
    }
}

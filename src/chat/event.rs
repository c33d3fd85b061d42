//! The events of a room: JSON in text messages, each encoded once into a frame that all members
//! share.

use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;

use crate::frame::{self, FIN, TEXT};
use crate::message_memory::{Charge, MessageMemory};

/// A whole WebSocket frame, shared by the outboxes of all members.
pub(super) type EncodedFrame = Arc<Frame>;

/// See [`EncodedFrame`].
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Box<[u8]>,
    /// `None` if no memory was left. Then no member holds it beside others.
    charge: Option<Charge>,
}

impl Frame {
    pub(super) fn new(bytes: Vec<u8>, charge: Option<Charge>) -> EncodedFrame {
        Arc::new(Frame { bytes: bytes.into(), charge })
    }

    /// Whether it is a part of the memory of messages.
    pub(super) fn is_charged(&self) -> bool {
        self.charge.is_some()
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// An event, as it stands in a frame.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Event<'a> {
    /// The first event for a new member, and for it alone.
    Welcome {
        room: &'a str,
        /// The new member's name, which no other member of this room has.
        name: &'a str,
        members: Vec<&'a str>,
        /// The number of the last message so far.
        seq: u64,
    },
    /// A member joined; sent to the new member, too.
    Join { name: &'a str, at: &'a str },
    /// A member left, or was removed.
    Leave { name: &'a str, at: &'a str },
    /// A member sent a message; it gets its own messages, too.
    Message { from: &'a str, text: &'a str, at: &'a str, seq: u64 },
}

impl Event<'_> {
    pub(super) fn encode(&self, memory: &Arc<MessageMemory>) -> EncodedFrame {
        // Strings and numbers always become JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let bytes = [frame::header(FIN | TEXT, json.len()), json].concat();
        let charge = memory.take_first(bytes.len());
        Frame::new(bytes, charge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_text_frames_of_json() {
        let event = Event::Message { from: "ann", text: "\"é\"\n", at: "noon", seq: 7 };
        let frame = event.encode(&MessageMemory::new(1000));
        let json = r#"{"type":"message","from":"ann","text":"\"é\"\n","at":"noon","seq":7}"#;
        assert_eq!(frame[..2], [0x81, u8::try_from(json.len()).unwrap()]);
        assert_eq!(&frame[2..], json.as_bytes());
    }
}

//! How long a message is, as far as its frames have come, and what memory it takes.

use crate::frame::{CONTINUATION, Header, OPCODE, TEXT};

/// How many bytes of memory a message takes for each byte of its length, its reply included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageCost {
    pub(crate) text: usize,
    pub(crate) binary: usize,
}

/// The frames of a message so far, added up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MessageSize {
    opcode: u8,
    length: u64,
    /// The longest fragment, which is held beside the message; 0 for a message of one frame.
    fragment: u64,
    /// Whether another fragment has to come.
    pub(super) is_open: bool,
}

impl MessageSize {
    /// The message with another frame.
    pub(super) fn with(self, header: Header) -> MessageSize {
        let begun = if self.is_open { self } else { MessageSize::default() };
        let (opcode, length) = (header.first & OPCODE, header.length);
        if header.is_control() {
            // One that is longer than 125 bytes is rejected once tungstenite has read it.
            return MessageSize { fragment: begun.fragment.max(length), ..begun };
        }
        let is_open = !header.is_final();
        if opcode == CONTINUATION {
            let fragment = begun.fragment.max(length);
            return MessageSize {
                length: begun.length.saturating_add(length),
                fragment,
                is_open,
                ..begun
            };
        }
        MessageSize { opcode, length, fragment: if is_open { length } else { 0 }, is_open }
    }

    /// The bytes of memory that it takes.
    pub(super) fn cost(self, cost: MessageCost) -> u64 {
        let factor = if self.opcode == TEXT { cost.text } else { cost.binary };
        self.length.saturating_mul(factor as u64).saturating_add(self.fragment)
    }
}

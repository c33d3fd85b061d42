//! A frame, read and written: masked from the client, unmasked from the server.

use std::io::{self, Cursor};

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{self, FrameHeader};

/// The mask of frames that the proxy makes itself.
const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x88];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub header: FrameHeader,
    /// Without its mask.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Returns a control frame.
    pub fn control(opcode: Control, payload: &[u8], is_masked: bool) -> Frame {
        let mask = is_masked.then_some(MASK);
        let header =
            FrameHeader { opcode: OpCode::Control(opcode), mask, ..FrameHeader::default() };
        Frame { header, payload: payload.to_vec() }
    }

    /// Takes the first frame out of `bytes`; `None` if it is not there as a whole.
    pub fn take(bytes: &mut Vec<u8>) -> io::Result<Option<Frame>> {
        let mut cursor = Cursor::new(&bytes[..]);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(io::Error::other)?
        else {
            return Ok(None);
        };
        let start = usize::try_from(cursor.position()).unwrap();
        let end = start.saturating_add(usize::try_from(length).unwrap());
        if bytes.len() < end {
            return Ok(None);
        }
        let mut payload: Vec<u8> = bytes.drain(..end).skip(start).collect();
        for (byte, mask) in payload.iter_mut().zip(header.mask.unwrap_or_default().iter().cycle()) {
            *byte ^= mask;
        }
        Ok(Some(Frame { header, payload }))
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let frame = frame::Frame::from_payload(self.header.clone(), self.payload.clone().into());
        frame.format(&mut bytes).unwrap();
        bytes
    }

    pub fn is(&self, opcode: Control) -> bool {
        self.header.opcode == OpCode::Control(opcode)
    }

    pub fn is_data(&self) -> bool {
        matches!(self.header.opcode, OpCode::Data(_))
    }

    pub fn is_continuation(&self) -> bool {
        self.header.opcode == OpCode::Data(Data::Continue)
    }
}

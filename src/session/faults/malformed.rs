//! Rewrites outgoing frames into malformed or fragmented ones. tungstenite makes only valid frames.
//!
//! ```text
//! frame ──▶ Pong? dropped (pong=off)
//!       ──▶ data? malformed (bad=…), or cut into fragments (fragment=N) ──▶ socket
//! ```

use std::io::{self, Write};

use super::{FrameFaults, Malformation, SessionFaults};
use crate::config::faults::FRAGMENTS_MAX;
use crate::frame::{self, BINARY, CONTINUATION, FIN, OPCODE, PONG, RESERVED, RSV1, TEXT, header};

/// Any key masks; this one is easy to recognize.
const MASK_KEY: [u8; 4] = [0x0f, 0xf0, 0x0f, 0xf0];

/// See the module.
#[derive(Debug)]
pub(in crate::session) struct MalformedFrames {
    faults: FrameFaults,
    /// Data messages to send unchanged before the first malformed one.
    unchanged: u64,
}

impl MalformedFrames {
    /// `None` if no frame is to be rewritten.
    pub(in crate::session) fn new(faults: &SessionFaults) -> Option<MalformedFrames> {
        Some(MalformedFrames { faults: faults.frames?, unchanged: faults.after })
    }

    /// Writes what leaves in place of a frame, which is whole and valid.
    pub(in crate::session) fn write(
        &mut self,
        first: u8,
        payload: &[u8],
        out: &mut impl Write,
    ) -> io::Result<()> {
        match (first & OPCODE, self.faults) {
            (PONG, FrameFaults { pong_off: true, .. }) => Ok(()),
            (TEXT | BINARY, FrameFaults { bad: Some(bad), .. }) if self.unchanged == 0 => {
                out.write_all(&malformed(bad, first, payload))
            }
            (TEXT | BINARY, FrameFaults { fragment, .. }) => {
                self.unchanged = self.unchanged.saturating_sub(1);
                match fragment {
                    Some(size) => write_fragments(first, payload, size, out),
                    None => frame::write(out, first, &[payload]),
                }
            }
            _ => frame::write(out, first, &[payload]),
        }
    }
}

/// Writes a message in fragments of `size` bytes, or larger ones if there were more than
/// [`FRAGMENTS_MAX`]. Only the first fragment has RSV1, which says that the message is compressed.
fn write_fragments(first: u8, payload: &[u8], size: usize, out: &mut impl Write) -> io::Result<()> {
    let size = size.max(payload.len().div_ceil(FRAGMENTS_MAX));
    let fragments = payload.len().div_ceil(size).max(1);
    let mut start = first & (RSV1 | OPCODE);
    for number in 0..fragments {
        let fragment = &payload[number * size..payload.len().min((number + 1) * size)];
        let fin = if number + 1 == fragments { FIN } else { 0 };
        frame::write(out, fin | start, &[fragment])?;
        start = CONTINUATION;
    }
    Ok(())
}

/// A frame that breaks the protocol.
fn malformed(bad: Malformation, first: u8, payload: &[u8]) -> Vec<u8> {
    match bad {
        Malformation::Utf8 => {
            [header(FIN | TEXT, payload.len() + 1), payload.to_vec(), vec![0xff]].concat()
        }
        Malformation::Rsv => [header(first | RSV1, payload.len()), payload.to_vec()].concat(),
        Malformation::Opcode => [header(FIN | RESERVED, payload.len()), payload.to_vec()].concat(),
        Malformation::Mask => frame::masked(first, payload, MASK_KEY),
        Malformation::Length => {
            let length = (payload.len() as u64).to_be_bytes();
            [&[first, 127], &length[..], payload].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::filter::{FilteredTransport, FrameFilter};
    use crate::session::intake::Intake;
    use std::io::Write;

    /// The bytes that leave after these frames were written.
    fn written(faults: FrameFaults, after: u64, frames: &[&[u8]]) -> Vec<u8> {
        let faults = SessionFaults { frames: Some(faults), after, ..SessionFaults::default() };
        let filter = FrameFilter::new(None, MalformedFrames::new(&faults), None, &mut Vec::new());
        let mut transport = FilteredTransport::new(Vec::new(), filter, Intake::pass_all());
        for frame in frames {
            assert_eq!(transport.write(frame).unwrap(), frame.len());
        }
        transport.into_inner()
    }

    fn bad(bad: Malformation) -> FrameFaults {
        FrameFaults { bad: Some(bad), ..FrameFaults::default() }
    }

    #[test]
    fn frames_without_faults_leave_unchanged() {
        let frames: [&[u8]; 3] = [b"\x81\x02hi", b"\x8a\x00", b"\x88\x02\x03\xe8"];
        assert_eq!(written(FrameFaults::default(), 0, &frames), frames.concat());
    }

    #[test]
    fn pong_off_drops_pongs_alone() {
        let faults = FrameFaults { pong_off: true, ..FrameFaults::default() };
        let frames: [&[u8]; 4] = [b"\x8a\x01x", b"\x89\x00", b"\x81\x01a", b"\x88\x00"];
        assert_eq!(written(faults, 0, &frames), frames[1..].concat());
    }

    #[test]
    fn messages_are_cut_into_fragments() {
        let faults = |size| FrameFaults { fragment: Some(size), ..FrameFaults::default() };
        assert_eq!(written(faults(2), 0, &[b"\x81\x05hello"]), b"\x01\x02he\x00\x02ll\x80\x01o");
        assert_eq!(written(faults(5), 0, &[b"\x82\x05hello"]), b"\x82\x05hello");
        assert_eq!(written(faults(5), 0, &[b"\x81\x00"]), b"\x81\x00");
        assert_eq!(written(faults(2), 0, &[b"\xc1\x03def"]), b"\x41\x02de\x80\x01f");
        let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 65536]].concat();
        let pieces = written(faults(40_000), 0, &[&long]);
        assert_eq!(pieces[..4], [0x02, 126, 0x9c, 0x40]);
        assert_eq!(pieces[40_004..40_008], [0x80, 126, 0x63, 0xc0]);
        assert_eq!(pieces.len(), 65536 + 8);
    }

    #[test]
    fn a_message_that_takes_too_many_fragments_gets_larger_ones() {
        let faults = FrameFaults { fragment: Some(1), ..FrameFaults::default() };
        let frame = |length| [header(FIN | BINARY, length), vec![7; length]].concat();
        let pieces = |length| written(faults, 0, &[&frame(length)]);
        assert_eq!(pieces(FRAGMENTS_MAX).len(), FRAGMENTS_MAX * 3);
        let larger = pieces(FRAGMENTS_MAX + 1);
        assert_eq!(larger[..8], [0x02, 2, 7, 7, 0x00, 2, 7, 7]);
        assert_eq!(larger[larger.len() - 3..], [0x80, 1, 7]);
    }

    #[test]
    fn each_malformation_breaks_the_protocol_in_its_way() {
        for (kind, expected) in [
            (Malformation::Utf8, &b"\x81\x03hi\xff"[..]),
            (Malformation::Rsv, b"\xc1\x02hi"),
            (Malformation::Opcode, b"\x83\x02hi"),
            (Malformation::Mask, b"\x81\x82\x0f\xf0\x0f\xf0g\x99"),
            (Malformation::Length, b"\x81\x7f\0\0\0\0\0\0\0\x02hi"),
        ] {
            assert_eq!(written(bad(kind), 0, &[b"\x81\x02hi"]), expected, "{kind:?}");
        }
    }

    #[test]
    fn messages_before_after_and_control_frames_stay_unchanged() {
        let frames: [&[u8]; 4] = [b"\x81\x01a", b"\x89\x00", b"\x81\x01b", b"\x81\x01c"];
        let expected = b"\x81\x01a\x89\x00\x81\x01b\xc1\x01c";
        assert_eq!(written(bad(Malformation::Rsv), 2, &frames), expected);
    }
}

//! Frames as no server should send them, for the authors of clients.
//!
//! What it is: the rewriting of outgoing frames as a query asked. tungstenite makes only right ones.
//! What it is not: on the way of an ordinary session's frames (`stage`).
//!
//! ```text
//! frame ──▶ Pong? dropped (pong=off)
//!       ──▶ data? spoilt (bad=…), or cut in pieces (fragment=N) ──▶ socket
//! ```

use crate::control::{Bad, FrameOrders};
use crate::frame::{
    BINARY, CONTINUATION, FIN, MASKED, OPCODE, PONG, RESERVED, RSV1, TEXT, header, split,
};

/// Any key will do; this one is easy to see.
const MASK_KEY: [u8; 4] = [0x0f, 0xf0, 0x0f, 0xf0];

/// Orders that are being carried out.
#[derive(Debug)]
pub(super) struct Unruly {
    orders: FrameOrders,
    /// Data messages to let pass before the protocol is broken.
    good: u64,
}

impl Unruly {
    /// `good`: data messages to let pass before the protocol is broken.
    pub(super) fn new(orders: FrameOrders, good: u64) -> Unruly {
        Unruly { orders, good }
    }

    /// What is sent instead of `frame`, which is whole and right.
    pub(super) fn rewrite(&mut self, frame: &[u8]) -> Vec<u8> {
        let (first, payload) = split(frame);
        match (first & OPCODE, self.orders) {
            (PONG, FrameOrders { pong_off: true, .. }) => Vec::new(),
            (TEXT | BINARY, FrameOrders { bad: Some(bad), .. }) if self.good == 0 => {
                spoil(bad, first, payload)
            }
            (TEXT | BINARY, FrameOrders { fragment, .. }) => {
                self.good = self.good.saturating_sub(1);
                fragment.map_or_else(|| frame.to_vec(), |size| cut(first, payload, size))
            }
            _ => frame.to_vec(),
        }
    }
}

/// A message in pieces of `size` bytes. RSV1, where it says compressed, is said by the first.
fn cut(first: u8, payload: &[u8], size: usize) -> Vec<u8> {
    let first = first & (RSV1 | OPCODE);
    let mut frames = Vec::with_capacity(payload.len());
    let pieces = payload.len().div_ceil(size).max(1);
    for number in 0..pieces {
        let piece = &payload[number * size..payload.len().min((number + 1) * size)];
        let start = if number == 0 { first } else { CONTINUATION };
        let fin = if number + 1 == pieces { FIN } else { 0 };
        frames.extend(header(fin | start, piece.len()));
        frames.extend_from_slice(piece);
    }
    frames
}

/// A frame that breaks the protocol.
fn spoil(bad: Bad, first: u8, payload: &[u8]) -> Vec<u8> {
    match bad {
        Bad::Utf8 => [header(FIN | TEXT, payload.len() + 1), payload.to_vec(), vec![0xff]].concat(),
        Bad::Rsv => [header(first | RSV1, payload.len()), payload.to_vec()].concat(),
        Bad::Opcode => [header(FIN | RESERVED, payload.len()), payload.to_vec()].concat(),
        Bad::Mask => {
            let mut header = header(first, payload.len());
            header[1] |= MASKED;
            let masked = payload.iter().zip(MASK_KEY.iter().cycle()).map(|(byte, key)| byte ^ key);
            [header, MASK_KEY.to_vec(), masked.collect()].concat()
        }
        Bad::Length => {
            let length = (payload.len() as u64).to_be_bytes();
            [&[first, 127], &length[..], payload].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::stage::{Detour, Stage};
    use std::io::Write;

    /// What leaves after these frames were written.
    fn written(orders: FrameOrders, good: u64, frames: &[&[u8]]) -> Vec<u8> {
        let detour = Box::new(Detour::Unruly(Unruly::new(orders, good)));
        let mut stage = Stage::new(Vec::new(), Some(detour));
        for frame in frames {
            assert_eq!(stage.write(frame).unwrap(), frame.len());
        }
        stage.into_inner()
    }

    fn bad(bad: Bad) -> FrameOrders {
        FrameOrders { bad: Some(bad), ..FrameOrders::default() }
    }

    #[test]
    fn without_orders_frames_leave_as_they_are() {
        let frames: [&[u8]; 3] = [b"\x81\x02hi", b"\x8a\x00", b"\x88\x02\x03\xe8"];
        assert_eq!(written(FrameOrders::default(), 0, &frames), frames.concat());
    }

    #[test]
    fn a_pong_can_be_kept_back_and_nothing_else_is() {
        let orders = FrameOrders { pong_off: true, ..FrameOrders::default() };
        let frames: [&[u8]; 4] = [b"\x8a\x01x", b"\x89\x00", b"\x81\x01a", b"\x88\x00"];
        assert_eq!(written(orders, 0, &frames), frames[1..].concat());
    }

    #[test]
    fn a_message_in_fragments() {
        let orders = |size| FrameOrders { fragment: Some(size), ..FrameOrders::default() };
        assert_eq!(written(orders(2), 0, &[b"\x81\x05hello"]), b"\x01\x02he\x00\x02ll\x80\x01o");
        assert_eq!(written(orders(5), 0, &[b"\x82\x05hello"]), b"\x82\x05hello");
        assert_eq!(written(orders(5), 0, &[b"\x81\x00"]), b"\x81\x00");
        assert_eq!(written(orders(2), 0, &[b"\xc1\x03def"]), b"\x41\x02de\x80\x01f");
        let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 65536]].concat();
        let pieces = written(orders(40_000), 0, &[&long]);
        assert_eq!(pieces[..4], [0x02, 126, 0x9c, 0x40]);
        assert_eq!(pieces[40_004..40_008], [0x80, 126, 0x63, 0xc0]);
        assert_eq!(pieces.len(), 65536 + 8);
    }

    #[test]
    fn each_way_to_break_the_protocol() {
        for (kind, expected) in [
            (Bad::Utf8, &b"\x81\x03hi\xff"[..]),
            (Bad::Rsv, b"\xc1\x02hi"),
            (Bad::Opcode, b"\x83\x02hi"),
            (Bad::Mask, b"\x81\x82\x0f\xf0\x0f\xf0g\x99"),
            (Bad::Length, b"\x81\x7f\0\0\0\0\0\0\0\x02hi"),
        ] {
            assert_eq!(written(bad(kind), 0, &[b"\x81\x02hi"]), expected, "{kind:?}");
        }
    }

    #[test]
    fn some_messages_are_good_first_and_control_frames_always() {
        let frames: [&[u8]; 4] = [b"\x81\x01a", b"\x89\x00", b"\x81\x01b", b"\x81\x01c"];
        let expected = b"\x81\x01a\x89\x00\x81\x01b\xc1\x01c";
        assert_eq!(written(bad(Bad::Rsv), 2, &frames), expected);
    }
}

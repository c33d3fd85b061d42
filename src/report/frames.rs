//! Which frames are in a stream of bytes, as an observer sees them: nothing is changed or rejected.

use crc32fast::Hasher;

use crate::frame::{FIN, HEADER_MAX, Header, OPCODE, mask};

/// A frame that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenFrame {
    pub(crate) opcode: u8,
    pub(crate) fin: bool,
    /// The reserved bits: RSV1 is 4, RSV2 2, RSV3 1.
    pub(crate) rsv: u8,
    pub(crate) masked: bool,
    /// Bytes of payload.
    pub(crate) length: u64,
    /// CRC-32 of the payload on the wire, unmasked.
    pub(crate) crc32: u32,
}

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct FrameObserver {
    /// A header that is not complete.
    header: Vec<u8>,
    frame: Option<OpenFrame>,
}

/// A frame whose header has passed.
#[derive(Debug)]
struct OpenFrame {
    header: Header,
    /// Bytes of payload that have passed.
    passed: u64,
    crc: Hasher,
}

impl FrameObserver {
    /// Follows further bytes. Calls `on_frame` at the end of each frame.
    pub(crate) fn observe(&mut self, mut bytes: &[u8], mut on_frame: impl FnMut(SeenFrame)) {
        loop {
            if self.frame.is_none() {
                self.frame = self.begin(&mut bytes);
            }
            let Some(frame) = &mut self.frame else { return };
            frame.add(&mut bytes);
            let Some(seen) = frame.seen() else { return };
            self.frame = None;
            on_frame(seen);
        }
    }

    /// Takes a header from `bytes`; `None` if it goes on beyond them.
    fn begin(&mut self, bytes: &mut &[u8]) -> Option<OpenFrame> {
        let known = self.header.len();
        let taken = bytes.len().min(HEADER_MAX - known);
        self.header.extend_from_slice(&bytes[..taken]);
        let header = Header::parse(&self.header);
        let used = header.map_or(taken, |header| header.size - known);
        *bytes = &bytes[used..];
        let header = header?;
        self.header.clear();
        Some(OpenFrame { header, passed: 0, crc: Hasher::new() })
    }
}

impl OpenFrame {
    /// Takes payload from `bytes`.
    fn add(&mut self, bytes: &mut &[u8]) {
        let left = self.header.length - self.passed;
        let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (payload, rest) = bytes.split_at(taken);
        *bytes = rest;
        match self.header.key {
            None => self.crc.update(payload),
            Some(key) => self.add_masked(payload, key),
        }
        self.passed += taken as u64;
    }

    /// In pieces, so that no more than one is copied.
    fn add_masked(&mut self, payload: &[u8], mut key: [u8; 4]) {
        key.rotate_left((self.passed % 4) as usize);
        let mut piece = [0; 512];
        for bytes in payload.chunks(piece.len()) {
            let piece = &mut piece[..bytes.len()];
            piece.copy_from_slice(bytes);
            mask(piece, key);
            self.crc.update(piece);
        }
    }

    /// `None` if payload is still to come.
    fn seen(&self) -> Option<SeenFrame> {
        let Header { first, length, key, .. } = self.header;
        (self.passed == length).then(|| SeenFrame {
            opcode: first & OPCODE,
            fin: first & FIN != 0,
            rsv: (first & !FIN & !OPCODE) >> 4,
            masked: key.is_some(),
            length,
            crc32: self.crc.clone().finalize(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{BINARY, CLOSE, CONTINUATION, RSV1, TEXT, header, masked};

    /// CRC-32 of "123456789", the check value of the algorithm.
    const CHECK: u32 = 0xcbf4_3926;

    fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
        [&header(first, payload.len())[..], payload].concat()
    }

    fn observed(stream: &[u8], cut: usize) -> Vec<SeenFrame> {
        let (mut observer, mut seen) = (FrameObserver::default(), Vec::new());
        stream.chunks(cut).for_each(|bytes| observer.observe(bytes, |frame| seen.push(frame)));
        seen
    }

    #[test]
    fn frames_are_seen_however_the_stream_is_cut() {
        let long = vec![7; 70_000];
        let stream = [
            masked(FIN | RSV1 | TEXT, b"123456789", [1, 2, 3, 4]),
            unmasked(BINARY, b"123456789"),
            unmasked(FIN | CONTINUATION, &long),
            masked(FIN | BINARY, &long, [9, 8, 7, 6]),
            unmasked(FIN | CLOSE, &[]),
        ]
        .concat();
        for cut in [1, 2, 3, 5, 13, 14, 15, 1000, stream.len()] {
            let seen = observed(&stream, cut);
            let [first, second, third, fourth, last] = seen[..] else { panic!("{seen:?}") };
            let expected = SeenFrame {
                opcode: TEXT,
                fin: true,
                rsv: 4,
                masked: true,
                length: 9,
                crc32: CHECK,
            };
            assert_eq!(first, expected);
            let expected =
                SeenFrame { opcode: BINARY, fin: false, rsv: 0, masked: false, ..expected };
            assert_eq!(second, expected);
            assert_eq!((third.opcode, third.length), (CONTINUATION, 70_000));
            assert_eq!(third.crc32, fourth.crc32, "the mask does not count");
            assert_eq!((last.opcode, last.length, last.crc32), (CLOSE, 0, 0));
        }
    }

    #[test]
    fn a_frame_without_its_end_is_not_seen() {
        let stream = masked(FIN | TEXT, b"123456789", [1, 2, 3, 4]);
        assert_eq!(observed(&stream[..stream.len() - 1], 4), []);
    }
}

//! Frame headers as bytes (RFC 6455, section 5.2): for the code that stands between tungstenite and the
//! socket, and for code without tungstenite. Nothing is validated here; that is tungstenite's part.

use std::io::{self, IoSlice, Write};

use crate::config::tuning::WRITE_BUFFER;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const OPCODE: u8 = 0x0f;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
/// The first opcode that is reserved for further non-control frames.
pub(crate) const RESERVED: u8 = 0x3;
pub(crate) const CLOSE: u8 = 0x8;
#[cfg(feature = "cli")]
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;
pub(crate) const MASKED: u8 = 0x80;

/// The longest header of a frame.
pub(crate) const HEADER_MAX: usize = 14;

/// Splits an unmasked frame into its first byte and its payload; `(0, [])` if the header is not
/// complete.
pub(crate) fn split(frame: &[u8]) -> (u8, &[u8]) {
    Header::parse(frame).map_or((0, &[]), |header| (header.first, &frame[header.size..]))
}

/// Returns the payload of a masked frame; `None` if `bytes` are anything but one whole such frame.
pub(crate) fn masked_payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let header = Header::parse(bytes)?;
    let mut payload = bytes[header.size..].to_vec();
    mask(&mut payload, header.key?);
    (payload.len() as u64 == header.length).then_some(payload)
}

/// Masks bytes, or unmasks them (RFC 6455, section 5.3).
pub(crate) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// A masked frame with this payload.
pub(crate) fn masked(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = masked_header(first, payload.len(), key);
    let start = frame.len();
    frame.extend_from_slice(payload);
    mask(&mut frame[start..], key);
    frame
}

/// The header of a masked frame, with the length in the fewest bytes.
pub(crate) fn masked_header(first: u8, length: usize, key: [u8; 4]) -> Vec<u8> {
    let mut header = header(first, length);
    header[1] |= MASKED;
    header.extend(key);
    header
}

/// The header of an unmasked frame, with the length in the fewest bytes.
pub(crate) fn header(first: u8, length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..126), _) => vec![first, length],
        (_, Ok(length)) => [&[first, 126], &length.to_be_bytes()[..]].concat(),
        _ => [&[first, 127], &(length as u64).to_be_bytes()[..]].concat(),
    }
}

/// Writes an unmasked frame whose payload is given in pieces. A large one is not copied together.
#[inline]
pub(crate) fn write(out: &mut impl Write, first: u8, payload: &[&[u8]]) -> io::Result<()> {
    let length = payload.iter().map(|piece| piece.len()).sum();
    match u8::try_from(length) {
        // The common case without an allocation for the header.
        Ok(short @ 0..126) => out.write_all(&[first, short])?,
        _ if length > WRITE_BUFFER - HEADER_MAX => {
            return write_large(out, &header(first, length), payload);
        }
        _ => out.write_all(&header(first, length))?,
    }
    payload.iter().try_for_each(|piece| out.write_all(piece))
}

#[cold]
fn write_large(out: &mut impl Write, header: &[u8], payload: &[&[u8]]) -> io::Result<()> {
    let pieces = std::iter::once(header).chain(payload.iter().copied());
    let mut slices: Vec<_> = pieces.map(IoSlice::new).collect();
    write_all_vectored(out, &mut slices)
}

/// Writes all pieces.
pub(crate) fn write_all_vectored(
    out: &mut impl Write,
    mut pieces: &mut [IoSlice<'_>],
) -> io::Result<()> {
    while !pieces.is_empty() {
        let written = out.write_vectored(pieces)?;
        if written == 0 && pieces.iter().any(|piece| !piece.is_empty()) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut pieces, written);
    }
    Ok(())
}

/// The header of a frame that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// FIN, the reserved bits, and the opcode.
    pub(crate) first: u8,
    /// Bytes of the header itself.
    pub(crate) size: usize,
    /// Bytes of payload.
    pub(crate) length: u64,
    /// `None` if the payload is not masked.
    pub(crate) key: Option<[u8; 4]>,
}

impl Header {
    /// `None` if the header is not complete.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Header> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (extended, length) = match second & !MASKED {
            126 => (2, u16::from_be_bytes(*rest.first_chunk()?).into()),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (0, short.into()),
        };
        let header = Header { first: *first, size: 2 + extended, length, key: None };
        if second & MASKED == 0 {
            return Some(header);
        }
        let key = *rest[extended..].first_chunk()?;
        Some(Header { size: header.size + key.len(), key: Some(key), ..header })
    }

    pub(crate) fn is_final(self) -> bool {
        self.first & FIN != 0
    }

    pub(crate) fn is_control(self) -> bool {
        self.first & CLOSE != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, and how much of it may be collected.
    #[derive(Default)]
    struct Written {
        bytes: Vec<u8>,
        collected: usize,
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.bytes.extend_from_slice(bytes);
            self.collected += bytes.len();
            Ok(bytes.len())
        }

        /// Takes half of the bytes.
        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            let taken = bytes.len().div_ceil(2);
            self.bytes.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_is_collected_as_a_whole_or_written_at_once() {
        for length in [0, 125, 126, WRITE_BUFFER - 4, WRITE_BUFFER, WRITE_BUFFER + 1, 70_000] {
            let payload = vec![b'x'; length];
            let (start, end) = payload.split_at(length / 3);
            let mut written = Written::default();
            write(&mut written, FIN | TEXT, &[start, end]).unwrap();
            let expected = [header(FIN | TEXT, length), payload].concat();
            assert!(written.bytes == expected, "{length}");
            let is_whole = written.collected == expected.len() && expected.len() <= WRITE_BUFFER;
            assert!(is_whole || written.collected == 0, "{length}: {}", written.collected);
        }
    }

    #[test]
    fn a_header_has_the_length_in_the_fewest_bytes() {
        for (length, size) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let header = header(FIN | TEXT, length);
            assert_eq!(header.len(), size);
            let parsed = Header::parse(&header).unwrap();
            assert_eq!((parsed.length, parsed.size), (length as u64, size));
        }
    }
}

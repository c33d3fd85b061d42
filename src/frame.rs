//! Frames as bytes, for who stands between tungstenite and the socket, or has none.
//!
//! What it is: the bits of RFC 6455, section 5.2, and a server's frame taken apart and put together.
//! What it is not: a parser of what clients send; tungstenite is that.

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const OPCODE: u8 = 0x0f;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
/// The first opcode that RFC 6455 keeps for later.
pub(crate) const RESERVED: u8 = 0x3;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PONG: u8 = 0xa;
pub(crate) const MASKED: u8 = 0x80;

/// The first byte and the payload of a frame without a mask.
pub(crate) fn split(frame: &[u8]) -> (u8, &[u8]) {
    let header = match frame.get(1) {
        None => return (0, &[]),
        Some(126) => 4,
        Some(127) => 10,
        Some(_) => 2,
    };
    (frame[0], &frame[header.min(frame.len())..])
}

/// The header of a frame without a mask.
pub(crate) fn header(first: u8, length: usize) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..126), _) => header.push(length),
        (_, Ok(length)) => {
            header.push(126);
            header.extend(length.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header
}

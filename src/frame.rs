//! Frame headers as bytes (RFC 6455, section 5.2): for the code that rewrites frames between
//! tungstenite and the socket, and for code without tungstenite. Only unmasked frames are covered;
//! tungstenite parses the clients' frames.

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const OPCODE: u8 = 0x0f;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
/// The first opcode that is reserved for further non-control frames.
pub(crate) const RESERVED: u8 = 0x3;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PONG: u8 = 0xa;
pub(crate) const MASKED: u8 = 0x80;

/// Splits an unmasked frame into its first byte and its payload; `(0, [])` if the header is not
/// complete.
pub(crate) fn split(frame: &[u8]) -> (u8, &[u8]) {
    let header = match frame.get(1) {
        None => return (0, &[]),
        Some(126) => 4,
        Some(127) => 10,
        Some(_) => 2,
    };
    (frame[0], &frame[header.min(frame.len())..])
}

/// The header of an unmasked frame, with the length in the fewest bytes.
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

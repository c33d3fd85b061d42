//! A strict parser of a server's frames by RFC 6455, independent of tungstenite. It rejects
//! fragments, as this server sends none, and does not decompress messages.

/// A frame that a server sent.
#[derive(Debug)]
pub(super) enum Frame<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// Compressed text or binary.
    Deflated(&'a [u8]),
    Ping,
    Pong,
    /// The close code; `None` if the payload is empty.
    Close(Option<u16>),
}

/// Parses `bytes` as frames; panics if they are not valid. Returns also the part of a frame at the end, which
/// is empty unless a write has failed.
pub(super) fn parse(mut bytes: &[u8]) -> (Vec<Frame<'_>>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = first(bytes) {
        frames.push(frame);
        bytes = rest;
    }
    (frames, bytes)
}

/// `None` if the frame is not complete.
fn first(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (&[start, second], rest) = bytes.split_first_chunk()?;
    assert!(start & 0x30 == 0, "reserved bits: {start:#x}");
    assert!(start & 0x80 != 0, "a fragment");
    assert!(second & 0x80 == 0, "masked");
    let (length, rest) = length(second, rest)?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let frame = match start & 0x4f {
        0x41 | 0x42 => Frame::Deflated(payload),
        1 => Frame::Text(std::str::from_utf8(payload).expect("text that is not UTF-8")),
        2 => Frame::Binary(payload),
        8 => Frame::Close(close_code(payload)),
        9 => Frame::Ping,
        10 => Frame::Pong,
        other => panic!("opcode {other:#x}"),
    };
    let is_control = start & 0x08 != 0;
    assert!(!is_control || length <= 125, "a control frame of {length} bytes");
    Some((frame, rest))
}

/// Parses the payload length, which must use the fewest bytes possible (RFC 6455, section 5.2). `None` if it
/// is not complete.
fn length(second: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    Some(match second {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u16::from_be_bytes(*length);
            assert!(length > 125, "{length} in two bytes");
            (length.into(), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u64::from_be_bytes(*length);
            assert!(length > u16::MAX.into(), "{length} in eight bytes");
            (usize::try_from(length).unwrap(), rest)
        }
        _ => (second.into(), rest),
    })
}

fn close_code(payload: &[u8]) -> Option<u16> {
    if payload.is_empty() {
        return None;
    }
    let (code, reason) = payload.split_first_chunk().expect("half a close code");
    let code = u16::from_be_bytes(*code);
    // RFC 6455, section 7.4, and the codes added to IANA's registry since.
    assert!(
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
        "{code} must not be sent in a Close"
    );
    std::str::from_utf8(reason).expect("a reason that is not UTF-8");
    Some(code)
}

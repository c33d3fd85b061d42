//! What a server chooses if HTTP/2 is offered by ALPN, over a connection of its own, and whether it
//! takes WebSockets in HTTP/2 (extended CONNECT, RFC 8441).

use std::io::{Read, Write};

use super::connect::Route;
use super::connection_options::ConnectionOptions;
use super::stream::CheckStream;
use super::verdict::Verdict;

/// The client's connection preface, and its SETTINGS without any (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The length of a frame's header (RFC 9113, section 4.1).
const HEADER: usize = 9;
/// The type of a SETTINGS frame.
const SETTINGS: u8 = 4;
/// `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441, section 3).
const ENABLE_CONNECT_PROTOCOL: [u8; 2] = [0, 8];

/// Offers what `--alpn` lists. Returns a description of what the server chooses.
///
/// # Errors
/// There is no TLS connection with this offer.
pub(crate) fn alpn(route: &Route, options: &ConnectionOptions) -> Result<String, Verdict> {
    let mut stream = route.reopen(options).ok_or_else(|| {
        Verdict::new(
            "A second connection is not accepted.",
            "Raise the limit of the server or proxy.",
        )
    })?;
    stream.start_tls(options, options.alpn())?;
    Ok(match stream.alpn().as_deref() {
        Some("h2") => match offers_connect(&mut stream) {
            Some(true) => {
                "h2, with extended CONNECT: browsers open WebSockets in it, this check in HTTP/1.1; if they \
                 differ, one of the two ways is broken behind this server"
            }
            Some(false) => {
                "h2, without extended CONNECT: browsers connect once more with http/1.1, as this check \
                 does; a client that offers h2 and upgrades all the same fails"
            }
            None => "h2, but no SETTINGS arrive",
        }
        .to_owned(),
        Some(other) => format!("{other}: no client gets HTTP/2 here"),
        None => "nothing chosen: the server has no ALPN, and speaks HTTP/1.1".to_owned(),
    })
}

/// Whether the server's SETTINGS offer extended CONNECT; `None` if none arrive.
fn offers_connect(stream: &mut CheckStream) -> Option<bool> {
    stream.write_all(PREFACE).ok()?;
    stream.flush().ok()?;
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).ok()?;
    let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).ok()?;
    enables_connect(&header, &payload)
}

/// Whether a frame is SETTINGS that enable extended CONNECT; `None` if it is another one.
fn enables_connect(header: &[u8; HEADER], payload: &[u8]) -> Option<bool> {
    let (settings, _) = payload.as_chunks::<6>();
    let is_set = |setting: &[u8; 6]| {
        setting[..2] == ENABLE_CONNECT_PROTOCOL && setting[2..] == 1_u32.to_be_bytes()
    };
    (header[0] == 0 && header[3] == SETTINGS).then(|| settings.iter().any(is_set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_connect_is_a_setting() {
        let header = |kind| [0, 0, 12, kind, 0, 0, 0, 0, 0];
        let settings = |value| [0, 3, 0, 0, 0, 100, 0, 8, 0, 0, 0, value];
        assert_eq!(enables_connect(&header(SETTINGS), &settings(1)), Some(true));
        assert_eq!(enables_connect(&header(SETTINGS), &settings(0)), Some(false));
        assert_eq!(enables_connect(&header(SETTINGS), &[]), Some(false));
        assert_eq!(enables_connect(&header(7), &settings(1)), None);
    }
}

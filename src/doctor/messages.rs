//! Messages: bytes and frames as they were sent, against what has arrived of them.

use crc32fast::Hasher;

use super::findings::Finding;
use super::lane::{Access, Lane, NotOpen};
use super::limits::FRAGMENT;
use super::record::{Both, Record, Side, WireFrame};
use crate::frame::{BINARY, FIN, OPCODE, PING, TEXT};

/// Characters whose encodings have one, two, three and four bytes.
const TEXTS: &str = "a\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}";
/// The message that is sent in seven fragments.
const FRAGMENTS: [&[u8]; 7] = [b"s", b"ev", b"en ", b"frag", b"ments", b", a Pi", b"ng"];
/// What the server sends together with its 101.
pub(crate) const GREETING: &str = "wsecho doctor greets";

/// All values of a byte.
fn bytes() -> Vec<u8> {
    (0..=u8::MAX).collect()
}

/// The client sends all bytes, all lengths of characters, and seven fragments with a Ping between them.
pub(crate) fn send(access: &Access, token: &str) -> Result<Record, NotOpen> {
    let mut lane = Lane::open(access, &format!("report={token}"), &[])?;
    let mut fragments: Vec<(u8, &[u8])> = FRAGMENTS.iter().map(|fragment| (0, *fragment)).collect();
    fragments[0].0 = TEXT;
    fragments[6].0 = FIN;
    fragments.insert(3, (FIN | PING, b"between fragments"));
    let bytes = bytes();
    let messages: [&[(u8, &[u8])]; 3] =
        [&[(FIN | BINARY, &bytes)], &[(FIN | TEXT, TEXTS.as_bytes())], &fragments];
    for message in messages {
        lane.send(message);
        if !lane.wait_for_message() {
            break;
        }
    }
    lane.close(1000, "");
    Ok(lane.record)
}

/// The server greets in the write of its 101, and answers in seven fragments.
pub(crate) fn receive(access: &Access, token: &str) -> Result<Record, NotOpen> {
    let greeting = GREETING.replace(' ', "%20");
    let query = format!("report={token}&greet={greeting}&fragment={FRAGMENT}");
    let mut lane = Lane::open(access, &query, &[])?;
    lane.send(&[(FIN | BINARY, &bytes())]);
    // The end of the echo, which is no text as the greeting is.
    lane.wait_for(|arrived| arrived.ends_message() && arrived.first & OPCODE != TEXT);
    lane.close(1000, "");
    Ok(lane.record)
}

/// Whether the greeting has arrived, if the server has sent one.
pub(crate) fn compare_greeting(both: &Both) -> Vec<Finding> {
    // The replies are binary.
    let has = |record: &Record| record.from(Side::Server).any(|frame| frame.opcode == TEXT);
    if has(&both.server) && !has(&both.client) {
        let what = "the frame that the server sends together with its 101 does not arrive";
        return vec![Finding::new("first_frame_lost", Side::Server, what)];
    }
    compare(both)
}

/// Compares the data frames of both directions.
pub(crate) fn compare(both: &Both) -> Vec<Finding> {
    if both.client.lacks_frames || both.server.lacks_frames {
        // They would be taken for lost.
        return Vec::new();
    }
    [Side::Client, Side::Server]
        .into_iter()
        .filter_map(|from| {
            let (sent, received) = (both.at(from).data(from), both.at(from.other()).data(from));
            let (id, what) = difference(&sent, &received)?;
            Some(Finding::new(id, from, what))
        })
        .collect()
}

/// A message: its frames, and what they have together.
#[derive(Debug, PartialEq, Eq)]
struct WireMessage {
    opcode: u8,
    rsv: u8,
    length: u64,
    crc32: u32,
    lengths: Vec<u64>,
}

/// The whole messages in a list of data frames.
fn messages(frames: &[WireFrame]) -> Vec<WireMessage> {
    let mut messages = Vec::new();
    let mut open: Option<(WireMessage, Hasher)> = None;
    for frame in frames {
        let piece = Hasher::new_with_initial_len(frame.crc32, frame.length);
        let (message, hasher) = open.get_or_insert_with(|| {
            let (opcode, rsv) = (frame.opcode, frame.rsv);
            let message = WireMessage { opcode, rsv, length: 0, crc32: 0, lengths: Vec::new() };
            (message, Hasher::new())
        });
        message.length += frame.length;
        message.lengths.push(frame.length);
        hasher.combine(&piece);
        if frame.fin
            && let Some((mut message, hasher)) = open.take()
        {
            message.crc32 = hasher.finalize();
            messages.push(message);
        }
    }
    messages
}

/// Whether the received messages are some of those that were sent, in their order.
fn is_part(received: &[WireMessage], sent: &[WireMessage]) -> bool {
    let content = |message: &WireMessage| (message.opcode, message.length, message.crc32);
    let mut sent = sent.iter();
    received.iter().all(|received| sent.any(|sent| content(sent) == content(received)))
}

/// The first difference that matters, and its description; `None` if there is none.
fn difference(sent: &[WireFrame], received: &[WireFrame]) -> Option<(&'static str, String)> {
    let (sent, received) = (messages(sent), messages(received));
    let pairs = || sent.iter().zip(&received);
    let lengths = |message: &WireMessage| {
        let shown: Vec<_> = message.lengths.iter().take(8).map(u64::to_string).collect();
        let more = if message.lengths.len() > 8 { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    if received.len() < sent.len() && is_part(&received, &sent) {
        let what =
            format!("{} of {} messages do not arrive", sent.len() - received.len(), sent.len());
        return Some(("messages_lost", what));
    }
    if let Some((before, _)) = pairs().find(|(before, after)| {
        (before.opcode, before.length) != (after.opcode, after.length)
            || before.crc32 != after.crc32 && before.rsv == after.rsv
    }) {
        let what = format!("a message of {} bytes arrives with other content", before.length);
        return Some(("bytes_changed", what));
    }
    if let Some((before, after)) = pairs().find(|(before, after)| before.rsv != after.rsv) {
        let what = format!("reserved bits {:03b} of a message are {:03b}", before.rsv, after.rsv);
        return Some(("rsv_changed", what));
    }
    let (before, after) = pairs().find(|(before, after)| before.lengths != after.lengths)?;
    let id = if after.lengths.len() < before.lengths.len() {
        "fragments_merged"
    } else {
        "frames_split"
    };
    let what = format!(
        "a message sent in frames of {} bytes arrives in frames of {}",
        lengths(before),
        lengths(after)
    );
    Some((id, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames from `first` bytes and payloads.
    fn frames(list: &[(u8, &str)]) -> Vec<WireFrame> {
        let frame = |(first, payload): &(u8, &str)| WireFrame {
            at_us: 0,
            from: Side::Client,
            opcode: first & OPCODE,
            fin: first & FIN != 0,
            rsv: (first >> 4) & 7,
            length: payload.len() as u64,
            crc32: crc32fast::hash(payload.as_bytes()),
        };
        list.iter().map(frame).collect()
    }

    #[test]
    fn the_first_difference_that_matters_is_named() {
        const SENT: &[(u8, &str)] = &[(0x81, "one"), (0x01, "t"), (0x00, "w"), (0x80, "o")];
        for (received, expected) in [
            (SENT, None),
            (&[(0x81, "one"), (0x81, "two")][..], Some("fragments_merged")),
            (
                &[(0x01, "o"), (0x80, "ne"), (0x01, "t"), (0x00, "w"), (0x80, "o")],
                Some("frames_split"),
            ),
            (&[(0x81, "onE"), (0x81, "two")], Some("bytes_changed")),
            (&[(0x82, "one"), (0x81, "two")], Some("bytes_changed")),
            (&[(0x81, "one")], Some("messages_lost")),
            (&[(0x81, "two")], Some("messages_lost")),
            (&[(0xc1, "one"), (0x01, "t"), (0x00, "w"), (0x80, "o")], Some("rsv_changed")),
        ] {
            let found = difference(&frames(SENT), &frames(received)).map(|(id, _)| id);
            assert_eq!(found, expected, "{received:?}");
        }
    }
}

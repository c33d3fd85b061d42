//! Pings in both directions: which of them arrive, and who answers.

use super::findings::Finding;
use super::lane::{Access, Lane, NotOpen};
use super::limits::{PING_INTERVAL, PING_TIME};
use super::messages;
use super::record::{Both, Record, Side};
use crate::frame::{FIN, PING, PONG, TEXT};

/// The client pings, and the server does, until a message that the server sends by itself.
pub(crate) fn send(access: &Access, token: &str) -> Result<Record, NotOpen> {
    let (interval, time) = (PING_INTERVAL.as_millis(), PING_TIME.as_millis());
    let query = format!("report={token}&ping={interval}ms&push={time}ms&count=1");
    let mut lane = Lane::open(access, &query, &[])?;
    let payloads = [0, 1, 2].map(|number| format!("{number} {}", &token[..8]));
    let pings = payloads.each_ref().map(|payload| (FIN | PING, payload.as_bytes()));
    lane.send(&pings);
    // The push.
    lane.wait_for_message();
    lane.send(&[(FIN | TEXT, b"after the pings")]);
    lane.wait_for_message();
    lane.close(1000, "");
    Ok(lane.record)
}

/// Compares the Pings and Pongs of both directions.
pub(crate) fn compare(both: &Both) -> Vec<Finding> {
    // Where messages do not arrive either, it is not about Pings.
    let lost = messages::compare(both);
    if lost.iter().any(Finding::is_loss) {
        return lost;
    }
    [Side::Client, Side::Server].into_iter().filter_map(|from| direction(both, from)).collect()
}

/// What becomes of the Pings that `from` sends.
fn direction(both: &Both, from: Side) -> Option<Finding> {
    let to = from.other();
    let count = |at: Side, opcode: u8, sender: Side| {
        let until = mark(both.at(at));
        let frames = both.at(at).frames[..until].iter();
        frames.filter(|frame| frame.opcode == opcode && frame.from == sender).count()
    };
    // Those that are sent last may be on their way when the other end's record ends.
    let (sent, arrived) = (count(from, PING, from), count(to, PING, from));
    let (answered, answers) = (count(to, PONG, to), count(from, PONG, to));
    let [name, other] = [from.name(), to.name()];
    if sent == 0 {
        None
    } else if arrived == 0 && answers > 0 {
        let what =
            format!("Pings of the {name} are answered on the way; the {other} sees none of them");
        Some(Finding::new("pings_answered_by_proxy", from, what))
    } else if arrived == 0 {
        let what = format!("none of {sent} Pings of the {name} arrives");
        Some(Finding::new("pings_swallowed", from, what))
    } else if answered > 0 && answers == 0 {
        let what = format!("the {other} answers {answered} Pings of the {name}; no Pong arrives");
        Some(Finding::new("pongs_swallowed", to, what))
    } else {
        None
    }
}

/// The number of frames up to the Close, behind which Pings no longer count.
fn mark(record: &Record) -> usize {
    let is_close = |frame: &super::record::WireFrame| frame.opcode == crate::frame::CLOSE;
    record.frames.iter().position(is_close).unwrap_or(record.frames.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::record::WireFrame;

    fn record(frames: &[(Side, u8)]) -> Record {
        let frame = |(from, opcode): &(Side, u8)| WireFrame {
            at_us: 0,
            from: *from,
            opcode: *opcode,
            fin: true,
            rsv: 0,
            length: 0,
            crc32: 0,
        };
        Record { frames: frames.iter().map(frame).collect(), ..Record::default() }
    }

    #[test]
    fn pings_are_lost_or_answered_on_the_way_or_their_pongs_are_lost() {
        use Side::{Client, Server};
        let sent = (Client, PING);
        let answer = (Server, PONG);
        for (client, server, expected) in [
            (&[sent, answer][..], &[sent, answer][..], None),
            (&[sent, answer], &[], Some("pings_answered_by_proxy")),
            (&[sent], &[], Some("pings_swallowed")),
            (&[sent], &[sent, answer], Some("pongs_swallowed")),
            (&[], &[], None),
        ] {
            let both = Both { client: record(client), server: record(server) };
            let found: Vec<_> = compare(&both).iter().map(|finding| finding.id).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{client:?} {server:?}");
        }
    }
}

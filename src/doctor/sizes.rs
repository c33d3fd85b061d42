//! Sizes: the largest message that arrives in each direction, as one frame and in fragments, by bisection.

use std::time::{Duration, Instant};

use super::endings::{NOT_SEEN, described};
use super::findings::Finding;
use super::lane::{Access, Lane, token};
use super::limits::{SIZE_MIN, SIZE_RATE, SIZE_STEP};
use super::record::Side;
use super::report;
use crate::frame::{BINARY, FIN, TEXT};

/// The size of fragments, for the server too.
const FRAGMENT: usize = 16 * 1024;

/// The option that limits messages at the server.
const OWN_LIMIT: &str = "--max-message-size";

/// The payload of the largest packet of an Ethernet.
const PACKET_MAX: usize = 1500;

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    from: Side,
    is_fragmented: bool,
}

const WAYS: [Way; 4] = [
    Way { from: Side::Client, is_fragmented: false },
    Way { from: Side::Client, is_fragmented: true },
    Way { from: Side::Server, is_fragmented: false },
    Way { from: Side::Server, is_fragmented: true },
];

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Probe {
    Arrived,
    /// It did not, and the connection ended so.
    Lost(String),
    /// The server has refused it, by a limit of its own.
    Limit(String),
}

impl Way {
    fn name(self) -> &'static str {
        if self.is_fragmented { "in fragments of 16 KiB" } else { "as one frame" }
    }

    /// Sends a message of this size over a connection of its own.
    fn probe(self, access: &Access, size: usize) -> Probe {
        let token = token();
        let faults = match (self.from, self.is_fragmented) {
            (Side::Client, _) => "size=1".to_owned(),
            (Side::Server, false) => format!("size={size}"),
            (Side::Server, true) => format!("size={size}&fragment={FRAGMENT}"),
        };
        let query = format!("report={token}&{faults}");
        let Ok(mut lane) = Lane::open(access, &query, &[]) else {
            return Probe::Limit("the server refuses the connection".to_owned());
        };
        lane.answer_timeout = access.connection.timeout() + allowance(size);
        match self.from {
            Side::Client => self.send(&mut lane, size),
            Side::Server => lane.send(&[(FIN | TEXT, b"size")]),
        }
        if let Some(received) = reply_size(&mut lane) {
            lane.close(1000, "");
            // The server lowers a size beyond its limit.
            let is_lowered = self.from == Side::Server && received < size;
            return if is_lowered { Probe::Limit(OWN_LIMIT.to_owned()) } else { Probe::Arrived };
        }
        let end = described(lane.record.end.as_ref());
        drop(lane);
        let server = report::fetch_ended(access, &token).and_then(|record| record.end);
        match server.filter(|end| end.by == Side::Server && end.text.contains("--")) {
            Some(end) => Probe::Limit(end.text),
            None => Probe::Lost(end),
        }
    }

    fn send(self, lane: &mut Lane, size: usize) {
        let message = vec![b'x'; size];
        if !self.is_fragmented {
            return lane.send(&[(FIN | BINARY, &message)]);
        }
        let pieces = message.chunks(FRAGMENT);
        let last = pieces.len() - 1;
        for (number, piece) in pieces.enumerate() {
            let opcode = if number == 0 { BINARY } else { 0 };
            let fin = if number == last { FIN } else { 0 };
            lane.send(&[(fin | opcode, piece)]);
        }
    }
}

/// The time that a message of this size may take on a slow way.
fn allowance(size: usize) -> Duration {
    Duration::from_secs(size as u64) / SIZE_RATE
}

/// Waits for the reply. Returns the size of all its frames; `None` if it does not arrive whole.
fn reply_size(lane: &mut Lane) -> Option<usize> {
    let deadline = Instant::now() + lane.answer_timeout;
    let mut received = 0;
    loop {
        let arrived = lane.receive_until(deadline)?;
        if arrived.is_data() {
            received += arrived.payload.len();
        }
        if arrived.ends_message() {
            return Some(received);
        }
    }
}

/// Finds the largest size in each way. Returns one line, and the findings.
pub(crate) fn measure(access: &Access, max: usize) -> (String, Vec<Finding>) {
    let (mut lines, mut findings) = (Vec::new(), Vec::new());
    for way in WAYS {
        let (largest, last) = bisect(max, |size| way.probe(access, size));
        let who = format!("of the {} {}", way.from.name(), way.name());
        match last {
            Probe::Arrived => lines.push(format!("{who}: {largest} bytes arrive")),
            Probe::Limit(why) => {
                lines.push(format!(
                    "{who}: {largest} bytes, by the server's own limit ({})",
                    super::heads::shown(&why)
                ));
            }
            Probe::Lost(end) => {
                lines.push(format!("{who}: {largest} bytes"));
                let sees = if end == NOT_SEEN { "no end" } else { &end };
                let id = if is_mtu(largest, &end) { "mtu_stall" } else { "size_limit" };
                let what = format!(
                    "messages {who} of more than {largest} bytes do not arrive; the client sees {sees}"
                );
                findings.push(Finding::new(id, way.from, what));
            }
        }
    }
    (format!("messages {}", lines.join("; ")), findings)
}

/// Whether packets are lost that are full: messages that fit one packet arrive, and larger ones wait for ever.
fn is_mtu(largest: usize, end: &str) -> bool {
    largest < PACKET_MAX && end == NOT_SEEN
}

/// The largest size that arrives, and what became of the smallest that does not; `Arrived` if `max` does.
fn bisect(max: usize, mut probe: impl FnMut(usize) -> Probe) -> (usize, Probe) {
    let mut failed = match probe(max) {
        Probe::Arrived => return (max, Probe::Arrived),
        failed => failed,
    };
    let (mut low, mut high) = (0, max);
    let mut next = SIZE_MIN.min(max);
    while high - low > SIZE_STEP {
        match probe(next) {
            Probe::Arrived => low = next,
            lost => (high, failed) = (next, lost),
        }
        next = low + (high - low) / 2;
    }
    (low, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_is_found_in_few_steps() {
        for limit in [1_048_576, 131_072, 32_768, 65_535, 5_000, 100] {
            let mut count = 0;
            let (largest, last) = bisect(1_048_576, |size| {
                count += 1;
                if size <= limit { Probe::Arrived } else { Probe::Lost("a FIN".to_owned()) }
            });
            assert!(largest <= limit && limit - largest <= SIZE_STEP, "{limit}: {largest}");
            assert!(count <= 23, "{limit}: {count}");
            assert_eq!(last == Probe::Arrived, limit == 1_048_576);
        }
    }
}

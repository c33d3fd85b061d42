//! Timing: whether messages arrive as they were sent, and how long round trips take.

use std::thread;
use std::time::{Duration, Instant};

use super::findings::Finding;
use super::lane::{Access, Lane, NotOpen, token};
use super::limits::{BUFFERED_SPREAD, ROUND_TRIPS, TIMED_INTERVAL, TIMED_MESSAGES};
use super::record::{Both, Record, Side, WireFrame};
use super::report;
use crate::check::report::RoundTrips;
use crate::frame::{FIN, TEXT};

/// Measures both directions side by side, and round trips. Returns one line, and the findings.
pub(crate) fn measure(access: &Access) -> (String, Vec<Finding>) {
    let [from_server, from_client, trips] = thread::scope(|scope| {
        [Lanes::Server, Lanes::Client, Lanes::RoundTrips]
            .map(|lane| scope.spawn(move || lane.run(access)))
            .map(|lane| lane.join().unwrap_or_default())
    });
    let (mut lines, mut findings) = (Vec::new(), Vec::new());
    for (side, timed) in [(Side::Server, from_server), (Side::Client, from_client)] {
        let Some(both) = timed.both else { continue };
        let spread = Spread::of(&both.at(side).data(side), &both.at(side.other()).data(side));
        lines.push(format!("messages of the {}: {spread}", side.name()));
        findings.extend(spread.finding(side));
    }
    lines.extend(RoundTrips::of(trips.times, ROUND_TRIP.len()).map(|trips| trips.to_string()));
    lines.extend(trips.segment_size.map(|size| format!("TCP segments of up to {size} bytes")));
    (lines.join("; "), findings)
}

const ROUND_TRIP: &[u8] = b"wsecho doctor: a round trip";

#[derive(Debug, Clone, Copy)]
enum Lanes {
    Server,
    Client,
    RoundTrips,
}

/// What a lane has measured.
#[derive(Debug, Default)]
struct Timed {
    both: Option<Both>,
    times: Vec<Duration>,
    /// The largest TCP segment; `None` on a Unix socket.
    segment_size: Option<u32>,
}

impl Lanes {
    fn run(self, access: &Access) -> Timed {
        let token = token();
        let mut timed = Timed::default();
        let sent = match self {
            Lanes::Server => pushes(access, &token),
            Lanes::Client => messages(access, &token),
            Lanes::RoundTrips => round_trips(access, &token, &mut timed),
        };
        timed.both = sent.ok().and_then(|client| {
            let server = report::fetch_ended(access, &token)?;
            Some(Both { client, server })
        });
        timed
    }
}

/// The server sends at an interval.
fn pushes(access: &Access, token: &str) -> Result<Record, NotOpen> {
    let interval = TIMED_INTERVAL.as_millis();
    let query = format!("report={token}&push={interval}ms&count={TIMED_MESSAGES}");
    let mut lane = Lane::open(access, &query, &[])?;
    lane.answer_timeout += TIMED_INTERVAL;
    for _ in 0..TIMED_MESSAGES {
        if !lane.wait_for_message() {
            break;
        }
    }
    lane.close(1000, "");
    Ok(lane.record)
}

/// The client sends at an interval; the last message is answered.
fn messages(access: &Access, token: &str) -> Result<Record, NotOpen> {
    let mut lane = Lane::open(access, &format!("report={token}&delay=0ms"), &[])?;
    for _ in 0..TIMED_MESSAGES {
        lane.send(&[(FIN | TEXT, b"at an interval")]);
        let next = Instant::now() + TIMED_INTERVAL;
        while lane.receive_until(next).is_some() {}
    }
    lane.close(1000, "");
    Ok(lane.record)
}

fn round_trips(access: &Access, token: &str, timed: &mut Timed) -> Result<Record, NotOpen> {
    let mut lane = Lane::open(access, &format!("report={token}"), &[])?;
    let end = Instant::now() + TIMED_INTERVAL * TIMED_MESSAGES;
    for _ in 0..ROUND_TRIPS {
        let started = Instant::now();
        if started >= end {
            break;
        }
        lane.send(&[(FIN | TEXT, ROUND_TRIP)]);
        if !lane.wait_for_message() {
            break;
        }
        timed.times.push(started.elapsed());
    }
    timed.segment_size = lane.segment_size();
    lane.close(1000, "");
    Ok(lane.record)
}

/// How evenly messages arrive that were sent at an interval.
#[derive(Debug, PartialEq, Eq)]
struct Spread {
    count: usize,
    /// The longest time that a message took beyond that of the fastest.
    delay: Duration,
    /// Messages that arrived together with the one before, from which they were sent apart.
    together: usize,
}

impl Spread {
    fn of(sent: &[WireFrame], received: &[WireFrame]) -> Spread {
        // Two clocks: only differences of their differences count.
        let offsets: Vec<i128> = sent
            .iter()
            .zip(received)
            .map(|(sent, received)| i128::from(received.at_us) - i128::from(sent.at_us))
            .collect();
        let least = offsets.iter().min().copied().unwrap_or_default();
        let most = offsets.iter().max().copied().unwrap_or_default();
        let interval = |pair: &[WireFrame]| pair[1].at_us.saturating_sub(pair[0].at_us);
        let half = u64::try_from(TIMED_INTERVAL.as_micros() / 2).unwrap_or(u64::MAX);
        let pairs = sent.windows(2).zip(received.windows(2));
        let together = pairs
            .filter(|(sent, received)| interval(sent) > half && interval(received) < half / 5)
            .count();
        let delay = Duration::from_micros(u64::try_from(most - least).unwrap_or(u64::MAX));
        Spread { count: offsets.len(), delay, together }
    }

    /// Buffered, if half of the messages arrive together with others, late.
    fn finding(&self, from: Side) -> Option<Finding> {
        (self.together * 2 >= self.count.max(1) && self.delay >= BUFFERED_SPREAD).then(|| {
            let what = format!(
                "{} of {} messages that the {} sends {} ms apart arrive together, up to {} ms late",
                self.together,
                self.count,
                from.name(),
                TIMED_INTERVAL.as_millis(),
                self.delay.as_millis()
            );
            Finding::new("buffered", from, what)
        })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.delay.as_secs_f64() * 1000.0;
        write!(f, "{} arrive within {ms:.1} ms of their interval", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(times_ms: &[u64]) -> Vec<WireFrame> {
        let frame = |at: &u64| WireFrame {
            at_us: at * 1000,
            from: Side::Server,
            opcode: TEXT,
            fin: true,
            rsv: 0,
            length: 0,
            crc32: 0,
        };
        times_ms.iter().map(frame).collect()
    }

    #[test]
    fn messages_that_arrive_together_are_buffered_and_late_ones_are_not() {
        let sent = frames(&[100, 200, 300, 400, 500, 600]);
        for (received, is_buffered) in [
            (frames(&[1100, 1201, 1300, 1403, 1500, 1600]), false),
            (frames(&[400, 400, 400, 700, 700, 700]), true),
            // A single stall, as after a lost packet.
            (frames(&[100, 200, 500, 500, 500, 600]), false),
        ] {
            let found = Spread::of(&sent, &received).finding(Side::Server);
            assert_eq!(found.is_some(), is_buffered, "{received:?}");
        }
    }
}

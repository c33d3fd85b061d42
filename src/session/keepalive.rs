//! What time asks of a session.
//!
//! What it is: pure bookkeeping over instants: when to ping, when a peer counts as dead, when a
//! session has lasted long enough.
//! What it is not: a timer. A session sleeps in its read, and asks here when the read timed out.
//! Invariant: with pings off and no other limit, a quiet session is never due.

use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::config::Timeouts;
use crate::net::transport::ReadTimeout;

/// The limit that ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    Ping,
    Idle,
    Duration,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    End(Expired),
}

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    Data,
    Pong,
    Other,
}

impl From<&Message> for FrameKind {
    fn from(message: &Message) -> FrameKind {
        match message {
            Message::Text(_) | Message::Binary(_) => FrameKind::Data,
            Message::Pong(_) => FrameKind::Pong,
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => FrameKind::Other,
        }
    }
}

#[derive(Debug)]
pub(super) struct Keepalive<'a> {
    timeouts: &'a Timeouts,
    started: Instant,
    /// The last frame of any kind.
    frame: Instant,
    /// The last data message.
    data: Instant,
    /// When the Ping was sent that nothing has followed yet.
    pinged: Option<Instant>,
    /// When the Ping was sent that no Pong has followed yet.
    asked: Option<Instant>,
    round_trip: Option<Duration>,
}

impl<'a> Keepalive<'a> {
    pub(super) fn new(timeouts: &'a Timeouts, now: Instant) -> Self {
        Keepalive {
            timeouts,
            started: now,
            frame: now,
            data: now,
            pinged: None,
            asked: None,
            round_trip: None,
        }
    }

    /// A frame arrived. Returns whether the read_timeout has changed by it.
    pub(super) fn on_frame(&mut self, what: FrameKind, now: Instant) -> bool {
        self.frame = now;
        match what {
            FrameKind::Data => self.data = now,
            FrameKind::Pong => {
                let asked = self.asked.take();
                self.round_trip = asked.map(|asked| now - asked).or(self.round_trip);
            }
            FrameKind::Other => {}
        }
        self.pinged.take().is_some() || (what == FrameKind::Data && self.timeouts.idle.is_some())
    }

    /// A Ping was sent.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged.get_or_insert(now);
        self.asked.get_or_insert(now);
    }

    /// From a Ping to its Pong, when that was last seen.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        let passed = |since: Instant, limit| limit <= now.saturating_duration_since(since);
        let Timeouts { ping_interval, ping, idle, max_duration, .. } = self.timeouts;
        if max_duration.is_some_and(|limit| passed(self.started, limit)) {
            return Due::End(Expired::Duration);
        }
        if idle.is_some_and(|limit| passed(self.data, limit)) {
            return Due::End(Expired::Idle);
        }
        match (self.pinged, ping_interval) {
            (Some(pinged), _) if passed(pinged, *ping) => Due::End(Expired::Ping),
            (None, Some(interval)) if passed(self.frame, *interval) => Due::Ping,
            _ => Due::Nothing,
        }
    }

    /// How long the next read may wait. The wait for a Ping is one of silence, so that a busy
    /// session need not set it anew for each message.
    pub(super) fn read_timeout(&self) -> ReadTimeout {
        let Timeouts { ping_interval, ping, idle, max_duration, .. } = self.timeouts;
        let deadlines = [
            self.pinged.map(|pinged| pinged + *ping),
            idle.map(|limit| self.data + limit),
            max_duration.map(|limit| self.started + limit),
        ];
        ReadTimeout {
            idle: ping_interval.filter(|_| self.pinged.is_none()),
            deadline: deadlines.into_iter().flatten().min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn all() -> Timeouts {
        Timeouts {
            ping_interval: Some(secs(30)),
            ping: secs(20),
            idle: Some(secs(100)),
            max_duration: Some(secs(1000)),
            ..Timeouts::default()
        }
    }

    #[test]
    fn silence_brings_a_ping_and_then_the_end() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        assert_eq!(keepalive.due(start + secs(29)), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(30)), Due::Ping);
        keepalive.pinged(start + secs(30));
        assert_eq!(keepalive.due(start + secs(49)), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(50)), Due::End(Expired::Ping));
    }

    #[test]
    fn any_frame_counts_as_life() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.pinged(start + secs(30));
        assert!(
            keepalive.on_frame(FrameKind::Pong, start + secs(31)),
            "the wait for the pong is over"
        );
        assert_eq!(keepalive.due(start + secs(60)), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(61)), Due::Ping);
    }

    #[test]
    fn a_round_trip_is_from_the_ping_to_its_pong() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.on_frame(FrameKind::Pong, start + secs(1));
        assert_eq!(keepalive.round_trip(), None, "nobody asked");
        keepalive.pinged(start + secs(2));
        keepalive.on_frame(FrameKind::Data, start + secs(3));
        keepalive.pinged(start + secs(4));
        keepalive.on_frame(FrameKind::Pong, start + secs(5));
        assert_eq!(keepalive.round_trip(), Some(secs(3)));
    }

    #[test]
    fn only_data_counts_against_idleness() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.on_frame(FrameKind::Pong, start + secs(99));
        assert_eq!(keepalive.due(start + secs(100)), Due::End(Expired::Idle));
        keepalive.on_frame(FrameKind::Data, start + secs(100));
        assert_eq!(keepalive.due(start + secs(101)), Due::Nothing);
    }

    #[test]
    fn a_busy_session_still_ends_in_time() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.on_frame(FrameKind::Data, start + secs(1000));
        assert_eq!(keepalive.due(start + secs(1000)), Due::End(Expired::Duration));
    }

    #[test]
    fn without_limits_nothing_is_ever_due_and_a_read_waits_for_ever() {
        let timeouts = Timeouts { ping_interval: None, ..Timeouts::default() };
        let start = Instant::now();
        let keepalive = Keepalive::new(&timeouts, start);
        assert_eq!(keepalive.due(start + secs(1_000_000)), Due::Nothing);
        assert_eq!(keepalive.read_timeout(), ReadTimeout::default());
    }

    #[test]
    fn the_read_timeout_ends_at_the_next_due_event() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        let expected = ReadTimeout { idle: Some(secs(30)), deadline: Some(start + secs(100)) };
        assert_eq!(keepalive.read_timeout(), expected);
        keepalive.pinged(start + secs(30));
        assert_eq!(keepalive.read_timeout(), ReadTimeout::deadline(start + secs(50)));
    }
}

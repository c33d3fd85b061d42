//! Keepalive and time limits of a session: when to send a Ping, when a peer counts as dead, when
//! the idle timeout or the maximum duration has passed.
//!
//! This only computes with instants and starts no timer: the session waits in its read, with
//! [`Keepalive::read_timeout`], and asks [`Keepalive::due`] what to do.
//!
//! **Invariant:** without Pings and limits, nothing is ever due.

use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::config::Timeouts;
use crate::config::tuning::FRAME_RATE_MIN;
use crate::net::transport::ReadTimeout;

/// The limit that ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Nothing was received after a Ping.
    Ping,
    /// After a Ping, too few bytes of a frame were received.
    SlowFrame,
    Idle,
    Duration,
}

/// What the session has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    End(Expired),
}

/// The kinds of received frames that keepalive distinguishes.
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

/// A Ping, or the last time that the bytes after it were enough.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    since: Instant,
    /// Bytes that had arrived by then.
    received: u64,
}

#[derive(Debug)]
pub(super) struct Keepalive<'a> {
    timeouts: &'a Timeouts,
    started: Instant,
    /// When the last frame of any kind was received.
    last_frame: Instant,
    /// When the last data message was received.
    last_data: Instant,
    /// When a frame was first received after the idle timeout, if no data message was received since.
    idle_since: Option<Instant>,
    /// The Ping that no frame has answered yet.
    awaiting_frame: Option<Unanswered>,
    /// When a Ping was sent, if no Pong was received since.
    awaiting_pong: Option<Instant>,
    round_trip: Option<Duration>,
}

impl<'a> Keepalive<'a> {
    pub(super) fn new(timeouts: &'a Timeouts, now: Instant) -> Self {
        Keepalive {
            timeouts,
            started: now,
            last_frame: now,
            last_data: now,
            idle_since: None,
            awaiting_frame: None,
            awaiting_pong: None,
            round_trip: None,
        }
    }

    /// Records that a frame was received. Returns whether [`read_timeout`](Self::read_timeout) has
    /// changed.
    pub(super) fn on_frame(&mut self, kind: FrameKind, now: Instant) -> bool {
        self.last_frame = now;
        match kind {
            FrameKind::Data => (self.last_data, self.idle_since) = (now, None),
            FrameKind::Pong => {
                let sent = self.awaiting_pong.take();
                self.round_trip = sent.map(|sent| now - sent).or(self.round_trip);
            }
            FrameKind::Other => {}
        }
        let was_awaiting_frame = self.awaiting_frame.take().is_some();
        was_awaiting_frame || (kind == FrameKind::Data && self.timeouts.idle.is_some())
    }

    /// Records that a Ping was sent, when `received` bytes had arrived in this session.
    pub(super) fn pinged(&mut self, now: Instant, received: u64) {
        self.awaiting_frame.get_or_insert(Unanswered { since: now, received });
        self.awaiting_pong.get_or_insert(now);
    }

    /// Returns the time from the last answered Ping to its Pong; `None` if there was no Pong yet.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// When the session reaches its maximum duration; `None` if it has none.
    pub(super) fn end(&self) -> Option<Instant> {
        self.timeouts.max_duration.map(|limit| self.started + limit)
    }

    /// Returns the limit of the session that has passed when a frame was received at `now`. Frames that were
    /// read together have the same time: a data message behind this frame may have arrived before the idle
    /// timeout, while the process was stopped, so one more read decides.
    #[inline]
    pub(super) fn expired_at_frame(&mut self, now: Instant) -> Option<Expired> {
        let expired = self.expired(now)?;
        let is_decided = expired != Expired::Idle || *self.idle_since.get_or_insert(now) < now;
        is_decided.then_some(expired)
    }

    /// Returns the limit of the session that has passed at `now`, if one has. After a frame this is all
    /// that can be due, as no Ping is awaited then.
    #[inline]
    pub(super) fn expired(&self, now: Instant) -> Option<Expired> {
        let Timeouts { idle, max_duration, .. } = self.timeouts;
        if max_duration.is_some_and(|limit| has_passed(self.started, limit, now)) {
            return Some(Expired::Duration);
        }
        idle.is_some_and(|limit| has_passed(self.last_data, limit, now)).then_some(Expired::Idle)
    }

    /// Returns what the session has to do at `now`, when `received` bytes have arrived in it.
    pub(super) fn due(&mut self, now: Instant, received: u64) -> Due {
        if let Some(expired) = self.expired(now) {
            return Due::End(expired);
        }
        let Timeouts { ping_interval, ping, .. } = self.timeouts;
        match (self.awaiting_frame, ping_interval) {
            (Some(ping_sent), _) if has_passed(ping_sent.since, *ping, now) => {
                self.unanswered(ping_sent, now, received)
            }
            (None, Some(interval)) if has_passed(self.last_frame, *interval, now) => Due::Ping,
            _ => Due::Nothing,
        }
    }

    /// No frame has answered a Ping in time. If bytes arrived, they belong to a long frame, behind which the
    /// answer waits: the peer lives, as long as they are not too few.
    fn unanswered(&mut self, ping_sent: Unanswered, now: Instant, received: u64) -> Due {
        let bytes = received.saturating_sub(ping_sent.received);
        let needed = u128::from(FRAME_RATE_MIN) * self.timeouts.ping.as_millis() / 1000;
        if bytes == 0 {
            return Due::End(Expired::Ping);
        }
        if u128::from(bytes) < needed {
            return Due::End(Expired::SlowFrame);
        }
        self.awaiting_frame = Some(Unanswered { since: now, received });
        Due::Nothing
    }

    /// Returns the timeout of the next read. The time until a Ping is an idle timeout and not a
    /// deadline, so that a busy session need not set it again for each message.
    pub(super) fn read_timeout(&self) -> ReadTimeout {
        let Timeouts { ping_interval, ping, idle, .. } = self.timeouts;
        let deadlines = [
            self.awaiting_frame.map(|ping_sent| ping_sent.since + *ping),
            idle.map(|limit| self.last_data + limit),
            self.end(),
        ];
        let until_ping = ping_interval.filter(|_| self.awaiting_frame.is_none());
        ReadTimeout {
            idle: until_ping,
            deadline: deadlines.into_iter().flatten().min(),
            review: until_ping.map(|interval| self.last_frame + interval),
        }
    }
}

fn has_passed(since: Instant, limit: Duration, now: Instant) -> bool {
    limit <= now.saturating_duration_since(since)
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
    fn a_silent_peer_is_pinged_and_then_expires() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        assert_eq!(keepalive.due(start + secs(29), 0), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(30), 0), Due::Ping);
        keepalive.pinged(start + secs(30), 0);
        assert_eq!(keepalive.due(start + secs(49), 0), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(50), 0), Due::End(Expired::Ping));
    }

    #[test]
    fn any_frame_answers_a_ping() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.pinged(start + secs(30), 0);
        assert!(
            keepalive.on_frame(FrameKind::Pong, start + secs(31)),
            "the timeout changes, as the Ping is answered"
        );
        assert_eq!(keepalive.due(start + secs(60), 0), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(61), 0), Due::Ping);
    }

    #[test]
    fn bytes_of_an_unfinished_frame_answer_a_ping_if_they_are_not_too_few() {
        const ENOUGH: u64 = FRAME_RATE_MIN * 20;
        let (timeouts, start) = (all(), Instant::now());
        for (received, due) in [
            (1000, Due::End(Expired::Ping)),
            (1001, Due::End(Expired::SlowFrame)),
            (1000 + ENOUGH - 1, Due::End(Expired::SlowFrame)),
            (1000 + ENOUGH, Due::Nothing),
        ] {
            let mut keepalive = Keepalive::new(&timeouts, start);
            keepalive.pinged(start + secs(30), 1000);
            assert_eq!(keepalive.due(start + secs(49), 1000), Due::Nothing);
            assert_eq!(keepalive.due(start + secs(50), received), due, "{received}");
        }
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.pinged(start + secs(30), 0);
        assert_eq!(keepalive.due(start + secs(50), ENOUGH), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(69), ENOUGH), Due::Nothing);
        assert_eq!(keepalive.due(start + secs(70), ENOUGH), Due::End(Expired::Ping), "no more");
    }

    #[test]
    fn round_trip_is_measured_from_ping_to_pong() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.on_frame(FrameKind::Pong, start + secs(1));
        assert_eq!(keepalive.round_trip(), None, "an unsolicited Pong");
        keepalive.pinged(start + secs(2), 0);
        keepalive.on_frame(FrameKind::Data, start + secs(3));
        keepalive.pinged(start + secs(4), 0);
        keepalive.on_frame(FrameKind::Pong, start + secs(5));
        assert_eq!(keepalive.round_trip(), Some(secs(3)));
    }

    #[test]
    fn only_data_resets_the_idle_timeout() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.on_frame(FrameKind::Pong, start + secs(99));
        assert_eq!(keepalive.due(start + secs(100), 0), Due::End(Expired::Idle));
        keepalive.on_frame(FrameKind::Data, start + secs(100));
        assert_eq!(keepalive.due(start + secs(101), 0), Due::Nothing);
    }

    #[test]
    fn data_that_was_read_together_with_a_late_pong_is_no_idleness() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        assert_eq!(
            keepalive.expired_at_frame(start + secs(200)),
            None,
            "a Pong, and data behind it"
        );
        keepalive.on_frame(FrameKind::Data, start + secs(200));
        assert_eq!(keepalive.expired_at_frame(start + secs(200)), None);
        assert_eq!(keepalive.expired_at_frame(start + secs(300)), None, "a Pong");
        assert_eq!(keepalive.expired_at_frame(start + secs(301)), Some(Expired::Idle));
    }

    #[test]
    fn a_busy_session_ends_at_the_maximum_duration() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        keepalive.on_frame(FrameKind::Data, start + secs(1000));
        assert_eq!(keepalive.due(start + secs(1000), 0), Due::End(Expired::Duration));
    }

    #[test]
    fn without_limits_nothing_is_due_and_a_read_has_no_timeout() {
        let timeouts = Timeouts { ping_interval: None, ..Timeouts::default() };
        let start = Instant::now();
        let mut keepalive = Keepalive::new(&timeouts, start);
        assert_eq!(keepalive.due(start + secs(1_000_000), 0), Due::Nothing);
        assert_eq!(keepalive.read_timeout(), ReadTimeout::default());
    }

    #[test]
    fn the_read_timeout_ends_at_the_next_due_event() {
        let (timeouts, start) = (all(), Instant::now());
        let mut keepalive = Keepalive::new(&timeouts, start);
        let expected = ReadTimeout {
            idle: Some(secs(30)),
            deadline: Some(start + secs(100)),
            review: Some(start + secs(30)),
        };
        assert_eq!(keepalive.read_timeout(), expected);
        keepalive.pinged(start + secs(30), 0);
        assert_eq!(keepalive.read_timeout(), ReadTimeout::deadline(start + secs(50)));
    }
}

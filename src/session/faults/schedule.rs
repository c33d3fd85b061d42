//! When a session's faults are due: its end, its Pings, its pushes, its replies.
//!
//! This is bookkeeping alone; the session acts.

use std::time::{Duration, Instant};

use super::{ForcedEnd, SessionFaults};
use crate::config::faults::{BYTES_PER_SECOND, FRAGMENTS_MAX, FRAMES_PER_SECOND};
use crate::net::transport::ReadTimeout;

/// See the module.
#[derive(Debug)]
pub(in crate::session) struct FaultSchedule {
    faults: SessionFaults,
    next_ping: Option<Instant>,
    next_push: Option<Instant>,
    /// Pushes so far.
    pushed: u64,
    /// When the next message may be sent.
    paced_until: Instant,
}

/// A message that is to be sent without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct DuePush {
    pub(in crate::session) number: u64,
    /// `None` for a message with the number and the time.
    pub(in crate::session) size: Option<usize>,
}

impl FaultSchedule {
    pub(in crate::session) fn new(faults: SessionFaults, now: Instant) -> FaultSchedule {
        let next_ping = faults.ping.map(|interval| now + interval);
        let next_push = faults.push.map(|push| now + push.every);
        FaultSchedule { faults, next_ping, next_push, pushed: 0, paced_until: now }
    }

    /// The end that is due after `sent` data messages, of which the greeting and pushes do not count.
    pub(in crate::session) fn end_after(&self, sent: u64) -> Option<ForcedEnd> {
        let unasked = self.pushed + u64::from(self.faults.greeting.is_some());
        let replies = sent.saturating_sub(unasked);
        self.faults.end.clone().filter(|_| replies >= self.faults.after)
    }

    pub(in crate::session) fn reads(&self) -> bool {
        !self.faults.read_off
    }

    /// The text to send first; `None` for none.
    pub(in crate::session) fn greeting(&self) -> Option<&str> {
        self.faults.greeting.as_deref()
    }

    /// The time without reads, writes and Pings before all else.
    pub(in crate::session) fn blackhole(&self) -> Duration {
        self.faults.blackhole
    }

    pub(in crate::session) fn replies(&self) -> bool {
        !self.faults.reply_off
    }

    /// The wait before a reply.
    pub(in crate::session) fn delay(&self) -> Duration {
        self.faults.delay
    }

    /// The size of the message to send instead of a reply; `None` if the reply itself is sent.
    pub(in crate::session) fn reply_size(&self) -> Option<usize> {
        self.faults.size
    }

    /// The wait before a message of `length` bytes, so that parameters that multiply what the client has
    /// sent stay within [`BYTES_PER_SECOND`] and [`FRAMES_PER_SECOND`]. Counts the message.
    pub(in crate::session) fn pace(&mut self, length: usize, now: Instant) -> Duration {
        let SessionFaults { size, push, frames, .. } = &self.faults;
        let fragment = frames.and_then(|frames| frames.fragment);
        if size.is_none() && push.is_none() && fragment.is_none() {
            return Duration::ZERO;
        }
        let fragments = fragment.map_or(1, |size| length.div_ceil(size).clamp(1, FRAGMENTS_MAX));
        let time = |count: usize, per_second| {
            Duration::from_secs(1) * u32::try_from(count).unwrap_or(u32::MAX) / per_second
        };
        let taken = time(length, BYTES_PER_SECOND).max(time(fragments, FRAMES_PER_SECOND));
        let start = self.paced_until.max(now);
        self.paced_until = start + taken;
        start - now
    }

    /// Whether a Ping is due at `now`. The next one is then scheduled.
    pub(in crate::session) fn take_ping(&mut self, now: Instant) -> bool {
        let is_due = self.next_ping.is_some_and(|next| next <= now);
        if is_due {
            self.next_ping = self.faults.ping.map(|interval| now + interval);
        }
        is_due
    }

    /// The push that is due at `now`, or `None`. The next one is then scheduled.
    pub(in crate::session) fn take_push(&mut self, now: Instant) -> Option<DuePush> {
        let push = self.faults.push?;
        self.next_push.filter(|next| *next <= now)?;
        self.pushed += 1;
        self.next_push = Some(now + push.every).filter(|_| self.pushed != push.count);
        Some(DuePush { number: self.pushed, size: push.size })
    }

    /// `timeout`, shortened to the next Ping or push.
    pub(in crate::session) fn read_timeout(&self, timeout: ReadTimeout) -> ReadTimeout {
        let deadline =
            [timeout.deadline, self.next_ping, self.next_push].into_iter().flatten().min();
        ReadTimeout { deadline, ..timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::faults::{FrameFaults, Push};

    #[test]
    fn the_end_comes_after_its_messages() {
        let faults =
            SessionFaults { end: Some(ForcedEnd::Fin), after: 2, ..SessionFaults::default() };
        let schedule = FaultSchedule::new(faults, Instant::now());
        assert_eq!(
            [0, 1, 2, 3].map(|answered| schedule.end_after(answered).is_some()),
            [false, false, true, true]
        );
    }

    #[test]
    fn pings_come_on_a_timer() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let faults = SessionFaults { ping: Some(second), ..SessionFaults::default() };
        let mut schedule = FaultSchedule::new(faults, start);
        assert_eq!(
            schedule.read_timeout(ReadTimeout::default()),
            ReadTimeout::deadline(start + second)
        );
        let sooner = ReadTimeout::deadline(start);
        assert_eq!(schedule.read_timeout(sooner), sooner);
        assert!(!schedule.take_ping(start));
        assert!(schedule.take_ping(start + second));
        assert!(!schedule.take_ping(start + second));
        assert!(schedule.take_ping(start + second * 5), "late is better than never");
    }

    #[test]
    fn pushes_are_numbered_counted_and_not_answers() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let push = Push { every: second, count: 2, size: None };
        let faults = SessionFaults {
            push: Some(push),
            end: Some(ForcedEnd::Fin),
            after: 1,
            ..SessionFaults::default()
        };
        let mut schedule = FaultSchedule::new(faults, start);
        assert_eq!(schedule.take_push(start), None);
        assert_eq!(
            schedule.read_timeout(ReadTimeout::default()),
            ReadTimeout::deadline(start + second)
        );
        let first = schedule.take_push(start + second);
        assert_eq!(first, Some(DuePush { number: 1, size: None }));
        assert_eq!(schedule.take_push(start + second), None);
        assert!(schedule.take_push(start + second * 2).is_some());
        assert_eq!(schedule.take_push(start + second * 9), None, "that was all");
        assert_eq!(schedule.read_timeout(ReadTimeout::default()), ReadTimeout::default());
        assert!(schedule.end_after(2).is_none() && schedule.end_after(3).is_some());
    }

    #[test]
    fn what_multiplies_bytes_or_frames_is_paced() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let schedule = |faults| FaultSchedule::new(faults, start);
        let bytes = usize::try_from(BYTES_PER_SECOND).unwrap();
        let frames = usize::try_from(FRAMES_PER_SECOND).unwrap();
        let mut ordinary = schedule(SessionFaults { delay: second, ..SessionFaults::default() });
        assert_eq!([bytes, bytes].map(|length| ordinary.pace(length, start)), [Duration::ZERO; 2]);
        let mut sized = schedule(SessionFaults { size: Some(1), ..SessionFaults::default() });
        let waits = [(bytes, 0), (1, 0), (1, 3)]
            .map(|(length, at)| sized.pace(length, start + second * at));
        assert_eq!(waits, [Duration::ZERO, second, Duration::ZERO]);
        let fragment = FrameFaults { fragment: Some(1), ..FrameFaults::default() };
        let mut cut =
            schedule(SessionFaults { frames: Some(fragment), ..SessionFaults::default() });
        assert_eq!(
            [frames / 2; 3].map(|length| cut.pace(length, start)),
            [Duration::ZERO, second / 2, second]
        );
    }
}

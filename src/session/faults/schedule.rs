//! When a session's faults are due: its end, its Pings, its pushes; and what is sent instead of a
//! reply.
//!
//! This is bookkeeping alone; the session acts.

use std::time::{Duration, Instant};

use tungstenite::Message;

use super::{ForcedEnd, SessionFaults};
use crate::net::transport::ReadTimeout;

/// See the module.
#[derive(Debug)]
pub(in crate::session) struct FaultSchedule {
    faults: SessionFaults,
    next_ping: Option<Instant>,
    next_push: Option<Instant>,
    /// Pushes so far.
    pushed: u64,
}

impl FaultSchedule {
    pub(in crate::session) fn new(faults: SessionFaults, now: Instant) -> FaultSchedule {
        let next_ping = faults.ping.map(|interval| now + interval);
        let next_push = faults.push.map(|push| now + push.every);
        FaultSchedule { faults, next_ping, next_push, pushed: 0 }
    }

    /// The end that is due after `sent` data messages, of which pushes do not count.
    pub(in crate::session) fn end_after(&self, sent: u64) -> Option<ForcedEnd> {
        let replies = sent.saturating_sub(self.pushed);
        self.faults.end.clone().filter(|_| replies >= self.faults.after)
    }

    pub(in crate::session) fn reads(&self) -> bool {
        !self.faults.read_off
    }

    /// The wait before a reply.
    pub(in crate::session) fn delay(&self) -> Duration {
        self.faults.delay
    }

    /// The message to send instead of `reply`: of the same type, with the size that `size=` sets.
    pub(in crate::session) fn reply(&self, reply: Message) -> Message {
        match (self.faults.size, &reply) {
            (Some(size), Message::Text(_)) => Message::text("x".repeat(size)),
            (Some(size), _) => Message::binary(vec![b'x'; size]),
            (None, _) => reply,
        }
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
    pub(in crate::session) fn take_push(
        &mut self,
        now: Instant,
        time: impl FnOnce() -> String,
    ) -> Option<Message> {
        let push = self.faults.push?;
        self.next_push.filter(|next| *next <= now)?;
        self.pushed += 1;
        self.next_push = Some(now + push.every).filter(|_| self.pushed != push.count);
        Some(match push.size {
            Some(size) => Message::binary(vec![b'x'; size]),
            None => Message::text(format!(r#"{{"push":{},"at":"{}"}}"#, self.pushed, time())),
        })
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
    use crate::session::faults::Push;

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
        let at = |schedule: &mut FaultSchedule, now| schedule.take_push(now, || "noon".to_owned());
        assert_eq!(at(&mut schedule, start), None);
        assert_eq!(
            schedule.read_timeout(ReadTimeout::default()),
            ReadTimeout::deadline(start + second)
        );
        let first = at(&mut schedule, start + second);
        assert_eq!(first, Some(Message::text(r#"{"push":1,"at":"noon"}"#)));
        assert_eq!(at(&mut schedule, start + second), None);
        assert!(at(&mut schedule, start + second * 2).is_some());
        assert_eq!(at(&mut schedule, start + second * 9), None, "that was all");
        assert_eq!(schedule.read_timeout(ReadTimeout::default()), ReadTimeout::default());
        assert!(schedule.end_after(2).is_none() && schedule.end_after(3).is_some());
    }

    #[test]
    fn a_reply_of_a_set_size_keeps_its_type() {
        let faults = SessionFaults { size: Some(3), ..SessionFaults::default() };
        let schedule = FaultSchedule::new(faults, Instant::now());
        assert_eq!(schedule.reply(Message::text("hello")), Message::text("xxx"));
        assert_eq!(schedule.reply(Message::binary(vec![0])), Message::binary(&b"xxx"[..]));
    }
}

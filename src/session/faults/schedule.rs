//! What a client ordered for its session, as it is carried out.
//!
//! What it is: bookkeeping over faults: when to end, when to ping, what to answer instead.
//! What it is not: an act; the session asks here. An ordinary session has no script.

use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::net::socket::ReadTimeout;
use crate::session::faults::{ForcedEnd, SessionFaults};

#[derive(Debug)]
pub(in crate::session) struct FaultSchedule {
    faults: SessionFaults,
    next_ping: Option<Instant>,
    next_push: Option<Instant>,
    /// How many pushes there have been.
    pushed: u64,
}

impl FaultSchedule {
    pub(in crate::session) fn new(faults: SessionFaults, now: Instant) -> FaultSchedule {
        let next_ping = faults.ping.map(|interval| now + interval);
        let next_push = faults.push.map(|push| now + push.every);
        FaultSchedule { faults, next_ping, next_push, pushed: 0 }
    }

    /// The end that is due once so many messages are sent.
    pub(in crate::session) fn end(&self, sent: u64) -> Option<ForcedEnd> {
        let answered = sent.saturating_sub(self.pushed);
        self.faults.end.clone().filter(|_| answered >= self.faults.after)
    }

    pub(in crate::session) fn reads(&self) -> bool {
        !self.faults.read_off
    }

    /// The wait before a reply.
    pub(in crate::session) fn delay(&self) -> Duration {
        self.faults.delay
    }

    /// The reply that was ordered instead of `reply`: of the same type, by size.
    pub(in crate::session) fn reply(&self, reply: Message) -> Message {
        match (self.faults.size, &reply) {
            (Some(size), Message::Text(_)) => Message::text("x".repeat(size)),
            (Some(size), _) => Message::binary(vec![b'x'; size]),
            (None, _) => reply,
        }
    }

    /// Whether a Ping is due at `now`; the next one is then later.
    pub(in crate::session) fn pings(&mut self, now: Instant) -> bool {
        let is_due = self.next_ping.is_some_and(|next| next <= now);
        if is_due {
            self.next_ping = self.faults.ping.map(|interval| now + interval);
        }
        is_due
    }

    /// The message that is to be sent at `now`, unasked; the next one is then later.
    pub(in crate::session) fn push(
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

    /// `read_timeout`, ended by what is to be sent next.
    pub(in crate::session) fn read_timeout(&self, read_timeout: ReadTimeout) -> ReadTimeout {
        let deadline =
            [read_timeout.deadline, self.next_ping, self.next_push].into_iter().flatten().min();
        ReadTimeout { deadline, ..read_timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::faults::Push;

    #[test]
    fn an_end_comes_after_its_messages() {
        let faults =
            SessionFaults { end: Some(ForcedEnd::Fin), after: 2, ..SessionFaults::default() };
        let script = FaultSchedule::new(faults, Instant::now());
        assert_eq!(
            [0, 1, 2, 3].map(|answered| script.end(answered).is_some()),
            [false, false, true, true]
        );
    }

    #[test]
    fn pings_come_on_a_timer() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let faults = SessionFaults { ping: Some(second), ..SessionFaults::default() };
        let mut script = FaultSchedule::new(faults, start);
        assert_eq!(
            script.read_timeout(ReadTimeout::default()),
            ReadTimeout::deadline(start + second)
        );
        let sooner = ReadTimeout::deadline(start);
        assert_eq!(script.read_timeout(sooner), sooner);
        assert!(!script.pings(start));
        assert!(script.pings(start + second));
        assert!(!script.pings(start + second));
        assert!(script.pings(start + second * 5), "late is better than never");
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
        let mut script = FaultSchedule::new(faults, start);
        let at = |script: &mut FaultSchedule, now| script.push(now, || "noon".to_owned());
        assert_eq!(at(&mut script, start), None);
        assert_eq!(
            script.read_timeout(ReadTimeout::default()),
            ReadTimeout::deadline(start + second)
        );
        let first = at(&mut script, start + second);
        assert_eq!(first, Some(Message::text(r#"{"push":1,"at":"noon"}"#)));
        assert_eq!(at(&mut script, start + second), None);
        assert!(at(&mut script, start + second * 2).is_some());
        assert_eq!(at(&mut script, start + second * 9), None, "that was all");
        assert_eq!(script.read_timeout(ReadTimeout::default()), ReadTimeout::default());
        assert!(script.end(2).is_none() && script.end(3).is_some());
    }

    #[test]
    fn a_size_keeps_the_type() {
        let faults = SessionFaults { size: Some(3), ..SessionFaults::default() };
        let script = FaultSchedule::new(faults, Instant::now());
        assert_eq!(script.reply(Message::text("hello")), Message::text("xxx"));
        assert_eq!(script.reply(Message::binary(vec![0])), Message::binary(&b"xxx"[..]));
    }
}

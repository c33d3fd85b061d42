//! What a client ordered for its session, as it is carried out.
//!
//! What it is: bookkeeping over orders: when to end, when to ping, what to answer instead.
//! What it is not: an act; the session asks here. An ordinary session has no script.

use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::control::{End, SessionOrders};
use crate::net::socket::Patience;

#[derive(Debug)]
pub(super) struct Script {
    orders: SessionOrders,
    next_ping: Option<Instant>,
    next_push: Option<Instant>,
    /// How many pushes there have been.
    pushed: u64,
}

impl Script {
    pub(super) fn new(orders: SessionOrders, now: Instant) -> Script {
        let next_ping = orders.ping.map(|interval| now + interval);
        let next_push = orders.push.map(|push| now + push.every);
        Script { orders, next_ping, next_push, pushed: 0 }
    }

    /// The end that is due once so many messages are sent.
    pub(super) fn end(&self, sent: u64) -> Option<End> {
        let answered = sent.saturating_sub(self.pushed);
        self.orders.end.clone().filter(|_| answered >= self.orders.after)
    }

    pub(super) fn reads(&self) -> bool {
        !self.orders.read_off
    }

    /// The wait before a reply.
    pub(super) fn delay(&self) -> Duration {
        self.orders.delay
    }

    /// The reply that was ordered instead of `reply`: of the same type, by size.
    pub(super) fn reply(&self, reply: Message) -> Message {
        match (self.orders.size, &reply) {
            (Some(size), Message::Text(_)) => Message::text("x".repeat(size)),
            (Some(size), _) => Message::binary(vec![b'x'; size]),
            (None, _) => reply,
        }
    }

    /// Whether a Ping is due at `now`; the next one is then later.
    pub(super) fn pings(&mut self, now: Instant) -> bool {
        let is_due = self.next_ping.is_some_and(|next| next <= now);
        if is_due {
            self.next_ping = self.orders.ping.map(|interval| now + interval);
        }
        is_due
    }

    /// The message that is to be sent at `now`, unasked; the next one is then later.
    pub(super) fn push(&mut self, now: Instant, time: impl FnOnce() -> String) -> Option<Message> {
        let push = self.orders.push?;
        self.next_push.filter(|next| *next <= now)?;
        self.pushed += 1;
        self.next_push = Some(now + push.every).filter(|_| self.pushed != push.count);
        Some(match push.size {
            Some(size) => Message::binary(vec![b'x'; size]),
            None => Message::text(format!(r#"{{"push":{},"at":"{}"}}"#, self.pushed, time())),
        })
    }

    /// `patience`, ended by what is to be sent next.
    pub(super) fn patience(&self, patience: Patience) -> Patience {
        let until = [patience.until, self.next_ping, self.next_push].into_iter().flatten().min();
        Patience { until, ..patience }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Push;

    #[test]
    fn an_end_comes_after_its_messages() {
        let orders = SessionOrders { end: Some(End::Fin), after: 2, ..SessionOrders::default() };
        let script = Script::new(orders, Instant::now());
        assert_eq!(
            [0, 1, 2, 3].map(|answered| script.end(answered).is_some()),
            [false, false, true, true]
        );
    }

    #[test]
    fn pings_come_on_a_timer() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let orders = SessionOrders { ping: Some(second), ..SessionOrders::default() };
        let mut script = Script::new(orders, start);
        assert_eq!(script.patience(Patience::default()), Patience::until(start + second));
        let sooner = Patience::until(start);
        assert_eq!(script.patience(sooner), sooner);
        assert!(!script.pings(start));
        assert!(script.pings(start + second));
        assert!(!script.pings(start + second));
        assert!(script.pings(start + second * 5), "late is better than never");
    }

    #[test]
    fn pushes_are_numbered_counted_and_not_answers() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let push = Push { every: second, count: 2, size: None };
        let orders = SessionOrders {
            push: Some(push),
            end: Some(End::Fin),
            after: 1,
            ..SessionOrders::default()
        };
        let mut script = Script::new(orders, start);
        let at = |script: &mut Script, now| script.push(now, || "noon".to_owned());
        assert_eq!(at(&mut script, start), None);
        assert_eq!(script.patience(Patience::default()), Patience::until(start + second));
        let first = at(&mut script, start + second);
        assert_eq!(first, Some(Message::text(r#"{"push":1,"at":"noon"}"#)));
        assert_eq!(at(&mut script, start + second), None);
        assert!(at(&mut script, start + second * 2).is_some());
        assert_eq!(at(&mut script, start + second * 9), None, "that was all");
        assert_eq!(script.patience(Patience::default()), Patience::default());
        assert!(script.end(2).is_none() && script.end(3).is_some());
    }

    #[test]
    fn a_size_keeps_the_type() {
        let orders = SessionOrders { size: Some(3), ..SessionOrders::default() };
        let script = Script::new(orders, Instant::now());
        assert_eq!(script.reply(Message::text("hello")), Message::text("xxx"));
        assert_eq!(script.reply(Message::binary(vec![0])), Message::binary(&b"xxx"[..]));
    }
}

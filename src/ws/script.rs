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
}

impl Script {
    pub(super) fn new(orders: SessionOrders, now: Instant) -> Script {
        let next_ping = orders.ping.map(|interval| now + interval);
        Script { orders, next_ping }
    }

    /// The end that is due once so many messages are answered.
    pub(super) fn end(&self, answered: u64) -> Option<End> {
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

    /// `patience`, ended by the next Ping.
    pub(super) fn patience(&self, patience: Patience) -> Patience {
        let until = [patience.until, self.next_ping].into_iter().flatten().min();
        Patience { until, ..patience }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_size_keeps_the_type() {
        let orders = SessionOrders { size: Some(3), ..SessionOrders::default() };
        let script = Script::new(orders, Instant::now());
        assert_eq!(script.reply(Message::text("hello")), Message::text("xxx"));
        assert_eq!(script.reply(Message::binary(vec![0])), Message::binary(&b"xxx"[..]));
    }
}

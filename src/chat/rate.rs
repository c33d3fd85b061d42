//! The message rate of one member.

use std::time::{Duration, Instant};

/// Counts the messages of each second.
#[derive(Debug)]
pub(super) struct MessageRate {
    limit: u32,
    /// When the current second began, and the messages in it.
    since: Instant,
    sent: u32,
}

impl MessageRate {
    /// `limit` messages a second.
    pub(super) fn new(limit: u32, now: Instant) -> MessageRate {
        MessageRate { limit, since: now, sent: 0 }
    }

    /// Whether one more message at `now` is within the limit.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.sent) = (now, 0);
        }
        self.sent = self.sent.saturating_add(1);
        self.sent <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_own_count() {
        let start = Instant::now();
        let mut rate = MessageRate::new(2, start);
        let later = start + Duration::from_millis(999);
        assert_eq!([start, later, later].map(|now| rate.allows(now)), [true, true, false]);
        assert!(rate.allows(start + Duration::from_secs(1)));
    }
}

//! How much a member may say.

use std::time::{Duration, Instant};

/// Counts messages in spans of a second.
#[derive(Debug)]
pub(crate) struct MessageRate {
    limit: u32,
    /// When the current span began, and what was said in it.
    since: Instant,
    said: u32,
}

impl MessageRate {
    /// `limit` messages a second.
    pub(crate) fn new(limit: u32, now: Instant) -> MessageRate {
        MessageRate { limit, since: now, said: 0 }
    }

    /// Whether one more message at `now` is within the limit.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.said) = (now, 0);
        }
        self.said = self.said.saturating_add(1);
        self.said <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_messages() {
        let start = Instant::now();
        let mut rate = MessageRate::new(2, start);
        let later = start + Duration::from_millis(999);
        assert_eq!([start, later, later].map(|now| rate.allows(now)), [true, true, false]);
        assert!(rate.allows(start + Duration::from_secs(1)));
    }
}

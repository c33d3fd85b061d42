//! Rate limiting of a recurring log line.

use std::time::Instant;

use crate::config::tuning::LOG_EVERY;

/// Passes one line per [`LOG_EVERY`], and counts the suppressed ones.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    /// Returns how many lines were suppressed since the last one that passed; `None` if the line at
    /// `now` is to be suppressed, too.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < LOG_EVERY) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_per_interval_and_the_others_are_counted() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.pass(start), Some(0));
        assert_eq!(throttle.pass(start), None);
        assert_eq!(throttle.pass(start), None);
        assert_eq!(throttle.pass(start + LOG_EVERY), Some(2));
        assert_eq!(throttle.pass(start + LOG_EVERY * 2), Some(0));
    }
}

//! A clock as one session reads it.
//!
//! What it is: the text of the current second, kept while that second lasts, because glibc looks
//! up the offset of local time under a lock of the whole process.
//! Invariant: what is shown is what the clock would show.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Clock;

/// See the module.
#[derive(Debug)]
pub(crate) struct CachedClock {
    clock: Clock,
    second: Option<u64>,
    text: String,
}

impl CachedClock {
    pub(crate) fn new(clock: Clock) -> CachedClock {
        CachedClock { clock, second: None, text: String::new() }
    }

    /// `now` as the clock shows it.
    pub(crate) fn text_at(&mut self, now: SystemTime) -> &str {
        let second = now.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        if second.is_none() || second != self.second || !self.clock.is_steady() {
            self.text = self.clock.text_at(now);
            self.second = second;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_text_is_kept_for_its_second_and_no_longer() {
        let mut clock = CachedClock::new(Clock::utc("[second]").unwrap());
        let at = UNIX_EPOCH + Duration::from_secs(59);
        assert_eq!(clock.text_at(at), "59");
        let kept = clock.text_at(at + Duration::from_millis(999)).as_ptr();
        assert_eq!(clock.text_at(at).as_ptr(), kept);
        assert_eq!(clock.text_at(at + Duration::from_secs(1)), "00");
        assert_eq!(clock.text_at(at), "59", "a clock that is set back is believed");
    }

    #[test]
    fn fractions_of_a_second_are_never_kept() {
        let mut clock = CachedClock::new(Clock::utc("[second].[subsecond digits:3]").unwrap());
        assert_eq!(clock.text_at(UNIX_EPOCH + Duration::from_millis(1)), "00.001");
        assert_eq!(clock.text_at(UNIX_EPOCH + Duration::from_millis(2)), "00.002");
    }
}

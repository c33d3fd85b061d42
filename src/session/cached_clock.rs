//! A session's clock, which caches the formatted time for the current second.
//!
//! glibc computes the offset of local time under a lock of the whole process, so formatting each
//! reply's time would make sessions wait for each other.
//!
//! **Invariant:** the cached text equals what the clock would return.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Clock;

/// A [`Clock`] with a cache of one second.
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

    /// Formats `now`.
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
    fn text_is_cached_for_its_second() {
        let mut clock = CachedClock::new(Clock::utc("[second]").unwrap());
        let at = UNIX_EPOCH + Duration::from_secs(59);
        assert_eq!(clock.text_at(at), "59");
        let cached = clock.text_at(at + Duration::from_millis(999)).as_ptr();
        assert_eq!(clock.text_at(at).as_ptr(), cached);
        assert_eq!(clock.text_at(at + Duration::from_secs(1)), "00");
        assert_eq!(clock.text_at(at), "59", "the clock was set back");
    }

    #[test]
    fn formats_with_subseconds_are_not_cached() {
        let mut clock = CachedClock::new(Clock::utc("[second].[subsecond digits:3]").unwrap());
        assert_eq!(clock.text_at(UNIX_EPOCH + Duration::from_millis(1)), "00.001");
        assert_eq!(clock.text_at(UNIX_EPOCH + Duration::from_millis(2)), "00.002");
    }
}

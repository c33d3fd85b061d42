//! A token bucket: bursts up to its capacity, and a steady rate in the long run.
//!
//! **Invariant:** from any moment on, a time `t` sees at most `capacity + t / refill` takes.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    capacity: u32,
    /// Adds one token.
    refill: Duration,
    /// When it will be, or was, full. All of the level is in it, fractions of a token included.
    full_at: Instant,
    refused: u64,
}

impl TokenBucket {
    /// A bucket that is full at `now`. It never runs dry if `refill` is zero.
    pub(crate) fn full(capacity: u32, refill: Duration, now: Instant) -> TokenBucket {
        TokenBucket { capacity, refill, full_at: now, refused: 0 }
    }

    /// A bucket that is full at `now`, for `rate` takes in a second, and in one burst.
    pub(crate) fn per_second(rate: u32, now: Instant) -> TokenBucket {
        TokenBucket::full(rate, Duration::from_secs(1) / rate.max(1), now)
    }

    /// Takes a token at `now`, which should not be earlier than in a call before. Returns how many
    /// takes were refused since the last success; `None` if this one is refused, too, as the bucket
    /// is empty.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        let until_full = self.full_at.saturating_duration_since(now).saturating_add(self.refill);
        if until_full > self.refill.saturating_mul(self.capacity) {
            self.refused = self.refused.saturating_add(1);
            return None;
        }
        // A time beyond the end of the clock leaves the bucket as it is.
        self.full_at = now.checked_add(until_full).unwrap_or(self.full_at);
        Some(self.take_refused())
    }

    /// How many takes were refused since the last success, or since the last call.
    pub(crate) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFILL: Duration = Duration::from_millis(100);

    /// How many takes succeed at `now`.
    fn drain(bucket: &mut TokenBucket, now: Instant) -> usize {
        std::iter::from_fn(|| bucket.take(now)).count()
    }

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(3, REFILL, start);
        assert_eq!([(); 5].map(|()| bucket.take(start)), [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(bucket.take(start + REFILL), Some(2));
        assert_eq!(bucket.take(start + REFILL), None);
        assert_eq!(bucket.take(start + REFILL * 2), Some(1));
    }

    #[test]
    fn it_is_full_again_after_a_while_and_never_fuller() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(3, REFILL, start);
        assert_eq!(drain(&mut bucket, start), 3);
        assert_eq!(drain(&mut bucket, start + REFILL * 2), 2);
        assert_eq!(drain(&mut bucket, start + REFILL * 5), 3);
        assert_eq!(drain(&mut bucket, start + Duration::from_secs(24 * 3600)), 3);
    }

    #[test]
    fn fractions_of_a_token_are_kept() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(2, REFILL, start);
        assert_eq!(drain(&mut bucket, start), 2);
        // 1000 steps of 0.7 tokens, each of them with a refused take.
        let taken = (1..=1000).map(|step| drain(&mut bucket, start + REFILL * 7 / 10 * step));
        assert_eq!(taken.sum::<usize>(), 700);
    }

    #[test]
    fn extremes_neither_overflow_nor_panic() {
        let start = Instant::now();
        let earlier = start.checked_sub(REFILL).unwrap_or(start);
        for (capacity, refill, takes) in [
            (0, REFILL, 0),
            (1, Duration::MAX, 1),
            (u32::MAX, Duration::MAX, 9),
            (1, Duration::ZERO, 9),
        ] {
            let mut bucket = TokenBucket::full(capacity, refill, start);
            let taken = (0..9).filter(|_| bucket.take(start).is_some()).count();
            assert!(taken >= takes, "{capacity} {refill:?}: {taken}");
            bucket.take(earlier);
        }
    }
}

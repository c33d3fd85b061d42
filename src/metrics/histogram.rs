//! A histogram of durations, to which any thread may add.
//!
//! **Invariant:** Each duration is counted in exactly one bucket; `cumulative` adds them up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::tuning::LATENCY_BUCKETS;

/// Counts of durations by the bounds in `LATENCY_BUCKETS`.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One count per upper bound, and one for durations above the last.
    counts: [AtomicU64; LATENCY_BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn observe(&self, duration: Duration) {
        let bucket = LATENCY_BUCKETS.partition_point(|bound| *bound < duration);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The number of durations up to each bound, inclusive. The last bound is `None`, which stands
    /// for infinity.
    pub(super) fn cumulative(&self) -> Vec<(Option<Duration>, u64)> {
        let bounds = LATENCY_BUCKETS.into_iter().map(Some).chain([None]);
        let mut sum = 0;
        let add_up = |(bound, count): (_, &AtomicU64)| {
            sum += count.load(Ordering::Relaxed);
            (bound, sum)
        };
        bounds.zip(&self.counts).map(add_up).collect()
    }

    /// The sum of all durations.
    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_bounds_are_inclusive() {
        let histogram = Histogram::default();
        let (first, last) = (LATENCY_BUCKETS[0], LATENCY_BUCKETS[LATENCY_BUCKETS.len() - 1]);
        let just_over = Duration::from_nanos(1);
        for duration in [Duration::ZERO, first, first + just_over, last, last + just_over] {
            histogram.observe(duration);
        }
        let counts: Vec<_> = histogram.cumulative();
        assert_eq!(counts[0], (Some(first), 2));
        assert_eq!(counts[1], (Some(LATENCY_BUCKETS[1]), 3));
        assert_eq!(counts[counts.len() - 2], (Some(last), 4));
        assert_eq!(counts[counts.len() - 1], (None, 5));
        assert_eq!(histogram.sum(), 2 * (first + last + just_over));
    }

    #[test]
    fn bounds_are_sorted() {
        assert!(LATENCY_BUCKETS.is_sorted());
    }
}

//! How long things took.
//!
//! What it is: counts by upper bound, to which any thread adds.
//! Invariant: a duration is counted in one bucket alone; whoever shows them adds up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::tuning::LATENCY_BUCKETS;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One for each bound, and one for what is over the last.
    counts: [AtomicU64; LATENCY_BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// Counts one more.
    pub(crate) fn observe(&self, took: Duration) {
        let bucket = LATENCY_BUCKETS.partition_point(|bound| *bound < took);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How many took as long as each bound at most; the last one is all of them.
    pub(super) fn cumulative(&self) -> Vec<(Option<Duration>, u64)> {
        let bounds = LATENCY_BUCKETS.into_iter().map(Some).chain([None]);
        let mut sum = 0;
        let add_up = |(bound, count): (_, &AtomicU64)| {
            sum += count.load(Ordering::Relaxed);
            (bound, sum)
        };
        bounds.zip(&self.counts).map(add_up).collect()
    }

    /// All of it together.
    pub(super) fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        let (first, last) = (LATENCY_BUCKETS[0], LATENCY_BUCKETS[LATENCY_BUCKETS.len() - 1]);
        let just_over = Duration::from_nanos(1);
        for took in [Duration::ZERO, first, first + just_over, last, last + just_over] {
            histogram.observe(took);
        }
        let counts: Vec<_> = histogram.cumulative();
        assert_eq!(counts[0], (Some(first), 2));
        assert_eq!(counts[1], (Some(LATENCY_BUCKETS[1]), 3));
        assert_eq!(counts[counts.len() - 2], (Some(last), 4));
        assert_eq!(counts[counts.len() - 1], (None, 5));
        assert_eq!(histogram.sum(), 2 * (first + last + just_over));
    }

    #[test]
    fn bounds_rise() {
        assert!(LATENCY_BUCKETS.is_sorted());
    }
}

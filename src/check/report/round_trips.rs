//! Statistics of the round trips of a check.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{in_milliseconds, microseconds};

/// Statistics of the round trips. Percentiles are measured values, not interpolated ones.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RoundTrips {
    pub(super) count: usize,
    /// The size of each message in bytes.
    pub(super) size: usize,
    #[serde(rename = "min_us", serialize_with = "microseconds")]
    pub(super) min: Duration,
    #[serde(rename = "median_us", serialize_with = "microseconds")]
    pub(super) median: Duration,
    #[serde(rename = "p90_us", serialize_with = "microseconds")]
    pub(super) p90: Duration,
    #[serde(rename = "p99_us", serialize_with = "microseconds")]
    pub(super) p99: Duration,
    #[serde(rename = "max_us", serialize_with = "microseconds")]
    pub(super) max: Duration,
}

impl RoundTrips {
    /// Computes the statistics of `times`; `None` if it is empty.
    pub(crate) fn of(mut times: Vec<Duration>, size: usize) -> Option<RoundTrips> {
        times.sort_unstable();
        let count = times.len();
        // Nearest rank: the smallest value that at least `percent` percent do not exceed.
        let percentile = |percent: usize| times[(count * percent).div_ceil(100) - 1];
        Some(RoundTrips {
            count,
            size,
            min: *times.first()?,
            median: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: *times.last()?,
        })
    }
}

impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RoundTrips { count, size, .. } = self;
        let [min, median, p90, p99, max] =
            [self.min, self.median, self.p90, self.p99, self.max].map(in_milliseconds);
        write!(
            f,
            "{count} round trips of {size} bytes: min {min:.3}, median {median:.3}, \
             p90 {p90:.3}, p99 {p99:.3}, max {max:.3} ms"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let ms = Duration::from_millis;
        let of = |times: Vec<u64>| RoundTrips::of(times.into_iter().map(ms).collect(), 7);
        let expected = |count, [min, median, p90, p99, max]: [u64; 5]| {
            let [min, median, p90, p99, max] = [min, median, p90, p99, max].map(ms);
            Some(RoundTrips { count, size: 7, min, median, p90, p99, max })
        };
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![5]), expected(1, [5; 5]));
        assert_eq!(of(vec![2, 1]), expected(2, [1, 1, 2, 2, 2]));
        assert_eq!(of((1..=100).rev().collect()), expected(100, [1, 50, 90, 99, 100]));
        assert_eq!(of((1..=1000).collect()), expected(1000, [1, 500, 900, 990, 1000]));
    }
}

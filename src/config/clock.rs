//! Formats the time in the tutorial's reply, in local time or UTC. The caller passes the time.
//!
//! **Invariant:** The UTC offset is looked up for the time that is shown, so that it is right
//! before and after a change of daylight saving.

use std::fmt;
use std::num::NonZeroU8;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::error::InvalidFormatDescription;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{self, EncodedConfig, TimePrecision};
use time::format_description::{self, OwnedFormatItem};
use time::{OffsetDateTime, UtcOffset};

/// .NET's en-US long time pattern `h:mm:ss tt`: `3:04:05 PM`.
pub const LONG_TIME: &str = "[hour repr:12 padding:none]:[minute]:[second] [period]";

/// A time format and a time zone.
#[derive(Debug, Clone)]
pub struct Clock {
    format: OwnedFormatItem,
    offset_at: fn(OffsetDateTime) -> UtcOffset,
    /// False if the format shows fractions of a second.
    steady: bool,
}

/// Why a text is not a time format: it names the position of the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockError(InvalidFormatDescription);

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ClockError {}

impl Clock {
    /// A clock in local time, or in UTC if the local offset cannot be determined.
    ///
    /// # Errors
    /// `format` is not a
    /// [format description](https://time-rs.github.io/book/api/format-description.html).
    pub fn local(format: &str) -> Result<Clock, ClockError> {
        Clock::with_offset(format, |at| UtcOffset::local_offset_at(at).unwrap_or(UtcOffset::UTC))
    }

    /// A clock in UTC.
    ///
    /// # Errors
    /// As [`Clock::local`].
    pub fn utc(format: &str) -> Result<Clock, ClockError> {
        Clock::with_offset(format, |_| UtcOffset::UTC)
    }

    /// A clock in any time zone: `offset_at` returns the UTC offset in force at a time.
    fn with_offset(
        format: &str,
        offset_at: fn(OffsetDateTime) -> UtcOffset,
    ) -> Result<Clock, ClockError> {
        let format = format_description::parse_owned::<2>(format).map_err(ClockError)?;
        let mut clock = Clock { format, offset_at, steady: true };
        let within_the_second = UNIX_EPOCH + std::time::Duration::from_nanos(123_456_789);
        clock.steady = clock.text_at(UNIX_EPOCH) == clock.text_at(within_the_second);
        Ok(clock)
    }

    /// Whether the text stays the same during a whole second.
    pub(crate) fn is_steady(&self) -> bool {
        self.steady
    }

    /// Formats `now`.
    pub fn text_at(&self, now: SystemTime) -> String {
        let utc = OffsetDateTime::from(now);
        let local = utc.to_offset((self.offset_at)(utc));
        // A date and time with an offset has every component that a description can name.
        local.format(&self.format).unwrap_or_default()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::local(LONG_TIME).expect("the long time pattern is a format description")
    }
}

/// `2026-01-02T03:04:05.678Z`
const MILLISECONDS: EncodedConfig = iso8601::Config::DEFAULT
    .set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) })
    .encode();

/// Formats a time for programs: ISO 8601, UTC, with milliseconds.
pub(crate) fn timestamp(now: SystemTime) -> String {
    // The year of every SystemTime can be formatted.
    OffsetDateTime::from(now).format(&Iso8601::<MILLISECONDS>).unwrap_or_default()
}

/// A duration for programs, in whole microseconds; the largest number if there are more.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn long_time_matches_dotnet() {
        let clock = Clock::utc(LONG_TIME).unwrap();
        for (at, expected) in [
            (datetime!(2026-03-01 00:00:00 UTC), "12:00:00 AM"),
            (datetime!(2026-03-01 00:59:59 UTC), "12:59:59 AM"),
            (datetime!(2026-03-01 01:02:03 UTC), "1:02:03 AM"),
            (datetime!(2026-03-01 11:59:59 UTC), "11:59:59 AM"),
            (datetime!(2026-03-01 12:00:00 UTC), "12:00:00 PM"),
            (datetime!(2026-03-01 15:04:05 UTC), "3:04:05 PM"),
            (datetime!(2026-03-01 23:59:59 UTC), "11:59:59 PM"),
        ] {
            assert_eq!(clock.text_at(at.into()), expected);
        }
    }

    /// New York in 2026: UTC-5, and UTC-4 from 8 March 07:00 to 1 November 06:00 UTC.
    fn new_york(at: OffsetDateTime) -> UtcOffset {
        let summer = datetime!(2026-03-08 07:00 UTC)..datetime!(2026-11-01 06:00 UTC);
        UtcOffset::from_hms(if summer.contains(&at) { -4 } else { -5 }, 0, 0).unwrap()
    }

    #[test]
    fn daylight_saving_changes_at_the_exact_second() {
        let clock = Clock::with_offset(LONG_TIME, new_york).unwrap();
        for (at, expected) in [
            (datetime!(2026-03-08 06:59:59 UTC), "1:59:59 AM"),
            (datetime!(2026-03-08 07:00:00 UTC), "3:00:00 AM"),
            (datetime!(2026-11-01 05:59:59 UTC), "1:59:59 AM"),
            (datetime!(2026-11-01 06:00:00 UTC), "1:00:00 AM"),
        ] {
            assert_eq!(clock.text_at(at.into()), expected);
        }
    }

    #[test]
    fn an_invalid_format_names_the_position() {
        let error = Clock::utc("[hour]:[minuet]").unwrap_err().to_string();
        assert!(error.contains("minuet") && error.contains("byte index 8"), "{error}");
    }
}

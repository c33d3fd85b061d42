//! The time in the tutorial's reply.
//!
//! What it is: from an instant to the text that a person reads on a clock, in local time or UTC.
//! What it is not: a source of the current time; whoever asks brings the instant.
//! Invariant: the offset is looked up for the instant that is shown, so that daylight saving is
//! right on both sides of a change.

use std::num::NonZeroU8;
use std::time::{SystemTime, UNIX_EPOCH};

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
    /// Not so with fractions of a second in the format.
    steady: bool,
}

impl Clock {
    /// Local time; UTC where the machine does not say what local is.
    ///
    /// # Errors
    /// `format` is no [format description](https://time-rs.github.io/book/api/format-description.html);
    /// the error names the place.
    pub fn local(format: &str) -> Result<Clock, InvalidFormatDescription> {
        Clock::with_offset(format, |at| UtcOffset::local_offset_at(at).unwrap_or(UtcOffset::UTC))
    }

    /// UTC.
    ///
    /// # Errors
    /// As [`Clock::local`].
    pub fn utc(format: &str) -> Result<Clock, InvalidFormatDescription> {
        Clock::with_offset(format, |_| UtcOffset::UTC)
    }

    /// A zone of the caller's own: from an instant to the offset in force then.
    ///
    /// # Errors
    /// As [`Clock::local`].
    pub fn with_offset(
        format: &str,
        offset_at: fn(OffsetDateTime) -> UtcOffset,
    ) -> Result<Clock, InvalidFormatDescription> {
        let format = format_description::parse_owned::<2>(format)?;
        let mut clock = Clock { format, offset_at, steady: true };
        let within_the_second = UNIX_EPOCH + std::time::Duration::from_nanos(123_456_789);
        clock.steady = clock.text_at(UNIX_EPOCH) == clock.text_at(within_the_second);
        Ok(clock)
    }

    /// Whether the text stays the same for a whole second.
    pub(crate) fn is_steady(&self) -> bool {
        self.steady
    }

    /// `now` as this clock shows it.
    pub fn text_at(&self, now: SystemTime) -> String {
        let utc = OffsetDateTime::from(now);
        let local = utc.to_offset((self.offset_at)(utc));
        // A date and time with an offset has every component a description can name.
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

/// A time as programs read it: ISO 8601, UTC, in milliseconds.
pub fn timestamp(now: SystemTime) -> String {
    // Every time that a SystemTime can hold has a year that can be written.
    OffsetDateTime::from(now).format(&Iso8601::<MILLISECONDS>).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_long_time_pattern() {
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
    fn a_daylight_saving_change_is_seen_at_the_second_it_happens() {
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
    fn a_bad_format_names_the_place() {
        let error = Clock::utc("[hour]:[minuet]").unwrap_err().to_string();
        assert!(error.contains("minuet") && error.contains("byte index 8"), "{error}");
    }
}

//! The log on stderr: one line an event, with the time in UTC.

use std::io::Write;

use log::LevelFilter;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

/// `2026-01-02T03:04:05.678Z`
const MILLISECONDS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second { decimal_digits: std::num::NonZeroU8::new(3) })
    .encode();

/// Starts the log. `level` is that of wsecho itself; its libraries only warn.
pub(crate) fn start(level: LevelFilter) {
    env_logger::Builder::new()
        .filter_level(level.min(LevelFilter::Warn))
        .filter_module("wsecho", level)
        .format(|line, record| {
            let now =
                OffsetDateTime::now_utc().format(&Iso8601::<MILLISECONDS>).unwrap_or_default();
            writeln!(line, "{now} {:<5} {}", record.level(), record.args())
        })
        .init();
}

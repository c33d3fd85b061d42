//! Durations as text, for the options of the program: `250ms`, `1h 30m`.

use std::time::Duration;

/// Parses a duration, and checks it against its largest value. `0` is a duration, too.
///
/// # Errors
/// A sentence for people: the text is not a duration, or it is too long.
pub(crate) fn duration(text: &str, ceiling: Duration) -> Result<humantime::Duration, String> {
    let duration: humantime::Duration =
        text.parse().map_err(|error: humantime::DurationError| error.to_string())?;
    if *duration > ceiling {
        return Err(format!("a duration is {} at most", humantime::format_duration(ceiling)));
    }
    Ok(duration)
}

/// As [`duration`], but more than 0.
///
/// # Errors
/// As [`duration`], or the duration is 0.
pub(crate) fn positive(text: &str, ceiling: Duration) -> Result<humantime::Duration, String> {
    let duration = duration(text, ceiling)?;
    if duration.is_zero() {
        return Err("a duration must be more than 0 here".to_owned());
    }
    Ok(duration)
}

//! The value of `--time-format`.

use crate::config::Clock;

/// Conversions of strftime, and what they are in a format description of the `time` crate.
const CONVERSIONS: [(&str, &str); 13] = [
    ("%H", "[hour]"),
    ("%I", "[hour repr:12]"),
    ("%M", "[minute]"),
    ("%S", "[second]"),
    ("%p", "[period]"),
    ("%Y", "[year]"),
    ("%m", "[month]"),
    ("%d", "[day]"),
    ("%b", "[month repr:short]"),
    ("%a", "[weekday repr:short]"),
    ("%f", "[subsecond]"),
    ("%T", "[hour]:[minute]:[second]"),
    ("%F", "[year]-[month]-[day]"),
];

/// Checks a format description.
///
/// # Errors
/// Why it is none; for a format of strftime, which would be shown as it is, what to write instead.
pub(super) fn time_format(text: &str) -> Result<String, String> {
    let translated =
        CONVERSIONS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    if translated != text {
        return Err(format!("this is not a format of strftime; write '{translated}'"));
    }
    Clock::utc(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_of_strftime_is_refused_with_the_right_form() {
        let error = time_format("%H:%M:%S").unwrap_err();
        assert!(error.ends_with("write '[hour]:[minute]:[second]'"), "{error}");
        assert!(time_format("%F %T").unwrap_err().contains("'[year]-[month]-[day] [hour]:"));
        assert_eq!(time_format("[hour] 100 %"), Ok("[hour] 100 %".to_owned()));
        assert!(time_format("[hour").is_err());
    }
}

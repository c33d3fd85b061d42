//! Text from a server, for a line of the report.

use crate::check::limits::QUOTE_MAX;
use crate::http::excerpt::escaped;

/// Escapes control characters, and all others that a terminal would not display. Unlike [`escaped`]
/// it keeps tabs and backslashes: a refusal may contain the lines of a configuration.
pub(crate) fn visible(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' | '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Truncates a text, escapes it, and puts it in quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    let start = text.char_indices().nth(QUOTE_MAX).map_or(text, |(end, _)| &text[..end]);
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

/// Truncates a text, and escapes it for the middle of a line.
pub(crate) fn shortened(text: &str) -> String {
    escaped(text, QUOTE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(visible("a \"b\" c:\\d\té"), "a \"b\" c:\\d\té");
        assert_eq!(visible("\u{1b}[2J\r\u{9b}\u{202e}\u{7f}"), r"\u{1b}[2J\r\u{9b}\u{202e}\u{7f}");
        assert_eq!(quoted("a\"\u{7}"), r#""a\"\u{7}""#);
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}\"…", "é".repeat(80)));
    }
}

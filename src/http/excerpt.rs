//! Quotes parts of a request head in a response body, or text of a server in the report of a check:
//! shortened and escaped.
//!
//! **Invariant:** A line is printable and fits a terminal.

use crate::config::tuning::{SHOWN_BRIEFLY, SHOWN_FIELDS, SHOWN_VALUE};
use crate::http::head::Head;

/// The request line and the lines of these fields; `(no NAME)` for a field that is missing.
pub(crate) fn with_fields(head: &Head, names: &[&str]) -> Vec<String> {
    let mut lines = vec![request_line(head)];
    for name in names {
        let before = lines.len();
        lines.extend(fields(head, name));
        if lines.len() == before {
            lines.push(format!("(no {name})"));
        }
    }
    lines
}

/// The lines of a field, `SHOWN_FIELDS` at most.
pub(crate) fn fields<'a>(head: &'a Head, name: &'a str) -> impl Iterator<Item = String> {
    head.fields
        .all(name)
        .take(SHOWN_FIELDS)
        .map(move |value| format!("{name}: {}", escaped(value, SHOWN_VALUE)))
}

pub(crate) fn request_line(head: &Head) -> String {
    let target = escaped(&head.target, SHOWN_VALUE);
    format!("{} {target} {}", brief(method(head)), head.version.name())
}

/// The method, but GET for HEAD: a response to HEAD must announce the length of the body that GET
/// would get.
pub(crate) fn method(head: &Head) -> &str {
    if head.method == "HEAD" { "GET" } else { &head.method }
}

/// Shortens and escapes `text` for the middle of a sentence.
pub(crate) fn brief(text: &str) -> String {
    escaped(text, SHOWN_BRIEFLY)
}

/// Escapes backslashes and unprintable characters, so that nothing moves a terminal's cursor or
/// reverses the direction of the text, and replaces all beyond `limit` characters by an ellipsis.
pub(crate) fn escaped(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for c in text.chars() {
        let is_plain = matches!(c, '"' | '\'');
        let piece: String = if is_plain { c.into() } else { c.escape_debug().collect() };
        length += piece.chars().count();
        if length > limit {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

/// Whether a terminal, an editor or a browser acts upon this character instead of showing it: control
/// characters, those of C1 included, line separators, bidi controls and other format characters.
pub(crate) fn is_unprintable(c: char) -> bool {
    // After another character, `escape_debug` leaves combining marks as they are.
    let is_escaped = || format!(" {c}").escape_debug().nth(1) == Some('\\');
    !c.is_ascii_graphic() && c != ' ' && is_escaped()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_or_unprintable_text_is_shortened_and_escaped() {
        for (text, shown) in [
            ("", ""),
            ("a \"b\" 'c'", "a \"b\" 'c'"),
            ("12345678901234567890", "12345678901234567890"),
            ("123456789012345678901", "12345678901234567890…"),
            ("\u{1b}[2J\u{7f}", "\\u{1b}[2J\\u{7f}"),
            ("a\tb\r\n\\", "a\\tb\\r\\n\\\\"),
            ("\u{9b}\u{202e}\u{feff}", "\\u{9b}\\u{202e}…"),
            ("é\u{fffd}", "é\u{fffd}"),
            ("1234567890123456789\n", "1234567890123456789…"),
        ] {
            assert_eq!(escaped(text, 20), shown);
        }
    }
}

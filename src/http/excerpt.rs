//! What a peer wrote, fit to be shown to whoever reads the answer.
//!
//! What it is: lines about a request head, and the escaping.
//! Invariant: a line is printable, and no longer than a terminal is wide.

use crate::config::tuning::{SHOWN_BRIEFLY, SHOWN_FIELDS, SHOWN_VALUE};
use crate::http::head::Head;

/// The request line, and what arrived of these fields; of one that did not, that it is missing.
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

/// The lines of a field, as many as are of interest.
pub(crate) fn fields<'a>(head: &'a Head, name: &'a str) -> impl Iterator<Item = String> {
    head.all(name)
        .take(SHOWN_FIELDS)
        .map(move |value| format!("{name}: {}", escaped(value, SHOWN_VALUE)))
}

pub(crate) fn request_line(head: &Head) -> String {
    let target = escaped(&head.target, SHOWN_VALUE);
    format!("{} {target} {}", brief(method(head)), head.version.name())
}

/// GET for HEAD: nobody reads an answer to HEAD, but it has to have the length of that to GET.
pub(crate) fn method(head: &Head) -> &str {
    if head.method == "HEAD" { "GET" } else { &head.method }
}

/// For the middle of a sentence.
pub(crate) fn brief(text: &str) -> String {
    escaped(text, SHOWN_BRIEFLY)
}

/// At most `longest` characters, and an ellipsis for the rest. What does not print, a backslash
/// too, is escaped, so that nothing moves a terminal's cursor or turns the text around.
pub(crate) fn escaped(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    for c in text.chars() {
        let is_plain = matches!(c, '"' | '\'');
        let piece: String = if is_plain { c.into() } else { c.escape_debug().collect() };
        length += piece.chars().count();
        if length > longest {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_text() {
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

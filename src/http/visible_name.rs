//! Names that clients choose in a query, and that other people see.

use crate::config::chat::NAME_MAX;
use crate::http::excerpt;

/// Characters that are drawn as nothing, or as a space, though their category is that of letters, marks or
/// symbols: the combining grapheme joiner, the fillers of Hangul, inherent vowels of Khmer, and Braille's
/// blank.
const FILLERS: [char; 8] =
    ['\u{34f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// The name without the spaces around it; `None` unless it has 1 to [`NAME_MAX`] characters, all visible.
pub(crate) fn visible_name(value: &str) -> Option<&str> {
    let name = value.trim();
    let length = name.chars().count();
    ((1..=NAME_MAX).contains(&length) && !name.contains(is_invisible)).then_some(name)
}

/// Whether a name must not have this character, as it is not seen: two names could look the same, or turn
/// the line around that shows them.
fn is_invisible(c: char) -> bool {
    excerpt::is_unprintable(c) || FILLERS.contains(&c)
}

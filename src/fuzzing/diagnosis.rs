//! Properties of every diagnosis, for any request.

use crate::http::diagnosis::Diagnosis;

/// Asserts that no part is empty, that all lines are printable and fit a terminal, and that the
/// first line is the problem.
///
/// # Panics
/// If an assertion fails.
pub(crate) fn assert_readable(diagnosis: &Diagnosis) {
    let Diagnosis { problem, arrived, cause, fix, .. } = diagnosis;
    assert!(!problem.is_empty() && !cause.is_empty() && !fix.is_empty(), "{diagnosis:?}");
    assert!(!arrived.is_empty() && arrived.iter().all(|line| !line.is_empty()), "{diagnosis:?}");
    let text = diagnosis.to_string();
    assert_eq!(text.lines().next(), Some(&**problem));
    assert!(text.ends_with('\n'), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() < 100, "{} characters: {line}", line.chars().count());
        assert!(!line.ends_with(' ') && !line.contains(char::is_control), "{line:?}");
    }
    for part in ["\n\nWhat arrived:\n  ", "\n\nThe usual cause:\n  ", "\n\nThe fix:\n  "] {
        assert_eq!(text.matches(part).count(), 1, "{text}");
    }
}

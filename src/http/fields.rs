//! The header fields of a request or of a response, and the characters that they consist of.

use serde::Serialize;

/// Header fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Fields(
    /// Name and value, in the order of arrival; bytes that are not UTF-8 become U+FFFD.
    pub(crate) Vec<(String, String)>,
);

impl From<&[httparse::Header<'_>]> for Fields {
    fn from(parsed: &[httparse::Header<'_>]) -> Fields {
        let lossy = |value| String::from_utf8_lossy(value).into_owned();
        Fields(parsed.iter().map(|field| (field.name.to_owned(), lossy(field.value))).collect())
    }
}

impl Fields {
    /// The values of a field, in the order of arrival.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(listed, _): &&(String, String)| listed.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|(_, value)| value.as_str())
    }

    /// The first value of a field; `None` if it is missing.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The elements of a comma-separated field (RFC 9110, section 5.6.1), across repeated lines.
    /// Empty elements are included.
    pub(crate) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// Whether a comma-separated field contains `token`, ignoring case.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|listed| listed.eq_ignore_ascii_case(token))
    }
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_tchar(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Whether `text` is a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_tchar)
}

/// Decodes a parameter value: a token, a quoted string (RFC 9110, section 5.6.4) or nothing at all.
/// `None` if it is malformed.
pub(crate) fn token_or_quoted(value: &str) -> Option<String> {
    let Some(opened) = value.strip_prefix('"') else {
        return value.chars().all(is_tchar).then(|| value.to_owned());
    };
    let (mut text, mut characters) = (String::new(), opened.chars());
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(text),
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        Fields(lines.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn names_ignore_case_and_may_repeat() {
        let fields = fields(&[("X", "1"), ("Y", ""), ("x", "2")]);
        assert_eq!(fields.all("x").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(
            (fields.get("X"), fields.get("y"), fields.get("z")),
            (Some("1"), Some(""), None)
        );
    }

    #[test]
    fn lists_span_commas_and_repeated_fields() {
        let fields = fields(&[("Connection", "keep-alive , Upgrade"), ("Connection", "x")]);
        assert!(fields.lists("connection", "upgrade") && fields.lists("connection", "X"));
        assert!(!fields.lists("connection", "up") && !fields.lists("upgrade", "x"));
    }
}

//! Which form of a file a request wants, and whether it has it already.
//!
//! What it is: a pure reading of `Accept-Encoding` and `If-None-Match`.
//! What it is not: the file; `embedded` and `page` have it.

use super::head::Head;

/// Whether the client takes gzip: named, or meant by `*`, and not refused by a weight of 0.
pub(crate) fn accepts_gzip(head: &Head) -> bool {
    weight(head, "gzip").or_else(|| weight(head, "*")).is_some_and(|weight| weight > 0.0)
}

/// The weight of a content coding; none when it is not listed.
fn weight(head: &Head, coding: &str) -> Option<f32> {
    head.all("Accept-Encoding").flat_map(|value| value.split(',')).find_map(|listed| {
        let mut parts = listed.split(';').map(str::trim);
        let named = parts.next()?.eq_ignore_ascii_case(coding);
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        named.then(|| weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    })
}

/// Whether the client holds the representation of this entity tag. The comparison is weak, as
/// RFC 9110, section 13.1.2, wants it.
pub(crate) fn is_current(head: &Head, etag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    head.all("If-None-Match")
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|held| held == "*" || opaque(held) == opaque(etag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::head::parse;

    fn head(fields: &str) -> Head {
        let text = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
        parse(text.as_bytes(), &Limits::default()).unwrap().unwrap().0
    }

    #[test]
    fn gzip_where_it_is_taken() {
        for (fields, expected) in [
            ("Host: h", false),
            ("Accept-Encoding: gzip", true),
            ("Accept-Encoding: br, GZip;q=0.5", true),
            ("Accept-Encoding: br\r\nAccept-Encoding: gzip", true),
            ("Accept-Encoding: *", true),
            ("Accept-Encoding: *;q=0", false),
            ("Accept-Encoding: gzip; q=0", false),
            ("Accept-Encoding: gzip;q=0.000, *", false),
            ("Accept-Encoding: gzip;q=many", false),
            ("Accept-Encoding: identity", false),
            ("Accept-Encoding: notgzip", false),
            ("Accept-Encoding:", false),
        ] {
            assert_eq!(accepts_gzip(&head(fields)), expected, "{fields}");
        }
    }

    #[test]
    fn what_the_client_has() {
        for (field, expected) in [
            ("Host: h", false),
            ("If-None-Match: \"a\"", true),
            ("If-None-Match: W/\"a\"", true),
            ("If-None-Match: \"b\", \"a\"", true),
            ("If-None-Match: *", true),
            ("If-None-Match: \"b\"", false),
            ("If-None-Match: a", false),
        ] {
            assert_eq!(is_current(&head(field), "\"a\""), expected, "{field}");
            assert_eq!(is_current(&head(field), "W/\"a\""), expected, "{field}");
        }
    }
}

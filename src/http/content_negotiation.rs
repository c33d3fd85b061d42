//! Content negotiation and validation: evaluates `Accept`, `Accept-Encoding` (RFC 9110, section
//! 12.5) and `If-None-Match` (section 13.1.2).

use super::head::Head;

/// Whether the client accepts gzip, by name or by `*`, with a weight above 0 (RFC 9110, section
/// 12.5.3).
pub(crate) fn accepts_gzip(head: &Head) -> bool {
    let weight = |coding| weight(head, "Accept-Encoding", coding);
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// Whether the client prefers JSON to plain text. The higher weight wins; of equal weights, the
/// type that is named more precisely; plain text in case of a tie.
pub(crate) fn prefers_json(head: &Head) -> bool {
    let json = preference(head, "application", "json");
    json.0 > 0.0 && json > preference(head, "text", "plain")
}

/// The weight of a media type, and how precisely it is named: 0 for `*/*`, 1 for `kind/*`, 2 for
/// `kind/subtype`. The most precise range takes precedence (RFC 9110, section 12.5.1).
fn preference(head: &Head, kind: &str, subtype: &str) -> (f32, u8) {
    [format!("{kind}/{subtype}"), format!("{kind}/*"), "*/*".to_owned()]
        .iter()
        .zip([2, 1, 0])
        .find_map(|(range, precision)| Some((weight(head, "Accept", range)?, precision)))
        .unwrap_or_default()
}

/// The weight, 0 to 1, that a field gives to a name; `None` if the name is not listed.
fn weight(head: &Head, field: &str, name: &str) -> Option<f32> {
    head.fields.list(field).find_map(|listed| {
        let mut parts = listed.split(';').map(str::trim);
        let named = parts.next()?.eq_ignore_ascii_case(name);
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        named.then(|| weight.map_or(1.0, parse_weight))
    })
}

/// Parses a `q` value; an invalid one counts as 0.
fn parse_weight(weight: &str) -> f32 {
    weight.parse().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0)
}

/// Whether the client has the representation with this entity tag, by the weak comparison that
/// RFC 9110, section 13.1.2, requires.
pub(crate) fn is_current(head: &Head, etag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    head.fields.list("If-None-Match").any(|held| held == "*" || opaque(held) == opaque(etag))
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
    fn gzip_is_used_if_accepted() {
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
    fn json_must_be_preferred_to_text() {
        for (fields, expected) in [
            ("Host: h", false),
            ("Accept: application/json", true),
            ("Accept: Application/JSON; charset=utf-8", true),
            ("Accept: application/*", true),
            ("Accept: */*", false),
            ("Accept: application/json, */*", true),
            ("Accept: application/json, */*;q=0.5", true),
            ("Accept: text/plain, application/json", false),
            ("Accept: application/json, text/plain, */*", false),
            ("Accept: text/plain;q=0.5, application/json;q=0.4", false),
            ("Accept: text/plain;q=0.4, application/json;q=0.5", true),
            ("Accept: text/plain;q=0.4\r\nAccept: application/json;q=0.5", true),
            ("Accept: text/*;q=0.9, application/json;q=0.8", false),
            ("Accept: text/plain;q=0, */*", true),
            ("Accept: application/json;q=0, */*", false),
            ("Accept: application/*;q=0.1, application/json;q=0.9, text/*;q=0.5", true),
            ("Accept: application/json;q=2", false),
            ("Accept: application/json;q=nan", false),
            ("Accept: application/jsonp", false),
            ("Accept: text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("Accept:", false),
        ] {
            assert_eq!(prefers_json(&head(fields)), expected, "{fields}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
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

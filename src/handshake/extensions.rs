//! Parses the extensions that a handshake offers, and chooses one (RFC 6455, section 9.1). Each
//! extension validates its own parameters.
//!
//! **Invariant:** A malformed offer is never chosen; like an unknown extension, it is declined by
//! leaving it out of the response.

use crate::http::fields::{is_token, token_or_quoted};
use crate::http::head::Head;

/// A well-formed offer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offer<'a> {
    pub(crate) name: &'a str,
    /// In the order of arrival.
    pub(crate) parameters: Vec<(&'a str, Option<String>)>,
}

/// The offers in order of preference, each with its parameters. They can be split at commas, as
/// even a quoted parameter must be a token and cannot contain one.
pub(crate) fn offered(head: &Head) -> impl Iterator<Item = &str> {
    head.fields.list("Sec-WebSocket-Extensions").filter(|offer| !offer.is_empty())
}

/// The first offer that `agree` accepts, with its index; `None` if there is none.
pub(crate) fn choose<T>(head: &Head, agree: impl Fn(&Offer) -> Option<T>) -> Option<(usize, T)> {
    offered(head).enumerate().find_map(|(index, offer)| Some((index, agree(&parse(offer)?)?)))
}

/// Parses an offer; `None` if it is malformed.
fn parse(offer: &str) -> Option<Offer<'_>> {
    let mut parts = offer.split(';').map(str::trim);
    let name = parts.next().and_then(token)?;
    Some(Offer { name, parameters: parts.map(parameter).collect::<Option<_>>()? })
}

fn parameter(text: &str) -> Option<(&str, Option<String>)> {
    let Some((name, value)) = text.split_once('=') else { return Some((token(text)?, None)) };
    // Quoted or not, the value must be a token.
    let value = token_or_quoted(value.trim_start()).filter(|value| is_token(value))?;
    Some((token(name.trim_end())?, Some(value)))
}

fn token(text: &str) -> Option<&str> {
    is_token(text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::head::parse as parse_head;

    #[test]
    fn offers_are_parsed() {
        let value = |text: &str| Some(text.to_owned());
        for (offer, parameters) in [
            ("x", vec![]),
            ("x;a;b=1", vec![("a", None), ("b", value("1"))]),
            ("x ; a ; b = 1", vec![("a", None), ("b", value("1"))]),
            (r#"x; b="10""#, vec![("b", value("10"))]),
            (r#"x; b="1\0""#, vec![("b", value("10"))]),
            ("x; a; a", vec![("a", None), ("a", None)]),
        ] {
            assert_eq!(parse(offer), Some(Offer { name: "x", parameters }), "{offer}");
        }
    }

    #[test]
    fn malformed_offers_are_rejected() {
        for offer in [
            "",
            ";",
            "x;",
            "x;;a",
            "x y",
            "x; a b",
            "x; =1",
            "x; a=",
            "x; a=1=2",
            "x; a=\"",
            "x; a=\"1",
            "x; a=\"\"",
            "x; a=\"1 2\"",
            "x; a=\"1\\\"",
            "x; a=1\"",
            "x\u{e4}",
            "\"x\"",
        ] {
            assert_eq!(parse(offer), None, "{offer}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_is_chosen_across_fields() {
        let head = b"GET / HTTP/1.1\r\nSec-WebSocket-Extensions: a=, , b;c\r\n\
            sec-websocket-extensions: b;d, b;e\r\n\r\n";
        let head = parse_head(head, &Limits::default()).unwrap().unwrap().0;
        assert_eq!(offered(&head).collect::<Vec<_>>(), ["a=", "b;c", "b;d", "b;e"]);
        let has = |wanted| {
            choose(&head, |offer| {
                let (name, _) = offer.parameters.first()?;
                (*name == wanted).then(|| offer.name.to_owned())
            })
        };
        assert_eq!(has("d"), Some((2, "b".to_owned())));
        assert_eq!(has("x"), None);
    }
}

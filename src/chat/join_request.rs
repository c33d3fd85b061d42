//! The room and the name that the query of `/chat` asks for.

use crate::config::chat::NAME_MAX;
use crate::http::excerpt;
use crate::http::visible_name::visible_name;

/// The room of a client that names none.
const LOBBY: &str = "lobby";

/// A request to join a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRequest {
    pub(crate) room: String,
    /// `None` if the client gave no name; it becomes `guest-N`.
    pub(crate) name: Option<String>,
}

/// Parses the query.
///
/// # Errors
/// One sentence: what is wrong, and what would be right.
pub(crate) fn parse(query: &str) -> Result<JoinRequest, String> {
    let (mut room, mut name) = (None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*key {
            "room" => &mut room,
            "name" => &mut name,
            "" if value.is_empty() => continue,
            _ => {
                return Err(format!(
                    "There is no parameter \"{}\"; /chat has room and name.",
                    excerpt::brief(&key)
                ));
            }
        };
        let Some(value) = visible_name(&value) else {
            return Err(format!(
                "{key}=\"{}\" is not valid; it has 1 to {NAME_MAX} visible characters.",
                excerpt::brief(value.trim())
            ));
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(format!("The parameter {key} is repeated; give it only once."));
        }
    }
    Ok(JoinRequest { room: room.unwrap_or_else(|| LOBBY.to_owned()), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_name_are_parsed() {
        for (query, room, name) in [
            ("", "lobby", None),
            ("&", "lobby", None),
            ("room=a%20b", "a b", None),
            ("name=+J%C3%B6rg+", "lobby", Some("Jörg")),
            ("name=\"'\\<नमस्ते>e\u{301}❤️\"", "lobby", Some("\"'\\<नमस्ते>e\u{301}❤️\"")),
            ("name=ann&room=x", "x", Some("ann")),
        ] {
            let expected = JoinRequest { room: room.to_owned(), name: name.map(str::to_owned) };
            assert_eq!(parse(query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn errors_name_the_parameter() {
        let long = format!("name={}", "ä".repeat(33));
        for (query, words) in [
            ("room=", "room=\"\" is not valid"),
            ("name=a%0ab", "name=\"a\\nb\" is not valid"),
            ("name=a\u{202e}b", "name=\"a\\u{202e}b\" is not valid; it has 1 to 32 visible"),
            ("name=a\u{200b}", "is not valid"),
            ("name=a\u{9b}", "is not valid"),
            ("name=a\u{2028}b", "is not valid"),
            ("name=a\u{e0041}", "is not valid"),
            ("room=\u{3164}", "is not valid"),
            ("name=\u{2800}", "is not valid"),
            (long.as_str(), "1 to 32 visible characters"),
            ("name=a&name=b", "name is repeated"),
            ("user=a", "no parameter \"user\""),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(words), "{query}: {error}");
        }
    }
}

//! Who wants into which room: the query of `/chat`.

use crate::config::chat::NAME_MAX;

/// The room where those go who name none.
const LOBBY: &str = "lobby";

/// A wish to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRequest {
    pub(crate) room: String,
    /// None for who has no name.
    pub(crate) name: Option<String>,
}

/// Reads the query.
///
/// # Errors
/// What is wrong with it, and what would be right, in a sentence.
pub(crate) fn parse(query: &str) -> Result<JoinRequest, String> {
    let (mut room, mut name) = (None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match &*key {
            "room" => &mut room,
            "name" => &mut name,
            "" if value.is_empty() => continue,
            _ => {
                return Err(format!(
                    "There is no parameter {key:?}; there are room and name, as in /chat?room=lobby&name=ann."
                ));
            }
        };
        let value = value.trim();
        if value.is_empty() || value.chars().count() > NAME_MAX || value.contains(char::is_control)
        {
            return Err(format!(
                "{key}={value:?} is not understood; it has 1 to {NAME_MAX} characters, as in {key}=ann."
            ));
        }
        if place.replace(value.to_owned()).is_some() {
            return Err(format!("{key} is there twice; once is enough."));
        }
    }
    Ok(JoinRequest { room: room.unwrap_or_else(|| LOBBY.to_owned()), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_and_names() {
        for (query, room, name) in [
            ("", "lobby", None),
            ("&", "lobby", None),
            ("room=a%20b", "a b", None),
            ("name=+J%C3%B6rg+", "lobby", Some("Jörg")),
            ("name=ann&room=x", "x", Some("ann")),
        ] {
            let expected = JoinRequest { room: room.to_owned(), name: name.map(str::to_owned) };
            assert_eq!(parse(query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("name={}", "ä".repeat(33));
        for (query, words) in [
            ("room=", "room=\"\" is not understood"),
            ("name=a%0ab", "name=\"a\\nb\" is not understood"),
            (long.as_str(), "1 to 32 characters"),
            ("name=a&name=b", "name is there twice"),
            ("user=a", "no parameter \"user\""),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(words), "{query}: {error}");
        }
    }
}

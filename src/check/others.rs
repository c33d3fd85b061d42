//! Data messages that were not the expected answer: their number, and the first few.

use std::borrow::Cow;
use std::fmt;

use tungstenite::Message;

use super::limits::OTHERS_SHOWN;
use super::report::quoted;
use super::verdict;

/// The messages that arrived before an answer, or in its place.
#[derive(Debug, Default)]
pub(super) struct OtherMessages {
    count: usize,
    shown: Vec<String>,
    /// The protocol on top of WebSocket that the first one is of.
    protocol: Option<&'static str>,
}

impl OtherMessages {
    /// Counts a message, and returns true; ignores control messages, and returns false.
    pub(super) fn add(&mut self, message: &Message) -> bool {
        if !message.is_text() && !message.is_binary() {
            return false;
        }
        let text = lossy(message);
        if self.count == 0 {
            self.protocol = verdict::spoken(&text);
        }
        self.count += 1;
        if self.shown.len() < OTHERS_SHOWN {
            self.shown.push(quoted(&text));
        }
        true
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The first message, quoted, and the protocol that it is of; `None` without a message.
    pub(super) fn first(&self) -> Option<(&str, Option<&'static str>)> {
        Some((self.shown.first()?, self.protocol))
    }

    /// Formats the messages received before the answer, to append to a line; empty if none was.
    pub(super) fn before(&self) -> String {
        if self.count == 0 { String::new() } else { format!(" ({self})") }
    }
}

impl fmt::Display for OtherMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown.join(", ");
        let more = if self.count > self.shown.len() { ", …" } else { "" };
        match self.count {
            0 => f.write_str("no other message received"),
            1 => write!(f, "1 other message received: {shown}"),
            count => write!(f, "{count} other messages received: {shown}{more}"),
        }
    }
}

/// The text of a data message; bytes that are not UTF-8 become U+FFFD.
pub(super) fn lossy(message: &Message) -> Cow<'_, str> {
    match message {
        Message::Text(text) => Cow::Borrowed(text.as_str()),
        Message::Binary(bytes) => String::from_utf8_lossy(bytes),
        _ => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_messages_are_counted_and_the_first_ones_shown() {
        let mut others = OtherMessages::default();
        assert_eq!((others.before(), others.first()), (String::new(), None));
        assert!(!others.add(&Message::Ping("x".into())));
        assert_eq!(others.to_string(), "no other message received");
        assert!(others.add(&Message::text("a\u{7}")));
        assert_eq!(others.before(), r#" (1 other message received: "a\u{7}")"#);
        for text in ["b", "c", "o"] {
            others.add(&Message::text(text));
        }
        assert_eq!(others.to_string(), r#"4 other messages received: "a\u{7}", "b", "c", …"#);
        assert_eq!(others.first(), Some((r#""a\u{7}""#, None)), "the first one tells the protocol");
    }
}

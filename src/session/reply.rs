//! The reply to a message.
//!
//! **Invariant:** the tutorial's reply holds the whole message: nothing is cut, and no character is
//! split.

use std::borrow::Cow;
use std::time::SystemTime;

use tungstenite::Message;

use super::cached_clock::CachedClock;
use crate::chat::member::ChatSession;
use crate::config::{Clock, Template};

/// How a session answers messages.
#[derive(Debug)]
pub(crate) enum Reply {
    /// `/echo`: the same bytes, of the same type.
    Echo,
    /// The tutorial's endpoints: one text, to text and binary messages.
    Tutorial(Template, CachedClock),
    /// `/chat`: the message goes to the room, whose events go to all members.
    Chat(ChatSession),
}

impl Reply {
    pub(crate) fn tutorial(template: Template, clock: Clock) -> Reply {
        Reply::Tutorial(template, CachedClock::new(clock))
    }

    /// The reply to a data message. `now` is called only if the reply shows the time. Not for
    /// [`Chat`](Reply::Chat): the session passes its messages to [`ChatSession::on_message`].
    pub(crate) fn reply(&mut self, message: Message, now: impl FnOnce() -> SystemTime) -> Message {
        let Reply::Tutorial(template, clock) = self else { return message };
        let text = match &message {
            Message::Text(text) => Cow::Borrowed(text.as_str()),
            Message::Binary(bytes) => String::from_utf8_lossy(bytes),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                return message;
            }
        };
        Message::text(template.render(&text, clock.text_at(now())))
    }

    /// The tutorial's reply to a text in pieces, one of which is the text itself; `None` for other endpoints.
    pub(super) fn pieces<'a>(
        &'a mut self,
        text: &'a str,
        now: impl FnOnce() -> SystemTime,
    ) -> Option<Vec<&'a [u8]>> {
        let Reply::Tutorial(template, clock) = self else { return None };
        let pieces = template.pieces(text, clock.text_at(now()));
        Some(pieces.map(str::as_bytes).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LONG_TIME;
    use std::time::{Duration, UNIX_EPOCH};

    fn tutorial() -> Reply {
        Reply::tutorial(Template::default(), Clock::utc(LONG_TIME).unwrap())
    }

    fn afternoon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(15 * 3600 + 4 * 60 + 5)
    }

    #[test]
    fn the_tutorial_answers_text_with_text() {
        let reply = tutorial().reply(Message::text("hello"), afternoon);
        assert_eq!(reply, Message::text("You sent: hello at 3:04:05 PM"));
    }

    #[test]
    fn pieces_are_the_same_reply() {
        let mut reply = tutorial();
        let pieces = reply.pieces("hello", afternoon).unwrap();
        assert_eq!(pieces.concat(), b"You sent: hello at 3:04:05 PM");
        assert_eq!(Reply::Echo.pieces("hello", afternoon), None);
    }

    #[test]
    fn the_tutorial_answers_binary_with_text_and_bad_bytes_become_fffd() {
        let reply = tutorial().reply(Message::binary(b"a\xff\xc3(b".to_vec()), afternoon);
        assert_eq!(reply, Message::text("You sent: a\u{fffd}\u{fffd}(b at 3:04:05 PM"));
    }

    #[test]
    fn an_empty_message_gets_a_reply() {
        let reply = tutorial().reply(Message::text(""), afternoon);
        assert_eq!(reply, Message::text("You sent:  at 3:04:05 PM"));
    }

    #[test]
    fn a_message_that_looks_like_a_placeholder_is_not_filled_in() {
        let reply = tutorial().reply(Message::text("{time}"), afternoon);
        assert_eq!(reply, Message::text("You sent: {time} at 3:04:05 PM"));
    }

    #[test]
    fn echo_keeps_bytes_and_type() {
        for message in [Message::text("é"), Message::binary(vec![0, 255]), Message::text("")] {
            assert_eq!(Reply::Echo.reply(message.clone(), afternoon), message);
        }
    }
}

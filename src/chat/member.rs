//! A member's turn to speak.
//!
//! What it is: the rules for what a member sends, and the Close for who breaks them.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::outbox::Outbox;
use super::rate::MessageRate;
use super::room::Membership;

/// A member who talks.
#[derive(Debug)]
pub(crate) struct ChatSession {
    member: Membership,
    rate: MessageRate,
}

/// A rule was broken: the Close that says so, and the option that sets the rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChatViolation {
    pub(crate) frame: CloseFrame,
    pub(crate) option: &'static str,
}

impl ChatSession {
    pub(crate) fn new(member: Membership, now: Instant) -> ChatSession {
        let rate = MessageRate::new(member.limits().rate, now);
        ChatSession { member, rate }
    }

    /// Through which the member is sent to.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        self.member.outbox()
    }

    /// See [`Membership::names`].
    pub(crate) fn names(&self) -> (&str, Option<String>) {
        self.member.names()
    }

    /// Says a message to the room.
    pub(crate) fn say(&mut self, message: &Message, now: Instant) -> Result<(), ChatViolation> {
        let limits = self.member.limits();
        let Message::Text(text) = message else {
            return Err(violation(CloseCode::Unsupported, "a chat is text".to_owned(), ""));
        };
        if text.len() > limits.message_size {
            let reason =
                format!("{} bytes are over the limit of {}", text.len(), limits.message_size);
            return Err(violation(CloseCode::Size, reason, "--chat-message-size"));
        }
        if !self.rate.allows(now) {
            let reason = format!("more than {} messages in a second", limits.rate);
            return Err(violation(CloseCode::Policy, reason, "--chat-rate"));
        }
        self.member.say(text, SystemTime::now());
        Ok(())
    }
}

fn violation(code: CloseCode, reason: String, option: &'static str) -> ChatViolation {
    ChatViolation { frame: CloseFrame { code, reason: reason.into() }, option }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::join_request::JoinRequest;
    use crate::chat::room::Rooms;
    use crate::config::ChatLimits;
    use std::time::UNIX_EPOCH;

    #[test]
    fn the_rules() {
        let now = Instant::now();
        let limits = ChatLimits { rate: 2, message_size: 3, ..ChatLimits::default() };
        let rooms = Arc::new(Rooms::new(limits));
        let outbox = Arc::new(Outbox::new(9));
        let join_request = JoinRequest { room: "r".to_owned(), name: None };
        let mut chat =
            ChatSession::new(rooms.join(join_request, &outbox, UNIX_EPOCH).unwrap(), now);
        let mut say = |message: Message| {
            chat.say(&message, now)
                .map_err(|violation| (u16::from(violation.frame.code), violation.option))
        };
        assert_eq!(say("abc".into()), Ok(()));
        assert_eq!(say("abcd".into()), Err((1009, "--chat-message-size")));
        assert_eq!(say(vec![0].into()), Err((1003, "")));
        assert_eq!(say("b".into()), Ok(()));
        assert_eq!(say("c".into()), Err((1008, "--chat-rate")));
    }
}

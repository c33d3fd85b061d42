//! A member's turn to speak.
//!
//! What it is: the rules for what a member sends, and the Close for who breaks them.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::outbox::Outbox;
use super::rate::Rate;
use super::room::Member;

/// A member who talks.
#[derive(Debug)]
pub(crate) struct Talk {
    member: Member,
    rate: Rate,
}

/// A rule was broken: the Close that says so, and the option that sets the rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foul {
    pub(crate) frame: CloseFrame,
    pub(crate) option: &'static str,
}

impl Talk {
    pub(crate) fn new(member: Member, now: Instant) -> Talk {
        let rate = Rate::new(member.limits().rate, now);
        Talk { member, rate }
    }

    /// Through which the member is sent to.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        self.member.outbox()
    }

    /// See [`Member::names`].
    pub(crate) fn names(&self) -> (&str, Option<String>) {
        self.member.names()
    }

    /// Says a message to the room.
    pub(crate) fn say(&mut self, message: &Message, now: Instant) -> Result<(), Foul> {
        let limits = self.member.limits();
        let Message::Text(text) = message else {
            return Err(foul(CloseCode::Unsupported, "a chat is text".to_owned(), ""));
        };
        if text.len() > limits.message_size {
            let reason =
                format!("{} bytes are over the limit of {}", text.len(), limits.message_size);
            return Err(foul(CloseCode::Size, reason, "--chat-message-size"));
        }
        if !self.rate.allows(now) {
            let reason = format!("more than {} messages in a second", limits.rate);
            return Err(foul(CloseCode::Policy, reason, "--chat-rate"));
        }
        self.member.say(text, SystemTime::now());
        Ok(())
    }
}

fn foul(code: CloseCode, reason: String, option: &'static str) -> Foul {
    Foul { frame: CloseFrame { code, reason: reason.into() }, option }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::room::Rooms;
    use crate::chat::ticket::Ticket;
    use crate::config::ChatLimits;
    use std::time::UNIX_EPOCH;

    #[test]
    fn the_rules() {
        let now = Instant::now();
        let limits = ChatLimits { rate: 2, message_size: 3, ..ChatLimits::default() };
        let rooms = Arc::new(Rooms::new(limits));
        let outbox = Arc::new(Outbox::new(9));
        let ticket = Ticket { room: "r".to_owned(), name: None };
        let mut talk = Talk::new(rooms.join(ticket, &outbox, UNIX_EPOCH).unwrap(), now);
        let mut say = |message: Message| {
            talk.say(&message, now).map_err(|foul| (u16::from(foul.frame.code), foul.option))
        };
        assert_eq!(say("abc".into()), Ok(()));
        assert_eq!(say("abcd".into()), Err((1009, "--chat-message-size")));
        assert_eq!(say(vec![0].into()), Err((1003, "")));
        assert_eq!(say("b".into()), Ok(()));
        assert_eq!(say("c".into()), Err((1008, "--chat-rate")));
    }
}

//! One member of a room, as its session sees it: the interface between `session` and `chat`.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::event::EncodedFrame;
use super::join_request::JoinRequest;
use super::room::{JoinError, Membership, Rooms};
use crate::config::chat::FRAMES_PER_WRITE;
use crate::frame::{FIN, TEXT, split, write_all_vectored};
use crate::metrics::tally::Tally;
use crate::net::waker::Waker;
use crate::token_bucket::TokenBucket;

/// See the module.
#[derive(Debug)]
pub(crate) struct ChatSession {
    membership: Membership,
    rate: TokenBucket,
}

/// The member broke a rule: the Close that tells it, and the option that sets the rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChatViolation {
    pub(crate) frame: CloseFrame,
    /// Empty if no option sets the rule.
    pub(crate) option: &'static str,
}

/// Why events did not reach the member.
#[derive(Debug)]
pub(crate) enum DeliveryError {
    /// The outbox has overflowed; the member is no longer in its room.
    TooSlow,
    Io(io::Error),
}

impl ChatSession {
    /// Joins a room. Its greeting waits to be delivered.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub(crate) fn join(
        rooms: &Arc<Rooms>,
        request: JoinRequest,
        now: Instant,
    ) -> Result<ChatSession, JoinError> {
        let membership = rooms.join(request, SystemTime::now())?;
        Ok(ChatSession { membership, rate: TokenBucket::per_second(rooms.limits().rate, now) })
    }

    /// Set when events wait to be delivered.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(self.membership.outbox().waker())
    }

    /// See [`Membership::names`].
    pub(crate) fn names(&self) -> (&str, Option<String>) {
        self.membership.names()
    }

    /// Sends a message of this member to the room.
    ///
    /// # Errors
    /// It breaks a rule.
    pub(crate) fn on_message(
        &mut self,
        message: &Message,
        now: Instant,
    ) -> Result<(), ChatViolation> {
        let limits = self.membership.limits();
        let Message::Text(text) = message else {
            return Err(violation(CloseCode::Unsupported, "a chat is text".to_owned(), ""));
        };
        if text.len() > limits.message_size {
            let reason =
                format!("{} bytes are over the limit of {}", text.len(), limits.message_size);
            return Err(violation(CloseCode::Size, reason, "--chat-message-size"));
        }
        if self.rate.take(now).is_none() {
            let reason = format!("more than {} messages in a second", limits.rate);
            return Err(violation(CloseCode::Policy, reason, "--chat-rate"));
        }
        self.membership.send(text, SystemTime::now());
        Ok(())
    }

    /// Writes the events that wait, and counts them.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub(crate) fn deliver(&self, out: &mut impl Write) -> Result<Tally, DeliveryError> {
        let outbox = self.membership.outbox();
        let frames = outbox.take().map_err(|_| DeliveryError::TooSlow)?;
        write_frames(&frames, out).map_err(|error| {
            // A member that stopped reading overflows before its write times out.
            if outbox.has_overflowed() { DeliveryError::TooSlow } else { DeliveryError::Io(error) }
        })?;
        let mut delivered = Tally::default();
        for frame in &frames {
            let (first, payload) = split(frame);
            debug_assert_eq!(first, FIN | TEXT, "events are whole text messages");
            delivered.add(payload.len());
        }
        Ok(delivered)
    }
}

fn violation(code: CloseCode, reason: String, option: &'static str) -> ChatViolation {
    ChatViolation { frame: CloseFrame { code, reason: reason.into() }, option }
}

/// Writes frames without copying them together.
fn write_frames(frames: &[EncodedFrame], out: &mut impl Write) -> io::Result<()> {
    frames.chunks(FRAMES_PER_WRITE).try_for_each(|frames| {
        let mut slices: Vec<_> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        write_all_vectored(out, &mut slices)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ChatLimits;
    use crate::message_memory::MessageMemory;
    use std::time::Duration;

    fn join(limits: ChatLimits) -> ChatSession {
        let request = JoinRequest { room: "r".to_owned(), name: None };
        let rooms = Rooms::new(limits, MessageMemory::new(usize::MAX));
        ChatSession::join(&Arc::new(rooms), request, Instant::now()).unwrap()
    }

    #[test]
    fn each_rule_has_its_close_code_and_its_option() {
        let mut chat = join(ChatLimits { rate: 2, message_size: 3, ..ChatLimits::default() });
        let now = Instant::now();
        let mut send = |message: Message| {
            chat.on_message(&message, now)
                .map_err(|violation| (u16::from(violation.frame.code), violation.option))
        };
        assert_eq!(send("abc".into()), Ok(()));
        assert_eq!(send("abcd".into()), Err((1009, "--chat-message-size")));
        assert_eq!(send(vec![0].into()), Err((1003, "")));
        assert_eq!(send("b".into()), Ok(()));
        assert_eq!(send("c".into()), Err((1008, "--chat-rate")));
        let later = now + Duration::from_millis(500);
        assert!(chat.on_message(&"d".into(), later).is_ok(), "one is allowed again");
        assert!(chat.on_message(&"e".into(), later).is_err());
    }

    /// A stream that takes few bytes at a time.
    struct ShortWrites(Vec<u8>);

    impl Write for ShortWrites {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(7);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn events_are_written_whole_and_counted() {
        let mut chat = join(ChatLimits { rate: 1000, ..ChatLimits::default() });
        for _ in 0..2 * FRAMES_PER_WRITE {
            chat.on_message(&Message::text("x".repeat(200)), Instant::now()).unwrap();
        }
        let mut out = ShortWrites(Vec::new());
        let delivered = chat.deliver(&mut out).unwrap();
        let events = 2 * FRAMES_PER_WRITE as u64 + 2; // welcome and join
        assert_eq!(delivered.messages, events);
        assert!(delivered.bytes < out.0.len() as u64, "headers are no payload");
        let mut rest = &out.0[..];
        let mut payload = 0;
        while let [0x81, length, ..] = *rest {
            let (header, length) = match length {
                126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
                short => (2, usize::from(short)),
            };
            payload += length as u64;
            rest = &rest[header + length..];
        }
        assert!(rest.is_empty());
        assert_eq!(payload, delivered.bytes);
    }

    #[test]
    fn a_broken_stream_and_an_overflow_are_told_apart() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut chat = join(ChatLimits { outbox: 2, rate: 1000, ..ChatLimits::default() });
        assert!(matches!(chat.deliver(&mut Broken), Err(DeliveryError::Io(_))));
        for _ in 0..3 {
            chat.on_message(&"x".into(), Instant::now()).unwrap();
        }
        assert!(matches!(chat.deliver(&mut Vec::new()), Err(DeliveryError::TooSlow)));
    }
}

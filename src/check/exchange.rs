//! The steps with messages: the first word of the server, and the echo.

use std::iter;
use std::time::{Duration, Instant};

use tungstenite::Message;

use super::limits::{COMPRESSIBLE_WORDS, WAIT_AFTER_OTHER};
use super::options::{Expected, MessageOptions};
use super::others::{OtherMessages, lossy};
use super::report::{Finding, RoundTrips, quoted};
use super::session::{CheckSession, NoAnswer};
use super::verdict::Verdict;

impl CheckSession<'_> {
    /// Waits for a message that the server sends by itself.
    ///
    /// # Errors
    /// What was received in its place.
    pub(crate) fn first(&mut self) -> Result<Finding, Finding> {
        let MessageOptions { expect, message, .. } = &self.options.messages;
        let expected = expect.as_ref().filter(|_| message.is_none());
        let mut others = OtherMessages::default();
        let timeout = self.options.connection.timeout();
        match self.ask(None, &mut others, timeout, |message| wanted(message, expected)) {
            Ok(message) => {
                let mut spoken = OtherMessages::default();
                spoken.add(&message);
                Ok(format!("{}{}", remarked(&spoken), others.before()).into())
            }
            Err(why) => Err(self.failure("first message", &why, &others)),
        }
    }

    /// Sends the messages, each one after the answer to the previous one. An answer that is no echo
    /// will do, unless `--expect` asks for another.
    ///
    /// # Errors
    /// What was received in place of an answer.
    pub(crate) fn echo(&mut self) -> Result<Finding, Finding> {
        let MessageOptions { count, ref expect, .. } = self.options.messages;
        let mut others = OtherMessages::default();
        let (mut times, mut first) = (Vec::new(), None);
        for number in 1..=count {
            let message = self.message(number);
            let started = Instant::now();
            let answered = match expect {
                Some(_) => self.ask_for(
                    &message,
                    &mut others,
                    self.options.connection.timeout(),
                    |reply| wanted(reply, expect.as_ref()).map(|reply| lossy(&reply).into_owned()),
                ),
                None => self.ask_for(&message, &mut others, WAIT_AFTER_OTHER, |reply| {
                    echo_of(&message, reply)
                }),
            };
            let reply = match answered {
                Ok(reply) => reply,
                Err(NoAnswer::Timeout) if expect.is_none() && others.count() > 0 => {
                    return Ok(no_echo(&others));
                }
                Err(why) => return Err(self.no_echo_because(number, &why, &others)),
            };
            times.push(started.elapsed());
            self.is_echo = expect.is_none() || reply.contains(&message);
            first.get_or_insert_with(|| format!("{}{}", quoted(&reply), others.before()));
        }
        let size = self.message(count).len();
        let round_trips = RoundTrips::of(times, size).filter(|_| count > 1).map(Box::new);
        Ok(Finding { detail: first.unwrap_or_default(), round_trips, ..Finding::default() })
    }

    /// Whether compression can be tried: it was agreed on, and the server is an echo.
    pub(crate) fn can_compress(&self) -> bool {
        self.is_echo && self.on_wire().is_some()
    }

    /// Sends a message that can be compressed well, and waits for its echo.
    ///
    /// # Errors
    /// What was received in place of the echo.
    pub(crate) fn deflate(&mut self) -> Result<Finding, Finding> {
        let message = "wsecho check ".repeat(COMPRESSIBLE_WORDS);
        let mut others = OtherMessages::default();
        let before = self.on_wire().unwrap_or_default();
        match self
            .ask_for(&message, &mut others, WAIT_AFTER_OTHER, |reply| echo_of(&message, reply))
        {
            Ok(_) => {
                let after = self.on_wire().unwrap_or_default();
                let (sent, received) = (after.sent - before.sent, after.received - before.received);
                let size = message.len();
                Ok(format!("{size} bytes are {sent} on the wire, and their echo {received}").into())
            }
            Err(why) => {
                let finding = self.failure("echo of a compressed message", &why, &others);
                let verdict = Verdict::new(
                    format!("Compression does not work: {}.", finding.detail),
                    "Try --no-compression; if that works, switch permessage-deflate off at the server.",
                );
                Err(Finding { verdict: Some(verdict.into()), ..finding })
            }
        }
    }

    fn ask_for(
        &mut self,
        message: &str,
        others: &mut OtherMessages,
        wait_after_other: Duration,
        answer: impl Fn(&Message) -> Option<String>,
    ) -> Result<String, NoAnswer> {
        self.ask(Some(Message::text(message)), others, wait_after_other, answer)
    }

    fn no_echo_because(&mut self, number: u32, why: &NoAnswer, others: &OtherMessages) -> Finding {
        let expected = match &self.options.messages.expect {
            Some(expected) => format!("message that matches {}", quoted(expected.text())),
            None => format!("echo of message {number}"),
        };
        let finding = self.failure(&expected, why, others);
        if let Some((_, Some(protocol))) = others.first() {
            let verdict = Verdict::new(
                format!("The server speaks {protocol}, and takes no plain message."),
                "Check it with --first, which sends none.",
            );
            return Finding { verdict: Some(verdict.into()), ..finding };
        }
        if self.options.messages.expect.is_none() && matches!(why, NoAnswer::Timeout) {
            let verdict = Verdict::new(
                format!("The server does not answer the message: {}.", finding.detail),
                "If it is no echo: --no-echo, --first if it speaks by itself, or --message and --expect.",
            );
            return Finding { verdict: Some(verdict.into()), ..finding };
        }
        finding
    }

    /// The text of a message: that of `--message`, or one with its number.
    fn message(&self, number: u32) -> String {
        let MessageOptions { count, size, ref message, .. } = self.options.messages;
        message.clone().unwrap_or_else(|| numbered(number, count, size))
    }
}

/// What an answer that is no echo says about the server.
fn no_echo(others: &OtherMessages) -> Finding {
    format!("{}, which is no echo", remarked(others)).into()
}

/// The first of the messages, with the protocol that it is of.
fn remarked(messages: &OtherMessages) -> String {
    match messages.first() {
        Some((text, Some(protocol))) => format!("{text}, of {protocol}"),
        Some((text, None)) => text.to_owned(),
        None => String::new(),
    }
}

/// The message, if it is a data message that `expected` matches; any will do without it.
fn wanted(message: &Message, expected: Option<&Expected>) -> Option<Message> {
    let is_data = message.is_text() || message.is_binary();
    let is_wanted = is_data && expected.is_none_or(|expected| expected.matches(&lossy(message)));
    is_wanted.then(|| message.clone())
}

/// Builds the text of a message. It has the same length for every number.
fn numbered(number: u32, count: u32, size: Option<usize>) -> String {
    let width = count.to_string().len();
    let mut text = format!("wsecho check {number:0width$}");
    if let Some(size) = size {
        text.extend(iter::repeat_n('.', size.saturating_sub(text.len())));
        text.truncate(size);
    }
    text
}

/// Returns the text of a reply that contains the message (many servers add text of their own);
/// `None` if it does not.
fn echo_of(message: &str, reply: &Message) -> Option<String> {
    let is_data = reply.is_text() || reply.is_binary();
    let text = is_data.then(|| lossy(reply))?;
    text.contains(message).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_configured_size() {
        assert_eq!(numbered(7, 100, None), "wsecho check 007");
        assert_eq!(numbered(1, 1, Some(20)), "wsecho check 1......");
        assert_eq!(numbered(1, 1, Some(4)), "wsec");
        assert_eq!(numbered(1, 1, Some(0)), "");
    }

    #[test]
    fn an_echo_contains_the_message() {
        let echo = |reply: Message| echo_of("abc", &reply);
        assert_eq!(echo(Message::text("abc")), Some("abc".to_owned()));
        assert_eq!(echo(Message::text("You sent: abc at")), Some("You sent: abc at".to_owned()));
        assert_eq!(echo(Message::binary(b"\xffabc".to_vec())), Some("\u{fffd}abc".to_owned()));
        assert_eq!(echo(Message::text("ab c")), None);
        assert_eq!(echo(Message::Pong("abc".into())), None);
    }

    #[test]
    fn an_expected_message_contains_the_text_or_matches_the_expression() {
        let is_wanted = |text: &str, expected: &str| {
            wanted(&Message::text(text), Some(&expected.parse().unwrap())).is_some()
        };
        assert!(is_wanted("an ack.", "ack."));
        assert!(is_wanted("ack 17", r"^ack \d+$"));
        assert!(is_wanted("a(b", "a(b"), "no valid expression");
        assert!(!is_wanted("nack", "^ack"));
        assert!(wanted(&Message::Pong("ack".into()), None).is_none());
    }
}

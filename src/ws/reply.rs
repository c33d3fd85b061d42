//! What is answered to a message.
//!
//! What it is: pure functions from a message (and the time) to the reply.
//! What it is not: I/O, or a clock.
//! Invariant: the reply holds the whole message; nothing is cut, and no character is split.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use tungstenite::Message;

use super::clock::{Clock, Watch};

/// The tutorial's reply.
pub const TUTORIAL_REPLY: &str = "You sent: {message} at {time}";

/// A reply with places for the message and the time.
///
/// ```
/// let template: wsecho::Template = "{time}: {message} {{sic}}".parse().unwrap();
/// assert_eq!(template.render("hello", "noon"), "noon: hello {sic}");
/// assert!("{massage}".parse::<wsecho::Template>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Message,
    Time,
}

impl Template {
    /// The reply to `message` at `time`.
    pub fn render(&self, message: &str, time: &str) -> String {
        let value = |part: &'_ Part| match part {
            Part::Literal(text) => text.len(),
            Part::Message => message.len(),
            Part::Time => time.len(),
        };
        let mut reply = String::with_capacity(self.0.iter().map(value).sum());
        for part in &self.0 {
            reply.push_str(match part {
                Part::Literal(text) => text,
                Part::Message => message,
                Part::Time => time,
            });
        }
        reply
    }
}

impl Default for Template {
    fn default() -> Self {
        TUTORIAL_REPLY.parse().expect("the tutorial's reply is a template")
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let position = text.len() - rest.len() + at;
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push_str(&rest[..1]);
                rest = after;
                continue;
            }
            let (part, after) = place(rest, position)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template(parts))
    }
}

/// The place that `rest` starts with, and what follows it. `position` is for the error.
fn place(rest: &str, position: usize) -> Result<(Part, &str), TemplateError> {
    for (name, part) in [("{message}", Part::Message), ("{time}", Part::Time)] {
        if let Some(after) = rest.strip_prefix(name) {
            return Ok((part, after));
        }
    }
    let found = rest.split_inclusive('}').next().unwrap_or(rest).to_owned();
    Err(TemplateError { position, found })
}

/// A template with a brace that opens no known place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    position: usize,
    found: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TemplateError { position, found } = self;
        write!(
            f,
            "`{found}` at byte index {position} is neither {{message}} nor {{time}}; \
             a brace of its own is written {{{{ or }}}}"
        )
    }
}

impl std::error::Error for TemplateError {}

/// How one session answers.
#[derive(Debug)]
pub(crate) enum Replier {
    /// `/echo`: the same bytes, the same type.
    Verbatim,
    /// The tutorial's endpoints: text or binary in, one text out.
    Tutorial(Template, Watch),
}

impl Replier {
    pub(crate) fn tutorial(template: Template, clock: Clock) -> Replier {
        Replier::Tutorial(template, Watch::new(clock))
    }

    /// The reply to a data message received `now`. Control messages have none.
    pub(crate) fn reply(&mut self, message: Message, now: SystemTime) -> Option<Message> {
        let Replier::Tutorial(template, watch) = self else {
            return (message.is_text() || message.is_binary()).then_some(message);
        };
        let text = match &message {
            Message::Text(text) => Cow::Borrowed(text.as_str()),
            Message::Binary(bytes) => String::from_utf8_lossy(bytes),
            _ => return None,
        };
        Some(Message::text(template.render(&text, watch.text_at(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::clock::LONG_TIME;
    use std::time::{Duration, UNIX_EPOCH};

    fn tutorial() -> Replier {
        Replier::tutorial(Template::default(), Clock::utc(LONG_TIME).unwrap())
    }

    fn afternoon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(15 * 3600 + 4 * 60 + 5)
    }

    #[test]
    fn the_tutorial_answers_text_with_text() {
        let reply = tutorial().reply(Message::text("hello"), afternoon());
        assert_eq!(reply, Some(Message::text("You sent: hello at 3:04:05 PM")));
    }

    #[test]
    fn the_tutorial_answers_binary_with_text_and_bad_bytes_become_fffd() {
        let reply = tutorial().reply(Message::binary(b"a\xff\xc3(b".to_vec()), afternoon());
        assert_eq!(reply, Some(Message::text("You sent: a\u{fffd}\u{fffd}(b at 3:04:05 PM")));
    }

    #[test]
    fn an_empty_message_is_a_message() {
        let reply = tutorial().reply(Message::text(""), afternoon());
        assert_eq!(reply, Some(Message::text("You sent:  at 3:04:05 PM")));
    }

    #[test]
    fn a_message_that_looks_like_a_place_is_not_filled_in() {
        let reply = tutorial().reply(Message::text("{time}"), afternoon());
        assert_eq!(reply, Some(Message::text("You sent: {time} at 3:04:05 PM")));
    }

    #[test]
    fn verbatim_keeps_bytes_and_type() {
        for message in [Message::text("é"), Message::binary(vec![0, 255]), Message::text("")] {
            assert_eq!(Replier::Verbatim.reply(message.clone(), afternoon()), Some(message));
        }
    }

    #[test]
    fn control_messages_have_no_reply() {
        for message in [Message::Ping("x".into()), Message::Pong("x".into()), Message::Close(None)]
        {
            assert_eq!(Replier::Verbatim.reply(message.clone(), afternoon()), None);
            assert_eq!(tutorial().reply(message, afternoon()), None);
        }
    }

    #[test]
    fn templates() {
        for (template, expected) in [
            ("{message}", "M"),
            ("", ""),
            ("no place", "no place"),
            ("{{message}}", "{message}"),
            ("{time}{message}{time}", "TMT"),
            ("é{message}é", "éMé"),
            ("{{{message}}}", "{M}"),
        ] {
            assert_eq!(template.parse::<Template>().unwrap().render("M", "T"), expected);
        }
    }

    #[test]
    fn a_bad_template_names_the_place() {
        for (template, position, found) in [
            ("{nmae}", 0, "{nmae}"),
            ("ok {message} {", 13, "{"),
            ("é}", 2, "}"),
            ("{message", 0, "{message"),
        ] {
            let expected = TemplateError { position, found: found.to_owned() };
            assert_eq!(template.parse::<Template>(), Err(expected));
        }
    }
}

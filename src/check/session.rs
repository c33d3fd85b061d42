//! The open WebSocket: echo, Ping, Close.
//!
//! What it is: one wait for each answer, and the words for what came instead.
//! What it is not: a judge of messages that nobody asked for; those are passed over.

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;
use std::iter;
use std::time::Instant;

use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};
use wsecho::close_code_meaning;

use super::limits::{OTHERS_SHOWN, READ_BUFFER, REPLY_ROOM};
use super::options::CheckOptions;
use super::reach::CheckStream;
use super::report::{Finding, RoundTrips, quoted};

/// The payload by which our Pong is known.
const PING: Bytes = Bytes::from_static(b"wsecho check");

/// A WebSocket that the server has accepted.
pub(crate) struct CheckSession<'a> {
    ws: WebSocket<CheckStream>,
    options: &'a CheckOptions,
    /// Whether nothing more can be asked.
    over: bool,
}

/// How a wait ended without its answer.
enum CheckEnd {
    Timeout,
    Closed(Option<CloseFrame>),
    /// The connection is of no more use; why, in words.
    Broken(String),
}

/// Data messages that answer nothing: how many, and the first ones.
#[derive(Default)]
struct OtherMessages {
    count: usize,
    shown: Vec<String>,
}

impl<'a> CheckSession<'a> {
    /// `early` arrived together with the handshake.
    pub(crate) fn new(
        line: CheckStream,
        early: Vec<u8>,
        options: &'a CheckOptions,
    ) -> CheckSession<'a> {
        let max_size = Some(options.size.unwrap_or_default() + REPLY_ROOM);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(max_size)
            .max_frame_size(max_size);
        let ws = WebSocket::from_partially_read(line, early, Role::Client, Some(config));
        CheckSession { ws, options, over: false }
    }

    /// Whether nothing more can be asked.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Sends the messages, each one after the echo of the one before it.
    ///
    /// # Errors
    /// What came instead of an echo.
    pub(crate) fn echo(&mut self) -> Result<Finding, Finding> {
        let CheckOptions { count, size, .. } = *self.options;
        let mut others = OtherMessages::default();
        let (mut times, mut first) = (Vec::new(), None);
        for number in 1..=count {
            let message = numbered(number, count, size);
            let started = Instant::now();
            let reply = self
                .ask(Message::text(&message), &mut others, |reply| echo_of(&message, reply))
                .map_err(|end| self.give_up(&format!("echo of message {number}"), &end, &others))?;
            times.push(started.elapsed());
            first.get_or_insert_with(|| format!("{}{}", quoted(&reply), others.before()));
        }
        let size = numbered(count, count, size).len();
        let round_trips = RoundTrips::of(times, size).filter(|_| count > 1).map(Box::new);
        Ok(Finding { detail: first.unwrap_or_default(), round_trips, ..Finding::default() })
    }

    /// Sends a Ping, and waits for its Pong.
    ///
    /// # Errors
    /// What came instead.
    pub(crate) fn ping(&mut self) -> Result<Finding, Finding> {
        let mut others = OtherMessages::default();
        let is_ours = |message: &Message| (*message == Message::Pong(PING)).then_some(());
        match self.ask(Message::Ping(PING), &mut others, is_ours) {
            Ok(()) => Ok(format!("Pong{}", others.before()).into()),
            Err(end) => Err(self.give_up("Pong", &end, &others)),
        }
    }

    /// Sends a Close, and waits for the server's, and then for the end of the connection.
    ///
    /// # Errors
    /// What came instead.
    pub(crate) fn close(&mut self) -> Result<Finding, Finding> {
        let mut others = OtherMessages::default();
        let close = Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }));
        let close_frame = |message: &Message| match message {
            Message::Close(frame) => Some(frame.clone()),
            _ => None,
        };
        let frame = self
            .ask(close, &mut others, close_frame)
            .map_err(|end| self.give_up("Close", &end, &others))?;
        let answer = format!("{}{}", in_words(frame.as_ref()), others.before());
        // RFC 6455, section 7.1.1: it is the server that ends the connection.
        match self.ws.read().map_err(CheckEnd::from) {
            Err(CheckEnd::Timeout) => {
                Err(format!("{answer}, but the connection stays open").into())
            }
            _ => Ok(answer.into()),
        }
    }

    /// Sends `question`, and reads until the answer.
    fn ask<T>(
        &mut self,
        question: Message,
        others: &mut OtherMessages,
        answer: impl Fn(&Message) -> Option<T>,
    ) -> Result<T, CheckEnd> {
        self.ws.get_mut().set_deadline(Instant::now() + self.options.timeout());
        self.ws.send(question)?;
        loop {
            let message = self.ws.read()?;
            match (answer(&message), message) {
                (Some(answer), _) => return Ok(answer),
                (None, Message::Close(frame)) => return Err(CheckEnd::Closed(frame)),
                (None, message) => others.note(&message),
            }
        }
    }

    /// What to say of an answer that has not come.
    fn give_up(&mut self, what: &str, end: &CheckEnd, others: &OtherMessages) -> Finding {
        self.over = !matches!(end, CheckEnd::Timeout);
        let why = match end {
            CheckEnd::Timeout => {
                format!("within {}", humantime::format_duration(self.options.timeout()))
            }
            CheckEnd::Closed(frame) => {
                // Our half of the closing handshake; the server may be gone already.
                let _ = self.ws.flush();
                format!("but a Close: {}", in_words(frame.as_ref()))
            }
            CheckEnd::Broken(why) => format!("but the end: {why}"),
        };
        format!("no {what} {why}; {others}").into()
    }
}

impl From<Error> for CheckEnd {
    fn from(error: Error) -> CheckEnd {
        CheckEnd::Broken(match error {
            Error::Io(error) => match error.kind() {
                ErrorKind::TimedOut => return CheckEnd::Timeout,
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    "the connection was reset".to_owned()
                }
                _ => error.to_string(),
            },
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | Error::ConnectionClosed
            | Error::AlreadyClosed => "the connection was closed without a Close".to_owned(),
            Error::Protocol(error) => format!("the server breaks the protocol: {error}"),
            Error::Utf8(_) => "the server breaks the protocol: text that is not UTF-8".to_owned(),
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                format!("a message of {size} bytes came, and {max_size} are read at most")
            }
            other => other.to_string(),
        })
    }
}

impl OtherMessages {
    /// Control messages are no news.
    fn note(&mut self, message: &Message) {
        if !message.is_text() && !message.is_binary() {
            return;
        }
        self.count += 1;
        if self.shown.len() < OTHERS_SHOWN {
            self.shown.push(quoted(&lossy(message)));
        }
    }

    /// What came before the answer, as the end of a line.
    fn before(&self) -> String {
        if self.count == 0 { String::new() } else { format!(" ({self})") }
    }
}

impl fmt::Display for OtherMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown.join(", ");
        let more = if self.count > self.shown.len() { ", …" } else { "" };
        match self.count {
            0 => f.write_str("no other message came"),
            1 => write!(f, "another message came: {shown}"),
            count => write!(f, "{count} other messages came: {shown}{more}"),
        }
    }
}

/// A message that its echo is known by, the same in length for every number.
fn numbered(number: u32, count: u32, size: Option<usize>) -> String {
    let width = count.to_string().len();
    let mut text = format!("wsecho check {number:0width$}");
    if let Some(size) = size {
        text.extend(iter::repeat_n('.', size.saturating_sub(text.len())));
        text.truncate(size);
    }
    text
}

/// The text of a reply that holds the message: many a server adds its own.
fn echo_of(message: &str, reply: &Message) -> Option<String> {
    let is_data = reply.is_text() || reply.is_binary();
    let text = is_data.then(|| lossy(reply))?;
    text.contains(message).then(|| text.into_owned())
}

fn lossy(message: &Message) -> Cow<'_, str> {
    match message {
        Message::Text(text) => Cow::Borrowed(text.as_str()),
        Message::Binary(bytes) => String::from_utf8_lossy(bytes),
        _ => Cow::Borrowed(""),
    }
}

/// Code, meaning and reason of a Close.
fn in_words(frame: Option<&CloseFrame>) -> String {
    let Some(CloseFrame { code, reason }) = frame else { return "without a code".to_owned() };
    let number = u16::from(*code);
    let meaning = close_code_meaning(number);
    if reason.is_empty() {
        format!("{number} ({meaning})")
    } else {
        format!("{number} ({meaning}) {}", quoted(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_size_that_was_asked_for() {
        assert_eq!(numbered(7, 100, None), "wsecho check 007");
        assert_eq!(numbered(1, 1, Some(20)), "wsecho check 1......");
        assert_eq!(numbered(1, 1, Some(4)), "wsec");
        assert_eq!(numbered(1, 1, Some(0)), "");
    }

    #[test]
    fn an_echo_holds_the_message() {
        let echo = |reply: Message| echo_of("abc", &reply);
        assert_eq!(echo(Message::text("abc")), Some("abc".to_owned()));
        assert_eq!(echo(Message::text("You sent: abc at")), Some("You sent: abc at".to_owned()));
        assert_eq!(echo(Message::binary(b"\xffabc".to_vec())), Some("\u{fffd}abc".to_owned()));
        assert_eq!(echo(Message::text("ab c")), None);
        assert_eq!(echo(Message::Pong("abc".into())), None);
    }

    #[test]
    fn other_messages_are_counted_and_the_first_ones_shown() {
        let mut others = OtherMessages::default();
        assert_eq!(others.before(), "");
        others.note(&Message::Ping("x".into()));
        assert_eq!(others.to_string(), "no other message came");
        others.note(&Message::text("a\u{7}"));
        assert_eq!(others.before(), r#" (another message came: "a\u{7}")"#);
        for text in ["b", "c", "d"] {
            others.note(&Message::text(text));
        }
        assert_eq!(others.to_string(), r#"4 other messages came: "a\u{7}", "b", "c", …"#);
    }

    #[test]
    fn a_close_in_words() {
        let frame = |code: u16, reason: &'static str| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        assert_eq!(in_words(None), "without a code");
        assert_eq!(in_words(Some(&frame(1001, ""))), "1001 (going away)");
        assert_eq!(
            in_words(Some(&frame(4001, "by\ne"))),
            r#"4001 (private to the application) "by\ne""#
        );
    }
}

//! The steps in the open WebSocket session: echo, Ping, Close.
//!
//! Each step sends one message and waits for its answer. Other messages are skipped, and reported.

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;
use std::iter;
use std::time::Instant;

use crate::session::close_codes::{close_code_meaning, close_code_name};
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::connect::CheckStream;
use super::limits::{OTHERS_SHOWN, READ_BUFFER, REPLY_OVERHEAD};
use super::options::CheckOptions;
use super::report::{Finding, RoundTrips, quoted};

/// The payload of the Ping, which its Pong repeats.
const PING: Bytes = Bytes::from_static(b"wsecho check");

/// An open WebSocket session.
pub(crate) struct CheckSession<'a> {
    ws: WebSocket<CheckStream>,
    options: &'a CheckOptions,
    is_closed: bool,
}

/// Why an expected answer was not received.
enum NoAnswer {
    Timeout,
    Closed(Option<CloseFrame>),
    /// The connection failed, as described.
    Failed(String),
}

/// Data messages that were not the expected answer: their number, and the first few.
#[derive(Default)]
struct OtherMessages {
    count: usize,
    shown: Vec<String>,
}

impl<'a> CheckSession<'a> {
    /// Starts the session. `early` is data that was received together with the response head.
    pub(crate) fn new(
        stream: CheckStream,
        early: Vec<u8>,
        options: &'a CheckOptions,
    ) -> CheckSession<'a> {
        let max_size = Some(options.size.unwrap_or_default() + REPLY_OVERHEAD);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(max_size)
            .max_frame_size(max_size);
        let ws = WebSocket::from_partially_read(stream, early, Role::Client, Some(config));
        CheckSession { ws, options, is_closed: false }
    }

    /// Whether the session is closed, or its connection has failed.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Sends the messages, each one after the echo of the previous one.
    ///
    /// # Errors
    /// Describes what was received in place of an echo.
    pub(crate) fn echo(&mut self) -> Result<Finding, Finding> {
        let CheckOptions { count, size, .. } = *self.options;
        let mut others = OtherMessages::default();
        let (mut times, mut first) = (Vec::new(), None);
        for number in 1..=count {
            let message = numbered(number, count, size);
            let started = Instant::now();
            let reply = self
                .ask(Message::text(&message), &mut others, |reply| echo_of(&message, reply))
                .map_err(|why| self.failure(&format!("echo of message {number}"), &why, &others))?;
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
    /// Describes what was received in place of the Pong.
    pub(crate) fn ping(&mut self) -> Result<Finding, Finding> {
        let mut others = OtherMessages::default();
        let pong = |message: &Message| (*message == Message::Pong(PING)).then_some(());
        match self.ask(Message::Ping(PING), &mut others, pong) {
            Ok(()) => Ok(format!("Pong{}", others.before()).into()),
            Err(why) => Err(self.failure("Pong", &why, &others)),
        }
    }

    /// Makes the closing handshake: sends a Close, waits for the server's Close, and then for the
    /// end of the connection.
    ///
    /// # Errors
    /// Describes what was received in place of the Close.
    pub(crate) fn close(&mut self) -> Result<Finding, Finding> {
        let mut others = OtherMessages::default();
        let close = Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }));
        let close_frame = |message: &Message| match message {
            Message::Close(frame) => Some(frame.clone()),
            _ => None,
        };
        let frame = self
            .ask(close, &mut others, close_frame)
            .map_err(|why| self.failure("Close", &why, &others))?;
        let answer = format!("{}{}", describe_close(frame.as_ref()), others.before());
        // RFC 6455, section 7.1.1: the server closes the TCP connection first.
        match self.ws.read().map_err(NoAnswer::from) {
            Err(NoAnswer::Timeout) => {
                Err(format!("{answer}, but the connection stays open").into())
            }
            _ => Ok(answer.into()),
        }
    }

    /// Sends `message`, and reads until `answer` returns `Some` for a message.
    fn ask<T>(
        &mut self,
        message: Message,
        others: &mut OtherMessages,
        answer: impl Fn(&Message) -> Option<T>,
    ) -> Result<T, NoAnswer> {
        self.ws.get_mut().set_deadline(Instant::now() + self.options.timeout());
        self.ws.send(message)?;
        loop {
            let message = self.ws.read()?;
            match (answer(&message), message) {
                (Some(answer), _) => return Ok(answer),
                (None, Message::Close(frame)) => return Err(NoAnswer::Closed(frame)),
                (None, message) => others.add(&message),
            }
        }
    }

    /// Describes why `expected` was not received. Answers a Close of the server.
    fn failure(&mut self, expected: &str, why: &NoAnswer, others: &OtherMessages) -> Finding {
        self.is_closed = !matches!(why, NoAnswer::Timeout);
        let why = match why {
            NoAnswer::Timeout => {
                format!(" within {}", humantime::format_duration(self.options.timeout()))
            }
            NoAnswer::Closed(frame) => {
                // tungstenite has queued our Close. The server may have closed the connection
                // already.
                let _ = self.ws.flush();
                format!(", but Close {}", describe_close(frame.as_ref()))
            }
            NoAnswer::Failed(why) => format!(": {why}"),
        };
        format!("no {expected}{why}; {others}").into()
    }
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> NoAnswer {
        NoAnswer::Failed(match error {
            Error::Io(error) => match error.kind() {
                ErrorKind::TimedOut => return NoAnswer::Timeout,
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                    "the connection was reset".to_owned()
                }
                _ => error.to_string(),
            },
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | Error::ConnectionClosed
            | Error::AlreadyClosed => "the connection was closed without a Close".to_owned(),
            Error::Protocol(error) => format!("the server violated the protocol: {error}"),
            Error::Utf8(_) => "the server violated the protocol: text that is not UTF-8".to_owned(),
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                format!("a message of {size} bytes exceeds the limit of {max_size}")
            }
            other => other.to_string(),
        })
    }
}

impl OtherMessages {
    /// Counts a data message. Ignores control messages.
    fn add(&mut self, message: &Message) {
        if !message.is_text() && !message.is_binary() {
            return;
        }
        self.count += 1;
        if self.shown.len() < OTHERS_SHOWN {
            self.shown.push(quoted(&lossy(message)));
        }
    }

    /// Formats the messages received before the answer, to append to a line; empty if none was.
    fn before(&self) -> String {
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

fn lossy(message: &Message) -> Cow<'_, str> {
    match message {
        Message::Text(text) => Cow::Borrowed(text.as_str()),
        Message::Binary(bytes) => String::from_utf8_lossy(bytes),
        _ => Cow::Borrowed(""),
    }
}

/// Formats the code of a Close, its name in IANA's registry, and the reason; without a reason, what
/// the code means.
fn describe_close(frame: Option<&CloseFrame>) -> String {
    let Some(CloseFrame { code, reason }) = frame else { return "without a code".to_owned() };
    let number = u16::from(*code);
    let name = close_code_name(number);
    match (number, reason.is_empty()) {
        (1000, true) => format!("{number} {name}"),
        (_, true) => format!("{number} {name}: {}", close_code_meaning(number)),
        (_, false) => format!("{number} {name} {}", quoted(reason)),
    }
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
    fn other_messages_are_counted_and_the_first_ones_shown() {
        let mut others = OtherMessages::default();
        assert_eq!(others.before(), "");
        others.add(&Message::Ping("x".into()));
        assert_eq!(others.to_string(), "no other message received");
        others.add(&Message::text("a\u{7}"));
        assert_eq!(others.before(), r#" (1 other message received: "a\u{7}")"#);
        for text in ["b", "c", "d"] {
            others.add(&Message::text(text));
        }
        assert_eq!(others.to_string(), r#"4 other messages received: "a\u{7}", "b", "c", …"#);
    }

    #[test]
    fn a_close_is_described_with_code_meaning_and_reason() {
        let frame = |code: u16, reason: &'static str| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        assert_eq!(describe_close(None), "without a code");
        assert_eq!(
            describe_close(Some(&frame(1001, ""))),
            "1001 Going Away: one end is leaving, such as a server that stops or a page that was left"
        );
        assert_eq!(describe_close(Some(&frame(4001, "by\ne"))), r#"4001 Private Use "by\ne""#);
    }
}

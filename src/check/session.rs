//! The open WebSocket session, and its steps Ping and Close; `exchange` has those with messages.
//!
//! Each step sends one message and waits for its answer. Other messages are skipped, and reported.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::session::close_codes::{close_code_meaning, close_code_name};
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::deflate::{DeflateStream, OnWire};
use super::limits::{READ_BUFFER, REPLY_OVERHEAD};
use super::options::CheckOptions;
use super::others::OtherMessages;
use super::report::{Finding, quoted};
use super::stream::CheckStream;
use super::upgrade::Upgraded;
use super::verdict::Verdict;

/// The payload of the Ping, which its Pong repeats.
const PING: Bytes = Bytes::from_static(b"wsecho check");

/// An open WebSocket session.
pub(crate) struct CheckSession<'a> {
    ws: WebSocket<DeflateStream<CheckStream>>,
    pub(super) options: &'a CheckOptions,
    is_closed: bool,
    /// Whether an answer contained its message.
    pub(super) is_echo: bool,
}

/// Why an expected answer was not received.
pub(super) enum NoAnswer {
    Timeout,
    Closed(Option<CloseFrame>),
    /// The connection failed, as described.
    Failed(String),
}

impl<'a> CheckSession<'a> {
    /// Starts the session.
    pub(crate) fn new(
        stream: CheckStream,
        upgraded: Upgraded,
        options: &'a CheckOptions,
    ) -> CheckSession<'a> {
        let Upgraded { mut early, compression } = upgraded;
        let max_size = options.messages.size.unwrap_or_default() + REPLY_OVERHEAD;
        let stream = DeflateStream::new(stream, compression, max_size, &mut early);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(max_size))
            .max_frame_size(Some(max_size));
        let ws = WebSocket::from_partially_read(stream, early, Role::Client, Some(config));
        CheckSession { ws, options, is_closed: false, is_echo: false }
    }

    /// The payload bytes of messages on the wire; `None` without compression.
    pub(crate) fn on_wire(&self) -> Option<OnWire> {
        self.ws.get_ref().on_wire()
    }

    /// Whether the session is closed, or its connection has failed.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Sends a Ping, and waits for its Pong.
    ///
    /// # Errors
    /// Describes what was received in place of the Pong.
    pub(crate) fn ping(&mut self) -> Result<Finding, Finding> {
        let mut others = OtherMessages::default();
        let pong = |message: &Message| (*message == Message::Pong(PING)).then_some(());
        match self.ask(
            Some(Message::Ping(PING)),
            &mut others,
            self.options.connection.timeout(),
            pong,
        ) {
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
            .ask(Some(close), &mut others, self.options.connection.timeout(), close_frame)
            .map_err(|why| self.failure("Close", &why, &others))?;
        let answer = format!("{}{}", describe_close(frame.as_ref()), others.before());
        // RFC 6455, section 7.1.1: the server closes the TCP connection first.
        match self.ws.read().map_err(NoAnswer::from) {
            Err(NoAnswer::Timeout) => Err(Verdict::new(
                format!("{answer}, but the connection stays open."),
                "Let the server close the TCP connection after both Closes (RFC 6455, 7.1.1).",
            )
            .into()),
            _ => Ok(answer.into()),
        }
    }

    /// Sends `message`, if there is one, and reads until `answer` returns `Some` for a message. Waits
    /// for `wait_after_other` at the most once another message has arrived.
    pub(super) fn ask<T>(
        &mut self,
        message: Option<Message>,
        others: &mut OtherMessages,
        wait_after_other: Duration,
        answer: impl Fn(&Message) -> Option<T>,
    ) -> Result<T, NoAnswer> {
        let deadline = Instant::now() + self.options.connection.timeout();
        self.ws.get_mut().get_mut().set_deadline(deadline);
        if let Some(message) = message {
            self.ws.send(message)?;
        }
        loop {
            let message = self.ws.read()?;
            match (answer(&message), message) {
                (Some(answer), _) => return Ok(answer),
                (None, Message::Close(frame)) => return Err(NoAnswer::Closed(frame)),
                (None, message) => {
                    if others.add(&message) && others.count() == 1 {
                        let sooner = deadline.min(Instant::now() + wait_after_other);
                        self.ws.get_mut().get_mut().set_deadline(sooner);
                    }
                }
            }
        }
    }

    /// Describes why `expected` was not received. Answers a Close of the server.
    pub(super) fn failure(
        &mut self,
        expected: &str,
        why: &NoAnswer,
        others: &OtherMessages,
    ) -> Finding {
        self.is_closed = !matches!(why, NoAnswer::Timeout);
        let mut fix = "Look at the log of the server: it, or a proxy, ended the session.";
        let why = match why {
            NoAnswer::Timeout => {
                fix = "Look whether the server answers this at all, and whether a proxy holds it back.";
                format!(" within {}", humantime::format_duration(self.options.connection.timeout()))
            }
            NoAnswer::Closed(frame) => {
                // tungstenite has queued our Close. The server may have closed the connection
                // already.
                let _ = self.ws.flush();
                format!(", but Close {}", describe_close(frame.as_ref()))
            }
            NoAnswer::Failed(why) => format!(": {why}"),
        };
        let detail = format!("no {expected}{why}; {others}");
        let verdict = Verdict::new(format!("The session has {detail}."), fix);
        let verdict = Some(verdict.into());
        Finding { detail, verdict, ..Finding::default() }
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

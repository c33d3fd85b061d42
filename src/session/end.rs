//! How a session ends: the causes, and what follows from each.
//!
//! [`Cause::plan`] is one table: the Close that is sent, the words of the log, and how the connection
//! is taken down.

use std::fmt;
use std::io;

use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::close_codes::close_code_name;
use super::deflate::InvalidDeflate;
use super::faults::ForcedEnd;
use super::keepalive::Expired;
use crate::chat::member::{ChatViolation, DeliveryError};
use crate::chat::room::JoinError;
use crate::config::tuning::FRAME_RATE_MIN;
use crate::message_memory::NO_MEMORY;
use crate::net::transport::WritePastDeadline;

/// Why a session ended.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The client sent a Close.
    ClientClosed(Option<CloseFrame>),
    /// The client sent a Close with this code, which must not be sent; `None` if it was not read alone.
    InvalidClose(Option<u16>),
    /// The client ended its side of the stream without a Close.
    ClientLeft,
    /// The client, or a middlebox, reset the connection.
    Reset,
    /// The client broke the protocol or the size limit.
    Violation(CloseFrame),
    /// The client broke a rule of the chat.
    ChatViolation(ChatViolation),
    /// The chat had no slot for the client.
    JoinRefused(JoinError),
    /// The chat member read too slowly, and its outbox overflowed.
    TooSlow,
    /// A message waited too long for memory.
    NoMemory,
    /// A time limit was reached.
    Expired(Expired),
    /// The client did not read.
    WriteTimeout,
    /// The session reached its maximum duration in a write, as the client reads slowly or not at all.
    WritePastDeadline,
    /// The server stops.
    Stop,
    /// Fault injection: the query parameters end the session.
    Forced(ForcedEnd),
    /// Fault injection: the time of `read=off` is over.
    ReadOff,
    /// Any other I/O error.
    Io(io::Error),
}

/// The end of a session as the log and the metrics tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    /// `client`, `server` or `network`.
    pub(crate) by: &'static str,
    /// `close`, `fin`, `rst` or `drop`.
    pub(crate) how: &'static str,
    /// The code of the Close.
    pub(crate) code: Option<u16>,
    /// The reason in the Close, or why there was no Close.
    pub(crate) reason: String,
    /// The option that set the limit; empty if no limit was reached.
    pub(crate) limit: &'static str,
}

/// What follows from a [`Cause`].
#[derive(Debug)]
pub(crate) struct EndPlan {
    pub(crate) end: SessionEnd,
    /// The Close to send; `None` if the client already sent one, or can no longer be reached.
    pub(super) close: Option<CloseFrame>,
    /// The Close that answers the client's, if tungstenite would send another; `None` if it answers.
    pub(super) answer: Option<CloseFrame>,
    pub(super) teardown: Teardown,
}

/// How the connection is taken down, after the Close if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teardown {
    /// Drive the closing handshake until both Closes are through.
    CloseHandshake,
    /// End the sending side: both Closes are through.
    Finish,
    /// End the sending side, and discard what arrives: after a broken frame nothing can be parsed.
    Linger,
    /// Make the connection end with a reset.
    Reset,
    /// Drop the connection.
    Drop,
}

impl Cause {
    /// The table. See the module.
    pub(crate) fn plan(&self) -> EndPlan {
        match self {
            Cause::ClientClosed(frame) => closed_by_client(frame.as_ref()),
            Cause::InvalidClose(code) => invalid_close(*code),
            Cause::ClientLeft => dropped("client", "fin", "no Close", ""),
            Cause::Reset => dropped("client", "rst", "no Close", ""),
            Cause::Violation(frame) => {
                let is_size = frame.code == CloseCode::Size;
                let limit = if is_size { "--max-message-size" } else { "" };
                EndPlan { teardown: Teardown::Linger, ..closed(frame.clone(), limit) }
            }
            Cause::ChatViolation(violation) => closed(violation.frame.clone(), violation.option),
            Cause::JoinRefused(error) => {
                closed(close(CloseCode::Again, &error.to_string()), error.option())
            }
            Cause::TooSlow => {
                closed(close(CloseCode::Again, "too many messages wait for you"), "--chat-outbox")
            }
            Cause::NoMemory => EndPlan {
                teardown: Teardown::Linger,
                ..closed(close(CloseCode::Again, NO_MEMORY), "--message-memory")
            },
            Cause::Expired(Expired::Ping) => {
                dropped("server", "drop", "nothing was received after a Ping", "--ping-timeout")
            }
            Cause::Expired(Expired::SlowFrame) => {
                let reason = format!("a frame brought fewer than {FRAME_RATE_MIN} bytes a second");
                closed(close(CloseCode::Policy, &reason), "--ping-timeout")
            }
            Cause::Expired(Expired::Idle) => {
                away("no data message within the idle timeout", "--idle-timeout")
            }
            Cause::Expired(Expired::Duration) => {
                away("the session has reached its longest duration", "--max-duration")
            }
            Cause::WriteTimeout => {
                dropped("server", "drop", "the client did not read", "--write-timeout")
            }
            Cause::WritePastDeadline => dropped(
                "server",
                "drop",
                "the session has reached its longest duration, and the client did not read",
                "--max-duration",
            ),
            Cause::Stop => away("the server is shutting down", ""),
            Cause::Forced(ForcedEnd::Close(code, reason)) => {
                closed(close(CloseCode::from(*code), reason), "")
            }
            Cause::Forced(ForcedEnd::Reset) => {
                EndPlan { teardown: Teardown::Reset, ..dropped("server", "rst", "abort=rst", "") }
            }
            Cause::Forced(ForcedEnd::Fin) => {
                EndPlan { teardown: Teardown::Linger, ..dropped("server", "fin", "abort=fin", "") }
            }
            Cause::ReadOff => away("the time of read=off is over", ""),
            Cause::Io(error) => dropped("network", "drop", &error.to_string(), ""),
        }
    }
}

/// The server sends this Close.
fn closed(frame: CloseFrame, limit: &'static str) -> EndPlan {
    let end = SessionEnd {
        by: "server",
        how: "close",
        code: Some(frame.code.into()),
        reason: frame.reason.to_string(),
        limit,
    };
    EndPlan { end, close: Some(frame), answer: None, teardown: Teardown::CloseHandshake }
}

fn away(reason: &str, limit: &'static str) -> EndPlan {
    closed(close(CloseCode::Away, reason), limit)
}

/// The client sent a Close. tungstenite answers it, except for 1014 (Bad Gateway), which it does not know.
fn closed_by_client(frame: Option<&CloseFrame>) -> EndPlan {
    let end = SessionEnd {
        by: "client",
        how: "close",
        code: frame.map(|frame| frame.code.into()),
        reason: frame.map(|frame| frame.reason.to_string()).unwrap_or_default(),
        limit: "",
    };
    match frame.filter(|frame| !frame.code.is_allowed()) {
        Some(frame) => answered(end, frame.clone()),
        None => EndPlan { end, close: None, answer: None, teardown: Teardown::CloseHandshake },
    }
}

/// The client sent a Close with a code that must not be sent.
fn invalid_close(code: Option<u16>) -> EndPlan {
    let code = code.map_or("a code that".to_owned(), |code| format!("{code}, which"));
    let reason = format!("the client sent a Close with {code} must not be sent");
    let frame = close(CloseCode::Protocol, &reason);
    answered(closed(frame.clone(), "").end, frame)
}

/// A Close that answers the client's. After both the connection ends.
fn answered(end: SessionEnd, frame: CloseFrame) -> EndPlan {
    EndPlan { end, close: None, answer: Some(frame), teardown: Teardown::Finish }
}

/// The connection ends without a Close.
fn dropped(by: &'static str, how: &'static str, reason: &str, limit: &'static str) -> EndPlan {
    let end = SessionEnd { by, how, code: None, reason: reason.to_owned(), limit };
    EndPlan { end, close: None, answer: None, teardown: Teardown::Drop }
}

fn close(code: CloseCode, reason: &str) -> CloseFrame {
    CloseFrame { code, reason: shortened(reason).into() }
}

/// Cuts a reason to what fits into a Close beside its code: RFC 6455, section 5.5.
fn shortened(reason: &str) -> String {
    const CLOSE_REASON_MAX: usize = 123;
    let mut reason = reason.to_owned();
    while reason.len() > CLOSE_REASON_MAX {
        reason.pop();
    }
    reason
}

impl SessionEnd {
    /// The labels `by`, `how` and `code` of the metrics. Codes that applications choose freely share
    /// one label, so that there are few.
    pub(crate) fn labels(&self) -> [&'static str; 3] {
        const REGISTERED: [&str; 16] = [
            "1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010",
            "1011", "1012", "1013", "1014", "1015",
        ];
        let code = match self.code {
            None => "",
            Some(code @ 1000..=1015) => REGISTERED[usize::from(code - 1000)],
            Some(3000..=3999) => "3xxx",
            Some(4000..=4999) => "4xxx",
            Some(_) => "other",
        };
        [self.by, self.how, code]
    }
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SessionEnd { by, how, code, reason, limit } = self;
        match (*how, code) {
            ("close", Some(code)) => {
                write!(f, "closed by the {by}: {code} {} {reason:?}", close_code_name(*code))?;
            }
            ("close", None) => write!(f, "closed by the {by} without a code")?,
            ("fin", _) => write!(f, "ended by the {by}: FIN, {reason}")?,
            ("rst", _) => write!(f, "reset by the {by}: RST, {reason}")?,
            _ => write!(f, "dropped by the {by}: {reason}")?,
        }
        if limit.is_empty() { Ok(()) } else { write!(f, " ({limit})") }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan().end.fmt(f)
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        let violation = |code, reason: &str| Cause::Violation(close(code, reason));
        match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Cause::ClientLeft,
            Error::Io(error) => error.into(),
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => violation(
                CloseCode::Size,
                &format!("{size} bytes are over the limit of {max_size}"),
            ),
            Error::Utf8(_) => violation(CloseCode::Invalid, "text that is not UTF-8"),
            // Protocol errors; the rest of tungstenite's errors belong to handshakes and clients.
            other => violation(CloseCode::Protocol, &other.to_string()),
        }
    }
}

/// Whether an `E` is the reason of `error`.
fn is_inside<E: std::error::Error + 'static>(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<E>)
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        if is_inside::<InvalidDeflate>(&error) {
            return Cause::Violation(close(CloseCode::Invalid, &error.to_string()));
        }
        match error.kind() {
            io::ErrorKind::TimedOut if is_inside::<WritePastDeadline>(&error) => {
                Cause::WritePastDeadline
            }
            io::ErrorKind::TimedOut => Cause::WriteTimeout,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Cause::Reset,
            io::ErrorKind::UnexpectedEof => Cause::ClientLeft,
            _ => Cause::Io(error),
        }
    }
}

impl From<DeliveryError> for Cause {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::TooSlow => Cause::TooSlow,
            DeliveryError::Io(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_log_line() {
        let frame = |code: u16, reason: &'static str| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        for (cause, words) in [
            (
                Cause::ClientClosed(Some(frame(1000, "by\u{1b}e"))),
                r#"closed by the client: 1000 Normal Closure "by\u{1b}e""#,
            ),
            (Cause::ClientClosed(None), "closed by the client without a code"),
            (
                Cause::ClientClosed(Some(frame(1014, "no answer"))),
                r#"closed by the client: 1014 Bad Gateway "no answer""#,
            ),
            (
                Cause::InvalidClose(Some(1005)),
                r#"closed by the server: 1002 Protocol Error "the client sent a Close with 1005, which must not be sent""#,
            ),
            (
                Cause::InvalidClose(None),
                r#"closed by the server: 1002 Protocol Error "the client sent a Close with a code that must not be sent""#,
            ),
            (Cause::ClientLeft, "ended by the client: FIN, no Close"),
            (Cause::Reset, "reset by the client: RST, no Close"),
            (
                Cause::Violation(frame(1009, "too much")),
                r#"closed by the server: 1009 Message Too Big "too much" (--max-message-size)"#,
            ),
            (
                Cause::Expired(Expired::Ping),
                "dropped by the server: nothing was received after a Ping (--ping-timeout)",
            ),
            (
                Cause::Expired(Expired::Duration),
                r#"closed by the server: 1001 Going Away "the session has reached its longest duration" (--max-duration)"#,
            ),
            (
                Cause::WriteTimeout,
                "dropped by the server: the client did not read (--write-timeout)",
            ),
            (Cause::Stop, r#"closed by the server: 1001 Going Away "the server is shutting down""#),
            (
                Cause::Forced(ForcedEnd::Close(4001, "bye".to_owned())),
                r#"closed by the server: 4001 Private Use "bye""#,
            ),
            (
                Cause::TooSlow,
                r#"closed by the server: 1013 Try Again Later "too many messages wait for you" (--chat-outbox)"#,
            ),
            (
                Cause::NoMemory,
                r#"closed by the server: 1013 Try Again Later "other messages take all of the server's message memory" (--message-memory)"#,
            ),
            (Cause::Forced(ForcedEnd::Reset), "reset by the server: RST, abort=rst"),
            (Cause::Io(io::Error::other("no route")), "dropped by the network: no route"),
        ] {
            assert_eq!(cause.to_string(), words);
        }
    }

    #[test]
    fn close_codes_map_to_a_bounded_set_of_labels() {
        for (code, label) in [
            (1000, "1000"),
            (1015, "1015"),
            (1016, "other"),
            (2999, "other"),
            (3000, "3xxx"),
            (4999, "4xxx"),
            (5000, "other"),
        ] {
            let ending = Cause::Forced(ForcedEnd::Close(code, "free".to_owned())).plan().end;
            assert_eq!(ending.labels(), ["server", "close", label]);
        }
        assert_eq!(Cause::Reset.plan().end.labels(), ["client", "rst", ""]);
    }

    #[test]
    fn a_long_reason_is_cut_to_fit_the_close() {
        let frame = Cause::Forced(ForcedEnd::Close(1000, "ä".repeat(100))).plan().close.unwrap();
        assert_eq!(frame.reason.as_str(), "ä".repeat(61));
    }
}

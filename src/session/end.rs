//! How sessions end, and how that is told: to the client by a Close, to the operator in words.
//!
//! What it is: the causes, and the words for them.
//! What it is not: the acts that end a session (`session`), or the log line (`connection`).
//! Invariant: who ended it, and how, is told in the same words in the log and on the page.

use std::fmt;
use std::io;

use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::deflate::InvalidDeflate;
use super::keepalive::Expired;
use crate::chat::member::ChatViolation;
use crate::chat::room::TOO_SLOW;
use crate::session::faults::ForcedEnd;

/// Why a session ended.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The client sent a Close.
    ClientClosed(Option<CloseFrame>),
    /// The client ended its side of the stream without a Close.
    ClientLeft,
    /// The client, or somebody between, reset the connection.
    Reset,
    /// The client broke the protocol or a limit, and was told so with this Close.
    Violation(CloseFrame),
    /// The client broke a rule of the chat.
    ChatViolation(ChatViolation),
    /// The member of a chat did not keep up; it was told, if it could be.
    TooSlow,
    /// The session reached a limit of time.
    Expired(Expired),
    /// The client did not read.
    WriteTimeout,
    /// The server stops.
    Stop,
    /// The client's own order.
    Forced(ForcedEnd),
    /// The client's own order not to read, and it was time.
    ReadOff,
    /// The operating system's word.
    Io(io::Error),
}

/// A cause in the words of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    /// `client`, `server` or `network`.
    pub(crate) by: &'static str,
    /// `close`, `fin`, `rst` or `drop`.
    pub(crate) how: &'static str,
    /// The code of the Close.
    pub(crate) code: Option<u16>,
    /// Its reason, or why there is none.
    pub(crate) reason: String,
    /// The option that set the limit, where there was one.
    pub(crate) limit: &'static str,
}

impl Cause {
    /// The Close that tells the client; none where it has said its own, or cannot read.
    pub(super) fn close_frame(&self) -> Option<CloseFrame> {
        let close = |code, reason: &str| Some(CloseFrame { code, reason: shorten(reason).into() });
        let away = |reason| close(CloseCode::Away, reason);
        match self {
            Cause::Violation(frame) | Cause::ChatViolation(ChatViolation { frame, .. }) => {
                Some(frame.clone())
            }
            Cause::Expired(Expired::Idle) => away("no data message within the idle timeout"),
            Cause::Expired(Expired::Duration) => away("the session's time is over"),
            Cause::Stop => away("the server is shutting down"),
            Cause::Forced(ForcedEnd::Close(code, reason)) => close(CloseCode::from(*code), reason),
            Cause::ReadOff => away("the time of read=off is over"),
            Cause::ClientClosed(_)
            | Cause::ClientLeft
            | Cause::Reset
            | Cause::TooSlow
            | Cause::Expired(Expired::Ping)
            | Cause::WriteTimeout
            | Cause::Forced(ForcedEnd::Reset | ForcedEnd::Fin)
            | Cause::Io(_) => None,
        }
    }

    /// The option whose limit was reached.
    fn limit(&self) -> &'static str {
        match self {
            Cause::Violation(frame) if frame.code == CloseCode::Size => "--max-message-size",
            Cause::ChatViolation(violation) => violation.option,
            Cause::TooSlow => "--chat-outbox",
            Cause::Expired(Expired::Ping) => "--ping-timeout",
            Cause::Expired(Expired::Idle) => "--idle-timeout",
            Cause::Expired(Expired::Duration) => "--max-duration",
            Cause::WriteTimeout => "--write-timeout",
            _ => "",
        }
    }
}

impl From<&Cause> for SessionEnd {
    fn from(cause: &Cause) -> SessionEnd {
        let end = |by, how, reason: &str| SessionEnd {
            by,
            how,
            code: None,
            reason: reason.to_owned(),
            limit: cause.limit(),
        };
        let close = |by, frame: CloseFrame| SessionEnd {
            code: Some(frame.code.into()),
            ..end(by, "close", &frame.reason)
        };
        match cause {
            Cause::ClientClosed(Some(frame)) => close("client", frame.clone()),
            Cause::ClientClosed(None) => end("client", "close", ""),
            Cause::ClientLeft => end("client", "fin", "no Close"),
            Cause::Reset => end("client", "rst", "no Close"),
            Cause::Expired(Expired::Ping) => {
                end("server", "drop", "nothing was heard after a Ping")
            }
            Cause::WriteTimeout => end("server", "drop", "the client did not read"),
            Cause::Forced(ForcedEnd::Reset) => end("server", "rst", "abort=rst"),
            Cause::Forced(ForcedEnd::Fin) => end("server", "fin", "abort=fin"),
            Cause::Io(error) => end("network", "drop", &error.to_string()),
            Cause::TooSlow => {
                close("server", CloseFrame { code: CloseCode::Again, reason: TOO_SLOW.into() })
            }
            Cause::Violation(_)
            | Cause::ChatViolation(_)
            | Cause::Expired(Expired::Idle | Expired::Duration)
            | Cause::Stop
            | Cause::Forced(ForcedEnd::Close(..))
            | Cause::ReadOff => match cause.close_frame() {
                Some(frame) => close("server", frame),
                None => end("server", "close", ""),
            },
        }
    }
}

impl SessionEnd {
    /// Who, how and with which code, in words of which there are few: what applications may choose
    /// freely is one of them.
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
                write!(f, "closed by the {by}: {code} ({}) {reason:?}", meaning(*code))?;
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
        SessionEnd::from(self).fmt(f)
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        let violation = |code, reason: &str| {
            Cause::Violation(CloseFrame { code, reason: shorten(reason).into() })
        };
        match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Cause::ClientLeft,
            Error::Io(error) if error.get_ref().is_some_and(is_invalid) => {
                violation(CloseCode::Invalid, &error.to_string())
            }
            Error::Io(error) => match error.kind() {
                io::ErrorKind::TimedOut => Cause::WriteTimeout,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Cause::Reset,
                io::ErrorKind::UnexpectedEof => Cause::ClientLeft,
                _ => Cause::Io(error),
            },
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

/// Whether a compressed message could not be inflated.
fn is_invalid(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<InvalidDeflate>()
}

/// Cuts a reason to what fits a Close beside its code.
fn shorten(reason: &str) -> String {
    const CLOSE_REASON_MAX: usize = 123;
    let mut reason = reason.to_owned();
    while reason.len() > CLOSE_REASON_MAX {
        reason.pop();
    }
    reason
}

/// What RFC 6455 and its registry mean by the code of a Close, in the words that the log and the page
/// have for it.
pub fn meaning(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "data of this type is not accepted",
        1005 => "no code was given",
        1006 => "lost without a closing handshake",
        1007 => "the data is not what its type says",
        1008 => "against the policy",
        1009 => "the message is too big",
        1010 => "an extension is missing",
        1011 => "internal error",
        1012 => "the service restarts",
        1013 => "try again later",
        1014 => "bad gateway",
        1015 => "TLS failed",
        3000..=3999 => "of a library or framework",
        4000..=4999 => "private to the application",
        _ => "unassigned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_in_words() {
        let frame = |code: u16, reason: &'static str| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        for (cause, words) in [
            (
                Cause::ClientClosed(Some(frame(1000, "by\u{1b}e"))),
                r#"closed by the client: 1000 (normal closure) "by\u{1b}e""#,
            ),
            (Cause::ClientClosed(None), "closed by the client without a code"),
            (Cause::ClientLeft, "ended by the client: FIN, no Close"),
            (Cause::Reset, "reset by the client: RST, no Close"),
            (
                Cause::Violation(frame(1009, "too much")),
                r#"closed by the server: 1009 (the message is too big) "too much" (--max-message-size)"#,
            ),
            (
                Cause::Expired(Expired::Ping),
                "dropped by the server: nothing was heard after a Ping (--ping-timeout)",
            ),
            (
                Cause::Expired(Expired::Duration),
                r#"closed by the server: 1001 (going away) "the session's time is over" (--max-duration)"#,
            ),
            (
                Cause::WriteTimeout,
                "dropped by the server: the client did not read (--write-timeout)",
            ),
            (
                Cause::Stop,
                r#"closed by the server: 1001 (going away) "the server is shutting down""#,
            ),
            (
                Cause::Forced(ForcedEnd::Close(4001, "bye".to_owned())),
                r#"closed by the server: 4001 (private to the application) "bye""#,
            ),
            (
                Cause::TooSlow,
                r#"closed by the server: 1013 (try again later) "too many messages are waiting for you" (--chat-outbox)"#,
            ),
            (Cause::Forced(ForcedEnd::Reset), "reset by the server: RST, abort=rst"),
            (Cause::Io(io::Error::other("no route")), "dropped by the network: no route"),
        ] {
            assert_eq!(cause.to_string(), words);
        }
    }

    #[test]
    fn labels_are_few() {
        for (code, label) in [
            (1000, "1000"),
            (1015, "1015"),
            (1016, "other"),
            (2999, "other"),
            (3000, "3xxx"),
            (4999, "4xxx"),
            (5000, "other"),
        ] {
            let ending =
                SessionEnd::from(&Cause::Forced(ForcedEnd::Close(code, "free".to_owned())));
            assert_eq!(ending.labels(), ["server", "close", label]);
        }
        assert_eq!(SessionEnd::from(&Cause::Reset).labels(), ["client", "rst", ""]);
    }

    #[test]
    fn a_reason_fits_its_close() {
        let frame = Cause::Forced(ForcedEnd::Close(1000, "ä".repeat(100))).close_frame().unwrap();
        assert_eq!(frame.reason.as_str(), "ä".repeat(61));
    }

    #[test]
    fn the_page_means_the_same_by_a_code() {
        let page = include_str!("../../www/client.js");
        for code in (1000..1016).filter(|code| *code != 1004) {
            let entry = format!("{code}: \"{}\"", meaning(code));
            assert!(page.contains(&entry), "{entry}");
        }
    }
}

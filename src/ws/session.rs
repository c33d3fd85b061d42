//! One WebSocket session: read, reply, write, until the closing handshake is done.
//!
//! What it is: the loop around tungstenite, and the one place that knows how a session ended.
//! What it is not: the handshake (`http::upgrade`), or the log line (`connection`).
//! Invariants: a message that arrived whole before our Close is answered. A peer that can still
//! read is told why its session ends.

use std::fmt;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::keepalive::{Due, Expired, Keepalive};
use super::reply::Replier;
use crate::config::Config;
use crate::config::tuning::{SESSION_READ_BUFFER, STOP_POLL, STOP_REPLIES};
use crate::net::linger::linger;
use crate::net::socket::{Patience, Transport};

/// How a session ended, and what it did.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) cause: Cause,
    /// Data messages received and answered.
    pub(crate) received: u64,
    pub(crate) answered: u64,
}

/// Why a session ended.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The peer sent a Close.
    PeerClosed(Option<CloseFrame>),
    /// The peer ended the connection without a Close.
    PeerLeft,
    /// The peer broke the protocol or a limit, and was told so with this Close.
    Violation(CloseFrame),
    /// The session reached a limit of time.
    Expired(Expired),
    /// The peer did not read.
    WriteTimeout,
    /// The server stops.
    Stop,
    /// The operating system's word.
    Io(io::Error),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::PeerClosed(None) => f.write_str("closed by the peer without a code"),
            Cause::PeerClosed(Some(frame)) => {
                write!(
                    f,
                    "closed by the peer: {} {:?}",
                    u16::from(frame.code),
                    frame.reason.as_str()
                )
            }
            Cause::PeerLeft => f.write_str("the peer left without a Close"),
            Cause::Violation(frame) => {
                write!(
                    f,
                    "closed by the server: {} {:?}",
                    u16::from(frame.code),
                    frame.reason.as_str()
                )
            }
            Cause::Expired(Expired::Ping) => {
                f.write_str("dropped: nothing was heard after a Ping (--ping-timeout)")
            }
            Cause::Expired(Expired::Idle) => {
                f.write_str("closed by the server: no data message (--idle-timeout)")
            }
            Cause::Expired(Expired::Duration) => {
                f.write_str("closed by the server: the session's time was over (--max-duration)")
            }
            Cause::WriteTimeout => f.write_str("dropped: the peer did not read (--write-timeout)"),
            Cause::Stop => f.write_str("closed by the server: it stops"),
            Cause::Io(error) => write!(f, "dropped: {error}"),
        }
    }
}

impl Cause {
    /// The Close that tells the peer; none where it has said its own, or cannot read.
    fn close_frame(&self) -> Option<CloseFrame> {
        let away =
            |reason: &'static str| CloseFrame { code: CloseCode::Away, reason: reason.into() };
        match self {
            Cause::Violation(frame) => Some(frame.clone()),
            Cause::Expired(Expired::Idle) => Some(away("no data message within the idle timeout")),
            Cause::Expired(Expired::Duration) => Some(away("the session's time is over")),
            Cause::Stop => Some(away("the server is shutting down")),
            Cause::PeerClosed(_)
            | Cause::PeerLeft
            | Cause::Expired(Expired::Ping)
            | Cause::WriteTimeout
            | Cause::Io(_) => None,
        }
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        let violation =
            |code, reason: String| Cause::Violation(CloseFrame { code, reason: reason.into() });
        match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Cause::PeerLeft,
            Error::Io(error) => match error.kind() {
                io::ErrorKind::TimedOut => Cause::WriteTimeout,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => Cause::PeerLeft,
                _ => Cause::Io(error),
            },
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => violation(
                CloseCode::Size,
                format!("{size} bytes are over the limit of {max_size} (--max-message-size)"),
            ),
            Error::Utf8(_) => violation(CloseCode::Invalid, "text that is not UTF-8".to_owned()),
            // Protocol errors; the rest of tungstenite's errors belong to handshakes and clients.
            other => violation(CloseCode::Protocol, shorten(other.to_string())),
        }
    }
}

/// Cuts a reason to what fits a Close beside its code.
fn shorten(mut reason: String) -> String {
    const CLOSE_REASON_MAX: usize = 123;
    while reason.len() > CLOSE_REASON_MAX {
        reason.pop();
    }
    reason
}

/// Serves an accepted WebSocket to its end. `early` arrived together with the handshake.
pub(crate) fn run<T: Transport>(
    transport: T,
    early: Vec<u8>,
    replier: Replier,
    config: &Config,
) -> Report {
    let max_size = Some(config.limits.max_message_size);
    let ws_config = WebSocketConfig::default()
        .read_buffer_size(SESSION_READ_BUFFER)
        // The transport collects output, and sends it before the next read waits.
        .write_buffer_size(0)
        .max_message_size(max_size)
        .max_frame_size(max_size);
    let ws = WebSocket::from_partially_read(transport, early, Role::Server, Some(ws_config));
    let keepalive = Keepalive::new(&config.timeouts, Instant::now());
    let mut session = Session { ws, replier, keepalive, stop_seen: None, received: 0, answered: 0 };
    let cause = session.converse();
    session.part(&cause, config.timeouts.close);
    Report { cause, received: session.received, answered: session.answered }
}

struct Session<'a, T> {
    ws: WebSocket<T>,
    replier: Replier,
    keepalive: Keepalive<'a>,
    /// When a message was first answered after the stop.
    stop_seen: Option<Instant>,
    received: u64,
    answered: u64,
}

impl<T: Transport> Session<'_, T> {
    /// Reads and replies until there is a cause to end.
    fn converse(&mut self) -> Cause {
        self.set_patience();
        loop {
            let step = match self.ws.read() {
                Ok(Message::Close(frame)) => return Cause::PeerClosed(frame),
                Ok(message) => self.hear(message),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => self.wake(),
                Err(error) => Err(error.into()),
            };
            if let Err(cause) = step {
                return cause;
            }
        }
    }

    /// A frame arrived: note the life, answer a message.
    fn hear(&mut self, message: Message) -> Result<(), Cause> {
        let now = self.ws.get_ref().last_heard();
        let is_data = message.is_text() || message.is_binary();
        if self.keepalive.heard(is_data, now) {
            self.set_patience();
        }
        self.received += u64::from(is_data);
        if let Some(reply) = self.replier.reply(message, SystemTime::now) {
            self.ws.write(reply)?;
            self.answered += 1;
        }
        if self.ws.get_ref().stopping() {
            let since = *self.stop_seen.get_or_insert(now);
            if now.duration_since(since) >= STOP_REPLIES {
                return Err(Cause::Stop);
            }
        }
        match self.keepalive.due(now) {
            Due::End(expired) => Err(Cause::Expired(expired)),
            Due::Ping | Due::Nothing => Ok(()),
        }
    }

    /// Nothing arrived for as long as patience reached, or the server stops.
    fn wake(&mut self) -> Result<(), Cause> {
        if self.ws.get_ref().stopping() {
            return Err(Cause::Stop);
        }
        let now = Instant::now();
        match self.keepalive.due(now) {
            Due::End(expired) => return Err(Cause::Expired(expired)),
            Due::Ping => {
                self.ws.send(Message::Ping(Bytes::new()))?;
                self.keepalive.pinged(now);
            }
            Due::Nothing => {}
        }
        self.set_patience();
        Ok(())
    }

    fn set_patience(&mut self) {
        let patience = self.keepalive.patience();
        self.ws.get_mut().set_patience(patience);
    }

    /// Ends the session as its cause demands.
    fn part(&mut self, cause: &Cause, timeout: Duration) {
        if let Some(frame) = cause.close_frame() {
            // A Pong that is due goes first; tungstenite alone would send it after the Close.
            let told = self.ws.flush().and_then(|()| self.ws.close(Some(frame)));
            if told.is_err() {
                return;
            }
        }
        match cause {
            // What follows a broken frame cannot be parsed.
            Cause::Violation(_) => linger(self.ws.get_mut(), timeout),
            Cause::PeerClosed(_)
            | Cause::Stop
            | Cause::Expired(Expired::Idle | Expired::Duration) => {
                self.finish_handshake(Instant::now() + timeout);
            }
            Cause::PeerLeft
            | Cause::WriteTimeout
            | Cause::Expired(Expired::Ping)
            | Cause::Io(_) => {}
        }
    }

    /// Drives the closing handshake until both Closes are through.
    fn finish_handshake(&mut self, deadline: Instant) {
        self.ws.get_mut().set_patience(Patience::until(deadline));
        while Instant::now() < deadline {
            match self.ws.read() {
                Ok(_) => {}
                Err(Error::Io(error))
                    if error.kind() == io::ErrorKind::WouldBlock
                        && self.ws.get_ref().stopping() =>
                {
                    std::thread::sleep(STOP_POLL);
                }
                // Done, or the peer is gone.
                Err(_) => break,
            }
        }
        // tungstenite reports the end of the handshake before it flushes.
        let _ = self.ws.get_mut().finish();
    }
}

//! One WebSocket session: read, reply, write, until the closing handshake is done.
//!
//! What it is: the loop around tungstenite, and the one place that knows how a session ended.
//! What it is not: the handshake (`http::upgrade`), the words (`ending`), or the log line
//! (`connection`).
//! Invariants: a message that arrived whole before our Close is answered. A client that can still
//! read is told why its session ends.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use log::{info, log_enabled, trace};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::ending::Cause;
use super::keepalive::{Due, Expired, Heard, Keepalive};
use super::reply::Replier;
use super::script::Script;
use super::unruly::Unruly;
use crate::config::Config;
use crate::config::control::READ_OFF_MAX;
use crate::config::tuning::{SESSION_READ_BUFFER, STOP_POLL, STOP_REPLIES};
use crate::control::{End, SessionOrders};
use crate::net::linger::linger;
use crate::net::socket::{Patience, Transport};

/// A first message that asks what the server saw of the handshake.
const INFO_REQUEST: &str = "?info";

/// What a session begins with.
pub(crate) struct Opening {
    /// In the log.
    pub(crate) number: u64,
    /// What arrived together with the handshake.
    pub(crate) early: Vec<u8>,
    pub(crate) replier: Replier,
    /// None for an ordinary session.
    pub(crate) orders: Option<Box<SessionOrders>>,
    /// The answer to a first message that is `?info`.
    pub(crate) introduction: Box<dyn FnOnce() -> String>,
}

/// How a session ended, and what it did.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) cause: Cause,
    /// Data messages and their payload bytes.
    pub(crate) received: Count,
    pub(crate) answered: Count,
    /// From the last Ping that was answered to its Pong.
    pub(crate) round_trip: Option<Duration>,
}

/// Messages, and bytes of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Count {
    fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += message.len() as u64;
    }
}

/// Serves an accepted WebSocket to its end.
pub(crate) fn run<T: Transport>(transport: T, opening: Opening, config: &Config) -> Report {
    match opening.orders.as_ref().and_then(|orders| Some((orders.frames?, orders.after))) {
        None => serve(transport, opening, config),
        Some((frames, good)) => serve(Unruly::new(transport, frames, good), opening, config),
    }
}

fn serve<T: Transport>(transport: T, opening: Opening, config: &Config) -> Report {
    let Opening { number, early, replier, orders, introduction } = opening;
    let max_size = Some(config.limits.max_message_size);
    let ws_config = WebSocketConfig::default()
        .read_buffer_size(SESSION_READ_BUFFER)
        // The transport collects output, and sends it before the next read waits.
        .write_buffer_size(0)
        .max_message_size(max_size)
        .max_frame_size(max_size);
    let now = Instant::now();
    let mut session = Session {
        ws: WebSocket::from_partially_read(transport, early, Role::Server, Some(ws_config)),
        number,
        replier,
        introduction: Some(introduction),
        script: orders.map(|orders| Box::new(Script::new(*orders, now))),
        keepalive: Keepalive::new(&config.timeouts, now),
        log_payload: config.log_payload,
        stop_seen: None,
        received: Count::default(),
        answered: Count::default(),
    };
    let cause = session.converse();
    session.part(&cause, config.timeouts.close);
    let Session { received, answered, keepalive, .. } = session;
    Report { cause, received, answered, round_trip: keepalive.round_trip() }
}

struct Session<'a, T> {
    ws: WebSocket<T>,
    number: u64,
    replier: Replier,
    /// Until the first message.
    introduction: Option<Box<dyn FnOnce() -> String>>,
    script: Option<Box<Script>>,
    keepalive: Keepalive<'a>,
    log_payload: Option<usize>,
    /// When a message was first answered after the stop.
    stop_seen: Option<Instant>,
    received: Count,
    answered: Count,
}

impl<T: Transport> Session<'_, T> {
    /// Reads and replies until there is a cause to end.
    fn converse(&mut self) -> Cause {
        self.set_patience();
        if let Some(cause) = self.open_by_script() {
            return cause;
        }
        loop {
            let step = match self.ws.read() {
                Ok(Message::Close(frame)) => return Cause::ClientClosed(frame),
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
        if self.keepalive.heard(Heard::from(&message), now) {
            self.set_patience();
        }
        self.note("in", &message);
        if message.is_text() || message.is_binary() {
            self.received.add(&message);
            self.answer(message)?;
        }
        if self.ws.get_ref().stopping() {
            let since = *self.stop_seen.get_or_insert(now);
            if now.duration_since(since) >= STOP_REPLIES {
                return Err(Cause::Stop);
            }
        }
        match self.keepalive.due(now) {
            Due::End(expired) => Err(Cause::Expired(expired)),
            Due::Ping | Due::Nothing => self.follow_script(now),
        }
    }

    fn answer(&mut self, message: Message) -> Result<(), Cause> {
        let introduction = self.introduction.take();
        let reply = match introduction {
            Some(introduce) if asks_for_info(&message) => Message::text(introduce()),
            _ => self.replier.reply(message, SystemTime::now),
        };
        let reply = if self.script.is_some() { self.direct(reply)? } else { reply };
        self.note("out", &reply);
        let mut answered = self.answered;
        answered.add(&reply);
        self.ws.write(reply)?;
        self.answered = answered;
        Ok(())
    }

    /// Nothing arrived for as long as patience reached, or the server stops.
    fn wake(&mut self) -> Result<(), Cause> {
        if self.ws.get_ref().stopping() {
            return Err(Cause::Stop);
        }
        let now = Instant::now();
        match self.keepalive.due(now) {
            Due::End(expired) => return Err(Cause::Expired(expired)),
            Due::Ping => self.ping(now)?,
            Due::Nothing => self.follow_script(now)?,
        }
        self.set_patience();
        Ok(())
    }

    fn ping(&mut self, now: Instant) -> Result<(), Cause> {
        self.ws.send(Message::Ping(Bytes::new()))?;
        self.keepalive.pinged(now);
        Ok(())
    }

    fn set_patience(&mut self) {
        let patience = self.keepalive.patience();
        let patience = self.script.as_ref().map_or(patience, |script| script.patience(patience));
        self.ws.get_mut().set_patience(patience);
    }

    /// Logs a message, if that was asked for.
    fn note(&self, direction: &str, message: &Message) {
        if self.log_payload.is_some() || log_enabled!(log::Level::Trace) {
            self.log(direction, message);
        }
    }

    #[cold]
    fn log(&self, direction: &str, message: &Message) {
        let (number, length) = (self.number, message.len());
        let kind = match message {
            Message::Text(_) => "text",
            Message::Binary(_) => "binary",
            Message::Ping(_) => "Ping",
            Message::Pong(_) => "Pong",
            Message::Close(_) | Message::Frame(_) => "frame",
        };
        match (self.log_payload, message) {
            (Some(limit), Message::Text(text)) => {
                let shown: String = text.chars().take(limit).collect();
                info!("session {number} {direction}: {kind}, {length} bytes: {shown:?}");
            }
            (Some(limit), Message::Binary(bytes)) => {
                let shown = bytes[..length.min(limit)].escape_ascii();
                info!("session {number} {direction}: {kind}, {length} bytes: \"{shown}\"");
            }
            _ => trace!("session {number} {direction}: {kind}, {length} bytes"),
        }
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
            Cause::Violation(_) | Cause::Ordered(End::Fin) => linger(self.ws.get_mut(), timeout),
            Cause::ClientClosed(_)
            | Cause::Stop
            | Cause::Expired(Expired::Idle | Expired::Duration)
            | Cause::Ordered(End::Close(..))
            | Cause::ReadOff => self.finish_handshake(Instant::now() + timeout),
            Cause::Ordered(End::Reset) => {
                // It fails on a connection that is gone.
                let _ = self.ws.get_mut().reset();
            }
            Cause::ClientLeft
            | Cause::Reset
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
                // Done, or the client is gone.
                Err(_) => break,
            }
        }
        // tungstenite reports the end of the handshake before it flushes.
        let _ = self.ws.get_mut().finish();
    }
}

fn asks_for_info(message: &Message) -> bool {
    matches!(message, Message::Text(text) if text.as_str() == INFO_REQUEST)
}

/// A session under orders.
impl<T: Transport> Session<'_, T> {
    /// What a script has for the opening: an end at once, or a silence.
    fn open_by_script(&mut self) -> Option<Cause> {
        let script = self.script.as_ref()?;
        match script.end(0) {
            Some(end) => Some(Cause::Ordered(end)),
            None if script.reads() => None,
            None => Some(self.hold()),
        }
    }

    /// The reply that the script wants, when it wants it.
    fn direct(&mut self, reply: Message) -> Result<Message, Cause> {
        let Some(script) = &self.script else { return Ok(reply) };
        if !script.delay().is_zero() {
            self.ws.get_mut().flush().map_err(Error::Io)?;
            self.ws.get_ref().wait_for_stop(script.delay());
        }
        Ok(script.reply(reply))
    }

    /// Ends or pings, where the script says so.
    fn follow_script(&mut self, now: Instant) -> Result<(), Cause> {
        let Some(script) = &mut self.script else { return Ok(()) };
        if let Some(end) = script.end(self.answered.messages) {
            return Err(Cause::Ordered(end));
        }
        if script.pings(now) {
            self.ping(now)?;
            self.set_patience();
        }
        Ok(())
    }

    /// Does not read, until it is time or the server stops.
    fn hold(&mut self) -> Cause {
        let end = Instant::now() + READ_OFF_MAX;
        loop {
            let now = Instant::now();
            if now >= end {
                return Cause::ReadOff;
            }
            if let Err(cause) = self.follow_script(now) {
                return cause;
            }
            let until = self
                .script
                .as_ref()
                .map_or(Patience::until(end), |script| script.patience(Patience::until(end)));
            if self.ws.get_ref().wait_for_stop(until.left(Instant::now).unwrap_or_default()) {
                return Cause::Stop;
            }
        }
    }
}

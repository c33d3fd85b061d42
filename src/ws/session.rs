//! One WebSocket session: read, reply, write, until the closing handshake is done.
//!
//! What it is: the loop around tungstenite, and the one place that knows how a session ended.
//! What it is not: the handshake (`http::upgrade`), the words (`ending`), or the log line
//! (`connection`).
//! Invariants: a message that arrived whole before our Close is answered. A client that can still
//! read is told why its session ends.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use log::{info, log_enabled, trace};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::deflate::{Deflate, OnWire, Terms};
use super::ending::Cause;
use super::keepalive::{Due, Expired, Heard, Keepalive};
use super::reply::Replier;
use super::script::Script;
use super::stage::{Detour, Stage};
use super::unruly::Unruly;
use crate::config::control::READ_OFF_MAX;
use crate::config::tuning::{SESSION_READ_BUFFER, STOP_POLL, STOP_REPLIES};
use crate::config::{Config, timestamp};
use crate::control::{End, SessionOrders};
use crate::net::linger::linger;
use crate::net::socket::{Patience, Transport};
use crate::ops::roll::Live;
use crate::ops::tally::{Reached, Shrunk, Tally};

/// A message that asks what the server saw of the handshake: the first one, or with compression any.
const INFO_REQUEST: &str = "?info";

/// What the server saw of the handshake, and what compression has reached since.
pub(crate) type Introduction = Box<dyn Fn(Option<Reached>) -> String>;

/// What a session begins with.
pub(crate) struct Opening {
    /// In the log.
    pub(crate) number: u64,
    /// What arrived together with the handshake.
    pub(crate) early: Vec<u8>,
    pub(crate) replier: Replier,
    /// None for an ordinary session.
    pub(crate) orders: Option<Box<SessionOrders>>,
    /// Where compression was agreed on.
    pub(crate) deflate: Option<Box<Terms>>,
    /// The answer to `?info`.
    pub(crate) introduction: Introduction,
    /// Where the operator sees what it does.
    pub(crate) live: Option<Arc<Live>>,
}

/// How a session ended, and what it did.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) cause: Cause,
    /// Data messages and their payload bytes.
    pub(crate) received: Tally,
    pub(crate) answered: Tally,
    /// What of that payload went over the wire, where compression was agreed on.
    pub(crate) on_wire: Option<OnWire>,
    /// From the last Ping that was answered to its Pong.
    pub(crate) round_trip: Option<Duration>,
}

/// Serves an accepted WebSocket to its end.
pub(crate) fn run<T: Transport>(
    transport: T,
    mut opening: Box<Opening>,
    config: &Config,
) -> Box<Report> {
    let stage = Stage::new(transport, detour(&mut opening));
    let mut session = Session::open(stage, opening, config);
    let cause = session.converse();
    session.end(cause, config.timeouts.close)
}

struct Session<'a, T> {
    ws: WebSocket<Stage<T>>,
    number: u64,
    replier: Replier,
    /// Until the first message, as it takes memory; with compression as long as there is more to tell.
    introduction: Option<Introduction>,
    script: Option<Box<Script>>,
    keepalive: Keepalive<'a>,
    log_payload: Option<usize>,
    /// Whether messages are logged at all.
    is_noted: bool,
    /// When a message was first answered after the stop.
    stop_seen: Option<Instant>,
    received: Tally,
    answered: Tally,
    live: Option<Arc<Live>>,
}

impl<'a, T: Transport> Session<'a, T> {
    /// On the heap, and out of line, as `converse` is: what is built here is moved, each move takes
    /// its room on the stack, and a session keeps every page of that it has touched.
    #[inline(never)]
    #[expect(clippy::boxed_local, reason = "the caller's frame stays below the whole session")]
    fn open(stage: Stage<T>, opening: Box<Opening>, config: &'a Config) -> Box<Session<'a, T>> {
        let Opening { number, early, replier, orders, introduction, live, .. } = *opening;
        let max_size = Some(config.limits.max_message_size);
        let ws_config = WebSocketConfig::default()
            .read_buffer_size(SESSION_READ_BUFFER)
            // The transport collects output, and sends it before the next read waits.
            .write_buffer_size(0)
            .max_message_size(max_size)
            .max_frame_size(max_size);
        let now = Instant::now();
        Box::new(Session {
            ws: WebSocket::from_partially_read(stage, early, Role::Server, Some(ws_config)),
            number,
            replier,
            introduction: Some(introduction),
            script: orders.map(|orders| Box::new(Script::new(*orders, now))),
            keepalive: Keepalive::new(&config.timeouts, now),
            log_payload: config.log_payload,
            is_noted: config.log_payload.is_some() || log_enabled!(log::Level::Trace),
            stop_seen: None,
            received: Tally::default(),
            answered: Tally::default(),
            live,
        })
    }

    /// Reads and replies until there is a cause to end.
    #[inline(never)]
    fn converse(&mut self) -> Cause {
        self.set_patience();
        if self.script.is_some()
            && let Some(cause) = self.open_by_script()
        {
            return cause;
        }
        loop {
            let step = match self.ws.read() {
                Ok(Message::Close(frame)) => return Cause::ClientClosed(frame),
                Ok(message) => self.hear(message),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => self.wake(),
                Err(error) => Err(error.into()),
            };
            if let Some(live) = &self.live {
                self.show(live);
            }
            if let Err(cause) = step {
                return cause;
            }
        }
    }

    /// Shows the operator what has been done so far.
    #[cold]
    fn show(&self, live: &Live) {
        live.received.set(self.received);
        // In a chat the courier counts, and shows it.
        if !matches!(self.replier, Replier::Chat(_)) {
            live.answered.set(self.answered);
        }
        if let Some(time) = self.keepalive.round_trip() {
            live.set_round_trip(time);
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
            self.received.add(message.len());
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
            Due::Ping | Due::Nothing if self.script.is_some() => {
                self.follow_script(now)?;
                self.set_patience();
                Ok(())
            }
            Due::Ping | Due::Nothing => Ok(()),
        }
    }

    fn answer(&mut self, message: Message) -> Result<(), Cause> {
        let info = if self.introduction.is_some() { self.introduce(&message) } else { None };
        if let (Replier::Chat(talk), None) = (&mut self.replier, &info) {
            return talk.say(&message, self.ws.get_ref().last_heard()).map_err(Cause::Foul);
        }
        let mut reply = info.unwrap_or_else(|| self.replier.reply(message, SystemTime::now));
        if self.script.is_some() {
            reply = self.direct(reply)?;
        }
        self.note("out", &reply);
        let bytes = reply.len();
        self.ws.write(reply)?;
        self.answered.add(bytes);
        Ok(())
    }

    /// The answer to a message that asks for one.
    #[cold]
    fn introduce(&mut self, message: &Message) -> Option<Message> {
        let reached = self.ws.get_ref().on_wire().map(|on_wire| Reached {
            received: Shrunk { bytes: self.received.bytes, on_the_wire: on_wire.received },
            sent: Shrunk { bytes: self.answered.bytes, on_the_wire: on_wire.sent },
        });
        let introduce = self.introduction.take()?;
        let is_asked = matches!(message, Message::Text(text) if text.as_str() == INFO_REQUEST);
        let introduction = is_asked.then(|| Message::text(introduce(reached)));
        self.introduction = reached.map(|_| introduce);
        introduction
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
        if self.is_noted {
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

    /// In a chat it is the courier who meets the trouble with sending, and the session sees no more
    /// than the end of its connection.
    fn settle(&self, cause: Cause) -> Cause {
        let Replier::Chat(talk) = &self.replier else { return cause };
        match (talk.outbox().overflowed(), talk.outbox().failure(), &cause) {
            (true, ..) => Cause::TooSlow,
            (_, Some(io::ErrorKind::TimedOut), Cause::ClientLeft | Cause::Reset) => {
                Cause::WriteTimeout
            }
            _ => cause,
        }
    }

    /// Parts as the cause demands. The report is on the heap, as its place would be below the session.
    #[inline(never)]
    fn end(&mut self, cause: Cause, timeout: Duration) -> Box<Report> {
        let cause = self.settle(cause);
        self.part(&cause, timeout);
        self.report(cause)
    }

    fn report(&self, cause: Cause) -> Box<Report> {
        if let Some(live) = &self.live {
            self.show(live);
        }
        let answered = match &self.replier {
            Replier::Chat(talk) => talk.outbox().delivered().get(),
            Replier::Verbatim | Replier::Tutorial(..) => self.answered,
        };
        Box::new(Report {
            cause,
            received: self.received,
            answered,
            on_wire: self.ws.get_ref().on_wire(),
            round_trip: self.keepalive.round_trip(),
        })
    }

    /// Ends the session as its cause demands.
    #[inline(never)]
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
            | Cause::Foul(_)
            | Cause::ReadOff => self.finish_handshake(Instant::now() + timeout),
            Cause::Ordered(End::Reset) => {
                // It fails on a connection that is gone.
                let _ = self.ws.get_mut().reset();
            }
            Cause::ClientLeft
            | Cause::Reset
            | Cause::TooSlow
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

/// Where the frames of a session go, if not straight to the socket and from it. What arrived early
/// goes that way too. Not in the frame that the session is opened in.
#[inline(never)]
fn detour(opening: &mut Opening) -> Option<Box<Detour>> {
    let Opening { replier, orders, deflate, early, .. } = opening;
    if let Replier::Chat(talk) = replier {
        return Some(Box::new(Detour::Outbox(Arc::clone(talk.outbox()))));
    }
    let frames = |orders: &SessionOrders| Some(Unruly::new(orders.frames?, orders.after));
    let unruly = orders.as_deref().and_then(frames);
    let detour = match deflate.take() {
        Some(terms) => Detour::Deflate(Deflate::new(*terms, mem::take(early)), unruly),
        None => Detour::Unruly(unruly?),
    };
    Some(Box::new(detour))
}

/// A session under orders.
impl<T: Transport> Session<'_, T> {
    /// What a script has for the opening: an end at once, or a silence.
    #[cold]
    fn open_by_script(&mut self) -> Option<Cause> {
        let script = self.script.as_ref()?;
        match script.end(0) {
            Some(end) => Some(Cause::Ordered(end)),
            None if script.reads() => None,
            None => Some(self.hold()),
        }
    }

    /// The reply that the script wants, when it wants it.
    #[cold]
    fn direct(&mut self, reply: Message) -> Result<Message, Cause> {
        let Some(script) = &self.script else { return Ok(reply) };
        if !script.delay().is_zero() {
            self.ws.get_mut().flush().map_err(Error::Io)?;
            self.ws.get_ref().wait_for_stop(script.delay());
        }
        Ok(script.reply(reply))
    }

    /// Ends, pushes or pings, where the script says so; the patience is the caller's to set.
    #[cold]
    fn follow_script(&mut self, now: Instant) -> Result<(), Cause> {
        let Some(script) = &mut self.script else { return Ok(()) };
        if let Some(end) = script.end(self.answered.messages) {
            return Err(Cause::Ordered(end));
        }
        let pings = script.pings(now);
        if let Some(message) = script.push(now, || timestamp(SystemTime::now())) {
            self.note("out", &message);
            self.answered.add(message.len());
            self.ws.write(message)?;
        }
        if pings {
            self.ping(now)?;
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

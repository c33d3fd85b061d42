//! One WebSocket session: read, reply, write, until the closing handshake is done.
//!
//! What it is: the loop around tungstenite, and the one place that knows how a session ended.
//! What it is not: the handshake (`http::upgrade`), the words (`ending`), or the log line
//! (`connection`).
//! Invariants: a message that arrived whole before our Close is answered. A client that can still
//! read is told why its session ends.

pub(crate) mod cached_clock;
pub(crate) mod deflate;
pub(crate) mod end;
pub(crate) mod faults;
mod filter;
pub(crate) mod keepalive;
pub(crate) mod reply;

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use log::{info, log_enabled, trace};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use self::deflate::{Deflate, OnWire, Terms};
use self::end::Cause;
use self::faults::malformed::MalformedFrames;
use self::faults::schedule::FaultSchedule;
use self::filter::{FilteredTransport, FrameFilter};
use self::keepalive::{Due, Expired, FrameKind, Keepalive};
use self::reply::Reply;
use crate::config::control::READ_OFF_MAX;
use crate::config::tuning::{SESSION_READ_BUFFER, STOP_POLL, STOP_REPLIES};
use crate::config::{Config, timestamp};
use crate::metrics::registry::SessionStats;
use crate::metrics::tally::{CompressedBytes, CompressionStats, Tally};
use crate::net::lingering_close::linger;
use crate::net::socket::{ReadTimeout, Transport};
use crate::session::faults::{ForcedEnd, SessionFaults};

/// A message that asks what the server saw of the handshake: the first one, or with compression any.
const INFO_MESSAGE: &str = "?info";

/// What the server saw of the handshake, and what compression has reached since.
pub(crate) type DescribeRequest = Box<dyn Fn(Option<CompressionStats>) -> String>;

/// What a session begins with.
pub(crate) struct Opening {
    /// In the log.
    pub(crate) number: u64,
    /// What arrived together with the handshake.
    pub(crate) early: Vec<u8>,
    pub(crate) replier: Reply,
    /// None for an ordinary session.
    pub(crate) faults: Option<Box<SessionFaults>>,
    /// Where compression was agreed on.
    pub(crate) deflate: Option<Box<Terms>>,
    /// The answer to `?info`.
    pub(crate) describe_request: DescribeRequest,
    /// Where the operator sees what it does.
    pub(crate) stats: Option<Arc<SessionStats>>,
}

/// How a session ended, and what it did.
#[derive(Debug)]
pub(crate) struct SessionOutcome {
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
) -> Box<SessionOutcome> {
    let transport = FilteredTransport::new(transport, filter(&mut opening));
    let mut session = Session::open(transport, opening, config);
    let cause = session.serve();
    session.end(cause, config.timeouts.close)
}

struct Session<'a, T> {
    ws: WebSocket<FilteredTransport<T>>,
    number: u64,
    replier: Reply,
    /// Until the first message, as it takes memory; with compression as long as there is more to tell.
    describe_request: Option<DescribeRequest>,
    faults: Option<Box<FaultSchedule>>,
    keepalive: Keepalive<'a>,
    log_payload: Option<usize>,
    /// Whether messages are logged at all.
    logs_messages: bool,
    /// When a message was first answered after the stop.
    stop_seen: Option<Instant>,
    received: Tally,
    answered: Tally,
    stats: Option<Arc<SessionStats>>,
}

impl<'a, T: Transport> Session<'a, T> {
    /// On the heap, and out of line, as `serve` is: what is built here is moved, each move takes
    /// its room on the stack, and a session keeps every page of that it has touched.
    #[inline(never)]
    #[expect(clippy::boxed_local, reason = "the caller's frame stays below the whole session")]
    fn open(
        transport: FilteredTransport<T>,
        opening: Box<Opening>,
        config: &'a Config,
    ) -> Box<Session<'a, T>> {
        let Opening { number, early, replier, faults, describe_request, stats, .. } = *opening;
        let max_size = Some(config.limits.max_message_size);
        let ws_config = WebSocketConfig::default()
            .read_buffer_size(SESSION_READ_BUFFER)
            // The transport collects output, and sends it before the next read waits.
            .write_buffer_size(0)
            .max_message_size(max_size)
            .max_frame_size(max_size);
        let now = Instant::now();
        Box::new(Session {
            ws: WebSocket::from_partially_read(transport, early, Role::Server, Some(ws_config)),
            number,
            replier,
            describe_request: Some(describe_request),
            faults: faults.map(|faults| Box::new(FaultSchedule::new(*faults, now))),
            keepalive: Keepalive::new(&config.timeouts, now),
            log_payload: config.log_payload,
            logs_messages: config.log_payload.is_some() || log_enabled!(log::Level::Trace),
            stop_seen: None,
            received: Tally::default(),
            answered: Tally::default(),
            stats,
        })
    }

    /// Reads and replies until there is a cause to end.
    #[inline(never)]
    fn serve(&mut self) -> Cause {
        self.set_read_timeout();
        if self.faults.is_some()
            && let Some(cause) = self.start_faults()
        {
            return cause;
        }
        loop {
            let step = match self.ws.read() {
                Ok(Message::Close(frame)) => return Cause::ClientClosed(frame),
                Ok(message) => self.on_frame(message),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.on_timeout()
                }
                Err(error) => Err(error.into()),
            };
            if let Some(stats) = &self.stats {
                self.publish(stats);
            }
            if let Err(cause) = step {
                return cause;
            }
        }
    }

    /// Shows the operator what has been done so far.
    #[cold]
    fn publish(&self, stats: &SessionStats) {
        stats.received.set(self.received);
        // In a chat the courier counts, and shows it.
        if !matches!(self.replier, Reply::Chat(_)) {
            stats.answered.set(self.answered);
        }
        if let Some(time) = self.keepalive.round_trip() {
            stats.set_round_trip(time);
        }
    }

    /// A frame arrived: log_message the life, answer a message.
    fn on_frame(&mut self, message: Message) -> Result<(), Cause> {
        let now = self.ws.get_ref().last_heard();
        if self.keepalive.on_frame(FrameKind::from(&message), now) {
            self.set_read_timeout();
        }
        self.log_message("in", &message);
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
            Due::Ping | Due::Nothing if self.faults.is_some() => {
                self.run_due_faults(now)?;
                self.set_read_timeout();
                Ok(())
            }
            Due::Ping | Due::Nothing => Ok(()),
        }
    }

    fn answer(&mut self, message: Message) -> Result<(), Cause> {
        let info = if self.describe_request.is_some() { self.answer_info(&message) } else { None };
        if let (Reply::Chat(chat), None) = (&mut self.replier, &info) {
            return chat
                .say(&message, self.ws.get_ref().last_heard())
                .map_err(Cause::ChatViolation);
        }
        let mut reply = info.unwrap_or_else(|| self.replier.reply(message, SystemTime::now));
        if self.faults.is_some() {
            reply = self.delayed_reply(reply)?;
        }
        self.log_message("out", &reply);
        let bytes = reply.len();
        self.ws.write(reply)?;
        self.answered.add(bytes);
        Ok(())
    }

    /// The answer to a message that asks for one.
    #[cold]
    fn answer_info(&mut self, message: &Message) -> Option<Message> {
        let reached = self.ws.get_ref().on_wire().map(|on_wire| CompressionStats {
            received: CompressedBytes { bytes: self.received.bytes, on_the_wire: on_wire.received },
            sent: CompressedBytes { bytes: self.answered.bytes, on_the_wire: on_wire.sent },
        });
        let answer_info = self.describe_request.take()?;
        let is_asked = matches!(message, Message::Text(text) if text.as_str() == INFO_MESSAGE);
        let describe_request = is_asked.then(|| Message::text(answer_info(reached)));
        self.describe_request = reached.map(|_| answer_info);
        describe_request
    }

    /// Nothing arrived for as long as read_timeout reached, or the server stops.
    fn on_timeout(&mut self) -> Result<(), Cause> {
        if self.ws.get_ref().stopping() {
            return Err(Cause::Stop);
        }
        let now = Instant::now();
        match self.keepalive.due(now) {
            Due::End(expired) => return Err(Cause::Expired(expired)),
            Due::Ping => self.ping(now)?,
            Due::Nothing => self.run_due_faults(now)?,
        }
        self.set_read_timeout();
        Ok(())
    }

    fn ping(&mut self, now: Instant) -> Result<(), Cause> {
        self.ws.send(Message::Ping(Bytes::new()))?;
        self.keepalive.pinged(now);
        Ok(())
    }

    fn set_read_timeout(&mut self) {
        let read_timeout = self.keepalive.read_timeout();
        let read_timeout =
            self.faults.as_ref().map_or(read_timeout, |faults| faults.read_timeout(read_timeout));
        self.ws.get_mut().set_read_timeout(read_timeout);
    }

    /// Logs a message, if that was asked for.
    fn log_message(&self, direction: &str, message: &Message) {
        if self.logs_messages {
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
        let Reply::Chat(chat) = &self.replier else { return cause };
        match (chat.outbox().overflowed(), chat.outbox().failure(), &cause) {
            (true, ..) => Cause::TooSlow,
            (_, Some(io::ErrorKind::TimedOut), Cause::ClientLeft | Cause::Reset) => {
                Cause::WriteTimeout
            }
            _ => cause,
        }
    }

    /// Parts as the cause demands. The report is on the heap, as its place would be below the session.
    #[inline(never)]
    fn end(&mut self, cause: Cause, timeout: Duration) -> Box<SessionOutcome> {
        let cause = self.settle(cause);
        self.close(&cause, timeout);
        self.report(cause)
    }

    fn report(&self, cause: Cause) -> Box<SessionOutcome> {
        if let Some(stats) = &self.stats {
            self.publish(stats);
        }
        let answered = match &self.replier {
            Reply::Chat(chat) => chat.outbox().delivered().get(),
            Reply::Echo | Reply::Tutorial(..) => self.answered,
        };
        Box::new(SessionOutcome {
            cause,
            received: self.received,
            answered,
            on_wire: self.ws.get_ref().on_wire(),
            round_trip: self.keepalive.round_trip(),
        })
    }

    /// Ends the session as its cause demands.
    #[inline(never)]
    fn close(&mut self, cause: &Cause, timeout: Duration) {
        if let Some(frame) = cause.close_frame() {
            // A Pong that is due goes first; tungstenite alone would send it after the Close.
            let told = self.ws.flush().and_then(|()| self.ws.close(Some(frame)));
            if told.is_err() {
                return;
            }
        }
        match cause {
            // What follows a broken frame cannot be parsed.
            Cause::Violation(_) | Cause::Forced(ForcedEnd::Fin) => {
                linger(self.ws.get_mut(), timeout);
            }
            Cause::ClientClosed(_)
            | Cause::Stop
            | Cause::Expired(Expired::Idle | Expired::Duration)
            | Cause::Forced(ForcedEnd::Close(..))
            | Cause::ChatViolation(_)
            | Cause::ReadOff => self.finish_handshake(Instant::now() + timeout),
            Cause::Forced(ForcedEnd::Reset) => {
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
        self.ws.get_mut().set_read_timeout(ReadTimeout::deadline(deadline));
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
fn filter(opening: &mut Opening) -> Option<Box<FrameFilter>> {
    let Opening { replier, faults, deflate, early, .. } = opening;
    if let Reply::Chat(chat) = replier {
        return Some(Box::new(FrameFilter::Outbox(Arc::clone(chat.outbox()))));
    }
    let frames = |faults: &SessionFaults| Some(MalformedFrames::new(faults.frames?, faults.after));
    let malformed = faults.as_deref().and_then(frames);
    let filter = match deflate.take() {
        Some(terms) => FrameFilter::Deflate(Deflate::new(*terms, mem::take(early)), malformed),
        None => FrameFilter::MalformedFrames(malformed?),
    };
    Some(Box::new(filter))
}

/// A session under faults.
impl<T: Transport> Session<'_, T> {
    /// What a faults has for the opening: an end at once, or a silence.
    #[cold]
    fn start_faults(&mut self) -> Option<Cause> {
        let faults = self.faults.as_ref()?;
        match faults.end(0) {
            Some(end) => Some(Cause::Forced(end)),
            None if faults.reads() => None,
            None => Some(self.read_nothing()),
        }
    }

    /// The reply that the faults wants, when it wants it.
    #[cold]
    fn delayed_reply(&mut self, reply: Message) -> Result<Message, Cause> {
        let Some(faults) = &self.faults else { return Ok(reply) };
        if !faults.delay().is_zero() {
            self.ws.get_mut().flush().map_err(Error::Io)?;
            self.ws.get_ref().wait_for_stop(faults.delay());
        }
        Ok(faults.reply(reply))
    }

    /// Ends, pushes or pings, where the faults says so; the read_timeout is the caller's to set.
    #[cold]
    fn run_due_faults(&mut self, now: Instant) -> Result<(), Cause> {
        let Some(faults) = &mut self.faults else { return Ok(()) };
        if let Some(end) = faults.end(self.answered.messages) {
            return Err(Cause::Forced(end));
        }
        let pings = faults.pings(now);
        if let Some(message) = faults.push(now, || timestamp(SystemTime::now())) {
            self.log_message("out", &message);
            self.answered.add(message.len());
            self.ws.write(message)?;
        }
        if pings {
            self.ping(now)?;
        }
        Ok(())
    }

    /// Does not read, until it is time or the server stops.
    fn read_nothing(&mut self) -> Cause {
        let end = Instant::now() + READ_OFF_MAX;
        loop {
            let now = Instant::now();
            if now >= end {
                return Cause::ReadOff;
            }
            if let Err(cause) = self.run_due_faults(now) {
                return cause;
            }
            let until = self.faults.as_ref().map_or(ReadTimeout::deadline(end), |faults| {
                faults.read_timeout(ReadTimeout::deadline(end))
            });
            if self.ws.get_ref().wait_for_stop(until.left(Instant::now).unwrap_or_default()) {
                return Cause::Stop;
            }
        }
    }
}

//! One WebSocket session: read, reply, write, until the closing handshake is done.
//!
//! ```text
//!            ┌── message ──▶ on_message ──▶ reply (Echo, Tutorial), or the room (Chat)
//! ws.read() ─┤
//!            └── nothing ──▶ on_wait_over ─▶ stop? Ping due? events of the room? faults?
//! Cause ──▶ end: the Close, the closing handshake, the outcome
//! ```
//!
//! **Invariants:** a message that was read is answered before the next read. A stop ends the
//! session only when nothing is left to read, or after [`STOP_REPLIES`]. A limit, a violation or a
//! fault ends it at once, and messages that were not read by then get no reply. A client that can
//! still read gets a Close with the reason, unless it asked for `abort`.

mod cached_clock;
pub(crate) mod close_codes;
pub(crate) mod deflate;
pub(crate) mod end;
mod fault_injection;
pub(crate) mod faults;
mod filter;
mod intake;
pub(crate) mod keepalive;
mod memory;
mod message_log;
mod message_size;
pub(crate) mod reply;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketContext};
use tungstenite::{Bytes, Error, Message};

use self::close_codes::close_may_have;
use self::deflate::{DeflateSetup, OnWire};
use self::end::{Cause, SessionEnd, Teardown};
use self::faults::SessionFaults;
use self::faults::malformed::MalformedFrames;
use self::faults::schedule::FaultSchedule;
use self::filter::{FilteredTransport, FrameFilter};
use self::intake::Intake;
use self::keepalive::{Due, FrameKind, Keepalive};
use self::message_log::MessageLog;
use self::reply::Reply;
use crate::chat::room::JoinError;
use crate::config::Config;
use crate::config::tuning::{SESSION_READ_BUFFER, STOP_POLL, STOP_REPLIES};
use crate::frame::{BINARY, CLOSE, TEXT};
use crate::message_memory::MessageMemory;
use crate::metrics::registry::SessionStats;
use crate::metrics::tally::{CompressedBytes, CompressionStats, Tally};
use crate::net::lingering_close::linger;
use crate::net::transport::{PauseEnd, ReadTimeout, Transport};
use crate::net::waker::Waker;
use crate::report::Recorder;

/// As the first message of a session, it is answered with a description of the handshake. With
/// compression, every `?info` is.
const INFO_MESSAGE: &str = "?info";

/// Describes the handshake, and what compression has saved since.
pub(crate) type DescribeHandshake = Box<dyn Fn(Option<CompressionStats>) -> String>;

/// What a session starts with.
pub(crate) struct SessionSetup {
    /// Its number in the log.
    pub(crate) number: u64,
    /// Bytes that arrived together with the handshake.
    pub(crate) early: Vec<u8>,
    /// How messages are answered, or why the client could not join its chat room.
    pub(crate) reply: Result<Reply, JoinError>,
    /// `None` in an ordinary session.
    pub(crate) faults: Option<Box<SessionFaults>>,
    /// `None` unless the client asked for a report.
    pub(crate) recorder: Option<Box<Recorder>>,
    /// `None` if compression was not negotiated.
    pub(crate) deflate: Option<DeflateSetup>,
    /// The memory for large messages.
    pub(crate) memory: Arc<MessageMemory>,
    /// The answer to `?info`.
    pub(crate) describe: DescribeHandshake,
    /// Published for the admin listener; `None` if there is none.
    pub(crate) stats: Option<Arc<SessionStats>>,
}

/// How a session ended, and what it did.
#[derive(Debug)]
pub(crate) struct SessionOutcome {
    pub(crate) end: SessionEnd,
    /// Data messages and their payload.
    pub(crate) received: Tally,
    pub(crate) sent: Tally,
    /// The part of that payload that went over the wire; `None` without compression.
    pub(crate) on_wire: Option<OnWire>,
    /// From the last answered Ping to its Pong.
    pub(crate) round_trip: Option<Duration>,
}

/// See the module.
pub(crate) struct Session<'a, T> {
    /// Replaced before and after a large message: see `memory`.
    ws: WebSocketContext,
    transport: FilteredTransport<T>,
    reply: Reply,
    /// Why the session ends before it begins.
    refused: Option<JoinError>,
    /// Dropped after the first message, because it holds the request. With compression it is kept.
    describe: Option<DescribeHandshake>,
    faults: Option<Box<FaultSchedule>>,
    keepalive: Keepalive<'a>,
    message_log: MessageLog,
    /// When a message was first received after the stop.
    stop_seen: Option<Instant>,
    received: Tally,
    sent: Tally,
    stats: Option<Arc<SessionStats>>,
    config: &'a Config,
}

impl<'a, T: Transport> Session<'a, T> {
    // Its locals are not to lie in the stack frame below which the session waits: that would take another page
    // for each session (tests/memory.rs).
    #[inline(never)]
    pub(crate) fn new(transport: T, setup: SessionSetup, config: &'a Config) -> Session<'a, T> {
        let SessionSetup {
            number,
            mut early,
            reply,
            faults,
            recorder,
            deflate,
            memory,
            describe,
            stats,
        } = setup;
        let (reply, refused) = match reply {
            Ok(reply) => (reply, None),
            // Never used: `start` ends the session before its first read.
            Err(error) => (Reply::Echo, Some(error)),
        };
        let now = Instant::now();
        let malformed = faults.as_deref().and_then(MalformedFrames::new);
        let cost = memory::message_cost(&reply, deflate.is_some(), faults.is_some());
        let filter = FrameFilter::new(deflate, malformed, recorder, &mut early);
        let intake = Intake::new(memory, cost, config.limits.max_message_size, early);
        let mut transport = FilteredTransport::new(transport, filter, intake);
        let keepalive = Keepalive::new(&config.timeouts, now);
        if let Some(end) = keepalive.end() {
            transport.set_write_deadline(end);
        }
        Session {
            ws: memory::context(config, SESSION_READ_BUFFER),
            transport,
            reply,
            refused,
            describe: Some(describe),
            faults: faults.map(|faults| Box::new(FaultSchedule::new(*faults, now))),
            keepalive,
            message_log: MessageLog::new(number, config.log_payload),
            stop_seen: None,
            received: Tally::default(),
            sent: Tally::default(),
            stats,
            config,
        }
    }

    /// Serves the session to its end.
    pub(crate) fn run(&mut self) -> SessionOutcome {
        let cause = match self.start() {
            Ok(()) => self.serve(),
            Err(cause) => cause,
        };
        self.end(&cause)
    }

    /// Does what is due before the first read.
    fn start(&mut self) -> Result<(), Cause> {
        if let Some(error) = self.refused {
            return Err(Cause::JoinRefused(error));
        }
        self.set_read_timeout();
        self.deliver()?;
        if self.faults.is_some() { self.start_faults() } else { Ok(()) }
    }

    /// Reads and replies until there is a cause to end.
    fn serve(&mut self) -> Cause {
        loop {
            if let Err(cause) = self.step() {
                return cause;
            }
        }
    }

    /// Reads once, and replies or does what else is due.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), Cause> {
        let step = match self.ws.read(&mut self.transport) {
            Ok(Message::Close(frame)) => Err(self.closed_by_client(frame)),
            Ok(message) => self.on_message(message),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.on_wait_over()
            }
            Err(error) => Err(error.into()),
        };
        if let Some(stats) = &self.stats {
            self.publish(stats);
        }
        step
    }

    /// Data messages sent so far.
    #[cfg(any(test, feature = "_fuzzing"))]
    pub(crate) fn sent(&self) -> Tally {
        self.sent
    }

    /// The client sent a Close. tungstenite replaces one whose code must not be sent, or is 1014 (Bad
    /// Gateway), by the 1002 that it is about to answer.
    #[cold]
    fn closed_by_client(&self, frame: Option<CloseFrame>) -> Cause {
        let is_replaced = frame.as_ref().is_some_and(|frame| {
            frame.code == CloseCode::Protocol && frame.reason == "Protocol violation"
        });
        if !is_replaced {
            return Cause::ClientClosed(frame);
        }
        match self.transport.intake.received_close() {
            Some(sent) if close_may_have(sent.code.into()) => Cause::ClientClosed(Some(sent)),
            sent => Cause::InvalidClose(sent.map(|sent| sent.code.into())),
        }
    }

    /// Publishes for the admin listener what the session has done so far.
    #[cold]
    fn publish(&self, stats: &SessionStats) {
        stats.received.set(self.received);
        stats.sent.set(self.sent);
        if let Some(time) = self.keepalive.round_trip() {
            stats.set_round_trip(time);
        }
    }

    /// A frame other than a Close was received.
    fn on_message(&mut self, message: Message) -> Result<(), Cause> {
        let now = self.transport.last_received();
        if self.keepalive.on_frame(FrameKind::from(&message), now) {
            self.set_read_timeout();
        }
        self.message_log.log("in", &message);
        if message.is_text() || message.is_binary() {
            self.received.add(message.len());
            self.reply_to(message)?;
            if self.transport.intake.is_charged() {
                self.release_memory();
            }
        }
        if self.transport.is_stopping() {
            let since = *self.stop_seen.get_or_insert(now);
            if now.duration_since(since) >= STOP_REPLIES {
                return Err(Cause::Stop);
            }
        }
        if let Reply::Chat(_) = self.reply {
            self.deliver()?;
        }
        if let Some(expired) = self.keepalive.expired_at_frame(now) {
            return Err(Cause::Expired(expired));
        }
        if self.faults.is_some() { self.run_due_faults(now) } else { Ok(()) }
    }

    fn reply_to(&mut self, message: Message) -> Result<(), Cause> {
        let info = if self.describe.is_some() { self.info(&message) } else { None };
        if let (Reply::Chat(chat), None) = (&mut self.reply, &info) {
            let now = self.transport.last_received();
            return chat.on_message(&message, now).map_err(Cause::ChatViolation);
        }
        if info.is_none() && self.reply_in_pieces(&message)? {
            return Ok(());
        }
        let reply = info.unwrap_or_else(|| self.reply.reply(message, SystemTime::now));
        if self.faults.is_some() { self.send_with_faults(reply) } else { self.send(reply) }
    }

    /// Sends the tutorial's reply to a text without a copy of it. Returns whether it did.
    fn reply_in_pieces(&mut self, message: &Message) -> Result<bool, Cause> {
        let copies_anyway = self.faults.is_some() || self.message_log.is_on();
        if copies_anyway || !matches!(self.reply, Reply::Tutorial(..)) {
            return Ok(false);
        }
        // Of a binary message this looks at every byte.
        let Ok(text) = message.to_text() else { return Ok(false) };
        let Some(pieces) = self.reply.pieces(text, SystemTime::now) else { return Ok(false) };
        self.transport.write_message(TEXT, &pieces)?;
        self.sent.add(pieces.iter().map(|piece| piece.len()).sum());
        Ok(true)
    }

    /// Sends a data message. It does not pass tungstenite, which would copy it into a buffer of its own, and
    /// keep that buffer.
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Cause> {
        self.message_log.log("out", &message);
        let opcode = if message.is_text() { TEXT } else { BINARY };
        let payload = message.into_data();
        self.transport.write_message(opcode, &[&payload])?;
        self.sent.add(payload.len());
        Ok(())
    }

    /// The answer to `?info`; `None` if the message is something else.
    #[cold]
    fn info(&mut self, message: &Message) -> Option<Message> {
        let compression = self.transport.on_wire().map(|on_wire| CompressionStats {
            received: CompressedBytes { bytes: self.received.bytes, on_the_wire: on_wire.received },
            sent: CompressedBytes { bytes: self.sent.bytes, on_the_wire: on_wire.sent },
        });
        let describe = self.describe.take()?;
        let is_asked = matches!(message, Message::Text(text) if text.as_str() == INFO_MESSAGE);
        let info = is_asked.then(|| Message::text(describe(compression)));
        self.describe = compression.map(|_| describe);
        info
    }

    /// Writes the events that wait for this member of a chat.
    #[cold]
    fn deliver(&mut self) -> Result<(), Cause> {
        if let Reply::Chat(chat) = &self.reply {
            self.sent = self.sent.and(chat.deliver(&mut self.transport)?);
        }
        Ok(())
    }

    /// The read did not reach tungstenite, or nothing was received: a message waits for memory, a large frame is
    /// whole, the read timed out, another thread woke the session, or the server stops.
    fn on_wait_over(&mut self) -> Result<(), Cause> {
        if let Some(announced) = self.transport.intake.announced() {
            return self.admit(announced);
        }
        if let Some(frame) = self.transport.intake.take_large_frame() {
            self.on_large_frame(frame);
            return Ok(());
        }
        if self.transport.is_stopping() {
            return Err(Cause::Stop);
        }
        self.deliver()?;
        let now = Instant::now();
        match self.keepalive.due(now, self.transport.received()) {
            Due::End(expired) => return Err(Cause::Expired(expired)),
            Due::Ping => self.ping(now)?,
            Due::Nothing => {}
        }
        self.run_due_faults(now)?;
        self.set_read_timeout();
        Ok(())
    }

    fn ping(&mut self, now: Instant) -> Result<(), Cause> {
        self.ws.write(&mut self.transport, Message::Ping(Bytes::new()))?;
        self.ws.flush(&mut self.transport)?;
        self.keepalive.pinged(now, self.transport.received());
        Ok(())
    }

    /// Waits without reading, for `time` at most, and not beyond the maximum duration of the session.
    fn pause(&mut self, time: Duration, waker: Option<&Waker>) -> Result<PauseEnd, Cause> {
        let left = self.keepalive.end().map(|end| end.saturating_duration_since(Instant::now()));
        Ok(self.transport.pause(left.map_or(time, |left| time.min(left)), waker)?)
    }

    /// Lets the next read wait until something is due.
    fn set_read_timeout(&mut self) {
        let timeout = self.keepalive.read_timeout();
        let timeout = self.faults.as_ref().map_or(timeout, |faults| faults.read_timeout(timeout));
        self.transport.set_read_timeout(timeout);
    }

    /// Ends the session as its cause demands.
    pub(crate) fn end(&mut self, cause: &Cause) -> SessionOutcome {
        let plan = cause.plan();
        if self.keepalive.end().is_some() {
            // The maximum duration is over, or does not matter any more.
            self.transport.set_write_deadline(Instant::now() + self.config.timeouts.close);
        }
        if let Some(frame) = plan.answer {
            // Not by tungstenite, which would send its own answer.
            let code = u16::from(frame.code).to_be_bytes();
            // It fails on a connection that is gone.
            let _ = self.transport.write_message(CLOSE, &[&code, frame.reason.as_bytes()]);
        }
        let is_close_lost = plan.close.is_some_and(|frame| {
            // A Pong that is due goes first; tungstenite alone would send it after the Close.
            let Session { ws, transport, .. } = self;
            ws.flush(transport).and_then(|()| ws.close(transport, Some(frame))).is_err()
        });
        if !is_close_lost {
            self.tear_down(plan.teardown);
        }
        if let Some(stats) = &self.stats {
            self.publish(stats);
        }
        SessionOutcome {
            end: plan.end,
            received: self.received,
            sent: self.sent,
            on_wire: self.transport.on_wire(),
            round_trip: self.keepalive.round_trip(),
        }
    }

    fn tear_down(&mut self, teardown: Teardown) {
        match teardown {
            Teardown::CloseHandshake => self.finish_close_handshake(),
            Teardown::Linger => linger(&mut self.transport, self.config.timeouts.close),
            Teardown::Reset => {
                // It fails on a connection that is gone.
                let _ = self.transport.reset();
            }
            Teardown::Finish => {
                let _ = self.transport.finish();
            }
            Teardown::Drop => {}
        }
    }

    /// Drives the closing handshake until both Closes are through, or the close timeout is over.
    fn finish_close_handshake(&mut self) {
        let deadline = Instant::now() + self.config.timeouts.close;
        self.transport.set_read_timeout(ReadTimeout::deadline(deadline));
        while Instant::now() < deadline {
            match self.ws.read(&mut self.transport) {
                Ok(_) => {}
                // The deadline, a waker, or the stop. After a stop every further wait would end at
                // once, hence the sleep.
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(announced) = self.transport.intake.announced() {
                        let Some(memory) = self.transport.intake.memory().take(announced.bytes)
                        else {
                            break;
                        };
                        self.transport.intake.admit(memory);
                    } else if self.transport.intake.take_large_frame().is_some() {
                        // It has come after our Close.
                        self.transport.intake.release();
                    } else if self.transport.is_stopping() {
                        std::thread::sleep(STOP_POLL);
                    }
                }
                // Done, or the client is gone.
                Err(_) => break,
            }
        }
        // tungstenite reports the end of the handshake before it flushes.
        let _ = self.transport.finish();
    }
}

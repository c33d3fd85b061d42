//! What a session does because of its faults. An ordinary session has none, and comes here only to see
//! that.

use std::time::{Duration, Instant, SystemTime};

use tungstenite::Message;

use super::Session;
use super::end::Cause;
use super::faults::schedule::DuePush;
use crate::config::faults::READ_OFF_MAX;
use crate::config::timestamp;
use crate::net::transport::{PauseEnd, ReadTimeout, Transport};

impl<T: Transport> Session<'_, T> {
    /// Does what is due before the first read: a greeting, a blackhole, an end at once, or no reading at all.
    #[cold]
    pub(super) fn start_faults(&mut self) -> Result<(), Cause> {
        let Some(faults) = &self.faults else { return Ok(()) };
        let blackhole = faults.blackhole();
        if let Some(greeting) = faults.greeting().map(Message::text) {
            self.send(greeting)?;
        }
        self.wait(blackhole)?;
        let Some(faults) = &self.faults else { return Ok(()) };
        match faults.end_after(0) {
            Some(end) => Err(Cause::Forced(end)),
            None if faults.reads() => Ok(()),
            None => self.read_nothing(),
        }
    }

    /// Sends a reply, or what is sent in its place, when it is due: at once if the server stops or the
    /// client has ended its side, as both are answered before the session ends.
    #[cold]
    pub(super) fn send_with_faults(&mut self, reply: Message) -> Result<(), Cause> {
        let Some(faults) = &self.faults else { return self.send(reply) };
        if !faults.replies() {
            return Ok(());
        }
        let (delay, size) = (faults.delay(), faults.reply_size());
        self.wait(delay)?;
        let Some(size) = size else { return self.send_paced(reply) };
        self.send_made_up(size, reply.is_text())
    }

    /// Sends a message that consists of the letter x.
    fn send_made_up(&mut self, size: usize, is_text: bool) -> Result<(), Cause> {
        let _memory = self.take_reply_memory(size)?;
        let message = if is_text {
            Message::text("x".repeat(size))
        } else {
            Message::binary(vec![b'x'; size])
        };
        self.send_paced(message)
    }

    /// Sends a message once the rate for made-up bytes and frames allows it.
    fn send_paced(&mut self, message: Message) -> Result<(), Cause> {
        let length = message.len();
        let wait = self.faults.as_mut().map(|faults| faults.pace(length, Instant::now()));
        self.wait(wait.unwrap_or_default())?;
        self.send(message)
    }

    /// Waits before a message is sent, or before the first read.
    fn wait(&mut self, time: Duration) -> Result<(), Cause> {
        if !time.is_zero() {
            self.pause(time, None)?;
        }
        Ok(())
    }

    /// Ends, pushes or pings, if one of these is due.
    #[cold]
    pub(super) fn run_due_faults(&mut self, now: Instant) -> Result<(), Cause> {
        let Some(faults) = &mut self.faults else { return Ok(()) };
        if let Some(end) = faults.end_after(self.sent.messages) {
            return Err(Cause::Forced(end));
        }
        let is_ping_due = faults.take_ping(now);
        if let Some(push) = faults.take_push(now) {
            self.push(push)?;
        }
        if is_ping_due {
            self.ping(now)?;
        }
        self.set_read_timeout();
        Ok(())
    }

    fn push(&mut self, push: DuePush) -> Result<(), Cause> {
        if let Some(size) = push.size {
            return self.send_made_up(size, false);
        }
        let at = timestamp(SystemTime::now());
        self.send_paced(Message::text(format!(r#"{{"push":{},"at":"{at}"}}"#, push.number)))
    }

    /// Does not read, until the time is over, the client has left or the server stops: never returns
    /// `Ok`.
    fn read_nothing(&mut self) -> Result<(), Cause> {
        let end = Instant::now() + READ_OFF_MAX;
        let end = self.keepalive.end().map_or(end, |limit| end.min(limit));
        loop {
            let now = Instant::now();
            if let Some(expired) = self.keepalive.expired(now) {
                return Err(Cause::Expired(expired));
            }
            if now >= end {
                return Err(Cause::ReadOff);
            }
            self.run_due_faults(now)?;
            let until_end = ReadTimeout::deadline(end);
            let next =
                self.faults.as_ref().map_or(until_end, |faults| faults.read_timeout(until_end));
            match self.pause(next.left(Instant::now).unwrap_or_default(), None)? {
                PauseEnd::Over => {}
                PauseEnd::Stopping => return Err(Cause::Stop),
                PauseEnd::PeerLeft => return Err(Cause::ClientLeft),
            }
        }
    }
}

//! One direction of a connection: reads, and does what the fault says.

use std::io::ErrorKind;
use std::time::Instant;

use tungstenite::protocol::frame::coding::Control;

use super::connection::Connection;
use super::fault::{Close, Ending, Fault, Way};
use super::filter::{Filter, Verdict};
use super::frame::Frame;
use super::inbox::Inbox;

/// This direction is over.
struct Over;

pub(super) struct Pump<'a> {
    connection: &'a Connection,
    way: Way,
    inbox: Inbox<'a>,
    /// `None` if bytes pass as they are.
    filter: Option<Filter>,
    /// What [`Fault::Buffer`] holds back, and until when.
    held: Option<(Instant, Vec<u8>)>,
    /// Nothing more is forwarded in this direction.
    is_muted: bool,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        way: Way,
        inbox: Inbox<'a>,
        filter: Option<Filter>,
    ) -> Pump<'a> {
        Pump { connection, way, inbox, filter, held: None, is_muted: false }
    }

    /// Forwards until the end.
    pub(super) fn run(mut self) {
        while self.forward().and_then(|()| self.wait()).is_ok() {}
    }

    /// Forwards what has arrived.
    fn forward(&mut self) -> Result<(), Over> {
        while !self.is_muted && !self.connection.is_cut() {
            let Some(filter) = &mut self.filter else {
                let bytes = self.inbox.take_all();
                return self.send(bytes);
            };
            // What is no frame cannot pass a proxy that reads frames.
            let Ok(frame) = self.inbox.take_frame() else { return self.reset_receiver() };
            let Some(frame) = frame else { return Ok(()) };
            self.connection.note_traffic(self.way, &frame);
            let verdict = filter.judge(frame);
            self.act(verdict)?;
        }
        self.inbox.take_all();
        Ok(())
    }

    fn act(&mut self, verdict: Verdict) -> Result<(), Over> {
        match verdict {
            Verdict::Forward(frames) => {
                return frames.iter().try_for_each(|frame| self.send(frame.encode()));
            }
            Verdict::Answer(frame) => {
                // The sender's end is noticed by the next read.
                let _ = self.connection.sender(self.way).send(&frame.encode());
            }
            Verdict::End(ending) => self.connection.end(ending),
            Verdict::EndReceiver(Close::Rst) => return self.reset_receiver(),
            Verdict::EndReceiver(_) => {
                self.connection.receiver(self.way).finish();
                self.is_muted = true;
            }
        }
        Ok(())
    }

    fn send(&mut self, bytes: Vec<u8>) -> Result<(), Over> {
        match self.fault_here() {
            Fault::Buffer(_, delay) => {
                let held = self.held.get_or_insert_with(|| (Instant::now() + delay, Vec::new()));
                held.1.extend(bytes);
                Ok(())
            }
            _ => self.send_now(&bytes),
        }
    }

    fn send_now(&self, bytes: &[u8]) -> Result<(), Over> {
        self.connection.receiver(self.way).send(bytes).map_err(|_| {
            self.connection.reset(self.connection.sender(self.way));
            Over
        })
    }

    fn reset_receiver(&self) -> Result<(), Over> {
        self.connection.reset(self.connection.receiver(self.way));
        Err(Over)
    }

    /// Waits for more, or for what is due before.
    fn wait(&mut self) -> Result<(), Over> {
        let due = self.connection.due().map(|(due, _)| due);
        let held = self.held.as_ref().map(|(until, _)| *until);
        match self.inbox.fill(due.into_iter().chain(held).min()) {
            Ok(0) => self.on_fin(),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.on_due(),
            Err(_) => self.on_reset(),
        }
    }

    fn on_due(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        if let Some((_, bytes)) = self.held.take_if(|(until, _)| *until <= now) {
            self.send_now(&bytes)?;
        }
        if let Some((_, ending)) = self.connection.due().filter(|(due, _)| *due <= now) {
            self.connection.end(ending);
        }
        Ok(())
    }

    fn on_fin(&mut self) -> Result<(), Over> {
        if self.is_muted || self.connection.is_cut() {
            return Err(Over);
        }
        if let Some((_, bytes)) = self.held.take() {
            self.send_now(&bytes)?;
        }
        let receiver = self.connection.receiver(self.way);
        match self.fault_here() {
            Fault::ResetForFin(_) => return self.reset_receiver(),
            Fault::NoHalfClose => self.connection.end(Ending::Fin),
            Fault::HideEnd(_) => {}
            Fault::CloseBeforeFin(_, code) => {
                let is_masked = self.way == Way::ToServer;
                let close = Frame::control(Control::Close, &code.to_be_bytes(), is_masked);
                self.send_now(&close.encode())?;
                receiver.finish();
            }
            _ => receiver.finish(),
        }
        Err(Over)
    }

    fn on_reset(&mut self) -> Result<(), Over> {
        match self.fault_here() {
            Fault::FinForReset(_) => self.connection.receiver(self.way).finish(),
            Fault::HideEnd(_) => {}
            _ => return self.reset_receiver(),
        }
        Err(Over)
    }

    /// The fault, if it is committed in a session, and in this direction or in both.
    fn fault_here(&self) -> Fault {
        match self.connection.fault() {
            _ if self.filter.is_none() => Fault::None,
            Fault::Buffer(way, _)
            | Fault::ResetForFin(way)
            | Fault::CloseBeforeFin(way, _)
            | Fault::FinForReset(way)
            | Fault::HideEnd(way)
                if way != self.way =>
            {
                Fault::None
            }
            fault => fault,
        }
    }
}

//! What stands between tungstenite and the socket.
//!
//! ```text
//! socket ──▶ filter: inflate ──▶ intake: is there memory for it? ──▶ tungstenite
//!        ◀── filter: deflate, inject faults ◀───────────────────────────┘
//! ```
//!
//! Without a filter, frames pass unchanged.
//!
//! **Invariant:** tungstenite hands over one whole frame a write (its write buffer is off), and `write`
//! takes all of it.

use std::io::{self, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use super::deflate::{Deflate, DeflateSetup, OnWire};
use super::faults::malformed::MalformedFrames;
use super::intake::Intake;
use crate::frame;
use crate::net::transport::{Append, PauseEnd, ReadTimeout, Transport};
use crate::net::waker::Waker;
use crate::report::{Recorded, Recorder};

/// A transport, and what is on top of it.
#[derive(Debug)]
pub(super) struct FilteredTransport<T> {
    inner: T,
    pub(super) intake: Intake,
    /// `None` in an ordinary session.
    filter: Option<Box<FrameFilter>>,
}

/// What is done to frames.
#[derive(Debug)]
pub(super) struct FrameFilter {
    deflate: Option<Deflate>,
    malformed: Option<MalformedFrames>,
    recorder: Option<Box<Recorder>>,
}

impl FrameFilter {
    /// `None` if frames pass as they are. `early`: bytes that arrived together with the handshake; with
    /// compression they are filtered, too.
    pub(super) fn new(
        deflate: Option<DeflateSetup>,
        malformed: Option<MalformedFrames>,
        mut recorder: Option<Box<Recorder>>,
        early: &mut Vec<u8>,
    ) -> Option<Box<FrameFilter>> {
        if deflate.is_none() && malformed.is_none() && recorder.is_none() {
            return None;
        }
        if let Some(recorder) = &mut recorder {
            recorder.on_received(early);
        }
        let deflate = deflate.map(|setup| Deflate::new(setup, std::mem::take(early)));
        Some(Box::new(FrameFilter { deflate, malformed, recorder }))
    }

    /// Writes what leaves in place of a frame.
    fn write(&mut self, first: u8, payload: &[u8], out: &mut impl Write) -> io::Result<()> {
        let (first, payload) = match &mut self.deflate {
            Some(deflate) => deflate.rewrite(first, payload),
            None => (first, payload.into()),
        };
        let mut out = Recorded { inner: out, recorder: self.recorder.as_deref_mut() };
        match &mut self.malformed {
            Some(malformed) => malformed.write(first, &payload, &mut out),
            None => frame::write(&mut out, first, &[&payload]),
        }
    }

    fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        let mut inner = Recorded { inner, recorder: self.recorder.as_deref_mut() };
        match &mut self.deflate {
            Some(deflate) => deflate.read(&mut inner, buf),
            None => inner.read(buf),
        }
    }
}

impl<T> FilteredTransport<T> {
    pub(super) fn new(
        inner: T,
        filter: Option<Box<FrameFilter>>,
        intake: Intake,
    ) -> FilteredTransport<T> {
        FilteredTransport { inner, intake, filter }
    }

    /// Bytes of compressed messages on the wire; `None` without compression.
    pub(super) fn on_wire(&self) -> Option<OnWire> {
        self.filter.as_ref()?.deflate.as_ref().map(Deflate::on_wire)
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Write> FilteredTransport<T> {
    /// Writes a whole message, or a control frame, given in pieces, that does not pass tungstenite.
    pub(super) fn write_message(&mut self, opcode: u8, pieces: &[&[u8]]) -> io::Result<()> {
        let first = frame::FIN | opcode;
        match &mut self.filter {
            None => frame::write(&mut self.inner, first, pieces),
            Some(filter) => match pieces {
                [payload] => filter.write(first, payload, &mut self.inner),
                pieces => filter.write(first, &pieces.concat(), &mut self.inner),
            },
        }
    }
}

impl<T: Write> Write for FilteredTransport<T> {
    #[inline]
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        match &mut self.filter {
            None => self.inner.write(frame),
            Some(filter) => {
                let (first, payload) = frame::split(frame);
                filter.write(first, payload, &mut self.inner).map(|()| frame.len())
            }
        }
    }

    /// Each slice is a whole frame.
    fn write_vectored(&mut self, frames: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.filter {
            None => self.inner.write_vectored(frames),
            Some(_) => frames.first().map_or(Ok(0), |frame| self.write(frame)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Append> FilteredTransport<T> {
    /// Reads the rest of a large frame. Returns whether the stream goes on.
    #[cold]
    fn read_large_frame(&mut self) -> io::Result<bool> {
        while let Some(buffer) = self.intake.large_frame() {
            let length = match &mut self.filter {
                None => self.inner.append_to(buffer)?,
                Some(filter) => Filtered(filter, &mut self.inner).append_to(buffer)?,
            };
            if length == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a filter reads.
struct Filtered<'a, T>(&'a mut FrameFilter, &'a mut T);

impl<T: Read> Read for Filtered<'_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(self.1, buf)
    }
}

impl<T: Read> Append for Filtered<'_, T> {}

impl<T: Append> Read for FilteredTransport<T> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.intake.is_reading_large_frame() {
                let goes_on = self.read_large_frame()?;
                return if goes_on { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(0) };
            }
            if self.intake.is_holding()
                && let Some(length) = self.intake.hand_over(buf)?
            {
                return Ok(length);
            }
            let most = self.intake.most(buf.len());
            let length = match &mut self.filter {
                None => self.inner.read(&mut buf[..most])?,
                Some(filter) => filter.read(&mut self.inner, &mut buf[..most])?,
            };
            let handed = self.intake.receive(&buf[..length]);
            if handed > 0 || length == 0 {
                return Ok(handed);
            }
        }
    }
}

impl<T: Append> Append for FilteredTransport<T> {}

impl<T: Transport> Transport for FilteredTransport<T> {
    fn set_read_timeout(&mut self, timeout: ReadTimeout) {
        self.inner.set_read_timeout(timeout);
    }

    fn set_write_deadline(&mut self, deadline: Instant) {
        self.inner.set_write_deadline(deadline);
    }

    fn is_stopping(&self) -> bool {
        self.inner.is_stopping()
    }

    fn pause(&mut self, time: Duration, waker: Option<&Waker>) -> io::Result<PauseEnd> {
        self.inner.pause(time, waker)
    }

    fn last_received(&self) -> Instant {
        self.inner.last_received()
    }

    fn received(&self) -> u64 {
        self.inner.received()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.intake.give_up();
        if let Some(FrameFilter { deflate: Some(deflate), .. }) = self.filter.as_deref_mut() {
            // The rest of the input is discarded.
            deflate.give_up();
        }
        self.inner.finish()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.inner.reset()
    }
}

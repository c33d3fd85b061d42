//! Rewrites a session's frames between tungstenite and the socket.
//!
//! Without a filter, frames pass unchanged. Compression rewrites frames in both directions; fault
//! injection then rewrites the outgoing ones.
//!
//! **Invariant:** tungstenite hands over one whole frame a write (its write buffer is off), and `write`
//! takes all of it.

use std::borrow::Cow;
use std::io::{self, IoSlice, Read, Write};
use std::time::{Duration, Instant};

use super::deflate::{Deflate, DeflateSetup, OnWire};
use super::faults::malformed::MalformedFrames;
use crate::net::transport::{PauseEnd, ReadTimeout, Transport};

/// A transport, and the filter on top of it.
#[derive(Debug)]
pub(super) struct FilteredTransport<T> {
    inner: T,
    /// `None` in an ordinary session.
    filter: Option<Box<FrameFilter>>,
}

/// What is done to frames.
#[derive(Debug)]
pub(super) struct FrameFilter {
    deflate: Option<Deflate>,
    malformed: Option<MalformedFrames>,
}

impl FrameFilter {
    /// `None` if frames pass as they are. `early`: bytes that arrived together with the handshake; with
    /// compression they are filtered, too.
    pub(super) fn new(
        deflate: Option<DeflateSetup>,
        malformed: Option<MalformedFrames>,
        early: &mut Vec<u8>,
    ) -> Option<Box<FrameFilter>> {
        if deflate.is_none() && malformed.is_none() {
            return None;
        }
        let deflate = deflate.map(|setup| Deflate::new(setup, std::mem::take(early)));
        Some(Box::new(FrameFilter { deflate, malformed }))
    }

    fn write(&mut self, frame: &[u8], out: &mut impl Write) -> io::Result<()> {
        let frame = match &mut self.deflate {
            Some(deflate) => deflate.rewrite(frame),
            None => Cow::Borrowed(frame),
        };
        match &mut self.malformed {
            Some(malformed) => out.write_all(&malformed.rewrite(&frame)),
            None => out.write_all(&frame),
        }
    }

    fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.deflate {
            Some(deflate) => deflate.read(inner, buf),
            None => inner.read(buf),
        }
    }
}

impl<T> FilteredTransport<T> {
    pub(super) fn new(inner: T, filter: Option<Box<FrameFilter>>) -> FilteredTransport<T> {
        FilteredTransport { inner, filter }
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

impl<T: Write> Write for FilteredTransport<T> {
    #[inline]
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        match &mut self.filter {
            None => self.inner.write(frame),
            Some(filter) => filter.write(frame, &mut self.inner).map(|()| frame.len()),
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

impl<T: Read> Read for FilteredTransport<T> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.filter {
            None => self.inner.read(buf),
            Some(filter) => filter.read(&mut self.inner, buf),
        }
    }
}

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

    fn pause(&mut self, time: Duration) -> io::Result<PauseEnd> {
        self.inner.pause(time)
    }

    fn last_received(&self) -> Instant {
        self.inner.last_received()
    }

    fn finish(&mut self) -> io::Result<()> {
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

//! Where a session's frames go between tungstenite and the socket.
//!
//! What it is: in an ordinary session a branch and nothing more. Under orders frames are rewritten
//! here on their way out; with compression agreed on, both ways, and then rewritten as ordered; in a
//! chat they go into the outbox, whose courier is then the only one that writes to the socket.
//! Invariant: tungstenite hands over whole frames, one a write (its write buffer is off), and
//! `write` takes all of each.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deflate::{Deflate, OnWire};
use super::faults::malformed::MalformedFrames;
use crate::chat::outbox::Outbox;
use crate::net::socket::{ReadTimeout, Transport};

#[derive(Debug)]
pub(super) struct FilteredTransport<T> {
    inner: T,
    /// None in an ordinary session.
    filter: Option<Box<FrameFilter>>,
}

#[derive(Debug)]
pub(super) enum FrameFilter {
    MalformedFrames(MalformedFrames),
    Deflate(Box<Deflate>, Option<MalformedFrames>),
    Outbox(Arc<Outbox>),
}

impl<T> FilteredTransport<T> {
    pub(super) fn new(inner: T, filter: Option<Box<FrameFilter>>) -> FilteredTransport<T> {
        FilteredTransport { inner, filter }
    }

    /// What compressed messages took, where compression was agreed on.
    pub(super) fn on_wire(&self) -> Option<OnWire> {
        match self.filter.as_deref() {
            Some(FrameFilter::Deflate(deflate, _)) => Some(deflate.on_wire()),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> T {
        self.inner
    }
}

impl FrameFilter {
    #[inline(never)]
    fn write(&mut self, frame: &[u8], out: &mut impl Write) -> io::Result<()> {
        match self {
            FrameFilter::MalformedFrames(malformed) => out.write_all(&malformed.rewrite(frame)),
            FrameFilter::Deflate(deflate, malformed) => {
                let frame = deflate.rewrite(frame);
                match malformed {
                    None => out.write_all(&frame),
                    Some(malformed) => out.write_all(&malformed.rewrite(&frame)),
                }
            }
            FrameFilter::Outbox(outbox) => {
                outbox.put_own(frame);
                Ok(())
            }
        }
    }

    /// Not in the frame of a session that is on the straight way.
    #[inline(never)]
    fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            FrameFilter::Deflate(deflate, _) => deflate.read(inner, buf),
            FrameFilter::MalformedFrames(_) | FrameFilter::Outbox(_) => inner.read(buf),
        }
    }
}

impl<T: Write> Write for FilteredTransport<T> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        match &mut self.filter {
            None => self.inner.write(frame),
            Some(filter) => filter.write(frame, &mut self.inner).map(|()| frame.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for FilteredTransport<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.filter {
            None => self.inner.read(buf),
            Some(filter) => filter.read(&mut self.inner, buf),
        }
    }
}

impl<T: Transport> Transport for FilteredTransport<T> {
    fn set_read_timeout(&mut self, patience: ReadTimeout) {
        self.inner.set_read_timeout(patience);
    }

    fn stopping(&self) -> bool {
        self.inner.stopping()
    }

    fn wait_for_stop(&self, timeout: Duration) -> bool {
        self.inner.wait_for_stop(timeout)
    }

    fn last_heard(&self) -> Instant {
        self.inner.last_heard()
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.filter.as_deref_mut() {
            Some(FrameFilter::Outbox(outbox)) => outbox.finish(),
            // What still comes is discarded.
            Some(FrameFilter::Deflate(deflate, _)) => deflate.give_up(),
            Some(FrameFilter::MalformedFrames(_)) | None => {}
        }
        self.inner.finish()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.inner.reset()
    }
}

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
use super::unruly::Unruly;
use crate::chat::outbox::Outbox;
use crate::net::socket::{Patience, Transport};

#[derive(Debug)]
pub(super) struct Stage<T> {
    inner: T,
    /// None in an ordinary session.
    detour: Option<Box<Detour>>,
}

#[derive(Debug)]
pub(super) enum Detour {
    Unruly(Unruly),
    Deflate(Box<Deflate>, Option<Unruly>),
    Outbox(Arc<Outbox>),
}

impl<T> Stage<T> {
    pub(super) fn new(inner: T, detour: Option<Box<Detour>>) -> Stage<T> {
        Stage { inner, detour }
    }

    /// What compressed messages took, where compression was agreed on.
    pub(super) fn on_wire(&self) -> Option<OnWire> {
        match self.detour.as_deref() {
            Some(Detour::Deflate(deflate, _)) => Some(deflate.on_wire()),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> T {
        self.inner
    }
}

impl Detour {
    #[inline(never)]
    fn take(&mut self, frame: &[u8], out: &mut impl Write) -> io::Result<()> {
        match self {
            Detour::Unruly(unruly) => out.write_all(&unruly.rewrite(frame)),
            Detour::Deflate(deflate, unruly) => {
                let frame = deflate.rewrite(frame);
                match unruly {
                    None => out.write_all(&frame),
                    Some(unruly) => out.write_all(&unruly.rewrite(&frame)),
                }
            }
            Detour::Outbox(outbox) => {
                outbox.put_own(frame);
                Ok(())
            }
        }
    }

    /// Not in the frame of a session that is on the straight way.
    #[inline(never)]
    fn read(&mut self, inner: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Detour::Deflate(deflate, _) => deflate.read(inner, buf),
            Detour::Unruly(_) | Detour::Outbox(_) => inner.read(buf),
        }
    }
}

impl<T: Write> Write for Stage<T> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        match &mut self.detour {
            None => self.inner.write(frame),
            Some(detour) => detour.take(frame, &mut self.inner).map(|()| frame.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Stage<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.detour {
            None => self.inner.read(buf),
            Some(detour) => detour.read(&mut self.inner, buf),
        }
    }
}

impl<T: Transport> Transport for Stage<T> {
    fn set_patience(&mut self, patience: Patience) {
        self.inner.set_patience(patience);
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
        match self.detour.as_deref_mut() {
            Some(Detour::Outbox(outbox)) => outbox.finish(),
            // What still comes is discarded.
            Some(Detour::Deflate(deflate, _)) => deflate.give_up(),
            Some(Detour::Unruly(_)) | None => {}
        }
        self.inner.finish()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.inner.reset()
    }
}

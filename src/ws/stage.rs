//! Where a session's frames go on their way out.
//!
//! What it is: the stage between tungstenite and the socket. In an ordinary session it is a branch
//! and nothing more; under orders frames are rewritten here; in a chat they go into the outbox, whose
//! courier is then the only one that writes to the socket.
//! Invariant: tungstenite hands over whole frames, one a write (its write buffer is off), and
//! `write` takes all of each.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    Outbox(Arc<Outbox>),
}

impl<T> Stage<T> {
    pub(super) fn new(inner: T, detour: Option<Detour>) -> Stage<T> {
        Stage { inner, detour: detour.map(Box::new) }
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> T {
        self.inner
    }
}

impl Detour {
    #[cold]
    fn take(&mut self, frame: &[u8], out: &mut impl Write) -> io::Result<()> {
        match self {
            Detour::Unruly(unruly) => out.write_all(&unruly.rewrite(frame)),
            Detour::Outbox(outbox) => {
                outbox.put_own(frame);
                Ok(())
            }
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
        self.inner.read(buf)
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
        if let Some(Detour::Outbox(outbox)) = self.detour.as_deref() {
            outbox.finish();
        }
        self.inner.finish()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.inner.reset()
    }
}

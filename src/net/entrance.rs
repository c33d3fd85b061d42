//! A way to an accept loop that needs no network: for the probe, when an address was removed, `lo` is down,
//! the listener is bound to another device, or the path of a Unix socket is gone.

use std::io;
use std::sync::Mutex;

use socket2::{Domain, Type};

use super::Stream;
use super::waker::Waker;
use crate::lock::unpoisoned;

/// See the module.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// Ends the wait of the accept loop.
    waker: Waker,
    waiting: Mutex<Option<Stream>>,
}

impl Entrance {
    /// # Errors
    /// No descriptor is left.
    pub(super) fn new() -> io::Result<Entrance> {
        Ok(Entrance { waker: Waker::new()?, waiting: Mutex::default() })
    }

    /// Connects to the accept loop. A connection that it has not accepted by now is dropped.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn connect(&self) -> io::Result<Stream> {
        let (ours, theirs) = Stream::pair(Domain::UNIX, Type::STREAM, None)?;
        *unpoisoned(self.waiting.lock()) = Some(theirs);
        self.waker.wake();
        Ok(ours)
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// The connection that waits; `None` if there is none.
    pub(super) fn accept(&self) -> Option<Stream> {
        unpoisoned(self.waiting.lock()).take()
    }
}

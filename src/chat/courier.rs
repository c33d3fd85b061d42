//! The thread that writes what is in an outbox.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::outbox::Outbox;
use crate::config::tuning::STACK;
use crate::net::socket::SocketWriter;

/// A courier at work; when it is dropped, the connection is over and the thread gone.
#[derive(Debug)]
pub(crate) struct Courier {
    outbox: Arc<Outbox>,
    writer: SocketWriter,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// `close`: how long a member who did not keep up may take to hear so.
    ///
    /// # Errors
    /// No thread can be made.
    pub(crate) fn start(
        outbox: &Arc<Outbox>,
        writer: SocketWriter,
        close: Duration,
    ) -> io::Result<Courier> {
        let (frames, mut out) = (Arc::clone(outbox), writer.clone());
        let carry = move || {
            frames.deliver(&mut out);
            if frames.overflowed() && frames.failure().is_none() {
                // What the member is still sending is read on: a reset would overtake the goodbye.
                out.finish();
                frames.wait_for_session(close);
            }
            // The session waits in a read, and will not hear of it otherwise.
            if frames.overflowed() || frames.failure().is_some() {
                out.end();
            }
        };
        let thread = Builder::new().name("wsecho-courier".to_owned()).stack_size(STACK);
        let thread = Some(thread.spawn(carry)?);
        Ok(Courier { outbox: Arc::clone(outbox), writer, thread })
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        // The session has said what it had to say; a write that still waits is to no one.
        self.writer.end();
        self.outbox.finish();
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, the panic hook has said so.
            let _ = thread.join();
        }
    }
}

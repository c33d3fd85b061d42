//! Rejects connections that get no thread: the server is full, or a thread could not be started.
//!
//! One thread writes a short response to each rejected connection, and keeps the connection open
//! until the peer has read it. The accept thread itself never waits for a peer.
//!
//! **Invariant:** at most [`REFUSED_HELD`] connections are kept open, and as many are queued.
//! Beyond that, connections are closed without a response.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::config::tuning::{LINGER_READ, LINGER_TIME, REFUSED_HELD, REFUSED_POLL};
use crate::net::Stream;

/// A rejected connection, and the response to send.
struct Rejected {
    stream: Stream,
    response: Vec<u8>,
}

/// A handle of the thread. Dropping it ends the thread and waits for it.
pub(crate) struct Rejector {
    queue: Option<SyncSender<Rejected>>,
    thread: Option<JoinHandle<()>>,
}

impl Rejector {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread could not be started.
    pub(crate) fn start() -> io::Result<Rejector> {
        let (queue, rejected) = sync_channel(REFUSED_HELD);
        let thread = thread::Builder::new()
            .name("wsecho-rejector".to_owned())
            .spawn(move || run(&rejected))?;
        Ok(Rejector { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues `response` to be sent to `stream`, which is then closed. Does not block: if the queue
    /// is full, the stream is closed at once.
    pub(crate) fn reject(&self, stream: Stream, response: Vec<u8>) {
        if let Some(queue) = &self.queue {
            // If the queue is full, the error holds the stream, and dropping it closes the stream.
            drop(queue.try_send(Rejected { stream, response }));
        }
    }
}

impl Drop for Rejector {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's main function: rejects connections until the queue is closed. It sleeps while no
/// rejected connection is open.
fn run(rejected: &Receiver<Rejected>) {
    let mut held: VecDeque<(Stream, Instant)> = VecDeque::new();
    loop {
        let next = if held.is_empty() {
            rejected.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            rejected.recv_timeout(REFUSED_POLL)
        };
        match next {
            Ok(rejected) => {
                if held.len() == REFUSED_HELD {
                    held.pop_front();
                }
                if let Ok(stream) = send_response(rejected) {
                    held.push_back((stream, Instant::now() + LINGER_TIME));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        held.retain_mut(|(stream, until)| Instant::now() < *until && still_sending(stream));
    }
}

/// Sends the response and half-closes the connection. A response is far smaller than an empty send
/// buffer, so a single non-blocking write takes all of it.
fn send_response(rejected: Rejected) -> io::Result<Stream> {
    let Rejected { mut stream, response } = rejected;
    stream.set_nonblocking(true)?;
    stream.write_all(&response)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(stream)
}

/// Discards received data. Returns false once the peer has closed the connection.
fn still_sending(stream: &mut Stream) -> bool {
    let mut buffer = [0; LINGER_READ];
    match stream.read(&mut buffer) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

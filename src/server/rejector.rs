//! Refusals for which there is no thread: the server is full, or a thread could not be made.
//!
//! What it is: one thread that writes a short response to each rejected connection, and holds it
//! open until the peer has read it.
//! What it is not: the accept thread; that one never waits for a peer.
//! Invariant: at most [`REFUSED_HELD`] connections are held, and a further few are queued; a flood
//! beyond that is closed without a word.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::config::tuning::{LINGER_TIME, REFUSED_HELD, REFUSED_POLL};
use crate::net::Stream;

/// A rejected connection, and what it is told.
struct Rejected {
    stream: Stream,
    response: Vec<u8>,
}

/// The thread's handle. Dropped, it ends the thread and waits for it.
pub(crate) struct Rejector {
    queue: Option<SyncSender<Rejected>>,
    thread: Option<JoinHandle<()>>,
}

impl Rejector {
    /// # Errors
    /// No thread could be made.
    pub(crate) fn start() -> io::Result<Rejector> {
        let (queue, rejected) = sync_channel(REFUSED_HELD);
        let thread = thread::Builder::new()
            .name("wsecho-refuser".to_owned())
            .spawn(move || work(&rejected))?;
        Ok(Rejector { queue: Some(queue), thread: Some(thread) })
    }

    /// Sends `response` to `stream` and closes it, without waiting. Under a flood it only closes.
    pub(crate) fn reject(&self, stream: Stream, response: Vec<u8>) {
        if let Some(queue) = &self.queue {
            // Not taken, it is dropped here, which closes it.
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

/// Refuses until the queue is closed; asleep while there is nobody to reject.
fn work(rejected: &Receiver<Rejected>) {
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
                if let Ok(stream) = answer(rejected) {
                    held.push_back((stream, Instant::now() + LINGER_TIME));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        held.retain_mut(|(stream, until)| Instant::now() < *until && still_sending(stream));
    }
}

/// The response is far smaller than an empty send buffer, so it is written whole or not at all.
fn answer(rejected: Rejected) -> io::Result<Stream> {
    let Rejected { mut stream, response } = rejected;
    stream.set_nonblocking(true)?;
    stream.write_all(&response)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(stream)
}

/// Discards what has arrived. False when the peer has closed.
fn still_sending(stream: &mut Stream) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

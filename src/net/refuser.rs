//! Refusals for which there is no thread: the server is full, or a thread could not be made.
//!
//! What it is: one thread that writes a short response to each refused connection, and holds it
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

use super::Stream;
use crate::config::tuning::{LINGER_TIME, REFUSED_HELD, REFUSED_POLL};

/// A refused connection, and what it is told.
struct Refused {
    stream: Stream,
    response: Vec<u8>,
}

/// The thread's handle. Dropped, it ends the thread and waits for it.
pub(crate) struct Refuser {
    queue: Option<SyncSender<Refused>>,
    thread: Option<JoinHandle<()>>,
}

impl Refuser {
    /// # Errors
    /// No thread could be made.
    pub(crate) fn start() -> io::Result<Refuser> {
        let (queue, refused) = sync_channel(REFUSED_HELD);
        let thread = thread::Builder::new()
            .name("wsecho-refuser".to_owned())
            .spawn(move || work(&refused))?;
        Ok(Refuser { queue: Some(queue), thread: Some(thread) })
    }

    /// Sends `response` to `stream` and closes it, without waiting. Under a flood it only closes.
    pub(crate) fn refuse(&self, stream: Stream, response: Vec<u8>) {
        if let Some(queue) = &self.queue {
            // Not taken, it is dropped here, which closes it.
            drop(queue.try_send(Refused { stream, response }));
        }
    }
}

impl Drop for Refuser {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Refuses until the queue is closed; asleep while there is nobody to refuse.
fn work(refused: &Receiver<Refused>) {
    let mut held: VecDeque<(Stream, Instant)> = VecDeque::new();
    loop {
        let next = if held.is_empty() {
            refused.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            refused.recv_timeout(REFUSED_POLL)
        };
        match next {
            Ok(refused) => {
                if held.len() == REFUSED_HELD {
                    held.pop_front();
                }
                if let Ok(stream) = answer(refused) {
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
fn answer(refused: Refused) -> io::Result<Stream> {
    let Refused { mut stream, response } = refused;
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

//! The stop of a server, and the connections whose blocking reads it has to interrupt.
//!
//! The stop only ends waits. Each connection then closes in its own way: a session sends a Close, a
//! connection between two requests just ends.
//!
//! **Invariant:** a registered stream is held weakly, so that the list keeps no connection open.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;

use super::Stream;
use super::waker::Waker;
use crate::lock::unpoisoned;

/// The stop of one server, shared by all of its threads.
#[derive(Debug)]
pub(crate) struct Stop {
    requested: AtomicBool,
    cut: AtomicBool,
    connections: Mutex<Interruptibles>,
    /// Notified once, when the stop is requested: for threads that wait without a socket.
    notifier: Condvar,
    /// Set from the stop on: for threads that wait in poll(2).
    waker: Waker,
}

#[derive(Debug, Default)]
struct Interruptibles {
    next: u64,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    stream: Weak<Stream>,
    /// Whether the connection waits for its peer, so that a stop may end the wait. In the middle
    /// of a request it may not.
    is_waiting: bool,
}

impl Stop {
    /// # Errors
    /// No descriptor is left for its waker.
    pub(crate) fn new() -> io::Result<Stop> {
        Ok(Stop {
            requested: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            connections: Mutex::default(),
            notifier: Condvar::new(),
            waker: Waker::new()?,
        })
    }

    /// Set from the stop on, and never cleared.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Asks every thread to end. Returns at once; further calls do nothing.
    pub(crate) fn request(&self) {
        let connections = self.lock();
        if self.requested.swap(true, Ordering::SeqCst) {
            return;
        }
        self.notifier.notify_all();
        self.waker.wake();
        for entry in connections.entries.values().filter(|entry| entry.is_waiting) {
            shut(entry, Shutdown::Read);
        }
    }

    /// Whether the stop was requested.
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Blocks until the stop is requested.
    pub(crate) fn wait(&self) {
        let not_requested = |_: &mut Interruptibles| !self.requested();
        drop(self.notifier.wait_while(self.lock(), not_requested));
    }

    /// Blocks until the stop is requested, for `timeout` at most. Returns whether it was.
    pub(crate) fn wait_for(&self, timeout: Duration) -> bool {
        let not_requested = |_: &mut Interruptibles| !self.requested();
        drop(self.notifier.wait_timeout_while(self.lock(), timeout, not_requested));
        self.requested()
    }

    /// Registers `stream` until the returned value is dropped.
    pub(crate) fn register(self: &Arc<Self>, stream: &Arc<Stream>) -> Interruptible {
        let mut connections = self.lock();
        let id = connections.next;
        connections.next += 1;
        let entry = Entry { stream: Arc::downgrade(stream), is_waiting: false };
        connections.entries.insert(id, entry);
        Interruptible { stop: Arc::clone(self), id }
    }

    /// Whether the grace period is over.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Ends every registered connection, both ways.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for entry in self.lock().entries.values() {
            shut(entry, Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Interruptibles> {
        unpoisoned(self.connections.lock())
    }
}

fn shut(entry: &Entry, how: Shutdown) {
    if let Some(stream) = entry.stream.upgrade() {
        // It fails on a connection that has ended by itself.
        let _ = stream.shutdown(how);
    }
}

/// A registered connection; dropping it takes the connection off the list.
#[derive(Debug)]
pub(crate) struct Interruptible {
    stop: Arc<Stop>,
    id: u64,
}

impl Interruptible {
    /// While `is_waiting`, a stop (an earlier one, too) makes reads see the end of the stream.
    /// `false` in the middle of a request.
    pub(crate) fn set_waiting(&self, is_waiting: bool) {
        if let Some(entry) = self.stop.lock().entries.get_mut(&self.id) {
            entry.is_waiting = is_waiting;
            if is_waiting && self.stop.requested() {
                shut(entry, Shutdown::Read);
            }
        }
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        self.stop.lock().entries.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    fn stop() -> Arc<Stop> {
        Arc::new(Stop::new().unwrap())
    }

    /// A connected pair of streams.
    fn pair() -> (Arc<Stream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (Arc::new(OwnedFd::from(stream).into()), peer)
    }

    fn read(stream: &Stream) -> Option<usize> {
        (&*stream).read(&mut [0]).ok()
    }

    #[test]
    fn the_stop_ends_a_read_in_progress() {
        let (stop, (stream, _peer)) = (stop(), pair());
        let registered = stop.register(&stream);
        registered.set_waiting(true);
        let waiting = std::thread::spawn(move || read(&stream));
        stop.request();
        assert_eq!(waiting.join().unwrap(), Some(0));
    }

    #[test]
    fn a_read_that_begins_after_the_stop_ends_at_once() {
        let (stop, (stream, _peer)) = (stop(), pair());
        let registered = stop.register(&stream);
        stop.request();
        registered.set_waiting(true);
        assert_eq!(read(&stream), Some(0));
    }

    #[test]
    fn the_stop_does_not_interrupt_a_busy_connection_until_the_cut() {
        let (stop, (stream, mut peer)) = (stop(), pair());
        let _registered = stop.register(&stream);
        stop.request();
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        assert_eq!(read(&stream), Some(1));
        stop.cut();
        assert_eq!(read(&stream), Some(0));
    }

    #[test]
    fn the_list_keeps_no_connection_open() {
        let (stop, (stream, mut peer)) = (stop(), pair());
        let _registered = stop.register(&stream);
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}

//! How everything ends: the stop flag, and the sockets that must hear of it.
//!
//! What it is: a flag, and a list of connections whose blocking read a stop has to interrupt.
//! What it is not: the goodbye; each connection says its own.
//! Invariant: a interruptible socket is held weakly, so that the list keeps no connection open.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Stream;
use super::waker::Waker;

/// The stop of one server, seen from all of its threads.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    requested: AtomicBool,
    cut: AtomicBool,
    connections: Mutex<Interruptibles>,
    /// Signalled once, when the stop is requested.
    called: Condvar,
    /// What Unix sockets hear it by; there is one where there are such.
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Interruptibles {
    next: u64,
    live: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    stream: Weak<Stream>,
    /// Waiting for its peer, so that a stop may end the wait. A connection in the middle of a
    /// request is left to finish it.
    waiting: bool,
}

impl Stop {
    /// A stop that Unix sockets hear, too.
    ///
    /// # Errors
    /// No descriptors.
    pub(crate) fn with_waker() -> io::Result<Stop> {
        Ok(Stop { waker: Some(Waker::new()?), ..Stop::default() })
    }

    pub(crate) fn waker(&self) -> Option<&Waker> {
        self.waker.as_ref()
    }

    /// Asks every thread to end. Returns at once; further calls do nothing.
    pub(crate) fn request(&self) {
        let connections = self.lock();
        if self.requested.swap(true, Ordering::SeqCst) {
            return;
        }
        self.called.notify_all();
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        for entry in connections.live.values().filter(|entry| entry.waiting) {
            shut(entry, Shutdown::Read);
        }
    }

    /// Whether the stop was requested.
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    /// Blocks until the stop is requested.
    pub(crate) fn wait(&self) {
        let requested = |_: &mut Interruptibles| !self.requested();
        drop(self.called.wait_while(self.lock(), requested));
    }

    /// Blocks until the stop is requested, `timeout` at most. Returns whether it was.
    pub(crate) fn wait_for(&self, timeout: Duration) -> bool {
        let requested = |_: &mut Interruptibles| !self.requested();
        drop(self.called.wait_timeout_while(self.lock(), timeout, requested));
        self.requested()
    }

    /// Lists `stream`, until the returned value is dropped.
    pub(crate) fn list(self: &Arc<Self>, stream: &Arc<Stream>) -> Interruptible {
        let mut connections = self.lock();
        let id = connections.next;
        connections.next += 1;
        connections.live.insert(id, Entry { stream: Arc::downgrade(stream), waiting: false });
        Interruptible { stop: Arc::clone(self), id }
    }

    /// Whether the time for goodbyes is over.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Ends every interruptible connection, both ways.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for entry in self.lock().live.values() {
            shut(entry, Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Interruptibles> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shut(entry: &Entry, how: Shutdown) {
    if let Some(stream) = entry.stream.upgrade() {
        // It fails on a connection that has ended by itself.
        let _ = stream.shutdown(how);
    }
}

/// A connection's place in the list.
#[derive(Debug)]
pub(crate) struct Interruptible {
    stop: Arc<Stop>,
    id: u64,
}

impl Interruptible {
    /// Says whether the connection waits for its peer and has nothing half done. Once it waits, a
    /// stop (one that came earlier too) makes its reads see the end of the stream.
    pub(crate) fn set_waiting(&self, waiting: bool) {
        if let Some(entry) = self.stop.lock().live.get_mut(&self.id) {
            entry.waiting = waiting;
            if waiting && self.stop.requested() {
                shut(entry, Shutdown::Read);
            }
        }
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        self.stop.lock().live.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

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
    fn a_wait_that_is_on_ends_with_the_stop() {
        let (stop, (stream, _peer)) = (Arc::<Stop>::default(), pair());
        let interruptible = stop.list(&stream);
        interruptible.set_waiting(true);
        let waiting = std::thread::spawn(move || read(&stream));
        stop.request();
        assert_eq!(waiting.join().unwrap(), Some(0));
    }

    #[test]
    fn a_wait_that_begins_after_the_stop_ends_at_once() {
        let (stop, (stream, _peer)) = (Arc::<Stop>::default(), pair());
        let interruptible = stop.list(&stream);
        stop.request();
        interruptible.set_waiting(true);
        assert_eq!(read(&stream), Some(0));
    }

    #[test]
    fn who_does_not_wait_is_left_alone_until_the_cut() {
        let (stop, (stream, mut peer)) = (Arc::<Stop>::default(), pair());
        let _listed = stop.list(&stream);
        stop.request();
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        assert_eq!(read(&stream), Some(1));
        stop.cut();
        assert_eq!(read(&stream), Some(0));
    }

    #[test]
    fn the_list_keeps_no_connection_open() {
        let (stop, (stream, mut peer)) = (Arc::<Stop>::default(), pair());
        let _listed = stop.list(&stream);
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}

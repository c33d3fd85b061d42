//! A stream whose reads and writes end in time.
//!
//! **Invariants:** a read that finds nothing before its timeout, is woken, or is interrupted by the
//! stop fails with [`WouldBlock`]. Bytes that wait in the kernel are read even after the timeout: they
//! arrived in time if the process was stopped meanwhile (SIGSTOP, a suspended machine). A write whose bytes the peer does not take in time fails with
//! [`TimedOut`], and nothing is sent after a write that failed: the peer may have received a part
//! of it.
//!
//! [`WouldBlock`]: io::ErrorKind::WouldBlock
//! [`TimedOut`]: io::ErrorKind::TimedOut

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};

use super::Stream;
use super::address::Address;
use super::read_ahead::ReadAhead;
use super::shutdown::{Interruptible, Stop};
use super::transport::{PauseEnd, ReadTimeout, WritePastDeadline, append_piece};
use super::waker::{HangUp, Readiness, Waker, wait_for_hang_up, wait_readable};

/// See the module.
#[derive(Debug)]
pub(super) struct TimedStream {
    // Dropped before the stream, so that the stop never holds a closed one.
    interruptible: Interruptible,
    stream: Arc<Stream>,
    stop: Arc<Stop>,
    /// On a Unix socket a stop cannot shut the read side down: the peer would lose its sending
    /// side, and with it its last messages and its answer to our Close.
    is_unix: bool,
    /// Wakes the session that reads, when another thread has something for it.
    waker: Option<Arc<Waker>>,
    /// Whether the stop may interrupt a read; see [`Interruptible::set_waiting`].
    is_waiting: bool,
    read_timeout: ReadTimeout,
    /// The read timeout that the kernel has. Setting it costs a system call.
    kernel_timeout: Option<Duration>,
    write_timeout: Duration,
    /// `None` if writing may last as long as the peer takes bytes.
    write_deadline: Option<Instant>,
    last_received: Instant,
    ahead: ReadAhead,
    /// Whether a write has failed.
    is_broken: bool,
}

impl TimedStream {
    /// `write_timeout` runs anew whenever the peer takes some bytes.
    ///
    /// # Errors
    /// The operating system's, if the peer is gone already.
    pub(super) fn new(
        stream: Stream,
        peer: Address,
        stop: &Arc<Stop>,
        write_timeout: Duration,
    ) -> io::Result<TimedStream> {
        stream.set_write_timeout(Some(write_timeout))?;
        let stream = Arc::new(stream);
        Ok(TimedStream {
            interruptible: stop.register(&stream),
            stream,
            stop: Arc::clone(stop),
            is_unix: peer == Address::Unix,
            waker: None,
            is_waiting: false,
            read_timeout: ReadTimeout::default(),
            kernel_timeout: None,
            write_timeout,
            write_deadline: None,
            last_received: Instant::now(),
            ahead: ReadAhead::default(),
            is_broken: false,
        })
    }

    /// By which the connection can be ended from another thread.
    pub(super) fn handle(&self) -> Weak<Stream> {
        Arc::downgrade(&self.stream)
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn set_waker(&mut self, waker: Arc<Waker>) {
        self.waker = Some(waker);
    }

    pub(super) fn set_read_timeout(&mut self, timeout: ReadTimeout) {
        self.read_timeout = timeout;
    }

    /// See [`Transport::set_write_deadline`](super::transport::Transport::set_write_deadline).
    pub(super) fn set_write_deadline(&mut self, deadline: Instant) {
        self.write_deadline = Some(deadline);
    }

    /// See [`Interruptible::set_waiting`].
    pub(super) fn set_waiting(&mut self, is_waiting: bool) {
        self.is_waiting = is_waiting;
        if !self.is_unix {
            self.interruptible.set_waiting(is_waiting);
        }
    }

    /// When bytes were last read from the kernel.
    pub(super) fn last_received(&self) -> Instant {
        self.last_received
    }

    /// See [`Transport::pause`](super::transport::Transport::pause).
    pub(super) fn pause(&self, time: Duration, waker: Option<&Waker>) -> io::Result<PauseEnd> {
        let start = Instant::now();
        loop {
            let left = time.saturating_sub(start.elapsed());
            match wait_for_hang_up(&*self.stream, self.stop.waker(), waker, left) {
                Ok(HangUp::Stopping) => return Ok(PauseEnd::Stopping),
                Ok(HangUp::Woken | HangUp::TimedOut) => return Ok(PauseEnd::Over),
                // A reset is pending as an error.
                Ok(HangUp::PeerLeft) => {
                    return self.stream.take_error()?.map_or(Ok(PauseEnd::PeerLeft), Err);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether bytes were read ahead, so that the next read does not wait.
    pub(super) fn has_read_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Puts bytes back that were just read; the next read returns them.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.ahead.put_back(bytes);
    }

    /// Ends the sending side. From here on neither the stop nor the waker interrupts reads.
    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        self.waker = None;
        self.set_waiting(false);
        self.stream.shutdown(Shutdown::Write)
    }

    /// Makes writes fail that would have to wait.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        self.stream.set_nonblocking(true)
    }

    /// Makes the connection end with a reset when it closes.
    pub(super) fn reset_on_close(&self) -> io::Result<()> {
        self.stream.set_linger(Some(Duration::ZERO))
    }

    /// Waits in poll(2), or leaves the wait to the read that follows.
    fn wait(&mut self) -> io::Result<()> {
        let left = self.read_timeout.left(Instant::now);
        if self.read_timeout.review.is_some_and(|review| review <= self.last_received) {
            return self.poll(Some(Duration::ZERO));
        }
        let is_over = left.is_some_and(|left| left.is_zero());
        if is_over || self.is_waiting && (self.is_unix || self.waker.is_some()) {
            return self.poll(left);
        }
        if left != self.kernel_timeout {
            // SO_RCVTIMEO of 0 means no timeout.
            self.stream.set_read_timeout(left.map(|left| left.max(Duration::from_micros(1))))?;
            self.kernel_timeout = left;
        }
        Ok(())
    }

    fn poll(&self, timeout: Option<Duration>) -> io::Result<()> {
        let waker = self.waker.as_deref();
        match wait_readable(&*self.stream, self.stop.waker(), waker, timeout)? {
            Readiness::Readable => Ok(()),
            Readiness::TimedOut | Readiness::Stopping => Err(io::ErrorKind::WouldBlock.into()),
            Readiness::Woken => {
                if let Some(waker) = waker {
                    waker.clear();
                }
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Reads into the spare capacity of `buffer`.
    pub(super) fn append_to(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            return append_piece(self, buffer);
        }
        self.read_in_time(|_, stream| {
            Ok(recv(stream, spare_capacity(buffer), RecvFlags::empty())?.0)
        })
    }

    #[inline]
    fn read_in_time(
        &mut self,
        mut read: impl FnMut(&mut ReadAhead, &Stream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let read = self.wait().and_then(|()| read(&mut self.ahead, &self.stream));
            match read {
                // The end comes from the stop's shutdown of the read side. If the peer has reset
                // the connection instead, that is pending as an error.
                Ok(0) if self.is_interrupted() => {
                    let error = self.stream.take_error()?;
                    return Err(error.unwrap_or(io::ErrorKind::WouldBlock.into()));
                }
                Ok(length) => {
                    self.last_received = Instant::now();
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the end of the stream may be our own doing: to end a wait, the stop shuts the read
    /// side down. Bytes that the peer sends are still read.
    fn is_interrupted(&self) -> bool {
        self.is_waiting && !self.is_unix && self.stop.requested() && !self.stop.is_cut()
    }

    /// Sends all of `bytes`, unless the peer keeps it waiting until the deadline.
    #[cold]
    fn write_until(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.limit_write(deadline)?;
            match (&*self.stream).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => bytes = &bytes[sent?..],
            }
        }
        Ok(())
    }

    /// Lets the next write wait until the deadline at most. The kernel's timeout limits the whole of one
    /// write, so it is shortened only towards the end.
    #[cold]
    fn limit_write(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left < self.write_timeout {
            // SO_SNDTIMEO of 0 means no timeout.
            self.stream.set_write_timeout(Some(left.max(Duration::from_micros(1))))?;
        }
        Ok(())
    }

    /// The error of a write that failed. `WouldBlock` from a blocking socket is its write timeout.
    #[cold]
    fn write_error(&mut self, error: io::Error) -> io::Error {
        self.is_broken = true;
        match error.kind() {
            io::ErrorKind::WouldBlock
                if self.write_deadline.is_some_and(|deadline| deadline <= Instant::now()) =>
            {
                io::Error::new(io::ErrorKind::TimedOut, WritePastDeadline)
            }
            io::ErrorKind::WouldBlock => {
                io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")
            }
            _ => error,
        }
    }
}

impl Read for TimedStream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            return Ok(self.ahead.take(buf));
        }
        self.read_in_time(|ahead, stream| ahead.read(stream, buf))
    }
}

impl Write for TimedStream {
    /// Sends all of `bytes`.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sent = match self.write_deadline {
            None => (&*self.stream).write_all(bytes),
            Some(deadline) => self.write_until(bytes, deadline),
        };
        match sent {
            Ok(()) => Ok(bytes.len()),
            Err(error) => Err(self.write_error(error)),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if let Some(deadline) = self.write_deadline {
            self.limit_write(deadline).map_err(|error| self.write_error(error))?;
        }
        loop {
            match (&*self.stream).write_vectored(pieces) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map_err(|error| self.write_error(error)),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

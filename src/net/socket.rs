//! The stream of one connection.
//!
//! What it is: a [`Stream`] with timeouts that say which one fired, and output that is tied to
//! input; with TLS on top of all that, where the server speaks it.
//! What it is not: a protocol.
//! Invariants: a read never waits while written bytes have not been sent. [`WouldBlock`] means
//! that a read found nothing in time (or that a stop was requested); a write that found no taker
//! in time is [`TimedOut`].
//!
//! [`WouldBlock`]: io::ErrorKind::WouldBlock
//! [`TimedOut`]: io::ErrorKind::TimedOut

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Stream;
use super::address::Address;
use super::shutdown::{Interruptible, Stop};
use super::tls::{self, HANDSHAKE_RECORD};
use crate::config::tuning::{READ_AHEAD, TLS_PIECE, WRITE_BUFFER};
use crate::metrics::histogram::Histogram;

/// How long a read may wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReadTimeout {
    /// For the next byte.
    pub(crate) idle: Option<Duration>,
    /// For whatever is being read, as a whole.
    pub(crate) deadline: Option<Instant>,
}

impl ReadTimeout {
    pub(crate) fn deadline(deadline: Instant) -> ReadTimeout {
        ReadTimeout { idle: None, deadline: Some(deadline) }
    }

    /// The wait that is left at `now`; none is as long as it takes.
    pub(crate) fn left(self, now: impl FnOnce() -> Instant) -> Option<Duration> {
        let deadline = self.deadline.map(|deadline| deadline.saturating_duration_since(now()));
        match (self.idle, deadline) {
            (Some(idle), Some(deadline)) => Some(idle.min(deadline)),
            (idle, deadline) => idle.or(deadline),
        }
    }
}

/// What a session needs of its stream beside reading and writing.
pub(crate) trait Transport: Read + Write {
    /// Sets how long reads may wait.
    fn set_read_timeout(&mut self, read_timeout: ReadTimeout);
    /// Whether the server is stopping. Reads that find nothing then return at once.
    fn stopping(&self) -> bool;
    /// Blocks until the server stops, `timeout` at most. Returns whether it does.
    fn wait_for_stop(&self, timeout: Duration) -> bool;
    /// When bytes last arrived: one time for all the messages of a burst, as asking for the time
    /// would cost as much as answering one of them.
    fn last_heard(&self) -> Instant;
    /// Ends the sending side: the peer sees the end of the stream. From now on a stop interrupts
    /// nothing, as the end is near.
    fn finish(&mut self) -> io::Result<()>;
    /// Sends what is written, and makes the coming end of the connection a reset.
    fn reset(&mut self) -> io::Result<()>;
}

/// A session borrows its socket: moving it down would leave a copy in each frame on the way.
impl<T: Transport> Transport for &mut T {
    fn set_read_timeout(&mut self, read_timeout: ReadTimeout) {
        (**self).set_read_timeout(read_timeout);
    }

    fn stopping(&self) -> bool {
        (**self).stopping()
    }

    fn wait_for_stop(&self, timeout: Duration) -> bool {
        (**self).wait_for_stop(timeout)
    }

    fn last_heard(&self) -> Instant {
        (**self).last_heard()
    }

    fn finish(&mut self) -> io::Result<()> {
        (**self).finish()
    }

    fn reset(&mut self) -> io::Result<()> {
        (**self).reset()
    }
}

/// One peer's connection. See the module.
#[derive(Debug)]
pub(crate) struct Socket {
    // Dropped before the stream, so that the list never holds a closed one.
    interruptible: Interruptible,
    stream: Arc<Stream>,
    tls: Option<tls::TlsSession>,
    /// Whether the peer spoke without TLS where that is spoken.
    spoke_plaintext: bool,
    stop: Arc<Stop>,
    is_unix: bool,
    /// Whether a stop may have shut the read side down; see [`Interruptible::set_waiting`].
    waiting: bool,
    read_timeout: ReadTimeout,
    /// The read timeout that the kernel has; setting it costs a system call.
    kernel_timeout: Option<Duration>,
    last_heard: Instant,
    answer: Answer,
    /// How long answers take, where the operator asked for that.
    latencies: Option<Arc<Histogram>>,
    /// Written, not sent.
    pending: Vec<u8>,
    ahead: ReadAhead,
}

/// How it stands with an answer to what the last read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It found nothing.
    NotDue,
    Due,
    /// It has been sent before it is looked for: what is too large to be collected, or a Pong.
    Sent,
}

impl Answer {
    fn is_on_its_way(&mut self) {
        if *self == Answer::Due {
            *self = Answer::Sent;
        }
    }
}

/// Bytes read before they were asked for. Only while reads come back full: a quiet connection has
/// no buffer of its own.
#[derive(Debug, Default)]
struct ReadAhead {
    buffer: Vec<u8>,
    /// What of the buffer has been read from the stream, and not been asked for.
    unread: Range<usize>,
    /// Whether the last read was as large as it could be, so that more is likely.
    is_due: bool,
}

impl ReadAhead {
    /// Reads from `stream`; into the buffer first when that is due.
    fn read(&mut self, mut stream: &Stream, buf: &mut [u8]) -> io::Result<usize> {
        if !self.is_due {
            let length = stream.read(buf)?;
            self.is_due = length == buf.len();
            return Ok(length);
        }
        self.buffer.resize(READ_AHEAD, 0);
        let read = stream.read(&mut self.buffer);
        self.unread = 0..*read.as_ref().unwrap_or(&0);
        self.is_due = self.unread.len() > buf.len();
        let taken = self.take(buf);
        read.map(|_| taken)
    }

    /// Takes from what has been read ahead. The buffer is given back when the burst is over.
    fn take(&mut self, buf: &mut [u8]) -> usize {
        let length = self.unread.len().min(buf.len());
        let taken = self.unread.start..self.unread.start + length;
        buf[..length].copy_from_slice(&self.buffer[taken]);
        self.unread.start += length;
        if self.unread.is_empty() && !self.is_due {
            self.buffer = Vec::new();
        }
        length
    }
}

impl Socket {
    /// # Errors
    /// The operating system's, when the peer is gone already.
    pub(crate) fn new(
        stream: Stream,
        peer: Address,
        tls: Option<tls::TlsSession>,
        stop: &Arc<Stop>,
        write: Duration,
    ) -> io::Result<Socket> {
        stream.set_write_timeout(Some(write))?;
        let stream = Arc::new(stream);
        Ok(Socket {
            interruptible: stop.list(&stream),
            stream,
            tls,
            spoke_plaintext: false,
            stop: Arc::clone(stop),
            is_unix: peer == Address::Unix,
            waiting: false,
            read_timeout: ReadTimeout::default(),
            kernel_timeout: None,
            last_heard: Instant::now(),
            answer: Answer::NotDue,
            latencies: None,
            pending: Vec::new(),
            ahead: ReadAhead::default(),
        })
    }

    /// A writer for another thread. Whoever takes one leaves all writing to it.
    pub(crate) fn writer(&self) -> SocketWriter {
        SocketWriter { stream: Arc::clone(&self.stream), tls: self.tls.clone() }
    }

    /// Its TLS, where it speaks that.
    pub(crate) fn tls(&self) -> Option<&tls::TlsSession> {
        self.tls.as_ref()
    }

    /// Whether the peer spoke without TLS where that is spoken. From then on so do we, for it to
    /// understand its refusal.
    pub(crate) fn spoke_plaintext(&self) -> bool {
        cfg!(feature = "tls") && self.spoke_plaintext
    }

    /// Measures from now on how long it takes to answer, what came with the handshake included.
    pub(crate) fn measure(&mut self, latencies: Arc<Histogram>) {
        self.latencies = Some(latencies);
        self.answer = Answer::Due;
    }

    /// See [`Interruptible::set_waiting`].
    pub(crate) fn set_waiting(&mut self, waiting: bool) {
        self.waiting = waiting;
        if !self.is_unix {
            self.interruptible.set_waiting(waiting);
        }
    }

    /// Whether the end of the stream may be our own doing: a stop shuts the read side down to end
    /// the wait, and what the peer sends is still read.
    fn is_interrupted(&self) -> bool {
        self.waiting && !self.is_unix && self.stop.requested() && !self.stop.is_cut()
    }

    /// Waits for a Unix socket; has the kernel wait for a TCP one, in the read that follows.
    fn apply_read_timeout(&mut self) -> io::Result<()> {
        let left = self.read_timeout.left(Instant::now);
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.is_unix
            && self.waiting
            && let Some(waker) = self.stop.waker()
        {
            return waker.wait_for(&self.stream, left);
        }
        if left != self.kernel_timeout {
            // What is less than a microsecond would be no timeout.
            self.stream.set_read_timeout(left.map(|left| left.max(Duration::from_micros(1))))?;
            self.kernel_timeout = left;
        }
        Ok(())
    }

    fn send_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let sent = send(&self.pending, &self.stream, self.tls.as_ref());
        self.pending.clear();
        sent
    }

    /// The same, measured: by now all is written that answers what was last heard.
    #[cold]
    fn send_answers(&mut self) -> io::Result<()> {
        let is_answer = match self.answer {
            Answer::NotDue => false,
            Answer::Due => !self.pending.is_empty(),
            Answer::Sent => true,
        };
        self.send_pending()?;
        if let Some(latencies) = self.latencies.as_ref().filter(|_| is_answer) {
            latencies.observe(self.last_heard.elapsed());
        }
        Ok(())
    }

    /// Reads what has been decrypted, once that is a byte.
    #[inline(never)]
    fn read_decrypted(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = self.tls.clone() else { return self.receive(buf) };
        loop {
            if let Some(length) = tls.take(buf)? {
                return Ok(length);
            }
            // What has to be decrypted has no buffer of its own: it rests where its text will.
            let room = buf.len().min(TLS_PIECE);
            let length = self.receive(&mut buf[..room])?;
            if length == 0 {
                return Ok(0);
            }
            if tls.awaits_hello() && buf[0] != HANDSHAKE_RECORD {
                (self.tls, self.spoke_plaintext) = (None, true);
                return Ok(length);
            }
            tls.feed(&buf[..length], &self.stream)?;
        }
    }

    /// Reads what has arrived.
    #[inline]
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.unread.is_empty() {
            return Ok(self.ahead.take(buf));
        }
        if self.latencies.is_none() {
            self.send_pending()?;
        } else {
            self.send_answers()?;
        }
        loop {
            self.apply_read_timeout()?;
            match self.ahead.read(&self.stream, buf) {
                // A peer that left has answered our goodbye with a reset.
                Ok(0) if self.is_interrupted() => {
                    let error = self.stream.take_error()?;
                    return Err(error.unwrap_or(io::ErrorKind::WouldBlock.into()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.last_heard = Instant::now();
                    self.answer = if read.is_ok() { Answer::Due } else { Answer::NotDue };
                    return read;
                }
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.tls.is_some() { self.read_decrypted(buf) } else { self.receive(buf) }
    }
}

impl Write for Socket {
    /// A hint, as each frame of an echo comes this way, and not only that.
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.pending.len() + buf.len() > WRITE_BUFFER {
            self.send_pending()?;
        }
        if buf.len() > WRITE_BUFFER {
            send(buf, &self.stream, self.tls.as_ref())?;
            self.answer.is_on_its_way();
        } else {
            self.pending.extend_from_slice(buf);
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.answer.is_on_its_way();
        }
        self.send_pending()
    }
}

impl Transport for Socket {
    fn set_read_timeout(&mut self, read_timeout: ReadTimeout) {
        self.read_timeout = read_timeout;
    }

    fn stopping(&self) -> bool {
        self.stop.requested()
    }

    fn wait_for_stop(&self, timeout: Duration) -> bool {
        self.stop.wait_for(timeout)
    }

    fn last_heard(&self) -> Instant {
        self.last_heard
    }

    fn finish(&mut self) -> io::Result<()> {
        self.send_pending()?;
        self.set_waiting(false);
        finish(&self.stream, self.tls.as_ref())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.send_pending()?;
        self.stream.set_linger(Some(Duration::ZERO))
    }
}

/// The sending side of a [`Socket`], with its write timeout.
#[derive(Debug, Clone)]
pub(crate) struct SocketWriter {
    stream: Arc<Stream>,
    tls: Option<tls::TlsSession>,
}

impl SocketWriter {
    /// Ends the sending side.
    pub(crate) fn finish(&self) {
        // As in `end`.
        let _ = finish(&self.stream, self.tls.as_ref());
    }

    /// Ends the connection, both ways: whoever waits in a read sees the end of the stream.
    pub(crate) fn end(&self) {
        // It fails on a connection that has ended by itself.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Write for SocketWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        send(buf, &self.stream, self.tls.as_ref()).map(|()| buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends all of `bytes`, encrypted where TLS is spoken.
fn send(bytes: &[u8], stream: &Stream, tls: Option<&tls::TlsSession>) -> io::Result<()> {
    match tls {
        Some(tls) => tls.send(bytes, stream),
        None => send_all(stream, bytes),
    }
}

/// Ends the sending side; that of TLS before that of the stream.
fn finish(stream: &Stream, tls: Option<&tls::TlsSession>) -> io::Result<()> {
    let said = tls.map_or(Ok(()), |tls| tls.finish(stream));
    stream.shutdown(Shutdown::Write).and(said)
}

/// Sends all of `bytes` as they are. The write timeout runs anew whenever the peer takes some.
pub(super) fn send_all(mut stream: &Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_read_timeout_is_the_shorter_of_the_two() {
        let now = Instant::now();
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
        for (idle, deadline, left) in [
            (None, None, None),
            (Some(short), None, Some(short)),
            (None, Some(now + short), Some(short)),
            (Some(short), Some(now + long), Some(short)),
            (Some(long), Some(now + short), Some(short)),
            (Some(long), Some(now), Some(Duration::ZERO)),
        ] {
            assert_eq!(ReadTimeout { idle, deadline }.left(|| now), left);
        }
    }

    #[test]
    fn reading_ahead_keeps_every_byte_and_gives_the_buffer_back() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = std::os::fd::OwnedFd::from(listener.accept().unwrap().0).into();
        let sent: Vec<u8> = (0..300_000).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let expected = sent.clone();
        let sending = std::thread::spawn(move || peer.write_all(&sent).map(|()| peer).unwrap());

        let (mut ahead, mut received, mut buf) = (ReadAhead::default(), Vec::new(), [0; 1000]);
        let mut was_used = false;
        while received.len() < expected.len() {
            let length = if ahead.unread.is_empty() {
                ahead.read(&stream, &mut buf).unwrap()
            } else {
                ahead.take(&mut buf)
            };
            received.extend_from_slice(&buf[..length]);
            was_used |= !ahead.buffer.is_empty();
        }
        assert!(received == expected && was_used);

        let _peer = sending.join().unwrap();
        Stream::set_nonblocking(&stream, true).unwrap();
        ahead.is_due = true;
        assert_eq!(ahead.read(&stream, &mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(ahead.buffer.is_empty() && !ahead.is_due);
    }
}

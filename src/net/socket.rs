//! The stream of one connection: plain or TLS, with output that is tied to input.
//!
//! Replies are collected, and sent before the next read waits, so that a burst of messages costs one
//! system call each way.
//!
//! **Invariants:** neither a read nor a pause waits while written bytes have not been sent. Errors are those of
//! [`Transport`].

use std::io::{self, IoSlice, Read, Write};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Stream;
use super::address::Address;
use super::shutdown::Stop;
use super::timed_stream::TimedStream;
use super::tls::{HANDSHAKE_RECORD, TlsSession};
use super::transport::{Append, PauseEnd, ReadTimeout, Transport, append_piece};
use super::waker::Waker;
use crate::config::tuning::WRITE_BUFFER;
use crate::metrics::histogram::Histogram;

/// One peer's connection. See the module.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TimedStream,
    tls: Option<TlsSession>,
    /// Whether the peer spoke plaintext to a TLS listener.
    spoke_plaintext: bool,
    /// Written, not sent.
    pending: Vec<u8>,
    latency: Option<ReplyLatency>,
    /// Bytes so far, decrypted ones over TLS.
    received: u64,
}

/// Measures the time from the arrival of messages to the sending of their replies, if the operator
/// asked for metrics.
#[derive(Debug)]
struct ReplyLatency {
    histogram: Arc<Histogram>,
    reply: ReplyState,
}

/// The reply to what the last read received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplyState {
    /// Nothing was received since the last call of `on_sent`.
    NotDue,
    Due,
    /// Already sent, past the write buffer (a large message, or a flushed Pong).
    Sent,
}

impl ReplyLatency {
    fn on_sent_early(&mut self) {
        if self.reply == ReplyState::Due {
            self.reply = ReplyState::Sent;
        }
    }

    /// Counts a reply that has been sent. `had_pending`: the write buffer held bytes.
    #[cold]
    fn on_sent(&mut self, had_pending: bool, received: Instant) {
        let is_reply = match self.reply {
            ReplyState::NotDue => false,
            ReplyState::Due => had_pending,
            ReplyState::Sent => true,
        };
        if is_reply {
            self.histogram.observe(received.elapsed());
        }
        self.reply = ReplyState::NotDue;
    }
}

impl Socket {
    /// `write_timeout` runs anew whenever the peer takes some bytes.
    ///
    /// # Errors
    /// The operating system's, if the peer is gone already.
    pub(crate) fn new(
        stream: Stream,
        peer: Address,
        tls: Option<TlsSession>,
        stop: &Arc<Stop>,
        write_timeout: Duration,
    ) -> io::Result<Socket> {
        Ok(Socket {
            stream: TimedStream::new(stream, peer, stop, write_timeout)?,
            tls,
            spoke_plaintext: false,
            pending: Vec::new(),
            latency: None,
            received: 0,
        })
    }

    /// The connection's TLS session; `None` if it is plain.
    pub(crate) fn tls(&self) -> Option<&TlsSession> {
        self.tls.as_ref()
    }

    /// Whether the peer spoke plaintext to a TLS listener. From then on the server does, too, so
    /// that the peer can read its refusal.
    pub(crate) fn spoke_plaintext(&self) -> bool {
        cfg!(feature = "tls") && self.spoke_plaintext
    }

    /// By which the connection can be ended from another thread.
    pub(crate) fn handle(&self) -> Weak<Stream> {
        self.stream.handle()
    }

    /// Measures reply times from now on, beginning with the replies to early frames.
    pub(crate) fn measure(&mut self, histogram: Arc<Histogram>) {
        self.latency = Some(ReplyLatency { histogram, reply: ReplyState::Due });
    }

    /// Sets whether the stop may interrupt a read; it may not in the middle of a request.
    pub(crate) fn set_waiting(&mut self, is_waiting: bool) {
        self.stream.set_waiting(is_waiting);
    }

    /// Lets `waker` end the waits of reads, with `WouldBlock`.
    pub(crate) fn set_waker(&mut self, waker: Arc<Waker>) {
        self.stream.set_waker(waker);
    }

    #[inline]
    fn send_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let sent = send(&mut self.stream, self.tls.as_mut(), &self.pending);
        self.pending.clear();
        sent
    }

    /// Sends what was written, before a read that may wait.
    #[inline]
    fn send_replies(&mut self) -> io::Result<()> {
        let had_pending = !self.pending.is_empty();
        self.send_pending()?;
        if let Some(latency) = &mut self.latency {
            latency.on_sent(had_pending, self.stream.last_received());
        }
        Ok(())
    }

    #[inline]
    fn read_plain(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stream.has_read_ahead() {
            return self.stream.read(buf);
        }
        self.send_replies()?;
        let read = self.stream.read(buf);
        self.note_received(read.is_ok());
        read
    }

    fn note_received(&mut self, is_received: bool) {
        if let Some(latency) = &mut self.latency
            && is_received
        {
            latency.reply = ReplyState::Due;
        }
    }

    /// Reads decrypted bytes; the handshake is a part of the first read.
    fn read_tls(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.read_plain(buf) };
        if tls.awaits_hello() {
            let length = self.stream.read(buf)?;
            if length == 0 {
                return Ok(0);
            }
            if buf[0] != HANDSHAKE_RECORD {
                (self.tls, self.spoke_plaintext) = (None, true);
                return Ok(length);
            }
            self.stream.put_back(&buf[..length]);
        } else if tls.wants_read() {
            self.send_replies()?;
        }
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let read = tls.read(&mut self.stream, buf);
        self.note_received(read.is_ok());
        if matches!(read, Ok(0)) {
            // After a close_notify the session wants no bytes, but the peer still waits for its replies.
            self.send_replies()?;
        }
        read
    }
}

/// Sends all of `bytes`, encrypted if `tls` is there.
#[inline]
fn send(stream: &mut TimedStream, tls: Option<&mut TlsSession>, bytes: &[u8]) -> io::Result<()> {
    match tls {
        Some(tls) => tls.write_all(stream, bytes),
        None => stream.write_all(bytes),
    }
}

impl Read for Socket {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = if self.tls.is_some() { self.read_tls(buf) } else { self.read_plain(buf) };
        self.received += *read.as_ref().unwrap_or(&0) as u64;
        read
    }
}

impl Write for Socket {
    // Called for the header and for the payload of each echo.
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.pending.len() + buf.len() > WRITE_BUFFER {
            self.send_pending()?;
        }
        if buf.len() > WRITE_BUFFER {
            send(&mut self.stream, self.tls.as_mut(), buf)?;
            if let Some(latency) = &mut self.latency {
                latency.on_sent_early();
            }
        } else {
            self.pending.extend_from_slice(buf);
        }
        Ok(buf.len())
    }

    /// As `write`, which takes all, without a loop.
    #[inline]
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.write(buf).map(|_| ())
    }

    /// Sends several pieces at once without copying them together, except that TLS has to encrypt them.
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.tls.is_none() {
            self.send_pending()?;
            if let Some(latency) = &mut self.latency {
                latency.on_sent_early();
            }
            return self.stream.write_vectored(pieces);
        }
        pieces.iter().try_for_each(|piece| self.write_all(piece))?;
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(latency) = &mut self.latency
            && !self.pending.is_empty()
        {
            latency.on_sent_early();
        }
        self.send_pending()
    }
}

/// However a connection ends, the peer is to know that nothing was cut off (RFC 8446, section 6.1).
impl Drop for Socket {
    fn drop(&mut self) {
        let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_established()) else { return };
        // This fails if the peer is gone, or if it does not read: nobody waits for it here.
        let _ =
            self.stream.set_nonblocking().and_then(|()| tls.send_close_notify(&mut self.stream));
    }
}

impl Append for Socket {
    fn append_to(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        if self.tls.is_some() {
            return append_piece(self, buffer);
        }
        if !self.stream.has_read_ahead() {
            self.send_replies()?;
        }
        let read = self.stream.append_to(buffer);
        self.note_received(read.is_ok());
        self.received += *read.as_ref().unwrap_or(&0) as u64;
        read
    }
}

impl Transport for Socket {
    fn set_read_timeout(&mut self, timeout: ReadTimeout) {
        self.stream.set_read_timeout(timeout);
    }

    fn set_write_deadline(&mut self, deadline: Instant) {
        self.stream.set_write_deadline(deadline);
    }

    fn is_stopping(&self) -> bool {
        self.stream.stop().requested()
    }

    fn pause(&mut self, time: Duration, waker: Option<&Waker>) -> io::Result<PauseEnd> {
        self.flush()?;
        self.stream.pause(time, waker)
    }

    fn last_received(&self) -> Instant {
        self.stream.last_received()
    }

    fn received(&self) -> u64 {
        self.received
    }

    /// Ends the sending side: that of TLS, then that of the stream.
    fn finish(&mut self) -> io::Result<()> {
        self.send_pending()?;
        let notified =
            self.tls.as_mut().map_or(Ok(()), |tls| tls.send_close_notify(&mut self.stream));
        self.stream.shutdown_write().and(notified)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.send_pending()?;
        self.tls = None; // it ends without close_notify
        self.stream.reset_on_close()
    }
}

//! A connection whose reads and writes have a deadline.
//!
//! **Invariant:** every wait ends at the deadline of its step, however many reads it takes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::connection_options::ConnectionOptions;
use super::report::Finding;
use super::tls::Tls;
use super::verdict::Verdict;

/// Returns the time until `deadline`, or `TimedOut` if it has passed.
pub(super) fn remaining(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        time => Ok(time),
    }
}

/// A connection whose reads and writes fail with `TimedOut` at a deadline. It is encrypted after
/// [`start_tls`](CheckStream::start_tls).
#[derive(Debug)]
pub(crate) struct CheckStream {
    tcp: DeadlineStream,
    tls: Option<Tls>,
}

/// The TCP connection, or that to a Unix socket, below TLS.
#[derive(Debug)]
pub(crate) struct DeadlineStream {
    stream: Socket,
    deadline: Instant,
}

impl CheckStream {
    pub(super) fn new(stream: impl Into<Socket>, deadline: Instant) -> CheckStream {
        CheckStream { tcp: DeadlineStream { stream: stream.into(), deadline }, tls: None }
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.tcp.deadline = deadline;
    }

    /// Makes the TLS handshake, with these protocols as offer (ALPN, RFC 7301). Returns what was negotiated.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub(crate) fn start_tls(
        &mut self,
        options: &ConnectionOptions,
        alpn: &[String],
    ) -> Result<Finding, Verdict> {
        let (negotiated, tls) = Tls::start(&mut self.tcp, options, alpn)?;
        self.tls = Some(tls);
        Ok(negotiated)
    }

    /// The largest TCP segment, in bytes; `None` on a Unix socket.
    pub(crate) fn segment_size(&self) -> Option<u32> {
        self.tcp.stream.tcp_mss().ok()
    }

    /// Ends the sending side (FIN), over TLS after a close_notify.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.finish(&mut self.tcp)?;
        }
        self.tcp.stream.shutdown(Shutdown::Write)
    }

    /// Ends the connection with a reset (RST).
    pub(crate) fn reset(self) -> io::Result<()> {
        self.tcp.stream.set_linger(Some(Duration::ZERO))
    }

    /// The protocol that was chosen by ALPN; `None` if none was.
    pub(crate) fn alpn(&self) -> Option<String> {
        self.tls.as_ref()?.alpn()
    }

    /// Whether TLS is spoken at the other end.
    pub(crate) fn speaks_tls(&mut self, options: &ConnectionOptions) -> bool {
        Tls::is_spoken(&mut self.tcp, options)
    }
}

impl Read for CheckStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.tcp, buf),
            None => self.tcp.read(buf),
        }
    }
}

impl Write for CheckStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(&mut self.tcp, buf),
            None => self.tcp.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.flush(&mut self.tcp),
            None => self.tcp.flush(),
        }
    }
}

/// Maps `WouldBlock` to `TimedOut`: which of the two a socket timeout is depends on the platform.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Read for DeadlineStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(remaining(self.deadline)?))?;
            match self.stream.read(buf) {
                // The process was stopped and continued (SIGSTOP, SIGCONT).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(timed_out),
            }
        }
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(remaining(self.deadline)?))?;
        self.stream.write(buf).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

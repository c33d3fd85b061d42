//! Bytes that were read from the stream before they were asked for.
//!
//! tungstenite reads in small pieces; a peer that sends much at a time would cost a system call for
//! each. So once a read comes back full, the next one fills a large buffer. A connection that is
//! quiet has none.

use std::io::{self, Read};
use std::ops::Range;

use super::Stream;
use crate::config::tuning::READ_AHEAD;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    buffer: Vec<u8>,
    /// The part of the buffer that was read from the stream and not taken yet.
    unread: Range<usize>,
    /// Whether the last read came back full, so that more bytes probably wait.
    is_due: bool,
}

impl ReadAhead {
    pub(super) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// Reads from `stream`; through the buffer if more bytes probably wait than `buf` holds.
    pub(super) fn read(&mut self, mut stream: &Stream, buf: &mut [u8]) -> io::Result<usize> {
        if !self.is_due || buf.len() >= READ_AHEAD {
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

    /// Takes bytes from the buffer. The buffer is freed when it is empty and the burst is over.
    pub(super) fn take(&mut self, buf: &mut [u8]) -> usize {
        let length = self.unread.len().min(buf.len());
        let taken = self.unread.start..self.unread.start + length;
        buf[..length].copy_from_slice(&self.buffer[taken]);
        self.unread.start += length;
        if self.unread.is_empty() && !self.is_due {
            self.buffer = Vec::new();
        }
        length
    }

    /// Puts bytes back that were just read; the next read returns them.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        let unread = &self.buffer[self.unread.clone()];
        self.buffer = [bytes, unread].concat();
        self.unread = 0..self.buffer.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    #[test]
    fn reading_ahead_keeps_every_byte_and_frees_the_buffer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = OwnedFd::from(listener.accept().unwrap().0).into();
        let sent: Vec<u8> = (0..300_000).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let expected = sent.clone();
        let sending = std::thread::spawn(move || peer.write_all(&sent).map(|()| peer).unwrap());

        let (mut ahead, mut received, mut buf) = (ReadAhead::default(), Vec::new(), [0; 1000]);
        let mut was_used = false;
        while received.len() < expected.len() {
            let length = if ahead.is_empty() {
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

    #[test]
    fn bytes_that_were_put_back_come_first() {
        let mut ahead = ReadAhead::default();
        ahead.put_back(b"cd");
        ahead.put_back(b"ab");
        let mut buf = [0; 3];
        assert_eq!((ahead.take(&mut buf), &buf), (3, b"abc"));
        assert_eq!((ahead.take(&mut buf), buf[0]), (1, b'd'));
        assert!(ahead.is_empty() && ahead.buffer.is_empty());
    }
}

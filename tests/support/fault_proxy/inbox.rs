//! What has arrived at one end of a connection, and has not been forwarded yet.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::frame::Frame;
use super::head;

/// More than a 101 and the frame behind it, so that one read takes both.
const READ: usize = 64 * 1024;

pub(super) struct Inbox<'a> {
    stream: &'a TcpStream,
    arrived: Vec<u8>,
}

impl<'a> Inbox<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Inbox<'a> {
        Inbox { stream, arrived: Vec::new() }
    }

    /// Waits for more. Returns the number of bytes, 0 at the end of the stream; `WouldBlock` at the
    /// deadline.
    pub(super) fn fill(&mut self, deadline: Option<Instant>) -> io::Result<usize> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.stream.set_read_timeout(left)?;
        let before = self.arrived.len();
        self.arrived.resize(before + READ, 0);
        let read = self.stream.read(&mut self.arrived[before..]);
        self.arrived.truncate(before + read.as_ref().map_or(0, |length| *length));
        read
    }

    /// Waits for a head. Returns it; it stays here until it is skipped.
    pub(super) fn head(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let mut ends = self.arrived.windows(head::END.len());
            if let Some(start) = ends.position(|bytes| bytes == head::END) {
                return Ok(self.arrived[..start + head::END.len()].to_vec());
            }
            if self.fill(None)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(super) fn skip(&mut self, length: usize) {
        self.arrived.drain(..length);
    }

    pub(super) fn take_all(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.arrived)
    }

    /// Takes a frame; `None` if there is no whole one.
    pub(super) fn take_frame(&mut self) -> io::Result<Option<Frame>> {
        Frame::take(&mut self.arrived)
    }
}

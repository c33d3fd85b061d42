//! Generates load on one thread: each connection keeps a number of messages in flight, and each
//! reply is compared byte by byte.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::wire::{self, Dialect, Exchange};

/// The result of a load.
pub struct Outcome {
    pub messages: u64,
    pub seconds: f64,
    /// In nanoseconds.
    pub latency: Histogram<u64>,
}

struct Connection<'a> {
    stream: TcpStream,
    exchange: &'a Exchange,
    /// Bytes of the current reply that have been read.
    read: usize,
    /// Requests to be written, and the bytes of the first one that have been written.
    to_write: usize,
    written: usize,
    sent: VecDeque<Instant>,
}

impl Connection<'_> {
    /// Reads available bytes. Returns the number of completed replies.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = match self.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            result => result?,
        };
        let (mut bytes, mut completed) = (&buffer[..length], 0);
        while !bytes.is_empty() {
            let expected = &self.exchange.reply[self.read..];
            let length = expected.len().min(bytes.len());
            assert!(bytes[..length] == expected[..length], "a reply was altered");
            bytes = &bytes[length..];
            self.read += length;
            if self.read == self.exchange.reply.len() {
                self.read = 0;
                completed += 1;
            }
        }
        Ok(completed)
    }

    /// Writes as much of the due requests as the socket accepts; `burst` holds several in a row.
    fn write(&mut self, burst: &[u8]) -> io::Result<()> {
        let size = self.exchange.request.len();
        while self.to_write > 0 {
            let end = (self.to_write * size).min(burst.len());
            match self.stream.write(&burst[self.written..end]) {
                Ok(length) => {
                    self.written += length;
                    self.to_write -= self.written / size;
                    self.written %= size;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Opens `count` connections.
pub fn connect(address: SocketAddr, dialect: Dialect, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count).map(|_| wire::connect(address, dialect)).collect()
}

/// Keeps `in_flight` messages in flight on every connection; calls `measured` at the start and at
/// the end of the measured period.
pub fn run(
    streams: Vec<TcpStream>,
    exchange: &Exchange,
    in_flight: usize,
    (warm_up, duration): (Duration, Duration),
    mut measured: impl FnMut(),
) -> io::Result<Outcome> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let burst = exchange.request.repeat(in_flight);
    let mut connections = Vec::new();
    for (key, stream) in streams.into_iter().enumerate() {
        stream.set_nonblocking(true)?;
        let sent = VecDeque::from(vec![Instant::now(); in_flight]);
        let mut connection =
            Connection { stream, exchange, read: 0, to_write: in_flight, written: 0, sent };
        connection.write(&burst)?;
        epoll.add(&connection.stream, interest(key, &connection))?;
        connections.push(connection);
    }
    let (mut events, mut buffer) = ([EpollEvent::empty(); 256], vec![0; 256 * 1024]);
    let (mut messages, mut latency) = (0, Histogram::new(3).expect("three digits"));
    let start = Instant::now() + warm_up;
    let end = start + duration;
    let mut counting = false;
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::from(100u8))?;
        let now = Instant::now();
        if !counting && now >= start {
            counting = true;
            measured();
        }
        if now >= end {
            measured();
            return Ok(Outcome { messages, seconds: duration.as_secs_f64(), latency });
        }
        for event in &events[..ready] {
            let connection = &mut connections[event.data() as usize];
            let was_blocked = connection.to_write > 0;
            let completed = if event.events().contains(EpollFlags::EPOLLIN) {
                connection.read(&mut buffer)?
            } else {
                0
            };
            let now = Instant::now();
            for sent in connection.sent.drain(..completed) {
                if counting {
                    messages += 1;
                    let took = now.duration_since(sent).as_nanos() as u64;
                    latency.record(took).expect("it grows");
                }
            }
            connection.sent.extend(std::iter::repeat_n(now, completed));
            connection.to_write += completed;
            connection.write(&burst)?;
            if was_blocked != (connection.to_write > 0) {
                epoll
                    .modify(&connection.stream, &mut interest(event.data() as usize, connection))?;
            }
        }
    }
}

fn interest(key: usize, connection: &Connection) -> EpollEvent {
    let writable = if connection.to_write > 0 { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
    EpollEvent::new(EpollFlags::EPOLLIN | writable, key as u64)
}

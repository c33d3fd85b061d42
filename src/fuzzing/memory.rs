//! Fuzzes the memory of messages: 100 sessions at once, which are sent large, fragmented and compressed
//! messages, whole or in part, in any order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::{Compress, Compression, FlushCompress};

use crate::config::tuning::{FRAMES_READ, MESSAGE_FREE};
use crate::config::{Clock, Config, Limits, Template, Timeouts};
use crate::frame::{BINARY, CONTINUATION, FIN, RSV1, TEXT, masked};
use crate::message_memory::MessageMemory;
use crate::net::transport::{Append, PauseEnd, ReadTimeout, Transport};
use crate::net::waker::Waker;
use crate::session::deflate::{DeflateParameters, DeflatePool, DeflateSetup};
use crate::session::reply::Reply;
use crate::session::{Session, SessionSetup};

const SESSIONS: usize = 100;
const MAX_MESSAGE: usize = 64 * 1024;
/// Sizes of messages, around those at which the session behaves in another way.
const SIZES: [usize; 8] =
    [0, 125, 4096, MESSAGE_FREE / 2, MESSAGE_FREE, MESSAGE_FREE + 1, 50_000, MAX_MESSAGE];
/// What a client may have sent beyond the message that the server holds: another frame's header, and
/// what is read together with it.
const READ_BEYOND: usize = FRAMES_READ + 14;

/// One instruction of the fuzzer, in two bytes.
#[derive(Debug, Clone, Copy)]
struct Instruction {
    session: usize,
    action: u8,
    size: usize,
}

impl Instruction {
    fn parse(session: u8, action: u8) -> Instruction {
        Instruction {
            session: usize::from(session) % SESSIONS,
            action: action & 7,
            size: SIZES[usize::from(action >> 3) % SIZES.len()],
        }
    }

    /// What the client sends.
    fn bytes(self) -> Vec<u8> {
        let payload = vec![b'x'; self.size];
        match self.action {
            0 => frame(FIN | TEXT, &payload),
            1 => frame(FIN | BINARY, &payload),
            2 => {
                let third = &payload[..self.size / 3];
                [frame(TEXT, third), frame(CONTINUATION, third), frame(FIN | CONTINUATION, third)]
                    .concat()
            }
            3 => frame(FIN | RSV1 | TEXT, &compressed(&payload)),
            4 => frame(BINARY, &payload),
            5 => frame(FIN | BINARY, &payload)[..self.size / 2].to_vec(),
            _ => Vec::new(),
        }
    }
}

/// A client's frame, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, [0; 4])
}

fn compressed(payload: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(payload.len() + 64);
    let mut stream = Compress::new(Compression::fast(), false);
    stream.compress_vec(payload, &mut deflated, FlushCompress::Sync).expect("valid input");
    deflated.truncate(deflated.len() - 4); // RFC 7692, section 7.2.1
    deflated
}

/// What a client has sent, and how much of it the server has read.
#[derive(Debug, Default)]
struct Wire {
    sent: VecDeque<u8>,
    read: usize,
    is_closed: bool,
}

/// The server's side of a wire. Its writes always succeed, and no wait takes time.
#[derive(Debug)]
struct WireEnd(Rc<RefCell<Wire>>);

impl Read for WireEnd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.sent.is_empty() && !wire.is_closed {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = wire.sent.read(buf)?;
        wire.read += length;
        Ok(length)
    }
}

impl Write for WireEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Append for WireEnd {}

impl Transport for WireEnd {
    fn set_read_timeout(&mut self, _: ReadTimeout) {}

    fn set_write_deadline(&mut self, _: Instant) {}

    fn is_stopping(&self) -> bool {
        false
    }

    fn pause(&mut self, _: Duration, _: Option<&Waker>) -> io::Result<PauseEnd> {
        Ok(PauseEnd::Over)
    }

    fn last_received(&self) -> Instant {
        Instant::now()
    }

    fn received(&self) -> u64 {
        0
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session, and its client.
struct Peer<'a> {
    wire: Rc<RefCell<Wire>>,
    /// `None` once it has ended.
    session: Option<Session<'a, WireEnd>>,
    is_compressed: bool,
    /// Messages that the session had answered, and bytes that it had read by then.
    answered: (u64, usize),
}

impl<'a> Peer<'a> {
    fn new(number: usize, config: &'a Config, memory: &Arc<MessageMemory>) -> Peer<'a> {
        let wire = Rc::default();
        let is_compressed = number.is_multiple_of(3);
        let reply = if number.is_multiple_of(2) {
            Reply::Echo
        } else {
            Reply::tutorial(Template::default(), Clock::utc("noon").expect("a valid format"))
        };
        let setup = SessionSetup {
            number: number as u64,
            early: Vec::new(),
            reply: Ok(reply),
            faults: None,
            recorder: None,
            deflate: is_compressed.then(|| DeflateSetup {
                parameters: DeflateParameters::negotiate(&[], false).expect("a valid offer"),
                always: false,
                pool: Arc::new(DeflatePool::default()),
                takeover: None,
            }),
            memory: Arc::clone(memory),
            describe: Box::new(|_| String::new()),
            stats: None,
        };
        let session = Session::new(WireEnd(Rc::clone(&wire)), setup, config);
        Peer { wire, session: Some(session), is_compressed, answered: (0, 0) }
    }

    /// Lets the session read once.
    fn step(&mut self) {
        let Some(session) = &mut self.session else { return };
        if let Err(cause) = session.step() {
            self.wire.borrow_mut().is_closed = true;
            session.end(&cause);
            self.session = None;
            return;
        }
        let answered = session.sent().messages;
        if answered != self.answered.0 {
            self.answered = (answered, self.wire.borrow().read);
        }
    }

    /// Bytes of a message without an answer that the session has read, beyond what is free; of compressed
    /// messages it cannot be told.
    fn held(&self) -> usize {
        if self.session.is_none() || self.is_compressed {
            return 0;
        }
        let read = self.wire.borrow().read - self.answered.1;
        read.saturating_sub(MESSAGE_FREE + READ_BEYOND)
    }
}

/// Interleaves messages of 100 sessions. What is charged must never be more than the limit, nor less than what
/// the sessions hold, and must be zero at the end.
///
/// # Panics
/// If one of these properties does not hold.
pub fn memory(bytes: &[u8]) {
    let Some((&scale, instructions)) = bytes.split_first() else { return };
    let limit = MAX_MESSAGE * (1 + usize::from(scale) % 20);
    let config = Config {
        limits: Limits { max_message_size: MAX_MESSAGE, ..Limits::default() },
        timeouts: Timeouts { ping_interval: None, close: Duration::ZERO, ..Timeouts::default() },
        ..Config::default()
    };
    let memory = MessageMemory::new(limit);
    let mut peers: Vec<_> =
        (0..SESSIONS).map(|number| Peer::new(number, &config, &memory)).collect();
    for pair in instructions.chunks_exact(2) {
        let instruction = Instruction::parse(pair[0], pair[1]);
        let peer = &mut peers[instruction.session];
        peer.wire.borrow_mut().sent.extend(instruction.bytes());
        peer.step();
        assert!(memory.used() <= limit, "{} bytes are charged, over {limit}", memory.used());
        let held: usize = peers.iter().map(Peer::held).sum();
        assert!(held <= memory.used(), "{held} bytes are held, {} charged", memory.used());
        assert_eq!(memory.waiting(), 0, "no wait takes time");
    }
    drop(peers);
    assert_eq!(memory.used(), 0);
}

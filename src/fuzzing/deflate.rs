//! Fuzzes a session with compression: arbitrary frames, and valid compressed messages.

use std::sync::Arc;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frames::{self, Frame};
use super::peer::{Peer, PeerBehavior, PeerOutput};
use crate::config::{Config, Limits, Timeouts};
use crate::message_memory::MessageMemory;
use crate::session::deflate::{DeflateParameters, DeflatePool, DeflateSetup};
use crate::session::reply::Reply;
use crate::session::{Session, SessionSetup};

/// A timeout that even a slow machine does not reach: a session that lasts this long hangs.
const NEVER: Duration = Duration::from_secs(10);
/// The end of flushed DEFLATE data, which is not sent (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The input is a message, and the peer sends it compressed.
const ROUND_TRIP: u8 = 1;
/// Both sides use context takeover.
const TAKEOVER: u8 = 2;
/// The server also compresses messages that do not get shorter.
const ALWAYS: u8 = 4;
/// The client ends each message with a final DEFLATE block (BFINAL).
const FINISH: u8 = 8;
/// The server's reads find nothing before each piece.
const PAUSES: u8 = 16;

/// One session: its configuration and its input.
#[derive(Debug, Clone, Copy)]
struct DeflateScene<'a> {
    /// The bytes that the peer sends; with `ROUND_TRIP`, the message that it sends.
    input: &'a [u8],
    /// The five flags above.
    flags: u8,
    /// The compression level of the client.
    level: u32,
    /// The size of the server's window in bits.
    window: u8,
    /// The size of a fragment in bytes.
    fragment: usize,
    behavior: PeerBehavior,
    max_message_size: usize,
}

impl<'a> DeflateScene<'a> {
    /// Parses four bytes of settings, and the input after them. `None` if there are fewer bytes.
    fn parse(bytes: &'a [u8]) -> Option<DeflateScene<'a>> {
        let (&[flags, size, piece, fragment], input) = bytes.split_first_chunk()?;
        Some(DeflateScene {
            input,
            flags,
            level: u32::from(size >> 5) + 1,
            window: 9 + (flags >> 5) % 7,
            fragment: usize::from(fragment) + 1,
            behavior: PeerBehavior {
                piece,
                pauses: flags & PAUSES != 0,
                ..PeerBehavior::default()
            },
            max_message_size: 1 << (size % 17),
        })
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn setup(&self) -> DeflateSetup {
        let window = [("server_max_window_bits", Some(self.window.to_string()))];
        DeflateSetup {
            parameters: DeflateParameters::negotiate(&window, self.has(TAKEOVER))
                .expect("a valid offer"),
            always: self.has(ALWAYS),
            pool: Arc::new(DeflatePool::default()),
            takeover: None,
        }
    }

    fn run(&self, input: &[u8], behavior: PeerBehavior) -> PeerOutput {
        let config = Config {
            limits: Limits { max_message_size: self.max_message_size, ..Limits::default() },
            timeouts: Timeouts { ping_interval: None, close: NEVER, ..Timeouts::default() },
            ..Config::default()
        };
        let mut output = PeerOutput::default();
        let peer = Peer::new(input, 0, behavior, &mut output);
        let setup = SessionSetup {
            number: 1,
            early: Vec::new(),
            reply: Ok(Reply::Echo),
            faults: None,
            recorder: None,
            deflate: Some(self.setup()),
            memory: MessageMemory::new(usize::MAX),
            describe: Box::new(|_| "?info".to_owned()),
            stats: None,
        };
        Session::new(peer, setup, &config).run();
        output
    }

    /// Returns the messages in `output`, inflated with the negotiated window.
    fn messages(&self, output: &[u8]) -> Vec<Vec<u8>> {
        let mut stream = Decompress::new_with_window_bits(false, self.window);
        let mut messages = Vec::new();
        let (sent, cut) = frames::parse(output);
        assert!(cut.is_empty(), "a part of a frame");
        for frame in sent {
            match frame {
                Frame::Text(text) => messages.push(text.as_bytes().to_vec()),
                Frame::Binary(bytes) => messages.push(bytes.to_vec()),
                Frame::Deflated(payload) => {
                    if !self.has(TAKEOVER) {
                        stream = Decompress::new_with_window_bits(false, self.window);
                    }
                    messages.push(inflate(&mut stream, payload, self.max_message_size));
                }
                Frame::Ping => panic!("a Ping that is not due"),
                Frame::Pong | Frame::Close(_) => {}
            }
        }
        messages
    }

    /// Returns the client's frames: the message twice, compressed and fragmented, with a Ping after
    /// each fragment.
    fn frames(&self) -> Vec<u8> {
        let mut stream = Compress::new(Compression::new(self.level), false);
        let mut frames = Vec::new();
        for _ in 0..2 {
            if !self.has(TAKEOVER) || self.has(FINISH) {
                stream.reset();
            }
            let deflated = compress(&mut stream, self.input, self.has(FINISH));
            let count = deflated.chunks(self.fragment).count();
            for (number, piece) in deflated.chunks(self.fragment).enumerate() {
                let start = if number == 0 { 0x42 } else { 0 };
                let fin = if number + 1 == count { 0x80 } else { 0 };
                put(&mut frames, fin | start, piece);
                put(&mut frames, 0x89, b"");
            }
        }
        frames
    }
}

/// Appends a masked frame. The bytes of the key differ, so that an error in unmasking shows.
fn put(frames: &mut Vec<u8>, first: u8, payload: &[u8]) {
    const KEY: [u8; 4] = [0x11, 0x22, 0x44, 0x88];
    frames.push(first);
    match payload.len() {
        length @ 0..126 => frames.push(0x80 | u8::try_from(length).expect("is short")),
        length => {
            frames.push(0xfe);
            frames.extend(u16::try_from(length).expect("a fragment").to_be_bytes());
        }
    }
    frames.extend(KEY);
    frames.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
}

fn compress(stream: &mut Compress, message: &[u8], finish: bool) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(2 * message.len() + 64);
    let flush = if finish { FlushCompress::Finish } else { FlushCompress::Sync };
    if message.is_empty() {
        return vec![0];
    }
    stream.compress_vec(message, &mut deflated, flush).expect("compresses");
    if finish {
        deflated.push(0); // RFC 7692, section 7.2.3.4
    } else {
        assert!(deflated.ends_with(&TAIL));
        deflated.truncate(deflated.len() - TAIL.len());
    }
    deflated
}

/// Inflates a message, which must be complete and no larger than `limit`.
fn inflate(stream: &mut Decompress, payload: &[u8], limit: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(limit + 1);
    let payload = [payload, &TAIL[..]].concat();
    let before = stream.total_in();
    let status = stream.decompress_vec(&payload, &mut message, FlushDecompress::Sync);
    assert_eq!(status.expect("not DEFLATE"), Status::Ok);
    assert_eq!(stream.total_in() - before, payload.len() as u64, "not inflated to its end");
    assert!(message.len() <= limit, "a reply over the limit");
    message
}

/// Runs a session with compression on arbitrary input. It must end without a panic, and its output
/// must inflate within the negotiated window and the size limit. A valid message must come back
/// unchanged, however it was compressed and fragmented.
///
/// # Panics
/// If one of these properties does not hold.
pub fn deflate(bytes: &[u8]) {
    let Some(scene) = DeflateScene::parse(bytes) else { return };
    let frames = if scene.has(ROUND_TRIP) { scene.frames() } else { scene.input.to_vec() };
    let output = scene.run(&frames, scene.behavior);
    let messages = scene.messages(&output.bytes);
    if scene.has(ROUND_TRIP) && scene.input.len() <= scene.max_message_size {
        assert!(messages == [scene.input; 2], "the replies differ from the message: {messages:x?}");
    }
    let at_once = scene.run(&frames, PeerBehavior { piece: 0, pauses: false, ..scene.behavior });
    assert_eq!(output.bytes, at_once.bytes, "the output depends on how the input is cut");
}

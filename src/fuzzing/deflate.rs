//! A session with compression, fed with anything, and with messages that are right.

use std::sync::Arc;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frames::{self, Frame};
use super::peer::{Peer, PeerBehavior, PeerOutput};
use crate::config::{Config, Limits, Timeouts};
use crate::session::deflate::{DeflateParameters, DeflatePool, DeflateSetup};
use crate::session::reply::Reply;
use crate::session::{Session, SessionSetup};

/// Long enough that no machine is too slow; a session that lasts as long waits for nothing.
const NEVER: Duration = Duration::from_secs(10);
/// What a message is sent without.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The input is a message, and the peer sends it compressed.
const ROUND_TRIP: u8 = 1;
/// Both sides keep their context.
const TAKEOVER: u8 = 2;
/// The server compresses what does not get shorter, too.
const ALWAYS: u8 = 4;
/// The reference's block is a last one.
const FINISH: u8 = 8;
/// Each piece is preceded by a read that finds nothing.
const PAUSES: u8 = 16;

/// How one session is run.
#[derive(Debug, Clone, Copy)]
struct DeflateScene<'a> {
    /// What the peer sends, or the message of a round trip.
    input: &'a [u8],
    /// Bits of the five above.
    how: u8,
    /// The reference's.
    level: u32,
    /// Of the server, in bits.
    window: u8,
    /// The bytes of a fragment.
    cut: usize,
    manner: PeerBehavior,
    max_message_size: usize,
}

impl<'a> DeflateScene<'a> {
    /// From four bytes and the rest; none when there are not as many.
    fn parse(bytes: &'a [u8]) -> Option<DeflateScene<'a>> {
        let (&[how, size, piece, cut], input) = bytes.split_first_chunk()?;
        Some(DeflateScene {
            input,
            how,
            level: u32::from(size >> 5) + 1,
            window: 9 + (how >> 5) % 7,
            cut: usize::from(cut) + 1,
            manner: PeerBehavior { piece, pauses: how & PAUSES != 0, ..PeerBehavior::default() },
            max_message_size: 1 << (size % 17),
        })
    }

    fn is(&self, bit: u8) -> bool {
        self.how & bit != 0
    }

    fn setup(&self) -> DeflateSetup {
        let window = [("server_max_window_bits", Some(self.window.to_string()))];
        DeflateSetup {
            parameters: DeflateParameters::negotiate(&window, self.is(TAKEOVER))
                .expect("a good offer"),
            always: self.is(ALWAYS),
            pool: Arc::new(DeflatePool::default()),
            takeover: None,
        }
    }

    fn run(&self, input: &[u8], manner: PeerBehavior) -> PeerOutput {
        let config = Config {
            limits: Limits { max_message_size: self.max_message_size, ..Limits::default() },
            timeouts: Timeouts { ping_interval: None, close: NEVER, ..Timeouts::default() },
            ..Config::default()
        };
        let mut output = PeerOutput::default();
        let peer = Peer::new(input, 0, manner, &mut output);
        let setup = SessionSetup {
            number: 1,
            early: Vec::new(),
            reply: Ok(Reply::Echo),
            faults: None,
            deflate: Some(self.setup()),
            describe: Box::new(|_| "?info".to_owned()),
            stats: None,
        };
        Session::new(peer, setup, &config).run();
        output
    }

    /// The messages that these frames hold, inflated within the window that was agreed on.
    fn messages(&self, output: &[u8]) -> Vec<Vec<u8>> {
        let mut stream = Decompress::new_with_window_bits(false, self.window);
        let mut messages = Vec::new();
        for frame in frames::parse(output) {
            match frame {
                Frame::Text(text) => messages.push(text.as_bytes().to_vec()),
                Frame::Binary(bytes) => messages.push(bytes.to_vec()),
                Frame::Deflated(payload) => {
                    if !self.is(TAKEOVER) {
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

    /// The message twice, each compressed and in fragments, with a Ping between any two.
    fn frames(&self) -> Vec<u8> {
        let mut stream = Compress::new(Compression::new(self.level), false);
        let mut frames = Vec::new();
        for _ in 0..2 {
            if !self.is(TAKEOVER) || self.is(FINISH) {
                stream.reset();
            }
            let deflated = compress(&mut stream, self.input, self.is(FINISH));
            let count = deflated.chunks(self.cut).count();
            for (number, piece) in deflated.chunks(self.cut).enumerate() {
                let start = if number == 0 { 0x42 } else { 0 };
                let fin = if number + 1 == count { 0x80 } else { 0 };
                put(&mut frames, fin | start, piece);
                put(&mut frames, 0x89, b"");
            }
        }
        frames
    }
}

/// A frame with a key that shows when it is applied wrongly.
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

/// All of a message, which must be whole, and no larger than it may be.
fn inflate(stream: &mut Decompress, payload: &[u8], limit: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(limit + 1);
    let payload = [payload, &TAIL[..]].concat();
    let before = stream.total_in();
    let status = stream.decompress_vec(&payload, &mut message, FlushDecompress::Sync);
    assert_eq!(status.expect("is no DEFLATE"), Status::Ok);
    assert_eq!(stream.total_in() - before, payload.len() as u64, "not to its end");
    assert!(message.len() <= limit, "a reply over the limit");
    message
}

/// Whatever a peer sends, and however it arrives: the session ends, without a panic; what it writes
/// inflates, and stays within the limit and the window. A message that is right is answered with
/// itself, however it was compressed and cut.
///
/// # Panics
/// When that does not hold.
pub fn deflate(bytes: &[u8]) {
    let Some(scene) = DeflateScene::parse(bytes) else { return };
    let frames = if scene.is(ROUND_TRIP) { scene.frames() } else { scene.input.to_vec() };
    let output = scene.run(&frames, scene.manner);
    let messages = scene.messages(&output.bytes);
    if scene.is(ROUND_TRIP) && scene.input.len() <= scene.max_message_size {
        assert!(messages == [scene.input; 2], "not the message: {messages:x?}");
    }
    let at_once = scene.run(&frames, PeerBehavior { piece: 0, pauses: false, ..scene.manner });
    assert_eq!(output.bytes, at_once.bytes, "pieces change the answer");
}

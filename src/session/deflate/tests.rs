//! Tests both directions against another implementation of DEFLATE, with frames built by hand.

use std::io::{self, ErrorKind, Write};

use flate2::{Decompress, FlushDecompress};
use miniz_oxide::deflate::core::CompressorOxide;
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::decompress_to_vec;
use miniz_oxide::{DataFormat, MZFlush};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::*;
use crate::config::tuning::{DEFLATE_CHUNK, DEFLATE_KEPT, DEFLATE_MIN, DEFLATE_TAKEOVERS};
use crate::net::transport::Append;
use crate::session::filter::{FilteredTransport, FrameFilter};
use crate::session::intake::Intake;

/// A client's input: each read returns at most `read_size` bytes, and every other read fails with
/// `WouldBlock`.
#[derive(Debug, Clone)]
struct TestWire {
    input: Vec<u8>,
    read_size: usize,
    blocks: bool,
}

impl TestWire {
    fn new(input: &[u8], read_size: usize) -> TestWire {
        TestWire { input: input.to_vec(), read_size, blocks: false }
    }
}

impl Append for TestWire {}

impl Read for TestWire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.blocks = !self.blocks;
        let length = self.read_size.min(buf.len()).min(self.input.len());
        if self.blocks || length == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buf[..length].copy_from_slice(&self.input[..length]);
        self.input.drain(..length);
        Ok(length)
    }
}

impl Write for TestWire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn terms(offer: &[(&str, Option<String>)], takeover: bool) -> DeflateSetup {
    let agreement = DeflateParameters::negotiate(offer, takeover).unwrap();
    DeflateSetup { parameters: agreement, always: false, pool: Arc::default(), takeover: None }
}

fn default_terms() -> DeflateSetup {
    terms(&[], false)
}

/// A client's compressor, with its context.
#[derive(Default)]
struct TestClient(CompressorOxide);

impl TestClient {
    fn new() -> TestClient {
        let mut compressor = CompressorOxide::default();
        compressor.set_format_and_level(DataFormat::Raw, 6);
        TestClient(compressor)
    }

    fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        let mut deflated = vec![0; message.len() + message.len() / 4 + 64];
        let result = deflate(&mut self.0, message, &mut deflated, MZFlush::Sync);
        assert_eq!(result.bytes_consumed, message.len());
        deflated.truncate(result.bytes_written - 4);
        deflated
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [1, 0x82, 3, 0x44];
    let mut frame = crate::frame::header(first, payload.len());
    frame[1] |= 0x80;
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Splits a compressed message into frames of `size` bytes.
fn frames(opcode: u8, deflated: &[u8], size: usize) -> Vec<u8> {
    let pieces: Vec<_> = deflated.chunks(size).collect();
    let mut frames = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let start = if number == 0 { 0x40 | opcode } else { 0 };
        let fin = if number + 1 == pieces.len() { 0x80 } else { 0 };
        frames.extend(frame(fin | start, piece));
    }
    frames
}

/// Returns the messages that tungstenite receives from `input`, in reads of `read_size` bytes.
fn receive_in_reads(
    input: &[u8],
    read_size: usize,
    terms: DeflateSetup,
    max_size: usize,
) -> Result<Vec<Message>, Error> {
    let transport = FilteredTransport::new(
        TestWire::new(input, read_size),
        FrameFilter::new(Some(terms), None, None, &mut Vec::new()),
        Intake::pass_all(),
    );
    let config = WebSocketConfig::default()
        .read_buffer_size(512)
        .max_message_size(Some(max_size))
        .max_frame_size(Some(max_size));
    let mut ws = WebSocket::from_raw_socket(transport, Role::Server, Some(config));
    let (mut messages, mut blocked) = (Vec::new(), 0);
    // There is at most one blocked read per byte, so the input has ended before this limit.
    while blocked < 2 * input.len() + 4 {
        match ws.read() {
            Ok(message) => messages.push(message),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => blocked += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(messages)
}

fn receive(input: &[u8]) -> Result<Vec<Message>, Error> {
    receive_in_reads(input, usize::MAX, default_terms(), 1 << 24)
}

fn assert_invalid(input: &[u8], what: &str) {
    let Err(Error::Io(error)) = receive(input) else { panic!("{what}: no error") };
    let is_invalid = matches!(error.get_ref(), Some(inner) if inner.is::<InvalidDeflate>());
    assert!(is_invalid, "{what}: {error}");
}

/// Returns compressible text, with repetitions at short and long distances.
fn text(length: usize) -> String {
    let words = (0_usize..).map(|n| format!("{{\"id\":{},\"name\":\"user {}\"}},", n, n * n % 997));
    let mut text = String::new();
    for word in words {
        if text.len() >= length {
            break;
        }
        text.push_str(&word);
    }
    text.truncate(length);
    text
}

/// Returns pseudo-random bytes, which deflate cannot compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn messages_are_received_with_any_fragmentation_and_read_size() {
    let messages = [String::new(), "Hello".to_owned(), text(3000), text(20_000)];
    for takeover in [false, true] {
        for size in [1, 2, 7, 126, 5000, usize::MAX] {
            for read_size in [1, 3, 512, usize::MAX] {
                let (mut client, mut input) = (TestClient::new(), Vec::new());
                for message in &messages {
                    let mut fresh = TestClient::new();
                    let compressor = if takeover { &mut client } else { &mut fresh };
                    input.extend(frames(1, &compressor.deflate(message.as_bytes()), size));
                }
                let got =
                    receive_in_reads(&input, read_size, terms(&[], takeover), 1 << 20).unwrap();
                assert!(
                    got.iter().map(|message| message.to_text().unwrap()).eq(&messages),
                    "takeover {takeover}, frames of {size}, reads of {read_size}"
                );
            }
        }
    }
}

#[test]
fn a_message_may_end_anywhere_in_an_output_fragment() {
    for length in DEFLATE_CHUNK - 2..DEFLATE_CHUNK + 300 {
        let input = frame(0xc2, &TestClient::new().deflate(&vec![7; length]));
        assert_eq!(receive(&input).unwrap(), [Message::binary(vec![7; length])], "{length} bytes");
    }
}

#[test]
fn incompressible_messages_are_received() {
    let noise = noise(100_000);
    let input = frames(2, &TestClient::new().deflate(&noise), 40_000);
    assert_eq!(receive(&input).unwrap(), [Message::binary(noise)]);
}

/// RFC 7692, section 7.2.3.
#[test]
fn examples_of_the_rfc_are_inflated() {
    for (what, payload) in [
        ("one block", &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..]),
        ("no compression", b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
        ("a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        ("a final block without the trailing zero byte", b"\xf3\x48\xcd\xc9\xc9\x07\x00"),
        ("two blocks", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
    ] {
        for size in 1..=payload.len() {
            let got = receive(&frames(1, payload, size)).expect(what);
            assert_eq!(got, [Message::text("Hello")], "{what} in frames of {size}");
        }
    }
    let shared =
        [frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"), frame(0xc1, b"\xf2\x00\x11\x00\x00")];
    let got = receive_in_reads(&shared.concat(), 1, terms(&[], true), 100).unwrap();
    assert_eq!(got, [Message::text("Hello"), Message::text("Hello")]);
    assert_invalid(&shared.concat(), "a reference to an earlier message without takeover");
}

#[test]
fn all_encodings_of_an_empty_message_are_accepted() {
    for input in [
        frame(0xc1, b"\x00"),
        frame(0xc1, b""),
        [frame(0x41, b""), frame(0x80, b"")].concat(),
        [frame(0x41, b""), frame(0x80, b"\x00")].concat(),
        [frame(0x41, b"\x00"), frame(0x00, b""), frame(0x80, b"")].concat(),
        frame(0xc1, b"\x03\x00\x00"),
    ] {
        assert_eq!(receive(&input).unwrap(), [Message::text("")], "{input:x?}");
    }
}

#[test]
fn control_frames_and_uncompressed_messages_pass_unchanged() {
    let deflated = TestClient::new().deflate(text(500).as_bytes());
    let (start, end) = deflated.split_at(50);
    let input = [
        frame(0x81, b"plain"),
        frame(0x41, start),
        frame(0x89, b"ping"),
        frame(0x80, end),
        frame(0x02, b"in "),
        frame(0x8a, b""),
        frame(0x80, b"pieces"),
    ]
    .concat();
    for read_size in [1, 2, usize::MAX] {
        let got = receive_in_reads(&input, read_size, default_terms(), 1000).unwrap();
        let expected = [
            Message::text("plain"),
            Message::Ping("ping".into()),
            Message::text(text(500)),
            Message::Pong("".into()),
            Message::binary(b"in pieces".to_vec()),
        ];
        assert_eq!(got, expected);
    }
}

#[test]
fn invalid_deflate_data_has_an_error_of_its_own() {
    let whole = TestClient::new().deflate(text(2000).as_bytes());
    assert_invalid(&frame(0xc1, b"\x06"), "a reserved block type");
    assert_invalid(&frame(0xc1, &whole[..whole.len() / 2]), "a truncated message");
    assert_invalid(&frame(0xc2, b"\x01\x05\x00"), "a stored block without its data");
    assert_invalid(&frame(0xc1, &[&whole[..], b"\xff\xff\xff"].concat()), "trailing garbage");
    assert!(matches!(
        receive(&frame(0xc1, &TestClient::new().deflate(b"\xff"))),
        Err(Error::Utf8(_))
    ));
}

#[test]
fn malformed_frames_are_rejected_by_tungstenite() {
    let message = frame(0x41, b"\xf2\x48");
    for (what, input) in [
        ("RSV1 on a Ping", frame(0xc9, b"")),
        ("RSV1 on a continuation", [message.clone(), frame(0xc0, b"\xcd")].concat()),
        ("RSV1 on a continuation without a message", frame(0xc0, b"\x00")),
        ("RSV2", frame(0xa1, b"x")),
        ("RSV3", frame(0x91, b"x")),
        ("RSV1 and RSV2", frame(0xe1, b"\x00")),
        ("RSV1 and a reserved opcode", frame(0xc3, b"\x00")),
        ("unmasked", b"\xc1\x01\x00".to_vec()),
        ("an unmasked continuation", [message.clone(), b"\x80\x01\x00".to_vec()].concat()),
        ("a message inside another", [message.clone(), frame(0x81, b"x")].concat()),
        ("a compressed message inside another", [message, frame(0xc1, b"\x00")].concat()),
        ("inside an uncompressed one", [frame(0x01, b"x"), frame(0xc1, b"\x00")].concat()),
        ("a continuation without a message", frame(0x80, b"x")),
    ] {
        for read_size in [1, usize::MAX] {
            let error = receive_in_reads(&input, read_size, default_terms(), 1000).expect_err(what);
            assert!(matches!(error, Error::Protocol(_)), "{what}: {error}");
        }
    }
    let negative = [&b"\xc1\xff\x80"[..], &[0; 11]].concat();
    assert!(matches!(receive(&negative), Err(Error::Capacity(_))));
}

#[test]
fn a_decompression_bomb_is_inflated_only_to_the_size_limit() {
    const LIMIT: usize = 100_000;
    let bomb = TestClient::new().deflate(&vec![0; 16 << 20]);
    assert!(bomb.len() < 20_000);
    let input = frame(0xc2, &bomb);
    let result = receive_in_reads(&input, usize::MAX, default_terms(), LIMIT);
    assert!(matches!(result, Err(Error::Capacity(_))));

    let mut deflate = Deflate::new(default_terms(), Vec::new());
    let (mut wire, mut buf, mut inflated) = (TestWire::new(&input, usize::MAX), [0; 512], 0);
    while inflated <= LIMIT {
        inflated += deflate.read(&mut wire, &mut buf).unwrap_or(0);
        let capacity = deflate.inflow.buffer_capacity();
        assert!(capacity <= 2 * DEFLATE_CHUNK, "{capacity}");
    }
    let used = usize::try_from(deflate.on_wire().received).unwrap();
    assert!(used < bomb.len() / 50, "{used} of {} bytes for the first hundredth", bomb.len());
}

/// Returns the first byte and the payload of each frame that is sent for these messages.
fn sent(terms: DeflateSetup, messages: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
    let mut deflate = Deflate::new(terms, Vec::new());
    let mut rewrite = |payload: &&[u8]| {
        let (first, payload) = deflate.rewrite(0x82, payload);
        (first, payload.to_vec())
    };
    messages.iter().map(&mut rewrite).collect()
}

/// Inflates a single message with the other implementation.
fn inflate(payload: &[u8]) -> Vec<u8> {
    decompress_to_vec(&[payload, b"\0\0\xff\xff\x01\0\0\xff\xff"].concat()).unwrap()
}

#[test]
fn messages_are_compressed_if_long_enough_and_if_they_get_smaller() {
    let (long, short) = (text(DEFLATE_MIN), text(DEFLATE_MIN - 1));
    let noise = noise(1000);
    let got = sent(default_terms(), &[long.as_bytes(), short.as_bytes(), &noise, b""]);
    assert_eq!(got[0].0, 0xc2);
    assert!(got[0].1.len() < long.len());
    assert_eq!(inflate(&got[0].1), long.as_bytes());
    let uncompressed = [short.into_bytes(), noise, Vec::new()].map(|payload| (0x82, payload));
    assert_eq!(got[1..], uncompressed);
    let mut deflate = Deflate::new(default_terms(), Vec::new());
    assert_eq!(deflate.rewrite(0x8a, b"x"), (0x8a, b"x"[..].into()));
}

#[test]
fn incompressible_messages_do_not_affect_later_ones() {
    let (noise, long) = (noise(300), text(300));
    let messages: Vec<_> =
        (0..1000).map(|n| if n < 900 { &noise[..] } else { long.as_bytes() }).collect();
    let compressed = sent(default_terms(), &messages);
    assert_eq!(compressed.iter().filter(|(first, _)| *first == 0xc2).count(), 100);
}

#[test]
fn with_always_all_messages_are_compressed() {
    let messages = [text(5).into_bytes(), noise(70_000), Vec::new(), noise(200), text(300).into()];
    let messages = messages.each_ref().map(Vec::as_slice);
    let got = sent(DeflateSetup { always: true, ..default_terms() }, &messages);
    for ((first, payload), message) in got.iter().zip(messages) {
        assert_eq!((*first, inflate(payload).as_slice()), (0xc2, message));
    }
}

#[test]
fn context_takeover_compresses_repeated_messages_better() {
    let (repeated, noise) = (text(1000), noise(40_000));
    let repeated = repeated.as_bytes();
    let messages = [repeated, &noise, b"", b"", repeated, repeated];
    let got = sent(terms(&[], true), &messages);
    let lengths: Vec<_> = got.iter().map(|(_, payload)| payload.len()).collect();
    assert!(lengths[5] * 2 < lengths[0], "the repetition is not smaller: {lengths:?}");
    let mut stream = Decompress::new(false);
    for ((first, payload), message) in got.iter().zip(messages) {
        let mut inflated = Vec::with_capacity(message.len() + 1);
        let payload = [payload, &b"\0\0\xff\xff"[..]].concat();
        stream.decompress_vec(&payload, &mut inflated, FlushDecompress::Sync).unwrap();
        assert_eq!((*first, inflated.as_slice()), (0xc2, message));
    }
}

#[test]
fn back_references_stay_within_the_negotiated_window() {
    // The same noise repeated, at increasing distances.
    let mut message = noise(300);
    for gap in [100, 500, 1000, 2000, 5000, 10_000, 20_000] {
        message.extend(vec![b'-'; gap]);
        message.extend(noise(300));
    }
    let mut lengths = Vec::new();
    for bits in 9..=15 {
        for takeover in [false, true] {
            let offer = [("server_max_window_bits", Some(bits.to_string()))];
            let got = sent(terms(&offer, takeover), &[&message]);
            let mut stream = Decompress::new_with_window_bits(false, bits);
            let mut inflated = Vec::with_capacity(message.len() + 1);
            // Byte by byte, because zlib also accepts references into the output of the same call,
            // beyond the window.
            for byte in [&got[0].1[..], b"\0\0\xff\xff"].concat().chunks(1) {
                let mut out = Vec::with_capacity(300);
                stream.decompress_vec(byte, &mut out, FlushDecompress::None).unwrap();
                inflated.extend(out);
            }
            assert!(inflated == message, "{bits} bits");
            lengths.push(got[0].1.len());
        }
    }
    assert!(lengths.first() > lengths.last(), "the window has no effect: {lengths:?}");
}

#[test]
fn borrowed_deflaters_and_inflaters_are_returned_to_the_pool() {
    let long = text(1000);
    let pool = Arc::new(DeflatePool::default());
    let deflated = TestClient::new().deflate(long.as_bytes());
    let (start, end) = deflated.split_at(deflated.len() / 2);
    let mut buf = [0; 512];
    let mut receive = |deflate: &mut Deflate, frame: &[u8]| {
        let mut wire = TestWire::new(frame, usize::MAX);
        while !wire.input.is_empty() || deflate.read(&mut wire, &mut buf).is_ok() {
            let _ = deflate.read(&mut wire, &mut buf);
        }
        deflate.inflow.buffer_capacity()
    };
    let deflate =
        || Deflate::new(DeflateSetup { pool: Arc::clone(&pool), ..default_terms() }, Vec::new());
    let mut sessions: Vec<_> = (0..DEFLATE_KEPT + 2).map(|_| deflate()).collect();
    for session in &mut sessions {
        assert_ne!(receive(session, &frame(0x41, start)), 0);
    }
    assert_eq!(pool.idle(), (0, 0), "all are in use");
    for session in &mut sessions {
        assert_eq!(receive(session, &frame(0x80, end)), 0, "a waiting session has no buffers");
        assert!(session.rewrite(0x81, long.as_bytes()).1.len() < long.len());
    }
    assert_eq!(pool.idle(), (1, DEFLATE_KEPT));
}

#[test]
fn slots_for_context_takeover_are_limited() {
    let pool = Arc::new(DeflatePool::default());
    let mut slots: Vec<_> = (0..DEFLATE_TAKEOVERS).map(|_| pool.takeover().unwrap()).collect();
    assert!(pool.takeover().is_none());
    slots.pop();
    assert!(pool.takeover().is_some());
}

#[test]
fn input_after_give_up_is_not_inflated() {
    let bomb = frame(0xc2, &TestClient::new().deflate(&vec![0; 1 << 20]));
    let mut deflate = Deflate::new(default_terms(), Vec::new());
    let (mut wire, mut buf, mut read) = (TestWire::new(&bomb, usize::MAX), [0; 512], 0);
    deflate.give_up();
    while read < bomb.len() {
        read += deflate.read(&mut wire, &mut buf).unwrap_or(0);
    }
    assert!(wire.input.is_empty() && read == bomb.len());
}

#[test]
fn data_received_with_the_handshake_is_read_first() {
    let input = frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let mut deflate = Deflate::new(default_terms(), input);
    let mut buf = [0; 64];
    let length = deflate.read(&mut TestWire::new(b"", 1), &mut buf).unwrap();
    assert_eq!(&buf[..length], b"\x81\x85\0\0\0\0Hello");
}

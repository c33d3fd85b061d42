//! A client that speaks permessage-deflate, with hand-written frames and zlib.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::client::{Raw, Response, frame, handshake};

/// The end of a flushed DEFLATE stream, which is removed before sending (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A WebSocket with negotiated compression.
pub struct DeflateClient {
    pub raw: Raw,
    pub agreed: String,
    compress: Compress,
    decompress: Decompress,
}

/// Sends a handshake with `field` in its head. Returns the connection and the response, a 101.
pub fn offer(mut raw: Raw, path: &str, field: &str) -> (Raw, Response) {
    let request = handshake(path).replace("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"));
    let response = raw.send(request).response_to_head();
    assert_eq!(response.status, 101);
    (raw, response)
}

impl DeflateClient {
    pub fn open(raw: Raw, path: &str) -> DeflateClient {
        let field = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
        DeflateClient::offering(raw, path, field)
    }

    /// Like `open`, with `field` as the offer.
    pub fn offering(raw: Raw, path: &str, field: &str) -> DeflateClient {
        let (raw, response) = offer(raw, path, field);
        let agreed = response.get("Sec-WebSocket-Extensions").expect("declined").to_owned();
        DeflateClient {
            raw,
            agreed,
            compress: Compress::new(Compression::default(), false),
            decompress: Decompress::new(false),
        }
    }

    /// Compresses a message. Returns the payload, without a frame header.
    pub fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        if self.agreed.contains("client_no_context_takeover") {
            self.compress.reset();
        }
        let mut deflated = Vec::with_capacity(message.len() * 2 + 64);
        self.compress.compress_vec(message, &mut deflated, FlushCompress::Sync).unwrap();
        assert!(deflated.ends_with(&TAIL));
        deflated.truncate(deflated.len() - TAIL.len());
        deflated
    }

    /// Returns so many MiB of zeros, compressed. One MiB is compressed, without a reference to anything
    /// before it, and repeated.
    pub fn bomb(&mut self, mebibytes: usize) -> Vec<u8> {
        self.compress.reset();
        let mut piece = self.deflate(&vec![0; 1 << 20]);
        piece.extend(TAIL);
        piece.repeat(mebibytes)
    }

    /// Sends a compressed message in one frame.
    pub fn send(&mut self, opcode: u8, message: &[u8]) {
        let deflated = self.deflate(message);
        self.raw.send(frame(0xc0 | opcode, &deflated));
    }

    /// Reads the next message. Returns whether it was compressed, its opcode, the message itself,
    /// and the length of its payload on the wire.
    pub fn message(&mut self) -> (bool, u8, Vec<u8>, usize) {
        let (start, mut payload) = self.raw.frame();
        let mut first = start;
        while first & 0x80 == 0 {
            let (next, piece) = self.raw.frame();
            assert_eq!(next & 0x7f, 0, "a continuation with {next:#x}");
            payload.extend(piece);
            first = next;
        }
        let length = payload.len();
        let is_compressed = start & 0x40 != 0;
        let message = if is_compressed { self.inflate(payload) } else { payload };
        (is_compressed, start & 0x0f, message, length)
    }

    fn inflate(&mut self, mut payload: Vec<u8>) -> Vec<u8> {
        if self.agreed.contains("server_no_context_takeover") {
            self.decompress.reset(false);
        }
        payload.extend(TAIL);
        let mut message = Vec::with_capacity(4 * 1024 * 1024);
        self.decompress.decompress_vec(&payload, &mut message, FlushDecompress::Sync).unwrap();
        message
    }

    /// Sends a compressed text and returns the reply.
    pub fn ask(&mut self, text: &str) -> String {
        self.send(1, text.as_bytes());
        String::from_utf8(self.message().2).unwrap()
    }
}

//! permessage-deflate (RFC 7692) on the client's side: rewrites frames between tungstenite, which
//! does not implement it, and the stream.
//!
//! **Invariant:** no message is inflated beyond the limit of the session, and none is buffered beyond it.

use std::fmt;
use std::io::{self, Read, Write};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::frame::{BINARY, FIN, HEADER_MAX, Header, OPCODE, RSV1, TEXT, header, mask, masked};
use crate::session::deflate::{TAIL, max_deflated_size};

/// The offer in the handshake.
pub(crate) const OFFER: &str = "permessage-deflate; client_max_window_bits";
/// The smallest window that zlib deflates with.
const MIN_WINDOW_BITS: u8 = 9;

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agreement {
    server_takeover: bool,
    client_takeover: bool,
    client_window_bits: u8,
    /// As the server wrote it.
    text: String,
}

impl Agreement {
    /// Parses the value of `Sec-WebSocket-Extensions` in a 101.
    ///
    /// # Errors
    /// Why a client must fail the connection (RFC 7692, section 7.1).
    pub(crate) fn parse(value: &str) -> Result<Agreement, String> {
        let mut parts = value.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") || value.contains(',') {
            return Err("it was not offered".to_owned());
        }
        let mut agreement = Agreement {
            server_takeover: true,
            client_takeover: true,
            client_window_bits: 15,
            text: value.to_owned(),
        };
        for parameter in parts {
            let bits = |value: &str| {
                (8..=15).find(|bits: &u8| bits.to_string() == value.trim_matches('"'))
            };
            match parameter.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                None if parameter == "server_no_context_takeover" => {
                    agreement.server_takeover = false;
                }
                None if parameter == "client_no_context_takeover" => {
                    agreement.client_takeover = false;
                }
                Some(("server_max_window_bits", value)) if bits(value).is_some() => {}
                Some(("client_max_window_bits", value)) if bits(value).is_some() => {
                    agreement.client_window_bits = bits(value).unwrap_or(15);
                }
                _ => return Err(format!("its parameter {parameter} is not valid")),
            }
        }
        Ok(agreement)
    }

    fn compress(&self) -> Compress {
        let bits = self.client_window_bits.max(MIN_WINDOW_BITS);
        Compress::new_with_window_bits(Compression::default(), false, bits)
    }

    /// Compresses the first message of a session.
    pub(crate) fn first_message(&self, message: &[u8]) -> io::Result<Vec<u8>> {
        deflated(&mut self.compress(), message)
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The payload bytes of data messages on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OnWire {
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

/// A stream on which messages are compressed, if that was agreed on.
#[derive(Debug)]
pub(crate) struct DeflateStream<S> {
    inner: S,
    deflate: Option<Box<Deflate>>,
}

#[derive(Debug)]
struct Deflate {
    agreement: Agreement,
    compress: Compress,
    decompress: Decompress,
    /// The most bytes of a message.
    limit: usize,
    /// Bytes of frames that are not complete.
    input: Vec<u8>,
    /// Bytes for tungstenite.
    output: Vec<u8>,
    /// The opcode and the payload of a compressed message whose last frame is to come.
    message: Option<(u8, Vec<u8>)>,
    /// Whether all that arrives is passed on as it is.
    gives_up: bool,
    on_wire: OnWire,
}

impl<S> DeflateStream<S> {
    /// `early`: bytes that arrived together with the 101; they are left there without compression.
    pub(crate) fn new(
        inner: S,
        agreement: Option<Agreement>,
        limit: usize,
        early: &mut Vec<u8>,
    ) -> DeflateStream<S> {
        let deflate = agreement.map(|agreement| {
            Box::new(Deflate {
                compress: agreement.compress(),
                decompress: Decompress::new(false),
                limit,
                input: std::mem::take(early),
                output: Vec::new(),
                message: None,
                gives_up: false,
                on_wire: OnWire::default(),
                agreement,
            })
        });
        DeflateStream { inner, deflate }
    }

    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// What is on the wire; `None` without compression.
    pub(crate) fn on_wire(&self) -> Option<OnWire> {
        self.deflate.as_ref().map(|deflate| deflate.on_wire)
    }
}

impl<S: Read> Read for DeflateStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(deflate) = &mut self.deflate else { return self.inner.read(buf) };
        while deflate.output.is_empty() {
            if deflate.take_frame()? {
                continue;
            }
            let length = self.inner.read(buf)?;
            if length == 0 {
                return Ok(0);
            }
            deflate.input.extend_from_slice(&buf[..length]);
        }
        let length = deflate.output.len().min(buf.len());
        buf[..length].copy_from_slice(&deflate.output[..length]);
        deflate.output.drain(..length);
        Ok(length)
    }
}

impl<S: Write> Write for DeflateStream<S> {
    /// `frames` are whole frames, as tungstenite's write buffer is off.
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        let Some(deflate) = &mut self.deflate else { return self.inner.write(frames) };
        let mut rest = frames;
        while let Some(frame) = Frame::parse(rest) {
            let length = frame.length();
            let rewritten = deflate.compressed(&frame)?;
            self.inner.write_all(rewritten.as_deref().unwrap_or(&rest[..length]))?;
            rest = &rest[length..];
        }
        self.inner.write_all(rest)?;
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Deflate {
    /// Takes one frame from the input. False if it is not complete.
    fn take_frame(&mut self) -> io::Result<bool> {
        // Too large for a message: tungstenite refuses the frame by its header.
        self.gives_up |= self.input.len() > self.limit + HEADER_MAX;
        if self.gives_up {
            self.output.append(&mut self.input);
            return Ok(!self.output.is_empty());
        }
        let Some(frame) = Frame::parse(&self.input) else { return Ok(false) };
        let (length, first) = (frame.length(), frame.header.first);
        let starts = first & RSV1 != 0 && matches!(first & OPCODE, TEXT | BINARY);
        let continues = self.message.is_some() && first & (RSV1 | OPCODE) == 0;
        if !starts && !continues {
            if first & OPCODE <= BINARY {
                self.on_wire.received += frame.payload.len();
            }
            self.output.extend(self.input.drain(..length));
            return Ok(true);
        }
        let (_, payload) = self.message.get_or_insert_with(|| (first & OPCODE, Vec::new()));
        payload.extend_from_slice(frame.payload);
        self.on_wire.received += frame.payload.len();
        if payload.len() > self.limit {
            return Err(io::Error::other("a compressed message exceeds the limit"));
        }
        self.input.drain(..length);
        if first & FIN != 0
            && let Some((opcode, payload)) = self.message.take()
        {
            let message = self.inflated(payload)?;
            self.output.extend(header(FIN | opcode, message.len()));
            self.output.extend(message);
        }
        Ok(true)
    }

    fn inflated(&mut self, mut payload: Vec<u8>) -> io::Result<Vec<u8>> {
        payload.extend(TAIL);
        let mut message = Vec::with_capacity(self.limit + 1);
        let done = self.decompress.decompress_vec(&payload, &mut message, FlushDecompress::Sync);
        done.map_err(|_| io::Error::other("the server sent compressed data that is not DEFLATE"))?;
        if message.len() > self.limit {
            return Err(io::Error::other(
                "a compressed message exceeds the limit when it is inflated",
            ));
        }
        if !self.agreement.server_takeover {
            self.decompress.reset(false);
        }
        Ok(message)
    }

    /// Compresses a data frame of tungstenite's; `None` for a control frame.
    fn compressed(&mut self, frame: &Frame) -> io::Result<Option<Vec<u8>>> {
        let Frame { header, payload } = frame;
        let (Some(key), TEXT | BINARY) = (header.key, header.first & OPCODE) else {
            return Ok(None);
        };
        let mut payload = payload.to_vec();
        mask(&mut payload, key);
        let deflated = deflated(&mut self.compress, &payload)?;
        if !self.agreement.client_takeover {
            self.compress.reset();
        }
        self.on_wire.sent += deflated.len();
        Ok(Some(masked(header.first | RSV1, &deflated, key)))
    }
}

/// The payload of a compressed message.
fn deflated(compress: &mut Compress, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut deflated = Vec::with_capacity(max_deflated_size(message.len()));
    compress.compress_vec(message, &mut deflated, FlushCompress::Sync).map_err(io::Error::other)?;
    deflated.truncate(deflated.len().saturating_sub(TAIL.len()));
    Ok(deflated)
}

/// A whole frame (RFC 6455, section 5.2).
#[derive(Debug)]
struct Frame<'a> {
    header: Header,
    /// As it is on the wire.
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Parses the frame that the bytes begin with; `None` if it is not complete.
    fn parse(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let header = Header::parse(bytes)?;
        let payload = bytes[header.size..].get(..usize::try_from(header.length).ok()?)?;
        Some(Frame { header, payload })
    }

    fn length(&self) -> usize {
        self.header.size + self.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn stream(agreement: &str, incoming: Vec<u8>) -> DeflateStream<Cursor<Vec<u8>>> {
        let agreement = Agreement::parse(agreement).unwrap();
        DeflateStream::new(Cursor::new(incoming), Some(agreement), 1000, &mut Vec::new())
    }

    fn read_all(stream: &mut DeflateStream<Cursor<Vec<u8>>>) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn agreements_are_validated() {
        for (value, window_bits) in [
            ("permessage-deflate", 15),
            ("permessage-deflate; server_no_context_takeover; client_max_window_bits=10", 10),
            ("permessage-deflate;client_no_context_takeover; server_max_window_bits=\"12\"", 15),
        ] {
            assert_eq!(Agreement::parse(value).unwrap().client_window_bits, window_bits);
        }
        for value in [
            "x-webkit-deflate-frame",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; x",
        ] {
            assert!(Agreement::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn messages_are_compressed_and_inflated_with_and_without_takeover() {
        for agreement in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ] {
            let mut sender = stream(agreement, vec![]);
            let text = "compressible ".repeat(20);
            for _ in 0..2 {
                sender.write_all(&masked(FIN | TEXT, text.as_bytes(), [1, 2, 3, 4])).unwrap();
            }
            let sent = sender.on_wire().unwrap().sent;
            assert!(sent < 80, "{sent} bytes of {}", 2 * text.len());
            // The server sends the same back, unmasked.
            let mut bytes = &sender.inner.get_ref()[..];
            let mut incoming = Vec::new();
            while let Some(frame) = Frame::parse(bytes) {
                assert_eq!(frame.header.first, FIN | RSV1 | TEXT);
                let mut payload = frame.payload.to_vec();
                mask(&mut payload, frame.header.key.unwrap());
                // In two frames, with a Ping between them.
                incoming.extend(header(RSV1 | TEXT, 3));
                incoming.extend(&payload[..3]);
                incoming.extend([0x89, 0]);
                incoming.extend(header(FIN, payload.len() - 3));
                incoming.extend(&payload[3..]);
                bytes = &bytes[frame.length()..];
            }
            let mut client = stream(agreement, incoming);
            let received = read_all(&mut client).unwrap();
            let mut expected = vec![0x89, 0];
            expected.extend(header(FIN | TEXT, text.len()));
            expected.extend(text.as_bytes());
            assert!(received == expected.repeat(2), "{} bytes", received.len());
            assert_eq!(client.on_wire().unwrap().received, sent);
        }
    }

    #[test]
    fn a_message_is_not_inflated_beyond_the_limit() {
        let mut compress = Compress::new(Compression::default(), false);
        let mut bomb = Vec::with_capacity(4096);
        compress.compress_vec(&vec![0; 100_000], &mut bomb, FlushCompress::Sync).unwrap();
        let incoming =
            [header(FIN | RSV1 | BINARY, bomb.len() - 4), bomb[..bomb.len() - 4].to_vec()];
        let error = read_all(&mut stream("permessage-deflate", incoming.concat())).unwrap_err();
        assert!(error.to_string().contains("exceeds the limit"), "{error}");
        let garbage = [header(FIN | RSV1 | TEXT, 3), vec![0xff; 3]].concat();
        let error = read_all(&mut stream("permessage-deflate", garbage)).unwrap_err();
        assert!(error.to_string().contains("not DEFLATE"), "{error}");
        let huge = [header(FIN | TEXT, 5000), vec![b'x'; 5000]].concat();
        let passed = read_all(&mut stream("permessage-deflate", huge.clone())).unwrap();
        assert!(passed == huge, "{} bytes", passed.len());
    }
}

//! Encodes requests and expected replies, once: every WebSocket server gets the same bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What a server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The same bytes, without WebSocket.
    Raw,
    /// The same message.
    Echo,
    /// The tutorial's reply; the time in it is always `noon`.
    Tutorial,
}

/// Returns a handshake request, with the sample key of RFC 6455, section 1.3.
fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The payload of a message, in ASCII.
#[derive(Clone, Copy)]
pub struct Payload {
    pub size: usize,
    pub is_text: bool,
}

/// A message and the expected reply, encoded.
pub struct Exchange {
    pub request: Vec<u8>,
    pub reply: Vec<u8>,
}

impl Exchange {
    /// Encodes a message and its reply.
    pub fn new(Payload { size, is_text }: Payload, dialect: Dialect) -> Exchange {
        let kind = if is_text { TEXT } else { BINARY };
        let payload: Vec<u8> = (0..size).map(|n| (n % 127) as u8).collect();
        let masked: Vec<u8> =
            payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        let request = [header(kind, size, MASKED), MASK.to_vec(), masked].concat();
        let reply = match dialect {
            Dialect::Raw => request.clone(),
            Dialect::Echo => [header(kind, size, 0), payload].concat(),
            Dialect::Tutorial => {
                let text = [b"You sent: ", &payload[..], b" at noon"].concat();
                [header(TEXT, text.len(), 0), text].concat()
            }
        };
        Exchange { request, reply }
    }
}

fn header(opcode: u8, size: usize, masked: u8) -> Vec<u8> {
    let mut header = vec![opcode];
    match size {
        0..126 => header.push(masked | size as u8),
        126..65536 => {
            header.push(masked | 126);
            header.extend((size as u16).to_be_bytes());
        }
        _ => {
            header.push(masked | 127);
            header.extend((size as u64).to_be_bytes());
        }
    }
    header
}

/// Opens a WebSocket, or a TCP connection for `Raw`.
pub fn connect(address: SocketAddr, dialect: Dialect) -> std::io::Result<TcpStream> {
    match dialect {
        Dialect::Raw => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Dialect::Echo => open(address, "/echo"),
        Dialect::Tutorial => open(address, "/ws"),
    }
}

/// Opens a WebSocket. Panics unless the response is a 101.
pub fn open(address: SocketAddr, path: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(handshake(path).as_bytes())?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Encodes a client's text message.
pub fn text(text: &str) -> Vec<u8> {
    let masked = text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let mut frame = [&header(TEXT, text.len(), MASKED)[..], &MASK].concat();
    frame.extend(masked);
    frame
}

/// Decodes the first frame in `bytes`, a server's text of less than 64 KiB. Returns its payload,
/// and its length with the header; `None` if it is incomplete. Panics on frames other than text.
pub fn text_frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (start, length) = match *bytes {
        [first, ..] if first != TEXT => panic!("a frame that begins with {first:#x}"),
        [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        [_, length @ 0..126, ..] => (2, usize::from(length)),
        _ => return None,
    };
    bytes.get(start..start + length).map(|payload| (payload, start + length))
}

/// Connects, exchanges one message, and closes, with a closing handshake if it is a WebSocket.
pub fn visit(address: SocketAddr, dialect: Dialect, exchange: &Exchange) -> std::io::Result<()> {
    let mut stream = connect(address, dialect)?;
    stream.write_all(&exchange.request)?;
    let mut reply = vec![0; exchange.reply.len()];
    stream.read_exact(&mut reply)?;
    assert!(reply == exchange.reply, "a reply was altered");
    if dialect != Dialect::Raw {
        stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])?;
        stream.read_exact(&mut [0; 4])?;
    } else {
        stream.shutdown(std::net::Shutdown::Write)?;
    }
    // The server has closed the connection as well.
    assert_eq!(stream.read(&mut [0])?, 0);
    Ok(())
}

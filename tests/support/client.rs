//! Clients: one that speaks WebSocket through tungstenite, one that sends any bytes at all.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

use super::stream::{Stream, Wire};

/// Nothing here takes as long; a test that waits so long has failed.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The key of RFC 6455, section 1.3, in a request for `path`.
pub fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A frame as a client sends it, masked with zeros.
pub fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first_byte];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65536 => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

pub const FIN_TEXT: u8 = 0x81;
pub const FIN_BINARY: u8 = 0x82;
pub const FIN_CLOSE: u8 = 0x88;
pub const FIN_PING: u8 = 0x89;
pub const FIN_PONG: u8 = 0x8a;

/// A connection to the Unix socket at `path`. What a `TcpStream` does here, any stream socket can.
fn connect_unix(path: &Path) -> TcpStream {
    OwnedFd::from(UnixStream::connect(path).unwrap()).into()
}

/// A WebSocket client.
pub struct Client(pub WebSocket<Stream>);

impl Client {
    pub fn open(address: SocketAddr, path: &str) -> Client {
        Client::open_over(Wire::Plain, address, path)
    }

    pub fn open_over(wire: Wire, address: SocketAddr, path: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let stream = Stream::over(wire, stream).unwrap();
        Client::on(stream, &format!("ws://{address}{path}"))
    }

    /// The same on the Unix socket at `socket`.
    pub fn open_unix(socket: &Path, path: &str) -> Client {
        let stream = connect_unix(socket);
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Client::on(Stream::plain(stream), &format!("ws://localhost{path}"))
    }

    fn on(stream: Stream, url: &str) -> Client {
        Client(tungstenite::client(url, stream).unwrap().0)
    }

    /// Sends a message and returns the next one.
    pub fn ask(&mut self, message: impl Into<Message>) -> Message {
        self.0.send(message.into()).unwrap();
        self.0.read().unwrap()
    }

    /// Sends `payload` in pieces of `size` bytes.
    pub fn send_in_pieces(&mut self, kind: Data, payload: &[u8], size: usize) {
        let pieces: Vec<_> = payload.chunks(size).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let opcode = if number == 0 { kind } else { Data::Continue };
            let last = number + 1 == pieces.len();
            let frame = Frame::message(piece.to_vec(), OpCode::Data(opcode), last);
            self.0.send(Message::Frame(frame)).unwrap();
        }
    }

    /// Reads on until the server's Close; its code and reason, 1005 where it has none.
    pub fn close(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.0.read().unwrap() {
                return frame.map_or((1005, String::new()), |frame| {
                    (frame.code.into(), frame.reason.to_string())
                });
            }
        }
    }

    /// The code alone.
    pub fn close_code(&mut self) -> u16 {
        self.close().0
    }

    /// Drives the closing handshake to its end. Panics when the server does not end it properly.
    pub fn assert_closed(&mut self) {
        loop {
            match self.0.read() {
                Ok(_) => {}
                Err(tungstenite::Error::ConnectionClosed) => return,
                Err(error) => panic!("not a clean close: {error}"),
            }
        }
    }
}

/// A response as it was read.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A connection that sends bytes.
pub struct Raw(pub BufReader<Stream>);

impl Raw {
    pub fn connect(address: SocketAddr) -> Raw {
        Raw::connect_over(Wire::Plain, address)
    }

    pub fn connect_over(wire: Wire, address: SocketAddr) -> Raw {
        Raw::try_connect_over(wire, address).unwrap()
    }

    /// The same, where the handshake of TLS may fail.
    pub fn try_connect_over(wire: Wire, address: SocketAddr) -> io::Result<Raw> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Stream::over(wire, stream).map(|stream| Raw(BufReader::new(stream)))
    }

    /// The same on the Unix socket at `path`.
    pub fn connect_unix(path: &Path) -> Raw {
        Raw::on(connect_unix(path))
    }

    /// A connection from this address of this machine.
    pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Raw {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        socket.set_tcp_nodelay(true).unwrap();
        Raw::on(socket.into())
    }

    /// A connection that somebody else has made.
    pub fn on(stream: TcpStream) -> Raw {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Raw(BufReader::new(Stream::plain(stream)))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Raw {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Ends the sending side.
    pub fn finish(&mut self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads a response, with the body that its Content-Length announces.
    pub fn response(&mut self) -> Response {
        let mut response = self.response_to_head();
        let length = response.get("Content-Length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    /// Reads a response that has no body: one to HEAD, or a 101.
    pub fn response_to_head(&mut self) -> Response {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "closed after {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head, body: String::new() }
    }

    /// Asks for `path` and returns the response.
    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).response()
    }

    /// Opens a WebSocket.
    pub fn upgrade(&mut self, path: &str) -> &mut Raw {
        assert_eq!(self.send(handshake(path)).response_to_head().status, 101);
        self
    }

    /// Exactly `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// First byte and payload of the next frame from the server.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let [first, length] = self.bytes(2).try_into().unwrap();
        let length = match length {
            126 => usize::from(u16::from_be_bytes(self.bytes(2).try_into().unwrap())),
            127 => usize::try_from(u64::from_be_bytes(self.bytes(8).try_into().unwrap())).unwrap(),
            short => usize::from(short),
        };
        (first, self.bytes(length))
    }

    /// Reads on until the server's Close; its code, 1005 where it has none.
    pub fn close_code(&mut self) -> u16 {
        loop {
            match self.frame() {
                (FIN_CLOSE, payload) if payload.is_empty() => return 1005,
                (FIN_CLOSE, payload) => return u16::from_be_bytes([payload[0], payload[1]]),
                _ => {}
            }
        }
    }

    /// What comes until the server ends the stream. Panics on a reset.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Waits until the server has ended the connection, in whichever way.
    pub fn assert_ended(&mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut rest) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "still open");
        }
    }
}

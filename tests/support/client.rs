//! Two clients: `Client` speaks WebSocket through tungstenite, `Raw` sends arbitrary bytes.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

use super::stream::{Stream, Wire};

/// Read timeout of every client: a test that waits this long has failed.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Polls until `check` succeeds: what a client sees, and what the server's threads do after it, are moments
/// apart. Panics with the last error after [`TIMEOUT`].
pub fn wait_for<T>(mut check: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match check() {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Polls until `condition` holds. Panics with `expected` after [`TIMEOUT`].
pub fn wait_until(expected: &str, mut condition: impl FnMut() -> bool) {
    wait_for(|| condition().then_some(()).ok_or_else(|| format!("not in time: {expected}")));
}

/// Returns a handshake request for `path`, with the sample key of RFC 6455, section 1.3.
pub fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// Encodes a client's frame, masked with zeros.
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

/// Connects to the Unix socket at `path`. The methods of `TcpStream` that the tests use work on any
/// stream socket.
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

    /// Opens `path` over the Unix socket at `socket`.
    pub fn open_unix(socket: &Path, path: &str) -> Client {
        let stream = connect_unix(socket);
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Client::on(Stream::plain(stream), &format!("ws://localhost{path}"))
    }

    fn on(stream: Stream, url: &str) -> Client {
        Client(tungstenite::client(url, stream).unwrap().0)
    }

    /// Sends a message and returns the next one that arrives.
    pub fn ask(&mut self, message: impl Into<Message>) -> Message {
        self.0.send(message.into()).unwrap();
        self.0.read().unwrap()
    }

    /// Sends `payload` as one message in fragments of `size` bytes.
    pub fn send_in_pieces(&mut self, kind: Data, payload: &[u8], size: usize) {
        let pieces: Vec<_> = payload.chunks(size).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let opcode = if number == 0 { kind } else { Data::Continue };
            let last = number + 1 == pieces.len();
            let frame = Frame::message(piece.to_vec(), OpCode::Data(opcode), last);
            self.0.send(Message::Frame(frame)).unwrap();
        }
    }

    /// Reads until the server's Close. Returns its code and reason; 1005 if it has no code.
    pub fn close(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.0.read().unwrap() {
                return frame.map_or((1005, String::new()), |frame| {
                    (frame.code.into(), frame.reason.to_string())
                });
            }
        }
    }

    /// Like `close`, but returns only the code.
    pub fn close_code(&mut self) -> u16 {
        self.close().0
    }

    /// Completes the closing handshake. Panics unless the server ends the connection cleanly.
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

/// A response that was read.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    /// Returns the value of a header field; `None` if the response does not have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A connection that sends arbitrary bytes.
pub struct Raw(pub BufReader<Stream>);

impl Raw {
    pub fn connect(address: SocketAddr) -> Raw {
        Raw::connect_over(Wire::Plain, address)
    }

    pub fn connect_over(wire: Wire, address: SocketAddr) -> Raw {
        Raw::try_connect_over(wire, address).unwrap()
    }

    /// Like `connect_over`; `Err` if the TLS handshake fails.
    pub fn try_connect_over(wire: Wire, address: SocketAddr) -> io::Result<Raw> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Stream::over(wire, stream).map(|stream| Raw(BufReader::new(stream)))
    }

    /// Connects to the Unix socket at `path`.
    pub fn connect_unix(path: &Path) -> Raw {
        Raw::on(connect_unix(path))
    }

    /// Connects from the local address `source`.
    pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Raw {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        socket.set_tcp_nodelay(true).unwrap();
        Raw::on(socket.into())
    }

    /// Wraps a stream that is already connected.
    pub fn on(stream: TcpStream) -> Raw {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Raw(BufReader::new(Stream::plain(stream)))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Raw {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends `bytes` again and again, without reading, until the server has closed the connection.
    pub fn send_until_closed(&mut self, bytes: &[u8]) {
        let deadline = Instant::now() + TIMEOUT;
        self.0.get_ref().set_write_timeout(Some(TIMEOUT)).unwrap();
        let error = loop {
            match self.0.get_mut().write_all(bytes) {
                Ok(()) => assert!(Instant::now() < deadline, "still open"),
                Err(error) => break error,
            }
        };
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "still open, and not reading");
    }

    /// Shuts down the sending side.
    pub fn finish(&mut self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset (TCP RST).
    pub fn reset(self) {
        SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Reads a response with a body of its Content-Length.
    pub fn response(&mut self) -> Response {
        let mut response = self.response_to_head();
        let length = response.get("Content-Length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    /// Reads a response without a body: one to HEAD, or a 101.
    pub fn response_to_head(&mut self) -> Response {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "closed after {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head, body: String::new() }
    }

    /// Sends a GET request for `path` and returns the response.
    pub fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).response()
    }

    /// Sends a handshake for `path` and asserts that the response is a 101.
    pub fn upgrade(&mut self, path: &str) -> &mut Raw {
        assert_eq!(self.send(handshake(path)).response_to_head().status, 101);
        self
    }

    /// Reads exactly `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads the server's next frame. Returns its first byte and its payload.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let [first, length] = self.bytes(2).try_into().unwrap();
        let length = match length {
            126 => usize::from(u16::from_be_bytes(self.bytes(2).try_into().unwrap())),
            127 => usize::try_from(u64::from_be_bytes(self.bytes(8).try_into().unwrap())).unwrap(),
            short => usize::from(short),
        };
        (first, self.bytes(length))
    }

    /// Reads until the server's Close. Returns its code; 1005 if it has none.
    pub fn close_code(&mut self) -> u16 {
        loop {
            match self.frame() {
                (FIN_CLOSE, payload) if payload.is_empty() => return 1005,
                (FIN_CLOSE, payload) => return u16::from_be_bytes([payload[0], payload[1]]),
                _ => {}
            }
        }
    }

    /// Reads until the server ends the stream. Panics on a reset.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Waits until the server has ended the connection, by FIN or RST.
    pub fn assert_ended(&mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut rest) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "still open");
        }
    }
}

//! A health check: the server connects to itself and exchanges an echo. If that fails, because the network
//! does not lead to the listener or no descriptor is left to accept, it goes to the accept loop past both.
//!
//! The probe takes the same path as every client: listener, slot, thread, handshake, session. It
//! tests that the server answers and not that it has capacity, so a 503 counts as success. The
//! probe encodes its frames itself, as they are always the same, and because a second caller of
//! tungstenite's frame parser would keep that from being inlined, at 50 instructions per echo.
//!
//! **Invariant:** an echo ends at its deadline.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use socket2::SockAddr;

use crate::frame::{CLOSE, FIN, TEXT};
use crate::net::Stream;
use crate::net::address::Address;
use crate::net::entrance::Entrance;
use crate::net::listener::connect;
use crate::net::shutdown::Stop;
use crate::net::socket::Socket;
use crate::net::tls;
use crate::net::transport::{ReadTimeout, Transport};

/// A client that checks whether its server answers. See [`Server::probe`](crate::Server::probe).
#[derive(Debug)]
pub struct Probe {
    address: SockAddr,
    entrance: Arc<Entrance>,
    /// The `Sec-WebSocket-Key` by which the server recognizes its own probe, and keeps the session
    /// out of log and metrics.
    key: String,
    /// Whether the listener uses TLS.
    is_tls: bool,
}

impl Probe {
    pub(crate) fn new(
        address: SockAddr,
        entrance: Arc<Entrance>,
        key: String,
        is_tls: bool,
    ) -> Probe {
        Probe { address, entrance, key, is_tls }
    }

    /// Connects, makes the handshake, exchanges an empty text message and a Close, all within
    /// `timeout`. A 503 counts as success, because a server that is full still answers. So does a process
    /// without a free descriptor, which proves nothing about the server.
    ///
    /// # Errors
    /// The I/O error of the failed step; `TimedOut` if the deadline passed.
    pub fn echo(&self, timeout: Duration) -> io::Result<()> {
        match self.run(timeout) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
            Err(error) if is_out_of_descriptors(&error) => Ok(()),
            result => result,
        }
    }

    fn run(&self, timeout: Duration) -> io::Result<()> {
        let (start, half) = (Instant::now(), timeout / 2);
        let connected = connect(&self.address, half);
        let answered =
            connected.and_then(|stream| self.run_over_stream(stream, self.is_tls, start + half));
        answered.or_else(|error| {
            let connected = self.entrance.connect();
            let answered =
                connected.and_then(|stream| self.run_over_stream(stream, false, start + timeout));
            // The first error says what is wrong with the network.
            answered.map_err(|second| if is_out_of_descriptors(&second) { second } else { error })
        })
    }

    fn run_over_stream(&self, stream: Stream, is_tls: bool, deadline: Instant) -> io::Result<()> {
        let stop = Arc::new(Stop::new()?);
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Some(left).filter(|left| !left.is_zero()).ok_or(ErrorKind::TimedOut)?;
        let mut socket = Socket::new(stream, Address::of(&self.address), None, &stop, left)?;
        socket.set_read_timeout(ReadTimeout::deadline(deadline));
        let result =
            if is_tls { self.run_over(tls::probe_client(socket)?) } else { self.run_over(socket) };
        match result {
            // A TLS server sends this alert in place of a 503 when it has no thread to spare.
            Err(error) if tls::is_refusal(&error) => Ok(()),
            result => result,
        }
    }

    fn run_over(&self, mut stream: impl Read + Write) -> io::Result<()> {
        stream.write_all(self.request().as_bytes())?;
        let mut server = BufReader::new(stream);
        let status = status(&mut server)?;
        match status.as_str() {
            "101" => [FIN | TEXT, FIN | CLOSE]
                .into_iter()
                .try_for_each(|kind| exchange(&mut server, kind)),
            "503" => Ok(()),
            other => Err(io::Error::other(format!("the handshake was answered with {other}"))),
        }
    }

    fn request(&self) -> String {
        let host = self.address.as_socket().map_or("localhost".to_owned(), |at| at.to_string());
        format!(
            "GET /echo HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
            self.key
        )
    }
}

/// Whether no descriptor is left, in this process or on this machine.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE))
}

/// Reads the head of a response, and returns its status code.
fn status(server: &mut BufReader<impl Read + Write>) -> io::Result<String> {
    let (mut head, mut start) = (String::new(), 0);
    while head[start..] != *"\r\n" {
        start = head.len();
        if server.read_line(&mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// Sends a frame with an empty payload, which no size limit rejects, and waits for a frame with the
/// same first byte.
fn exchange(server: &mut BufReader<impl Read + Write>, kind: u8) -> io::Result<()> {
    /// The MASK bit, length 0, and a masking key of zeros.
    const MASKED_EMPTY: [u8; 5] = [0x80, 0, 0, 0, 0];
    server.get_mut().write_all(&[&[kind][..], &MASKED_EMPTY].concat())?;
    loop {
        let mut header = [0; 2];
        server.read_exact(&mut header)?;
        // The server may send a Ping in between; its length also fits the 7-bit field.
        let [first, length] = header;
        server.read_exact(&mut vec![0; length.into()])?;
        if first == kind {
            return Ok(());
        }
    }
}

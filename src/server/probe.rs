//! Proof of life: an echo to itself.
//!
//! What it is: a client that goes the way of every other one, through the listener, a place, a thread
//! and a handshake, so that what it proves is what clients get.
//! What it is not: a measure of load. A server that is full says so, and lives. Nor a client of
//! tungstenite's: a second caller would cost every echo 50 instructions, as its frame parser is then
//! not inlined; and the few frames here are always the same.
//! Invariant: an echo ends at its deadline.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockAddr;

use crate::frame::{CLOSE, FIN, TEXT};
use crate::net::address::Address;
use crate::net::listener::connect;
use crate::net::shutdown::Stop;
use crate::net::socket::Socket;
use crate::net::tls;
use crate::net::transport::{ReadTimeout, Transport};

/// A client that proves that its server lives. See [`Server::probe`](crate::Server::probe).
#[derive(Debug)]
pub struct Probe {
    address: SockAddr,
    /// By its key the server knows a session of ours, and keeps it out of the log.
    key: String,
    /// Whether the server speaks TLS there.
    is_tls: bool,
}

impl Probe {
    pub(crate) fn new(address: SockAddr, key: String, is_tls: bool) -> Probe {
        Probe { address, key, is_tls }
    }

    /// Connects, says something, hears it, and leaves, all in `timeout`. A 503 is as good: only a
    /// server that lives says that it is full.
    ///
    /// # Errors
    /// What went wrong, or that time ran out.
    pub fn echo(&self, timeout: Duration) -> io::Result<()> {
        self.converse(timeout).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
            _ => error,
        })
    }

    fn converse(&self, timeout: Duration) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        let stream = connect(&self.address, timeout)?;
        let stop = Arc::new(Stop::new()?);
        let mut socket = Socket::new(stream, Address::of(&self.address), None, &stop, timeout)?;
        socket.set_read_timeout(ReadTimeout::deadline(deadline));
        if self.is_tls {
            self.converse_over(tls::probe_client(socket)?)
        } else {
            self.converse_over(socket)
        }
    }

    fn converse_over(&self, mut stream: impl Read + Write) -> io::Result<()> {
        stream.write_all(self.request().as_bytes())?;
        let mut server = BufReader::new(stream);
        let status = match status(&mut server) {
            // The 503 of a full server, which had no thread for a TLS handshake.
            Err(error) if tls::is_refusal(&error) => return Ok(()),
            status => status?,
        };
        match status.as_str() {
            "101" => [FIN | TEXT, FIN | CLOSE]
                .into_iter()
                .try_for_each(|kind| exchange(&mut server, kind)),
            "503" => Ok(()),
            other => Err(io::Error::other(format!("the handshake's status is {other}"))),
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

/// Reads a response's head, and returns its status.
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

/// Sends a frame without a payload, for which no limit is too small, and waits for one of its kind.
fn exchange(server: &mut BufReader<impl Read + Write>, kind: u8) -> io::Result<()> {
    /// No payload, and a mask of zeros.
    const EMPTY: [u8; 5] = [0x80, 0, 0, 0, 0];
    server.get_mut().write_all(&[&[kind][..], &EMPTY].concat())?;
    loop {
        let mut header = [0; 2];
        server.read_exact(&mut header)?;
        // A Ping may come between, which is as short as this.
        let [first, length] = header;
        server.read_exact(&mut vec![0; length.into()])?;
        if first == kind {
            return Ok(());
        }
    }
}

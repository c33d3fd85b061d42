//! Proof of life: an echo to itself.
//!
//! What it is: a client that goes the way of every other one, through the listener, a place, a thread
//! and a handshake, so that what it proves is what clients get.
//! What it is not: a measure of load. A server that is full says so, and lives.
//! Invariant: an echo ends at its deadline.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockAddr;
use tungstenite::http::{Request, StatusCode};
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use crate::net::address::Address;
use crate::net::listen::connect;
use crate::net::socket::{Patience, Socket, Transport};

/// A client that proves that its server lives. See [`Server::probe`](crate::Server::probe).
#[derive(Debug)]
pub struct Probe {
    address: SockAddr,
    /// By its key the server knows a session of ours, and keeps it out of the log.
    key: String,
}

impl Probe {
    pub(crate) fn new(address: SockAddr, key: String) -> Probe {
        Probe { address, key }
    }

    /// Connects, says something, hears it, and leaves, all in `timeout`. A 503 is as good: only a
    /// server that lives says that it is full.
    ///
    /// # Errors
    /// What went wrong, or that time ran out.
    pub fn echo(&self, timeout: Duration) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        let stream = connect(&self.address, timeout)?;
        let peer = Address::of(&self.address);
        let mut socket = Socket::new(stream, peer, &Arc::default(), timeout)?;
        socket.set_patience(Patience::until(deadline));
        match tungstenite::client(self.request(), socket) {
            Ok((session, _)) => converse(session).map_err(failure),
            Err(HandshakeError::Failure(Error::Http(response)))
                if response.status() == StatusCode::SERVICE_UNAVAILABLE =>
            {
                Ok(())
            }
            Err(HandshakeError::Failure(error)) => Err(failure(error)),
            Err(HandshakeError::Interrupted(_)) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn request(&self) -> Request<()> {
        let host = self.address.as_socket().map_or("localhost".to_owned(), |at| at.to_string());
        let request = Request::get(format!("ws://{host}/echo"))
            .header("Host", host)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", &self.key);
        request.body(()).expect("an address and a key in Base64 are fit for a request")
    }
}

/// One echo, and a closing handshake.
fn converse(mut session: WebSocket<Socket>) -> tungstenite::Result<()> {
    // Empty, for which no limit is too small.
    let message = Message::text("");
    session.send(message.clone())?;
    while session.read()? != message {}
    session.close(None)?;
    loop {
        match session.read() {
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn failure(error: Error) -> io::Error {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
            io::ErrorKind::TimedOut.into()
        }
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

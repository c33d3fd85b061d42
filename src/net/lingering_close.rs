//! The lingering close of a connection whose peer may still be sending (RFC 9112, section 9.6).
//!
//! Closing a socket with unread input makes the kernel send a RST, which can reach the peer before
//! it has read the response. Hence the write side is closed first, and input is discarded for a
//! while.
//!
//! **Invariant:** it is bounded in time and in bytes.

use std::time::{Duration, Instant};

use super::transport::{ReadTimeout, Transport};
use crate::config::tuning::{LINGER_BYTES, LINGER_READ};

/// Closes the write side, and discards input until the peer closes the connection, for at most
/// `time` and [`LINGER_BYTES`].
pub(crate) fn linger<T: Transport>(transport: &mut T, time: Duration) {
    linger_while(transport, time, || true);
}

/// Does the same as [`linger`], as long as the connection `keeps` its slot. A peer that goes on sending
/// does not notice that its connection was shut down.
pub(crate) fn linger_while<T: Transport>(
    transport: &mut T,
    time: Duration,
    keeps: impl Fn() -> bool,
) {
    if transport.finish().is_err() {
        return;
    }
    transport.set_read_timeout(ReadTimeout::deadline(Instant::now() + time));
    let mut discarded = 0;
    // On the heap: a page of stack, once touched, stays resident for the rest of a session.
    let mut buffer = vec![0; LINGER_READ];
    while discarded < LINGER_BYTES && keeps() {
        match transport.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => discarded += n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::Address;
    use crate::net::shutdown::Stop;
    use crate::net::socket::Socket;
    use std::cell::Cell;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    #[test]
    fn a_connection_that_has_lost_its_slot_ends_although_its_peer_goes_on() {
        const LONG: Duration = Duration::from_secs(3600);
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let stop = Arc::new(Stop::new().unwrap());
        let stream = OwnedFd::from(stream).into();
        let mut socket = Socket::new(stream, Address::Unix, None, &stop, LONG).unwrap();
        peer.write_all(&[0; 3 * LINGER_READ]).unwrap();
        let reads = Cell::new(0);
        let keeps = || reads.replace(reads.get() + 1) < 2;
        linger_while(&mut socket, LONG, keeps);
        assert_eq!(reads.get(), 3);
    }
}

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
    if transport.finish().is_err() {
        return;
    }
    transport.set_read_timeout(ReadTimeout::deadline(Instant::now() + time));
    let mut discarded = 0;
    // On the heap: a page of stack, once touched, stays resident for the rest of a session.
    let mut buffer = vec![0; LINGER_READ];
    while discarded < LINGER_BYTES {
        match transport.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => discarded += n,
        }
    }
}

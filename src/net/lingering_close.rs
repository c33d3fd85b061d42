//! The end of a connection whose peer may still be sending.
//!
//! What it is: the half-close after a refusal. Closing a socket with unread input resets the
//! connection, and the reset can overtake the refusal that the peer was to read.
//! Invariant: bounded in time and in bytes.

use std::time::{Duration, Instant};

use super::transport::{ReadTimeout, Transport};
use crate::config::tuning::LINGER_BYTES;

/// Ends the sending side, and discards what the peer sends until it closes, `time` at most.
pub(crate) fn linger<T: Transport>(transport: &mut T, time: Duration) {
    if transport.finish().is_err() {
        return;
    }
    transport.set_read_timeout(ReadTimeout::deadline(Instant::now() + time));
    let mut discarded = 0;
    // Not on the stack: its page would stay with every session that this function is inlined into.
    let mut buffer = vec![0; 4096];
    while discarded < LINGER_BYTES {
        match transport.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => discarded += n,
        }
    }
}

//! Sockets and threads: who gets in, who serves, and how all of it ends.

pub(crate) mod address;
pub(crate) mod admission;
pub(crate) mod lingering_close;
pub(crate) mod listener;
mod read_ahead;
pub(crate) mod shutdown;
pub(crate) mod socket;
mod timed_stream;
pub(crate) mod tls;
pub(crate) mod transport;
mod unix_path;
pub(crate) mod waker;

/// A connected socket, TCP or Unix: one type, so that nothing after `accept` has to ask which.
pub(crate) type Stream = socket2::Socket;

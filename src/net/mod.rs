//! Sockets: listeners, admission, reads and writes with deadlines, TLS, shutdown.

pub(crate) mod address;
pub(crate) mod admission;
pub(crate) mod lingering_close;
pub(crate) mod listener;
pub(crate) mod shutdown;
pub(crate) mod socket;
pub(crate) mod tls;
mod unix_path;
pub(crate) mod waker;

/// A connected socket, TCP or Unix. One type for both, so that no code after `accept` has to
/// distinguish them.
pub(crate) type Stream = socket2::Socket;

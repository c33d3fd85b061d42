//! Sockets: listeners, admission, reads and writes with deadlines, TLS, shutdown.

pub(crate) mod address;
pub(crate) mod admission;
pub(crate) mod entrance;
pub(crate) mod idle;
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

/// A connected socket, TCP or Unix. One type for both, so that no code after `accept` has to
/// distinguish them.
pub(crate) type Stream = socket2::Socket;

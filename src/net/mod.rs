//! Sockets and threads: who gets in, who serves, and how all of it ends.

pub(crate) mod address;
pub(crate) mod admission;
pub(crate) mod bell;
pub(crate) mod linger;
pub(crate) mod listen;
mod path;
pub(crate) mod pool;
pub(crate) mod refuser;
pub(crate) mod shutdown;
pub(crate) mod socket;
pub(crate) mod tls;

/// A connected socket, TCP or Unix: one type, so that nothing after `accept` has to ask which.
pub(crate) type Stream = socket2::Socket;

//! One WebSocket, from the accepted upgrade to its end.

pub(crate) mod keepalive;
pub(crate) mod reply;
pub(crate) mod session;
mod watch;

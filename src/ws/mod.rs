//! One WebSocket, from the accepted upgrade to its end.

mod keepalive;
pub(crate) mod reply;
pub(crate) mod session;
mod watch;

//! One WebSocket, from the accepted upgrade to its end.

pub(crate) mod deflate;
pub(crate) mod ending;
pub(crate) mod keepalive;
pub(crate) mod reply;
mod script;
pub(crate) mod session;
mod stage;
mod unruly;
mod watch;

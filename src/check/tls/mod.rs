//! TLS before the upgrade: the handshake, and what was found in it.
//!
//! What it is not: the server's; a client asks who it speaks with.
//!
//! A build without the feature `tls` has the same names, for things that cannot be; there a URL with
//! `wss://` is refused before it comes to this.

#[cfg_attr(feature = "tls", path = "on.rs")]
#[cfg_attr(not(feature = "tls"), path = "off.rs")]
mod session;

pub(super) use session::Tls;

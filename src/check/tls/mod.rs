//! The TLS step of a check: the handshake, with verification of the server's certificate.
//!
//! Without the feature `tls`, [`Tls`] is an uninhabited enum; `wss://` URLs are then rejected when
//! they are parsed.

#[cfg_attr(feature = "tls", path = "on.rs")]
#[cfg_attr(not(feature = "tls"), path = "off.rs")]
mod session;

pub(super) use session::Tls;

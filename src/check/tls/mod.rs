//! The TLS step of a check: the handshake, the server's certificate, and what is wrong with either.
//!
//! Without the feature `tls`, [`Tls`] is an uninhabited enum; `wss://` URLs are then rejected when
//! they are parsed.

#[cfg(feature = "tls")]
mod certificate;
#[cfg(not(feature = "tls"))]
mod disabled;
#[cfg(feature = "tls")]
mod faults;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod verifier;

#[cfg(not(feature = "tls"))]
pub(super) use disabled::{Tls, refused_later};
#[cfg(feature = "tls")]
pub(super) use {faults::refused_later, session::Tls};

//! A server, and clients that can do what a well-behaved one cannot.

pub mod browser;
pub mod client;
pub mod deflate;
pub mod program;
pub mod proxy;
pub mod server;
pub mod stream;
#[cfg(feature = "tls")]
pub mod tls;

//! Test servers, and clients that can also misbehave.

pub mod browser;
#[allow(dead_code)]
pub mod cgroup;
pub mod client;
pub mod deflate;
pub mod program;
pub mod proxy;
pub mod server;
pub mod stream;
#[cfg(feature = "tls")]
pub mod tls;

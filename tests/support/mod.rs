//! Test servers, and clients that can also misbehave.

pub mod browser;
#[allow(dead_code)]
pub mod cgroup;
pub mod client;
pub mod deflate;
#[allow(dead_code, unused_imports, reason = "the benches need none of it")]
pub mod fault_proxy;
#[allow(dead_code, reason = "the benches need none of it")]
pub mod port;
pub mod program;
pub mod proxy;
#[allow(dead_code, reason = "the benches need none of it")]
pub mod real_proxy;
pub mod server;
pub mod stream;
#[cfg(feature = "tls")]
pub mod tls;

//! A WebSocket echo server and its browser page: blocking I/O, one thread per connection.
//!
//! The order in which the code is read is the order in which data flows:
//!
//! ```text
//! Listener ── accept ──▶ admission ──▶ thread pool ──▶ connection             server, net
//!                            │ refused: 503, off the accept thread
//! connection:  head ──▶ route ──▶ page      (the connection is kept alive)    connection, http
//!                           ├───▶ refusal   (what is wrong, and what would be right)
//!                           └───▶ upgrade ──▶ session: read, reply, write … until
//!                                             the closing handshake is done   upgraded, ws
//! ```
//!
//! Beside all that, where the operator asks for it, is a door of its own: metrics, and the sessions that
//! are on (admin, ops).
//!
//! Types tell the same story: `Stream → Socket → Head → Route → WebSocket<Socket> → Report`. TLS, where
//! the feature `tls` is on and a certificate is there, is inside the `Socket`; nobody above it knows.
//!
//! It is no framework, no proxy and no application server; there is no async runtime in it.
//! The program `wsecho` is a command line around this library, and beside it a client that checks
//! servers. The library alone is of use in tests of WebSocket clients:
//!
//! ```
//! use wsecho::{Config, Server};
//!
//! let config = Config { listen: vec![([127, 0, 0, 1], 0).into()], ..Config::default() };
//! let server = Server::bind(config)?;
//! let url = format!("ws://{}/echo", server.local_addrs()[0]);
//! let stopper = server.stopper();
//! let running = std::thread::spawn(|| server.run());
//!
//! // … connect the client under test to `url` …
//! # let stream = std::net::TcpStream::connect(&url[5..url.len() - 5])?;
//! # let (mut client, _) = tungstenite::client(&url, stream)?;
//! # client.send("hello".into())?;
//! # assert_eq!(client.read()?, "hello".into());
//!
//! stopper.stop(); // every session is told with Close 1001
//! # assert!(client.read()?.is_close());
//! # client.flush().ok();
//! # drop(client);
//! running.join().unwrap()?; // no thread and no descriptor is left
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

mod chat;
mod config;
mod connection;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod http;
mod metrics;
mod net;
mod server;
mod session;

pub use config::{
    Certificate, ChatLimits, Clock, Config, DEFAULT_PORT, LONG_TIME, Limits, Listen, ListenError,
    MAX_MESSAGE_SIZE_CEILING, Network, NetworkError, TUTORIAL_REPLY, Template, TemplateError,
    Timeouts, timestamp,
};
#[cfg(feature = "tls")]
#[doc(hidden)]
pub use net::tls::AnyCertificate;
pub use net::tls::CertificateError;
pub use server::machine_limits::{mapping_shortage, raise_descriptor_limit};
pub use server::probe::Probe;
pub use server::{CertificateReloader, Error, Server, Stopper};
pub use session::close_codes::{close_code_meaning, close_code_name};
pub use session::faults::help as fault_help;

//! A WebSocket echo server and its browser page: blocking I/O, one thread per connection.
//!
//! The code is best read in the order in which data flows, and modules import downwards only:
//!
//! ```text
//! server      acceptor ─▶ admission ─▶ thread pool ─▶ connection::serve
//!                │ full: rejector
//! connection  requests: page or refusal, kept alive ─▶ upgrade: 101, session, log line
//! handshake   check ─▶ negotiate ─▶ response
//! session     read, reply, write … until the closing handshake is done
//! chat        rooms, members, outboxes
//! http        request heads, responses, the page, diagnoses
//! products    proxies, and the settings that let WebSockets through
//! net         listeners, sockets, TLS, wakers, the stop
//! report      what the server saw of a session, for its client
//! frame       frame headers as bytes
//! metrics     counters, histograms, the registry of sessions
//! config      every choice and every limit
//! ```
//!
//! The types tell the same story:
//! `Stream → Accepted → HttpConnection → Head → UpgradeRequest → Session → SessionOutcome`.
//! With the feature `tls`, TLS is inside the `Socket` of a connection: requests and sessions are
//! read and written in plaintext.
//!
//! There is no framework, no proxy and no async runtime in it. The program `wsecho` is a command line
//! around this library, with a client that checks other servers. The library alone serves tests of
//! WebSocket clients:
//!
//! ```
//! use std::time::Duration;
//! use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
//!
//! let server = wsecho::spawn()?; // on a free port
//!
//! // The client under test:
//! let (mut client, _) = tungstenite::connect(server.url("/echo"))?;
//! client.send("hello".into())?;
//! assert_eq!(client.read()?, "hello".into());
//! let normal = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
//! client.close(Some(normal))?;
//! while client.read().is_ok() {}
//!
//! // What the server saw of it:
//! let session = server.ended_session(Duration::from_secs(5)).expect("it has ended");
//! assert_eq!((session.by, session.code, session.messages_received), ("client", Some(1000), 1));
//! server.stop()?; // no thread and no descriptor is left
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Server::bind`] takes a [`Config`]; [`Server::run`] serves on the thread that calls it.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

mod chat;
#[cfg(feature = "cli")]
mod check;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod config;
mod connection;
#[cfg(feature = "cli")]
mod doctor;
mod frame;
#[cfg(any(test, feature = "_fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod http;
mod lock;
mod message_memory;
mod metrics;
mod net;
mod products;
mod report;
mod server;
mod session;
mod token_bucket;

pub use config::{
    AllowedOrigin, AllowedOriginError, Certificate, ChatLimits, Clock, ClockError, Config,
    DEFAULT_PORT, HostName, HostNameError, LONG_TIME, Limits, Listen, ListenError,
    MAX_MESSAGE_SIZE_CEILING, Network, NetworkError, TIMEOUT_CEILING, TUTORIAL_REPLY, Template,
    TemplateError, Timeouts,
};
pub use connection::ended_session::EndedSession;
pub use net::tls::CertificateError;
pub use server::probe::Probe;
pub use server::{CertificateReloader, Error, Running, Server, Stopper, spawn};
pub use session::close_codes::{close_code_meaning, close_code_name};

//! `wsecho check URL`: a client that tests a WebSocket server, and the proxies in front of it, step
//! by step: resolve, connect, TLS for `wss://`, upgrade, echo, Ping, Close.
//!
//! It also serves as the health check of an image without a shell.
//!
//! **Invariant:** a check terminates, whatever the server does: each wait has a deadline, and each
//! response a maximum size.
//!
//! ```text
//! options, url ──▶ client ──▶ connect, tls, upgrade, session ──▶ report ──▶ stdout, exit code
//!                             └▶ silence: second_look
//! ```
//!
//! These do I/O; `handshake`, `verdict` (what is wrong, and what to do about it) and `report` are
//! pure.

use std::io::Write;
use std::process::ExitCode;

mod alpn;
mod client;
mod connect;
mod deflate;
mod exchange;
mod handshake;
mod limits;
mod options;
mod others;
mod proxy;
mod report;
mod resolve;
mod second_look;
mod session;
mod stream;
mod tls;
mod upgrade;
mod url;
mod verdict;

pub(crate) use options::CheckOptions;

/// Runs the check, prints the report, and returns the exit code of the program.
pub(crate) fn run(options: &CheckOptions) -> ExitCode {
    let report = client::check(options);
    let text = if options.output.json { report.json() } else { report.to_string() };
    // A caller that has closed stdout still gets the exit code.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(report.exit_code())
}

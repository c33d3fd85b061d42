//! `wsecho check URL`: a client that takes one step after another, and says how each one went.
//!
//! What it is: resolve, connect, TLS where the URL says so, upgrade, echo, Ping, Close; the health check of a machine without
//! a shell, and the question to any WebSocket server and to the proxies before it.
//! What it is not: a part of the server; the two share tungstenite, and nothing else.
//! Invariant: it ends, whatever the server does: each wait has a deadline, and each answer a size.
//!
//! ```text
//! options, url ──▶ client ──▶ reach, tls, upgrade, session ──▶ report ──▶ stdout, exit code
//!                             (they act; handshake and report are pure)
//! ```

use std::io::Write;
use std::process::ExitCode;

mod client;
mod handshake;
mod limits;
mod options;
mod reach;
mod report;
mod session;
mod tls;
mod upgrade;
mod url;

pub(crate) use options::CheckOptions;

/// Checks, prints, and returns what the program is to end with.
pub(crate) fn run(options: &CheckOptions) -> ExitCode {
    let report = client::check(options);
    let text = if options.json { report.json() } else { report.to_string() };
    // Who does not read the report has the exit code.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(report.exit_code())
}

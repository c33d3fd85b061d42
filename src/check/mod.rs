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

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

mod alpn;
pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod connection_options;
pub(crate) mod deflate;
mod exchange;
pub(crate) mod handshake;
mod limits;
mod options;
mod others;
pub(crate) mod proxy;
pub(crate) mod report;
pub(crate) mod resolve;
mod second_look;
mod session;
pub(crate) mod stream;
mod tls;
pub(crate) mod upgrade;
pub(crate) mod url;
pub(crate) mod verdict;

pub(crate) use options::CheckOptions;
use report::{CheckReport, Colours};

/// Runs the check, prints the report, and returns the exit code of the program. With `--repeat` it
/// returns only if stdout is closed.
pub(crate) fn run(options: &CheckOptions) -> ExitCode {
    let colours = colours();
    loop {
        let started = Instant::now();
        let report = client::check(options);
        let text = printed(&report, options, colours);
        let mut out = std::io::stdout().lock();
        let is_written = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
        drop(out);
        match options.output.repeat() {
            Some(interval) if is_written => {
                thread::sleep(interval.saturating_sub(started.elapsed()));
            }
            // A caller that has closed stdout still gets the exit code.
            _ if options.accept_full && report.is_full() => return ExitCode::SUCCESS,
            _ => return ExitCode::from(report.exit_code()),
        }
    }
}

/// Formats a report as the options ask.
fn printed(report: &CheckReport, options: &CheckOptions, colours: Colours) -> String {
    let output = &options.output;
    if output.json {
        report.json()
    } else if output.prometheus {
        report.prometheus()
    } else if output.quiet {
        report.explanation(colours)
    } else if output.repeat().is_some() {
        report.line(colours)
    } else {
        report.text(colours)
    }
}

/// Colours are for terminals, unless `NO_COLOR` has a value.
pub(crate) fn colours() -> Colours {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if std::io::stdout().is_terminal() && !is_refused && !is_dumb {
        Colours::On
    } else {
        Colours::Off
    }
}

//! The options of `wsecho check`. Unlike the server's, they cannot be set by environment variables; the URL
//! without which it checks the server on this machine follows `PORT`.

// The options' comments are what --help prints: plain text, not Markdown.
#![allow(rustdoc::broken_intra_doc_links)]

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use regex_lite::Regex;

use crate::config::MAX_MESSAGE_SIZE_CEILING;
use bytesize::ByteSize;

use super::connection_options::{ConnectionOptions, timeout, token};
use super::limits::COUNT_MAX;

/// The options of `wsecho check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,

    /// Exit with 0, not 10, if the server is full or shutting down (a 503 with Retry-After): for health checks,
    /// as a restart would only end its sessions.
    #[arg(long)]
    pub(crate) accept_full: bool,

    /// Subprotocol to offer; can be repeated.
    #[arg(long = "subprotocol", value_name = "NAME", value_parser = token)]
    pub(crate) subprotocols: Vec<String>,

    /// Do not offer permessage-deflate.
    #[arg(long)]
    pub(crate) no_compression: bool,

    #[command(flatten)]
    pub(crate) messages: MessageOptions,

    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// What is sent in the session, and what is expected.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct MessageOptions {
    /// Number of round trips; from 2 on, print percentiles.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    pub(crate) count: u32,

    /// Size of each message [default: a short text].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) size: Option<usize>,

    /// Message to send instead.
    #[arg(long, value_name = "TEXT", conflicts_with = "size")]
    pub(crate) message: Option<String>,

    /// Text in the answer, or a regular expression that it matches [default: any answer].
    #[arg(long, value_name = "TEXT|REGEX")]
    pub(crate) expect: Option<Expected>,

    /// Send no message: connect, ping, close.
    #[arg(long, conflicts_with_all = ["message", "expect", "count", "size"])]
    pub(crate) no_echo: bool,

    /// Wait for a message before sending one; send none without --message.
    #[arg(long, conflicts_with = "no_echo")]
    pub(crate) first: bool,
}

/// How the report is printed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Print one line of JSON instead of text.
    #[arg(long, group = "format")]
    pub(crate) json: bool,

    /// Print metrics for Prometheus (textfile collector), with the names of the blackbox exporter.
    #[arg(long, group = "format", conflicts_with = "repeat")]
    pub(crate) prometheus: bool,

    /// Print nothing but the problem and the fix.
    #[arg(short, long, group = "format")]
    pub(crate) quiet: bool,

    /// Check again and again, at this interval, and print a line each time.
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    repeat: Option<humantime::Duration>,
}

impl OutputOptions {
    /// The interval of `--repeat`.
    pub(crate) fn repeat(&self) -> Option<Duration> {
        self.repeat.map(|interval| *interval)
    }
}

impl MessageOptions {
    /// Whether a message is sent.
    pub(crate) fn sends(&self) -> bool {
        !self.no_echo && (!self.first || self.message.is_some())
    }
}

/// What an answer has to contain or to match.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    text: String,
    /// `None` if the text is no valid expression.
    expression: Option<Regex>,
}

impl Expected {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, answer: &str) -> bool {
        let matches = |expression: &Regex| expression.is_match(answer);
        answer.contains(&self.text) || self.expression.as_ref().is_some_and(matches)
    }
}

impl FromStr for Expected {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Expected, Infallible> {
        Ok(Expected { text: text.to_owned(), expression: Regex::new(text).ok() })
    }
}

fn size(text: &str) -> Result<usize, String> {
    let size: ByteSize = text.parse()?;
    usize::try_from(size.as_u64()).ok().filter(|size| *size <= MAX_MESSAGE_SIZE_CEILING).ok_or_else(
        || format!("a message may have {} at most", ByteSize::b(MAX_MESSAGE_SIZE_CEILING as u64)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_timeouts_are_limited() {
        assert_eq!(size("1KiB"), Ok(1024));
        assert!(size("2GiB").unwrap_err().contains("1.0 GiB"));
        assert!(timeout("1h").is_ok() && timeout("2h").is_err() && timeout("0s").is_err());
    }
}

//! The options of `wsecho doctor`. As those of `check`, they cannot be set by environment variables.

// The options' comments are what --help prints: plain text, not Markdown.
#![allow(rustdoc::broken_intra_doc_links)]

use std::time::Duration;

use clap::{Args, FromArgMatches};

use crate::check::CheckOptions;
use crate::check::connection_options::ConnectionOptions;
use crate::config::duration::positive;

use super::limits::IDLE_MAX;

/// The options of `wsecho doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,

    /// Find idle timeouts and limits of age up to this time: sessions side by side that are silent, or kept
    /// alive by Pings or messages of either side.
    #[arg(long, value_name = "TIME", value_parser = idle)]
    idle: Option<humantime::Duration>,

    /// Print one line of JSON instead of text.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

fn idle(text: &str) -> Result<humantime::Duration, String> {
    positive(text, IDLE_MAX)
}

impl DoctorOptions {
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.idle.map(|time| *time)
    }

    /// A check of the same URL, by the same way.
    pub(crate) fn check(&self) -> CheckOptions {
        let command = CheckOptions::augment_args(clap::Command::new("check"));
        let defaults = CheckOptions::from_arg_matches(&command.get_matches_from(["check"]));
        let defaults = defaults.unwrap_or_else(|error| error.exit());
        CheckOptions { connection: self.connection.clone(), ..defaults }
    }
}

//! The options of `wsecho doctor`. As those of `check`, they cannot be set by environment variables.

// The options' comments are what --help prints: plain text, not Markdown.
#![allow(rustdoc::broken_intra_doc_links)]

use clap::{Args, FromArgMatches};

use crate::check::CheckOptions;
use crate::check::connection_options::ConnectionOptions;

/// The options of `wsecho doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,

    /// Print one line of JSON instead of text.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

impl DoctorOptions {
    /// A check of the same URL, by the same way.
    pub(crate) fn check(&self) -> CheckOptions {
        let command = CheckOptions::augment_args(clap::Command::new("check"));
        let defaults = CheckOptions::from_arg_matches(&command.get_matches_from(["check"]));
        let defaults = defaults.unwrap_or_else(|error| error.exit());
        CheckOptions { connection: self.connection.clone(), ..defaults }
    }
}

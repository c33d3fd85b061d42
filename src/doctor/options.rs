//! The options of `wsecho doctor`. As those of `check`, they cannot be set by environment variables.

// The options' comments are what --help prints: plain text, not Markdown.
#![allow(rustdoc::broken_intra_doc_links)]

use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, FromArgMatches};

use crate::check::CheckOptions;
use crate::check::connection_options::ConnectionOptions;
use crate::check::url::Target;
use crate::config::duration::positive;

use super::limits::{FRAME_MAX, IDLE_MAX, SIZE_MAX_DEFAULT};

/// The heading in `--help` of what takes longer than two seconds.
const MEASUREMENTS: &str = "Further measurements";

/// The options of `wsecho doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,

    /// Find the largest message that arrives in each direction, as one frame and in fragments.
    #[arg(long, help_heading = MEASUREMENTS)]
    sizes: bool,

    /// Largest message of --sizes.
    #[arg(long, help_heading = MEASUREMENTS, value_name = "SIZE", default_value_t = SIZE_MAX_DEFAULT, requires = "sizes", value_parser = max)]
    max: ByteSize,

    /// Measure whether messages arrive as they were sent, and the times of round trips.
    #[arg(long, help_heading = MEASUREMENTS)]
    pub(crate) timing: bool,

    /// Find idle timeouts and limits of age up to this time: sessions side by side that are silent, or kept
    /// alive by Pings or messages of either side.
    #[arg(long, help_heading = MEASUREMENTS, value_name = "TIME", value_parser = idle)]
    idle: Option<humantime::Duration>,

    /// URL of a second wsecho, reached by another way: what is found there too lies on this machine's side.
    #[arg(long, help_heading = MEASUREMENTS, value_name = "URL")]
    control: Option<Target>,

    /// Print one line of JSON instead of text.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

fn idle(text: &str) -> Result<humantime::Duration, String> {
    positive(text, IDLE_MAX)
}

fn max(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    let most = ByteSize::b(FRAME_MAX as u64);
    if (1..=most.as_u64()).contains(&size.as_u64()) {
        Ok(size)
    } else {
        Err(format!("a message of --sizes has 1 B to {most}"))
    }
}

impl DoctorOptions {
    /// How to connect to the server of `--control`.
    pub(crate) fn control(&self) -> Option<ConnectionOptions> {
        let mut connection = self.connection.clone();
        connection.target = self.control.clone()?;
        Some(connection)
    }

    /// The largest size to try; `None` without `--sizes`.
    pub(crate) fn sizes(&self) -> Option<usize> {
        self.sizes.then(|| usize::try_from(self.max.as_u64()).unwrap_or(FRAME_MAX))
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        self.idle.map(|time| *time)
    }

    /// A check over the same connection.
    pub(crate) fn check(connection: &ConnectionOptions) -> CheckOptions {
        let command = CheckOptions::augment_args(clap::Command::new("check"));
        let defaults = CheckOptions::from_arg_matches(&command.get_matches_from(["check"]));
        let defaults = defaults.unwrap_or_else(|error| error.exit());
        CheckOptions { connection: connection.clone(), ..defaults }
    }
}

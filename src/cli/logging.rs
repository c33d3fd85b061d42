//! The log on stderr, and its rate limit.
//!
//! **Invariants:** in the long run at most one line per [`LINE_EVERY`] is written, so that a flood of
//! clients does not fill the disk; warnings and errors always pass, because they have limits of their own
//! where a client could cause many. No thread waits for stderr; see [`log_writer`](super::log_writer).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use env_logger::Target;
use log::{Level, LevelFilter, Log, Metadata, Record, RecordBuilder};

use super::log_line::{Format, LineFormat};
use super::log_writer::LogQueue;
use crate::lock::unpoisoned;
use crate::token_bucket::TokenBucket;

/// The lines of a burst that are never suppressed: as many as a person would still read.
const BURST: u32 = 1000;
/// The sustained rate, ten lines a second: less than 200 MB per day.
const LINE_EVERY: Duration = Duration::from_millis(100);

/// Starts the log. `level` applies to wsecho itself; libraries log warnings and errors only. Levels
/// more verbose than `Info` have no rate limit.
pub(crate) fn start(level: LevelFilter, format: Format) {
    let format = LineFormat::for_stderr(format);
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level.min(LevelFilter::Warn)).filter_module("wsecho", level);
    builder.format(move |out, record| format.write(out, record));
    // Without its thread, each thread writes its own lines.
    let queue = LogQueue::start(format).ok();
    if let Some(queue) = &queue {
        builder.target(Target::Pipe(Box::new(queue.clone())));
    }
    let logger = builder.build();
    log::set_max_level(logger.filter());
    let bucket = || Mutex::new(TokenBucket::full(BURST, LINE_EVERY, Instant::now()));
    let bucket = (level <= LevelFilter::Info).then(bucket);
    // This fails only if a logger is set already.
    let _ = log::set_boxed_logger(Box::new(RateLimitedLog { logger, bucket, queue }));
}

/// The line that counts those which stderr did not take in time.
pub(super) fn lost_lines(count: u64, format: LineFormat) -> Vec<u8> {
    let args = format_args!("{count} log lines were lost, because stderr was full");
    let mut line = Vec::new();
    format.write(&mut line, &warning().args(args).build()).expect("writing to a Vec cannot fail");
    line
}

/// A warning of the log itself.
fn warning<'a>() -> RecordBuilder<'a> {
    let mut builder = Record::builder();
    builder.level(Level::Warn).target(env!("CARGO_PKG_NAME"));
    builder
}

/// A logger with a rate limit.
struct RateLimitedLog {
    logger: env_logger::Logger,
    /// `None` for no rate limit.
    bucket: Option<Mutex<TokenBucket>>,
    /// `None` if its thread could not be created.
    queue: Option<LogQueue>,
}

impl RateLimitedLog {
    fn log_suppressed(&self, count: u64) {
        let args = format_args!("{count} log lines were suppressed (rate limit)");
        self.logger.log(&warning().args(args).build());
    }
}

impl Log for RateLimitedLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.logger.matches(record) {
            return;
        }
        if let Some(bucket) = &self.bucket
            && record.level() > Level::Warn
        {
            let suppressed = unpoisoned(bucket.lock()).take(Instant::now());
            match suppressed {
                None => return,
                Some(0) => {}
                Some(suppressed) => self.log_suppressed(suppressed),
            }
        }
        self.logger.log(record);
    }

    /// For the end of the program: logs how many lines were suppressed last, and waits until all lines
    /// are written, if stderr takes them.
    fn flush(&self) {
        if let Some(bucket) = &self.bucket {
            let suppressed = unpoisoned(bucket.lock()).take_refused();
            if suppressed > 0 {
                self.log_suppressed(suppressed);
            }
        }
        if let Some(queue) = &self.queue {
            queue.drain();
        }
    }
}

//! The log on stderr: one line per event, with the time in UTC, as text or as JSON.
//!
//! **Invariants:** an event is always one line, whatever a client has put into it. In the long run
//! at most one line per [`LINE_EVERY`] is written, so that a flood of clients does not fill the
//! disk; warnings and errors always pass, because they have limits of their own where a client could
//! cause many. No thread waits for stderr; see [`log_writer`](super::log_writer).

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::log_writer::LogQueue;
use crate::config::timestamp;
use crate::http::excerpt::is_unprintable;
use crate::lock::unpoisoned;
use crate::token_bucket::TokenBucket;
use env_logger::Target;
use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record, RecordBuilder};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;

/// The lines of a burst that are never suppressed: as many as a person would still read.
const BURST: u32 = 1000;
/// The sustained rate, ten lines a second: less than 200 MB per day.
const LINE_EVERY: Duration = Duration::from_millis(100);

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts the log. `level` applies to wsecho itself; libraries log warnings and errors only. Levels
/// more verbose than `Info` have no rate limit.
pub(crate) fn start(level: LevelFilter, format: Format) {
    let write: fn(&mut env_logger::fmt::Formatter, &Record) -> io::Result<()> = match format {
        Format::Text => write_text,
        Format::Json => write_json,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level.min(LevelFilter::Warn)).filter_module("wsecho", level).format(write);
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
pub(super) fn lost_lines(count: u64, format: Format) -> Vec<u8> {
    let args = format_args!("{count} log lines were lost, because stderr was full");
    let (mut line, record) = (Vec::new(), warning().args(args).build());
    let written = match format {
        Format::Text => write_text(&mut line, &record),
        Format::Json => write_json(&mut line, &record),
    };
    written.expect("writing to a Vec cannot fail");
    line
}

/// A warning of the log itself.
fn warning<'a>() -> RecordBuilder<'a> {
    let mut builder = Record::builder();
    builder.level(Level::Warn).target(env!("CARGO_PKG_NAME"));
    builder
}

fn now() -> String {
    timestamp(SystemTime::now())
}

fn write_text(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let mut line = format!("{} {:<5} {}", now(), record.level(), record.args());
    if line.contains(is_unprintable) {
        line = line.chars().map(shown).collect();
    }
    writeln!(out, "{line}")
}

fn shown(c: char) -> String {
    if is_unprintable(c) { c.escape_debug().to_string() } else { c.into() }
}

fn write_json(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, PrintableJson);
    JsonLine(record).serialize(&mut serializer)?;
    writeln!(out)
}

/// JSON in which unprintable characters are escaped, too. Parsers read the same text.
struct PrintableJson;

impl Formatter for PrintableJson {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for part in fragment.split_inclusive(is_unprintable) {
            let last = part.char_indices().next_back().filter(|(_, c)| is_unprintable(*c));
            let (text, unprintable) = last.map_or((part, None), |(at, c)| (&part[..at], Some(c)));
            out.write_all(text.as_bytes())?;
            for unit in unprintable.iter().flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// Serializes a record as an object: time, level, message, and the record's key-value pairs.
struct JsonLine<'a>(&'a Record<'a>);

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &now())?;
        map.serialize_entry("level", self.0.level().as_str())?;
        map.serialize_entry("message", &self.0.args().to_string())?;
        let mut pairs = JsonPairs { map, error: None };
        // `visit_pair` has stored a serializer's error in `pairs`.
        let _ = self.0.key_values().visit(&mut pairs);
        match pairs.error {
            None => pairs.map.end(),
            Some(error) => Err(error),
        }
    }
}

struct JsonPairs<M: SerializeMap> {
    map: M,
    error: Option<M::Error>,
}

impl<'v, M: SerializeMap> VisitSource<'v> for JsonPairs<M> {
    fn visit_pair(&mut self, key: Key<'v>, value: Value<'v>) -> Result<(), log::kv::Error> {
        let key = key.as_str();
        let entry = if let Some(number) = value.to_u64() {
            self.map.serialize_entry(key, &number)
        } else if let Some(number) = value.to_f64() {
            self.map.serialize_entry(key, &number)
        } else if let Some(text) = value.to_borrowed_str() {
            self.map.serialize_entry(key, text)
        } else {
            // The `log` crate formats an absent optional value as "None"; it becomes `null`.
            let text = Some(value.to_string()).filter(|text| text != "None");
            self.map.serialize_entry(key, &text)
        };
        entry.map_err(|error| {
            self.error = Some(error);
            log::kv::Error::msg("serialization failed")
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_has_all_pairs_and_is_one_line() {
        let (missing, ping): (Option<u16>, Option<f64>) = (None, Some(0.5));
        let pairs: [(&str, Value); 7] = [
            ("said", Value::from("None")),
            ("hidden", Value::from("\u{9b}31m\u{202e}é\u{e0001}")),
            ("session", Value::from(7_u64)),
            ("seconds", Value::from(1.25)),
            ("reason", Value::from("a\nb")),
            ("code", log::kv::ToValue::to_value(&missing)),
            ("ping_ms", log::kv::ToValue::to_value(&ping)),
        ];
        let mut out = Vec::new();
        let source = &pairs[..];
        let args = format_args!("said \"x\"\n");
        write_json(&mut out, &Record::builder().args(args).key_values(&source).build()).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert!(line.starts_with("{\"time\":\"20") && line.ends_with("}\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
        assert!(line.contains(r#""hidden":"\u009b31m\u202eé\udb40\udc01""#), "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "said \"x\"\n");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["session"], 7);
        assert_eq!(line["seconds"], 1.25);
        assert_eq!(line["reason"], "a\nb");
        assert!(line["code"].is_null());
        assert_eq!(line["said"], "None");
        assert_eq!(line["hidden"], "\u{9b}31m\u{202e}é\u{e0001}");
        assert_eq!(line["ping_ms"], 0.5);
    }

    #[test]
    fn a_text_line_is_one_line_without_unprintable_characters() {
        let mut out = Vec::new();
        let args = format_args!("a\u{1b}[2J\nb\u{9b}\u{202e}\u{2028} \"é\" e\u{301} C:\\ 👋");
        write_text(&mut out, &Record::builder().args(args).build()).unwrap();
        let line = String::from_utf8(out).unwrap();
        let expected = " a\\u{1b}[2J\\nb\\u{9b}\\u{202e}\\u{2028} \"é\" e\u{301} C:\\ 👋\n";
        assert!(line.ends_with(expected), "{line}");
    }
}

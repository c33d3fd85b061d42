//! The log on stderr: one line an event, with the time in UTC, as text or as JSON.
//!
//! Invariants: an event is one line, whatever a client put into it. In the long run there are no more
//! lines than [`LINES_PER_SECOND`], so that a flood of clients does not become a full disk.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use log::kv::{Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde::ser::{Serialize, SerializeMap, Serializer};
use wsecho::timestamp;

/// Lines in a row that are never held back: a burst that somebody may want to read.
const BURST: u32 = 1000;
/// Lines a second in the long run: under 200 MB a day.
const LINES_PER_SECOND: u32 = 10;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

/// Starts the log. `level` is that of wsecho itself; its libraries only warn. Who asks for more than
/// the usual gets all of it.
pub(crate) fn start(level: LevelFilter, format: Format) {
    let write: fn(&mut env_logger::fmt::Formatter, &Record) -> io::Result<()> = match format {
        Format::Text => write_text,
        Format::Json => write_json,
    };
    let logger = env_logger::Builder::new()
        .filter_level(level.min(LevelFilter::Warn))
        .filter_module("wsecho", level)
        .format(write)
        .build();
    log::set_max_level(logger.filter());
    let bucket = (level <= LevelFilter::Info).then(|| Mutex::new(LineBucket::full(Instant::now())));
    // It fails where there is a log already, which main does not have.
    let _ = log::set_boxed_logger(Box::new(RateLimitedLog { logger, bucket }));
}

fn now() -> String {
    timestamp(SystemTime::now())
}

fn write_text(out: &mut impl Write, record: &Record) -> io::Result<()> {
    writeln!(out, "{} {:<5} {}", now(), record.level(), record.args())
}

fn write_json(out: &mut impl Write, record: &Record) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &JsonLine(record))?;
    writeln!(out)
}

/// A record as an object: time, level, message, and the record's own parts.
struct JsonLine<'a>(&'a Record<'a>);

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &now())?;
        map.serialize_entry("level", self.0.level().as_str())?;
        map.serialize_entry("message", &self.0.args().to_string())?;
        let mut parts = JsonParts { map, error: None };
        // An error stays in `parts`.
        let _ = self.0.key_values().visit(&mut parts);
        match parts.error {
            None => parts.map.end(),
            Some(error) => Err(error),
        }
    }
}

struct JsonParts<M: SerializeMap> {
    map: M,
    error: Option<M::Error>,
}

impl<'v, M: SerializeMap> VisitSource<'v> for JsonParts<M> {
    fn visit_pair(&mut self, key: Key<'v>, value: Value<'v>) -> Result<(), log::kv::Error> {
        let key = key.as_str();
        let entry = if let Some(number) = value.to_u64() {
            self.map.serialize_entry(key, &number)
        } else if let Some(number) = value.to_f64() {
            self.map.serialize_entry(key, &number)
        } else {
            // What is not there is shown so by the `log` crate.
            let text = Some(value.to_string()).filter(|text| text != "None");
            self.map.serialize_entry(key, &text)
        };
        entry.map_err(|error| {
            self.error = Some(error);
            log::kv::Error::msg("not written")
        })
    }
}

/// A log that a flood cannot multiply.
struct RateLimitedLog {
    logger: env_logger::Logger,
    /// None where every line was asked for.
    bucket: Option<Mutex<LineBucket>>,
}

impl Log for RateLimitedLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.logger.matches(record) {
            return;
        }
        if let Some(bucket) = &self.bucket {
            let pass = bucket.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now());
            match pass {
                None => return,
                Some(0) => {}
                Some(left_out) => self.logger.log(
                    &Record::builder()
                        .args(format_args!("{left_out} lines were left out here, of a flood"))
                        .level(log::Level::Warn)
                        .target(record.target())
                        .build(),
                ),
            }
        }
        self.logger.log(record);
    }

    fn flush(&self) {
        self.logger.flush();
    }
}

/// A token bucket: a line takes a token, and time brings them back.
#[derive(Debug)]
struct LineBucket {
    tokens: f64,
    seen: Instant,
    left_out: u64,
}

impl LineBucket {
    fn full(now: Instant) -> LineBucket {
        LineBucket { tokens: f64::from(BURST), seen: now, left_out: 0 }
    }

    /// Whether a line may pass at `now`; if so, how many were left out since the last one.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64();
        self.seen = now;
        self.tokens = (self.tokens + passed * f64::from(LINES_PER_SECOND)).min(f64::from(BURST));
        if self.tokens < 1.0 {
            self.left_out += 1;
            return None;
        }
        self.tokens -= 1.0;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_a_flood_is_counted() {
        let start = Instant::now();
        let mut bucket = LineBucket::full(start);
        assert!((0..BURST).all(|_| bucket.pass(start) == Some(0)));
        assert_eq!(bucket.pass(start), None);
        assert_eq!(bucket.pass(start), None);
        let second = start + Duration::from_secs(1);
        assert_eq!(bucket.pass(second), Some(2));
        assert!((1..LINES_PER_SECOND).all(|_| bucket.pass(second) == Some(0)));
        assert_eq!(bucket.pass(second), None);
        let day = start + Duration::from_secs(24 * 3600);
        assert_eq!(bucket.pass(day), Some(1));
        assert!((1..BURST).all(|_| bucket.pass(day) == Some(0)));
        assert_eq!(bucket.pass(day), None);
    }

    #[test]
    fn a_line_of_json_has_its_parts_and_stays_one_line() {
        let (missing, ping): (Option<u16>, Option<f64>) = (None, Some(0.5));
        let parts: [(&str, Value); 5] = [
            ("session", Value::from(7_u64)),
            ("seconds", Value::from(1.25)),
            ("reason", Value::from("a\nb")),
            ("code", log::kv::ToValue::to_value(&missing)),
            ("ping_ms", log::kv::ToValue::to_value(&ping)),
        ];
        let mut out = Vec::new();
        let source = &parts[..];
        let args = format_args!("said \"x\"\n");
        write_json(&mut out, &Record::builder().args(args).key_values(&source).build()).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert!(line.starts_with("{\"time\":\"20") && line.ends_with("}\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "said \"x\"\n");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["session"], 7);
        assert_eq!(line["seconds"], 1.25);
        assert_eq!(line["reason"], "a\nb");
        assert!(line["code"].is_null());
        assert_eq!(line["ping_ms"], 0.5);
    }
}

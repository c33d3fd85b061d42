//! What a log line looks like: text or JSON, with the time in UTC; for systemd's journal with its priority,
//! and as text without the time, which the journal has.
//!
//! **Invariant:** an event is always one line of printable characters, whatever a client has put into it.

use std::io::{self, Write};
use std::time::SystemTime;

use log::kv::{Key, Value, VisitSource};
use log::{Level, Record};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;

use super::service;
use crate::config::timestamp;
use crate::http::excerpt::is_unprintable;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineFormat {
    format: Format,
    /// Whether the lines go to systemd's journal.
    journal: bool,
}

fn now() -> String {
    timestamp(SystemTime::now())
}

impl LineFormat {
    /// The format for stderr as it is now.
    pub(super) fn for_stderr(format: Format) -> LineFormat {
        LineFormat { format, journal: service::logs_to_journal() }
    }

    pub(super) fn write(self, out: &mut impl Write, record: &Record) -> io::Result<()> {
        if self.journal {
            write!(out, "<{}>", priority(record.level()))?;
        }
        match self.format {
            Format::Text => self.write_text(out, record),
            Format::Json => write_json(out, record),
        }
    }

    fn write_text(self, out: &mut impl Write, record: &Record) -> io::Result<()> {
        let mut line = record.args().to_string();
        if !self.journal {
            line = format!("{} {:<5} {line}", now(), record.level());
        }
        if line.contains(is_unprintable) {
            line = line.chars().map(shown).collect();
        }
        writeln!(out, "{line}")
    }
}

/// The priority of syslog(3), which the journal reads from the line and removes.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn format(format: Format, journal: bool) -> LineFormat {
        LineFormat { format, journal }
    }

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
        format(Format::Json, false)
            .write(&mut out, &Record::builder().args(args).key_values(&source).build())
            .unwrap();
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
        format(Format::Text, false).write(&mut out, &Record::builder().args(args).build()).unwrap();
        let line = String::from_utf8(out).unwrap();
        let expected = " a\\u{1b}[2J\\nb\\u{9b}\\u{202e}\\u{2028} \"é\" e\u{301} C:\\ 👋\n";
        assert!(line.ends_with(expected), "{line}");
    }

    #[test]
    fn a_line_for_the_journal_has_a_priority_and_no_time() {
        for (level, expected) in [
            (Level::Error, "<3>why\n"),
            (Level::Warn, "<4>why\n"),
            (Level::Info, "<6>why\n"),
            (Level::Debug, "<7>why\n"),
        ] {
            let mut out = Vec::new();
            let record = Record::builder().level(level).args(format_args!("why")).build();
            format(Format::Text, true).write(&mut out, &record).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}

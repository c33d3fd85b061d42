//! The report of a check: the results of its steps as text, as JSON, and as an exit code.
//!
//! **Invariant:** text from the server is printed truncated, and with its control characters
//! escaped.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::limits::QUOTE_MAX;
use super::verdict::Verdict;
use crate::http::excerpt::escaped;

/// The steps of a check, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckStep {
    Resolve,
    Connect,
    Proxy,
    Tls,
    Alpn,
    Upgrade,
    First,
    Echo,
    Deflate,
    Ping,
    Close,
}

impl CheckStep {
    /// Returns the program's exit code if this step fails, unless the server is [`FULL`]. Codes 1 and 2
    /// already mean a runtime error and bad usage.
    fn exit_code(self) -> u8 {
        match self {
            CheckStep::Resolve => 3,
            CheckStep::Connect | CheckStep::Proxy => 4,
            CheckStep::Upgrade => 5,
            CheckStep::First | CheckStep::Echo | CheckStep::Deflate => 6,
            CheckStep::Ping => 7,
            CheckStep::Close => 8,
            CheckStep::Tls | CheckStep::Alpn => 9,
        }
    }

    fn name(self) -> &'static str {
        match self {
            CheckStep::Resolve => "resolve",
            CheckStep::Connect => "connect",
            CheckStep::Proxy => "proxy",
            CheckStep::Tls => "tls",
            CheckStep::Alpn => "alpn",
            CheckStep::Upgrade => "upgrade",
            CheckStep::First => "first",
            CheckStep::Echo => "echo",
            CheckStep::Deflate => "deflate",
            CheckStep::Ping => "ping",
            CheckStep::Close => "close",
        }
    }
}

/// The program's exit code if the server lives, and refuses sessions for a while: to restart it would not
/// help, and would end its sessions.
const FULL: u8 = 10;

/// The details of a step that succeeded or failed.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Finding {
    /// One line of text, already escaped.
    pub(crate) detail: String,
    /// Why the step failed; `None` if it succeeded.
    #[serde(flatten)]
    pub(crate) verdict: Option<Box<Verdict>>,
    /// The status code of the HTTP response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The body of a refusal, not escaped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) body: String,
    /// Whether the server lives, but has no session to spare.
    #[serde(skip)]
    pub(crate) is_full: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) round_trips: Option<Box<RoundTrips>>,
}

impl From<String> for Finding {
    fn from(detail: String) -> Finding {
        Finding { detail, ..Finding::default() }
    }
}

impl From<Verdict> for Finding {
    fn from(verdict: Verdict) -> Finding {
        let detail = verdict.problem.trim_end_matches('.').to_owned();
        Finding { detail, verdict: Some(verdict.into()), ..Finding::default() }
    }
}

/// The result of a step that was run.
#[derive(Debug, Serialize)]
pub(crate) struct StepResult {
    pub(crate) step: CheckStep,
    pub(crate) ok: bool,
    #[serde(rename = "us", serialize_with = "microseconds")]
    pub(crate) time: Duration,
    #[serde(flatten)]
    pub(crate) finding: Finding,
}

/// The report of a whole check. It omits steps that were not reached.
#[derive(Debug)]
pub(crate) struct CheckReport {
    pub(crate) url: String,
    /// Whether another address was typed.
    pub(crate) is_guessed: bool,
    pub(crate) steps: Vec<StepResult>,
}

impl CheckReport {
    /// Returns the exit code of the first step that failed; 0 if none did.
    pub(crate) fn exit_code(&self) -> u8 {
        let failed = self.steps.iter().find(|result| !result.ok);
        failed.map_or(
            0,
            |result| {
                if result.finding.is_full { FULL } else { result.step.exit_code() }
            },
        )
    }

    /// Why the first step failed that did.
    fn verdict(&self) -> Option<&Verdict> {
        self.steps.iter().find(|result| !result.ok)?.finding.verdict.as_deref()
    }

    /// Formats the report as one line of JSON.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct JsonReport<'a> {
            url: &'a str,
            ok: bool,
            exit_code: u8,
            steps: &'a [StepResult],
        }
        let exit_code = self.exit_code();
        let report =
            JsonReport { url: &self.url, ok: exit_code == 0, exit_code, steps: &self.steps };
        serde_json::to_string(&report).expect("text and numbers") + "\n"
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Verdict { problem, fix, .. }) = self.verdict() {
            writeln!(f, "problem: {problem}\nfix:     {fix}")?;
        }
        if self.is_guessed {
            writeln!(f, "note:    the address is taken as {}", self.url)?;
        }
        for StepResult { step, ok, time, finding } in &self.steps {
            let verdict = if *ok { "ok" } else { "FAILED" };
            let ms = in_milliseconds(*time);
            writeln!(f, "{verdict:<6} {:<7} {ms:>8.2} ms  {}", step.name(), finding.detail)?;
            if let Some(round_trips) = &finding.round_trips {
                writeln!(f, "       {round_trips}")?;
            }
            for line in finding.body.lines() {
                writeln!(f, "{}", format!("       | {}", visible(line)).trim_end())?;
            }
        }
        Ok(())
    }
}

/// Statistics of the round trips. Percentiles are measured values, not interpolated ones.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RoundTrips {
    count: usize,
    /// The size of each message in bytes.
    size: usize,
    #[serde(rename = "min_us", serialize_with = "microseconds")]
    min: Duration,
    #[serde(rename = "median_us", serialize_with = "microseconds")]
    median: Duration,
    #[serde(rename = "p90_us", serialize_with = "microseconds")]
    p90: Duration,
    #[serde(rename = "p99_us", serialize_with = "microseconds")]
    p99: Duration,
    #[serde(rename = "max_us", serialize_with = "microseconds")]
    max: Duration,
}

impl RoundTrips {
    /// Computes the statistics of `times`; `None` if it is empty.
    pub(crate) fn of(mut times: Vec<Duration>, size: usize) -> Option<RoundTrips> {
        times.sort_unstable();
        let count = times.len();
        // Nearest rank: the smallest value that at least `percent` percent do not exceed.
        let percentile = |percent: usize| times[(count * percent).div_ceil(100) - 1];
        Some(RoundTrips {
            count,
            size,
            min: *times.first()?,
            median: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: *times.last()?,
        })
    }
}

impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RoundTrips { count, size, .. } = self;
        let [min, median, p90, p99, max] =
            [self.min, self.median, self.p90, self.p99, self.max].map(in_milliseconds);
        write!(
            f,
            "{count} round trips of {size} bytes: min {min:.3}, median {median:.3}, \
             p90 {p90:.3}, p99 {p99:.3}, max {max:.3} ms"
        )
    }
}

fn in_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Serializes a duration as whole microseconds.
fn microseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// Escapes control characters, and all others that a terminal would not display. Unlike [`escaped`]
/// it keeps tabs and backslashes: a refusal may contain the lines of a configuration.
pub(crate) fn visible(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' | '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Truncates a text, escapes it, and puts it in quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    let start = text.char_indices().nth(QUOTE_MAX).map_or(text, |(end, _)| &text[..end]);
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

/// Truncates a text, and escapes it for the middle of a line.
pub(crate) fn shortened(text: &str) -> String {
    escaped(text, QUOTE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(step: CheckStep, ok: bool, finding: Finding) -> StepResult {
        StepResult { step, ok, time: Duration::from_micros(1234), finding }
    }

    fn report(steps: Vec<StepResult>) -> CheckReport {
        CheckReport { url: "ws://h/".to_owned(), is_guessed: false, steps }
    }

    #[test]
    fn reports_are_formatted_as_text_and_json() {
        let refusal = Finding {
            detail: "503 Service Unavailable".to_owned(),
            verdict: Some(Box::new(Verdict::new("Full.", "Wait."))),
            status: Some(503),
            body: "Not now:\n\nfull\u{1b}[2J".to_owned(),
            ..Finding::default()
        };
        let connected = result(CheckStep::Connect, true, "127.0.0.1:80".to_owned().into());
        let report = report(vec![connected, result(CheckStep::Upgrade, false, refusal)]);
        assert_eq!(report.exit_code(), 5);
        assert_eq!(
            report.to_string(),
            "problem: Full.\nfix:     Wait.\n\
             ok     connect     1.23 ms  127.0.0.1:80\n\
             FAILED upgrade     1.23 ms  503 Service Unavailable\n       \
             | Not now:\n       |\n       | full\\u{1b}[2J\n"
        );
        assert_eq!(
            report.json(),
            r#"{"url":"ws://h/","ok":false,"exit_code":5,"steps":[{"step":"connect","ok":true,"us":1234,"detail":"127.0.0.1:80"},{"step":"upgrade","ok":false,"us":1234,"detail":"503 Service Unavailable","problem":"Full.","fix":"Wait.","status":503,"body":"Not now:\n\nfull\u001b[2J"}]}"#
                .to_owned()
                + "\n"
        );
    }

    #[test]
    fn the_exit_code_is_that_of_the_first_failed_step() {
        let finding = Finding::default;
        assert_eq!(report(vec![]).exit_code(), 0);
        assert_eq!(report(vec![result(CheckStep::Echo, true, finding())]).exit_code(), 0);
        let both = vec![
            result(CheckStep::Echo, false, finding()),
            result(CheckStep::Ping, false, finding()),
        ];
        assert_eq!(report(both).exit_code(), 6);
    }

    #[test]
    fn percentiles_are_measured_values() {
        let ms = Duration::from_millis;
        let of = |times: Vec<u64>| RoundTrips::of(times.into_iter().map(ms).collect(), 7);
        let expected = |count, [min, median, p90, p99, max]: [u64; 5]| {
            let [min, median, p90, p99, max] = [min, median, p90, p99, max].map(ms);
            Some(RoundTrips { count, size: 7, min, median, p90, p99, max })
        };
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![5]), expected(1, [5; 5]));
        assert_eq!(of(vec![2, 1]), expected(2, [1, 1, 2, 2, 2]));
        assert_eq!(of((1..=100).rev().collect()), expected(100, [1, 50, 90, 99, 100]));
        assert_eq!(of((1..=1000).collect()), expected(1000, [1, 500, 900, 990, 1000]));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(visible("a \"b\" c:\\d\té"), "a \"b\" c:\\d\té");
        assert_eq!(visible("\u{1b}[2J\r\u{9b}\u{202e}\u{7f}"), r"\u{1b}[2J\r\u{9b}\u{202e}\u{7f}");
        assert_eq!(quoted("a\"\u{7}"), r#""a\"\u{7}""#);
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}\"…", "é".repeat(80)));
    }
}

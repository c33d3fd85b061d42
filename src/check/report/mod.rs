//! The report of a check: the results of its steps as text, as JSON, for Prometheus, and as an exit
//! code. `report.schema.json` is the schema of the JSON, which only ever gets more fields.
//!
//! **Invariant:** text from the server is printed truncated, and with its control characters
//! escaped.

mod escape;
mod prometheus;
mod round_trips;
mod text;

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

pub(crate) use self::escape::{quoted, shortened, visible};
pub(crate) use self::round_trips::RoundTrips;
pub(crate) use self::text::Colours;
use super::verdict::Verdict;
use crate::config::{micros, timestamp};

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
    #[cfg(test)]
    const ALL: [CheckStep; 11] = [
        CheckStep::Resolve,
        CheckStep::Connect,
        CheckStep::Proxy,
        CheckStep::Tls,
        CheckStep::Alpn,
        CheckStep::Upgrade,
        CheckStep::First,
        CheckStep::Echo,
        CheckStep::Deflate,
        CheckStep::Ping,
        CheckStep::Close,
    ];

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
    /// When the server's certificate expires, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_expiry: Option<u64>,
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
    pub(crate) started: SystemTime,
    /// Whether another address was typed.
    pub(crate) is_guessed: bool,
    pub(crate) steps: Vec<StepResult>,
}

impl CheckReport {
    /// Returns the exit code of the first step that failed; 0 if none did.
    pub(crate) fn exit_code(&self) -> u8 {
        self.failed().map_or(
            0,
            |result| {
                if result.finding.is_full { FULL } else { result.step.exit_code() }
            },
        )
    }

    /// Whether the check ended because the server is full or shutting down.
    pub(crate) fn is_full(&self) -> bool {
        self.failed().is_some_and(|result| result.finding.is_full)
    }

    /// Why the first step failed that did.
    fn verdict(&self) -> Option<&Verdict> {
        self.failed()?.finding.verdict.as_deref()
    }

    /// The first step that failed.
    fn failed(&self) -> Option<&StepResult> {
        self.steps.iter().find(|result| !result.ok)
    }

    /// Formats the report as one line of JSON.
    pub(crate) fn json(&self) -> String {
        json_line(&self.as_json())
    }

    pub(crate) fn as_json(&self) -> JsonReport<'_> {
        let exit_code = self.exit_code();
        JsonReport {
            url: &self.url,
            time: timestamp(self.started),
            ok: exit_code == 0,
            exit_code,
            verdict: self.verdict(),
            steps: &self.steps,
        }
    }
}

/// The report as JSON; its fields are serialized in this order.
#[derive(Serialize)]
pub(crate) struct JsonReport<'a> {
    url: &'a str,
    time: String,
    ok: bool,
    exit_code: u8,
    #[serde(flatten)]
    verdict: Option<&'a Verdict>,
    steps: &'a [StepResult],
}

/// Formats a report as one line.
pub(crate) fn json_line(report: &impl Serialize) -> String {
    serde_json::to_string(report).expect("text and numbers") + "\n"
}

/// Serializes a duration as whole microseconds.
fn microseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(micros(*time))
}

fn in_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn result(step: CheckStep, ok: bool, finding: Finding) -> StepResult {
        StepResult { step, ok, time: Duration::from_micros(1234), finding }
    }

    pub(super) fn report(steps: Vec<StepResult>) -> CheckReport {
        let started = SystemTime::UNIX_EPOCH;
        CheckReport { url: "ws://h/".to_owned(), started, is_guessed: false, steps }
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
            report.text(Colours::Off),
            "problem: Full.\nfix:     Wait.\n\
             ok     connect     1.23 ms  127.0.0.1:80\n\
             FAILED upgrade     1.23 ms  503 Service Unavailable\n       \
             | Not now:\n       |\n       | full\\u{1b}[2J\n"
        );
        assert_eq!(
            report.json(),
            r#"{"url":"ws://h/","time":"1970-01-01T00:00:00.000Z","ok":false,"exit_code":5,"problem":"Full.","fix":"Wait.","steps":[{"step":"connect","ok":true,"us":1234,"detail":"127.0.0.1:80"},{"step":"upgrade","ok":false,"us":1234,"detail":"503 Service Unavailable","problem":"Full.","fix":"Wait.","status":503,"body":"Not now:\n\nfull\u001b[2J"}]}"#
                .to_owned()
                + "\n"
        );
    }

    #[test]
    fn colours_mark_verdicts() {
        let mut failed = report(vec![
            result(CheckStep::Connect, true, Finding::default()),
            result(CheckStep::Upgrade, false, Verdict::new("Full.", "Wait.").into()),
        ]);
        let text = failed.text(Colours::On);
        let start = "\x1b[1mproblem:\x1b[0m Full.\n\x1b[1mfix:\x1b[0m     Wait.\n\x1b[32mok\x1b[0m     connect ";
        assert!(
            text.starts_with(start) && text.contains("\x1b[31mFAILED\x1b[0m upgrade "),
            "{text:?}"
        );
        let expected = "1970-01-01T00:00:00.000Z FAILED 2.47 ms  ws://h/: upgrade: Full.\n";
        assert_eq!(failed.line(Colours::Off), expected);
        failed.steps.pop();
        assert_eq!(failed.line(Colours::Off), "1970-01-01T00:00:00.000Z ok     1.23 ms  ws://h/\n");
    }

    /// Asserts that the schema has a property for each field of an object.
    fn assert_described(object: &serde_json::Value, schema: &serde_json::Value) {
        for (name, value) in object.as_object().unwrap() {
            let property = &schema["properties"][name];
            let kind = match value {
                serde_json::Value::String(_) => "string",
                serde_json::Value::Bool(_) => "boolean",
                serde_json::Value::Number(_) => "integer",
                serde_json::Value::Array(_) => "array",
                _ => "object",
            };
            assert_eq!(property["type"], kind, "{name}");
            assert!(property["description"].is_string() || kind == "array", "{name}");
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(object.get(name.as_str().unwrap()).is_some(), "{name}");
        }
    }

    #[test]
    fn the_schema_describes_the_json() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("report.schema.json")).unwrap();
        let step_schema = &schema["properties"]["steps"]["items"];
        let finding = Finding {
            verdict: Some(Box::new(Verdict { product: Some("nginx"), ..Verdict::new("A.", "B.") })),
            status: Some(400),
            body: "x".to_owned(),
            certificate_expiry: Some(1),
            round_trips: RoundTrips::of(vec![Duration::ZERO], 1).map(Box::new),
            ..Finding::default()
        };
        let steps = vec![result(CheckStep::Upgrade, false, finding)];
        let json: serde_json::Value = serde_json::from_str(&report(steps).json()).unwrap();
        assert_described(&json, &schema);
        assert_described(&json["steps"][0], step_schema);
        let trips = "round_trips";
        assert_described(&json["steps"][0][trips], &step_schema["properties"][trips]);
        let names: Vec<serde_json::Value> =
            CheckStep::ALL.iter().map(|step| step.name().into()).collect();
        assert_eq!(step_schema["properties"]["step"]["enum"], serde_json::Value::from(names));
    }
}

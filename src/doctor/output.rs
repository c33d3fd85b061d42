//! The report: as text, as JSON, and as an exit code. `doctor.schema.json` is the schema of the JSON, which
//! only ever gets more fields.
//!
//! **Invariant:** text from the network is printed truncated, and with its control characters escaped.

use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::findings::{Finding, Severity};
use crate::check::report::{self, CheckReport, Colours, json_line};
use crate::config::{micros, timestamp};
use crate::products::Product;

/// The exit code if something breaks clients.
const BROKEN: u8 = 1;

/// The names of the groups, in the order of the report.
const GROUPS: [&str; 9] =
    ["check", "heads", "compression", "messages", "pings", "endings", "sizes", "timing", "idle"];

/// What has been measured so far.
#[derive(Debug)]
pub(crate) struct DoctorReport {
    pub(crate) url: String,
    pub(crate) started: SystemTime,
    pub(crate) elapsed: Duration,
    /// What is connected to.
    pub(crate) address: String,
    /// The address that the server sees.
    pub(crate) peer: String,
    pub(crate) via: Vec<String>,
    pub(crate) hops: Vec<&'static Product>,
    /// The groups that were compared, and what each has measured.
    pub(crate) groups: Vec<Group>,
    pub(crate) findings: Vec<Finding>,
    /// What one end alone shows; `None` if the server has reports.
    pub(crate) check: Option<CheckReport>,
    /// What was found on another way, with `--control`.
    pub(crate) control: Option<Box<DoctorReport>>,
    /// What is being measured.
    pub(crate) phase: &'static str,
    /// Whether it was interrupted.
    pub(crate) is_partial: bool,
}

/// A group of measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// One line of numbers; empty if there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
}

impl DoctorReport {
    pub(crate) fn new(url: &str) -> DoctorReport {
        DoctorReport {
            url: url.to_owned(),
            started: SystemTime::now(),
            elapsed: Duration::ZERO,
            address: String::new(),
            peer: String::new(),
            via: Vec::new(),
            hops: Vec::new(),
            groups: Vec::new(),
            findings: Vec::new(),
            check: None,
            control: None,
            phase: "heads",
            is_partial: false,
        }
    }

    /// Adds what a group has found, without what is known already.
    pub(crate) fn add(&mut self, name: &'static str, detail: String, findings: Vec<Finding>) {
        for finding in findings {
            let finding = finding.with_fix(&self.hops);
            let is_known =
                |known: &Finding| (known.id, known.direction) == (finding.id, finding.direction);
            let is_list = ["field", "size"].iter().any(|start| finding.id.starts_with(start));
            if is_list || !self.findings.iter().any(is_known) {
                self.findings.push(finding);
            }
        }
        match self.groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.detail.push_str(&detail),
            None => self.groups.push(Group { name, detail }),
        }
        // Lanes end in any order.
        self.groups.sort_by_key(|group| GROUPS.iter().position(|name| *name == group.name));
    }

    /// Notes the time that it took.
    pub(crate) fn finish(&mut self, started: Instant) {
        self.elapsed = started.elapsed();
    }

    /// 1 if something breaks clients; else that of the check, if there is one.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.findings.iter().any(|finding| finding.severity == Severity::Breaks) {
            return BROKEN;
        }
        self.check.as_ref().map_or(0, CheckReport::exit_code)
    }

    /// The findings, what breaks clients first.
    fn sorted(&self) -> Vec<&Finding> {
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|finding| (finding.severity, finding.rank()));
        findings
    }

    /// Formats the report for people.
    pub(crate) fn text(&self, colours: Colours) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "path     {}", self.path());
        for finding in self.sorted() {
            let Finding { id, severity, what, direction, place, cause, fix, .. } = finding;
            let word = severity.painted(colours);
            if *severity == Severity::Note {
                let _ = writeln!(text, "{word} {id}: {what} ({direction})");
            } else {
                let _ = writeln!(text, "{word} {id}: {what} ({place})");
                let _ = writeln!(text, "         cause: {cause}\n         fix:   {fix}");
            }
        }
        let alters = self.findings.iter().any(|finding| finding.severity != Severity::Note);
        let names: Vec<_> = self.groups.iter().map(|group| group.name).collect();
        let seconds = self.elapsed.as_secs_f64();
        let names = names.join(", ");
        let _ = match (self.is_partial, alters) {
            (true, _) => writeln!(text, "stopped  after {seconds:.1} s; compared so far: {names}"),
            _ if self.check.is_some() => Ok(()),
            (_, true) => writeln!(text, "done     {names} in {seconds:.1} s"),
            _ => {
                let ok = colours.green("ok");
                writeln!(
                    text,
                    "{ok}       nothing is altered: {names}, compared at both ends in {seconds:.1} s"
                )
            }
        };
        for group in self.groups.iter().filter(|group| !group.detail.is_empty()) {
            let _ = writeln!(text, "{:<8} {}", group.name, group.detail.trim_end());
        }
        text.push_str(&self.compared());
        if let Some(check) = &self.check {
            text.push_str(&check.text(colours));
        }
        text
    }

    /// What the other way shows on these findings; empty without one.
    fn compared(&self) -> String {
        let Some(control) = &self.control else { return String::new() };
        let is_there = |finding: &&&Finding| {
            let same =
                |other: &Finding| (other.id, other.direction) == (finding.id, finding.direction);
            control.findings.iter().any(same)
        };
        let of_weight = |finding: &&Finding| finding.severity != Severity::Note;
        let findings: Vec<_> = self.findings.iter().filter(of_weight).collect();
        let (both, alone): (Vec<_>, Vec<_>) = findings.iter().partition(is_there);
        let names = |findings: Vec<&&Finding>| {
            let names: Vec<_> = findings.iter().map(|finding| finding.id).collect();
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        format!(
            "control  {}: on both ways, so at this end: {}; only on the way to {}: {}\n",
            control.url,
            names(both),
            self.url,
            names(alone)
        )
    }

    /// The hops, as far as they are known.
    fn path(&self) -> String {
        let mut hops: Vec<String> = vec!["this machine".to_owned()];
        hops.extend(self.hops.iter().map(|product| product.name.to_owned()));
        if !self.via.is_empty() {
            hops.push(format!("(Via: {})", self.via.join(", ")));
        }
        if hops.len() == 1 && self.check.is_none() && !self.findings.is_empty() {
            // A refusal names its product; HAProxy, firewalls and NAT leave no trace.
            let named = self.findings.iter().find_map(|finding| finding.product);
            hops.push(named.unwrap_or("something without a name").to_owned());
        }
        let server = if self.check.is_some() { "the server" } else { "wsecho" };
        hops.push(server.to_owned());
        let hops = hops.join(" -> ");
        if self.address.is_empty() {
            return format!("{hops}; no connection");
        }
        let seen = if self.peer.is_empty() {
            String::new()
        } else {
            format!(", which sees {}", self.peer)
        };
        format!("{hops}; connected to {}{seen}", self.address)
    }

    /// Formats the report as one line of JSON.
    pub(crate) fn json(&self) -> String {
        json_line(&self.as_json())
    }

    fn as_json(&self) -> JsonReport<'_> {
        let exit_code = self.exit_code();
        JsonReport {
            url: &self.url,
            time: timestamp(self.started),
            ok: exit_code == 0,
            exit_code,
            both_ends: self.check.is_none(),
            partial: self.is_partial,
            elapsed_us: micros(self.elapsed),
            address: &self.address,
            peer: &self.peer,
            via: &self.via,
            hops: self.hops.iter().map(|product| product.name).collect(),
            groups: &self.groups,
            findings: self.sorted(),
            check: self.check.as_ref().map(CheckReport::as_json),
            control: self.control.as_deref().map(|control| Box::new(control.as_json())),
        }
    }
}

/// The report as JSON; its fields are serialized in this order.
#[derive(Serialize)]
struct JsonReport<'a> {
    url: &'a str,
    time: String,
    ok: bool,
    exit_code: u8,
    both_ends: bool,
    partial: bool,
    elapsed_us: u64,
    address: &'a str,
    peer: &'a str,
    via: &'a [String],
    hops: Vec<&'static str>,
    groups: &'a [Group],
    findings: Vec<&'a Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<report::JsonReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<Box<JsonReport<'a>>>,
}

impl Severity {
    /// The word at the start of a line, in eight columns.
    fn painted(self, colours: Colours) -> String {
        match self {
            Severity::Breaks => format!("{}  ", colours.red("BREAKS")),
            Severity::Changed => "changed ".to_owned(),
            Severity::Note => "note    ".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::doctor::record::Side;

    fn report(ids: &[&'static str]) -> DoctorReport {
        let mut report = DoctorReport::new("ws://h/");
        report.started = SystemTime::UNIX_EPOCH;
        "192.0.2.7:80".clone_into(&mut report.address);
        let findings = ids.iter().map(|id| Finding::new(id, Side::Client, "it is so"));
        report.add("heads", String::new(), findings.collect());
        report
    }

    #[test]
    fn what_breaks_clients_comes_first_and_notes_are_short() {
        let report = report(&["field_added", "pings_swallowed"]);
        assert_eq!(report.exit_code(), 1);
        let text = report.text(Colours::Off);
        assert_eq!(
            text,
            "path     this machine -> something without a name -> wsecho; connected to 192.0.2.7:80\n\
             BREAKS   pings_swallowed: it is so (on the way to the server)\n         \
             cause: A proxy that reads frames drops control frames; neither end then sees that the \
             other lives.\n         \
             fix:   Let it forward control frames, or send messages for keepalive.\n\
             note     field_added: it is so (on the way to the server)\n\
             done     heads in 0.0 s\n"
        );
    }

    #[test]
    fn findings_on_both_ways_are_told_apart() {
        let mut found = report(&["pings_swallowed", "host_changed", "field_added"]);
        found.control = Some(Box::new(report(&["pings_swallowed", "field_added"])));
        let expected = "\ncontrol  ws://h/: on both ways, so at this end: pings_swallowed; only on the way \
            to ws://h/: host_changed\n";
        assert!(found.text(Colours::Off).contains(expected), "{}", found.text(Colours::Off));
    }

    /// Asserts that the schema has a property for each field of an object, and what is required is there.
    fn assert_described(object: &Value, schema: &Value) {
        for (name, value) in object.as_object().unwrap() {
            let property = &schema["properties"][name];
            let kind = match value {
                Value::String(_) => "string",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "integer",
                Value::Array(_) => "array",
                _ => "object",
            };
            let is_reference = property["$ref"].is_string();
            assert!(is_reference || property["type"] == kind, "{name}");
            assert!(property["description"].is_string(), "{name}");
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(object.get(name.as_str().unwrap()).is_some(), "{name}");
        }
    }

    #[test]
    fn the_schema_describes_the_json() {
        let schema: Value = serde_json::from_str(include_str!("doctor.schema.json")).unwrap();
        let mut found = report(&["pings_swallowed"]);
        found.findings[0].product = Some("nginx");
        found.groups[0].detail = "x".to_owned();
        found.control = Some(Box::new(report(&[])));
        let json: Value = serde_json::from_str(&found.json()).unwrap();
        assert_described(&json, &schema);
        let properties = &schema["properties"];
        assert_described(&json["findings"][0], &properties["findings"]["items"]);
        assert_described(&json["groups"][0], &properties["groups"]["items"]);
        let ids: Vec<Value> = super::super::findings::ids().map(Value::from).collect();
        assert_eq!(properties["findings"]["items"]["properties"]["id"]["enum"], Value::from(ids));
    }
}

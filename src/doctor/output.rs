//! The report: as text, as JSON, and as an exit code. `doctor.schema.json` is the schema of the JSON, which
//! only ever gets more fields.
//!
//! **Invariant:** text from the network is printed truncated, and with its control characters escaped.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

use super::findings::{Finding, Severity};
use crate::check::report::{CheckReport, Colours};
use crate::config::timestamp;
use crate::products::Product;

/// The exit code if something breaks clients.
const BROKEN: u8 = 1;

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
            is_partial: false,
        }
    }

    /// Adds what a group has found, without what is known already.
    pub(crate) fn add(&mut self, name: &'static str, detail: String, findings: Vec<Finding>) {
        for finding in findings {
            let finding = finding.with_fix(&self.hops);
            let is_known =
                |known: &Finding| (known.id, &known.place) == (finding.id, &finding.place);
            let is_list = ["field", "size"].iter().any(|start| finding.id.starts_with(start));
            if is_list || !self.findings.iter().any(is_known) {
                self.findings.push(finding);
            }
        }
        match self.groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.detail.push_str(&detail),
            None => self.groups.push(Group { name, detail }),
        }
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
        findings.sort_by_key(|finding| finding.severity);
        findings
    }

    /// Formats the report for people.
    pub(crate) fn text(&self, colours: Colours) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "path     {}", self.path());
        for finding in self.sorted() {
            let Finding { id, severity, what, place, cause, fix, .. } = finding;
            let word = severity.painted(colours);
            let _ = writeln!(text, "{word} {id}: {what}, {place}");
            if *severity != Severity::Note {
                let _ = writeln!(text, "         cause: {cause}\n         fix:   {fix}");
            }
        }
        let alters = self.findings.iter().any(|finding| finding.severity != Severity::Note);
        let names: Vec<_> = self.groups.iter().map(|group| group.name).collect();
        let seconds = self.elapsed.as_secs_f64();
        let names = names.join(", ");
        let _ = match (self.is_partial, alters) {
            (true, _) => writeln!(text, "stopped  after {seconds:.1} s; compared so far: {names}"),
            (_, true) => {
                writeln!(text, "done     {names}, compared at both ends in {seconds:.1} s")
            }
            (_, false) if self.check.is_some() => Ok(()),
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
        if let Some(check) = &self.check {
            text.push_str(&check.text(colours));
        }
        text
    }

    /// The hops, as far as they are known.
    fn path(&self) -> String {
        let mut hops: Vec<String> = vec!["this machine".to_owned()];
        hops.extend(self.hops.iter().map(|product| product.name.to_owned()));
        if !self.via.is_empty() {
            hops.push(format!("(Via: {})", self.via.join(", ")));
        }
        let server = if self.check.is_some() { "the server" } else { "wsecho" };
        hops.push(server.to_owned());
        let seen = if self.peer.is_empty() {
            String::new()
        } else {
            format!(", which sees {}", self.peer)
        };
        format!("{}; connected to {}{seen}", hops.join(" -> "), self.address)
    }

    /// Formats the report as one line of JSON.
    pub(crate) fn json(&self) -> String {
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
            check: Option<Value>,
        }
        let exit_code = self.exit_code();
        let check = self.check.as_ref().map(CheckReport::json);
        let report = JsonReport {
            url: &self.url,
            time: timestamp(self.started),
            ok: exit_code == 0,
            exit_code,
            both_ends: self.check.is_none(),
            partial: self.is_partial,
            elapsed_us: u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX),
            address: &self.address,
            peer: &self.peer,
            via: &self.via,
            hops: self.hops.iter().map(|product| product.name).collect(),
            groups: &self.groups,
            findings: self.sorted(),
            check: check.and_then(|json| serde_json::from_str(&json).ok()),
        };
        serde_json::to_string(&report).expect("text and numbers") + "\n"
    }
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

//! The report as text: the problem and the fix, and a line for each step.

use std::fmt::Write;

use super::{CheckReport, StepResult, in_milliseconds, visible};
use crate::check::verdict::Verdict;

/// Whether words are coloured, for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    On,
    Off,
}

/// Select graphic rendition (ECMA-48, section 8.3.117): bold, red and green.
const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;

impl Colours {
    pub(crate) fn green(self, text: &str) -> String {
        self.paint(GREEN, text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint(RED, text)
    }

    fn paint(self, code: u8, text: &str) -> String {
        match self {
            Colours::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colours::Off => text.to_owned(),
        }
    }
}

impl CheckReport {
    /// Formats the whole report.
    pub(crate) fn text(&self, colours: Colours) -> String {
        let mut text = self.explanation(colours);
        if self.is_guessed {
            let _ = writeln!(text, "note:    the address is taken as {}", self.url);
        }
        text.extend(self.steps.iter().map(|step| step.text(colours)));
        text
    }

    /// Formats the problem and the fix; nothing if all is well.
    pub(crate) fn explanation(&self, colours: Colours) -> String {
        let Some(Verdict { problem, fix, .. }) = self.verdict() else { return String::new() };
        let [problem_is, fix_is] = ["problem:", "fix:"].map(|word| colours.paint(BOLD, word));
        format!("{problem_is} {problem}\n{fix_is}     {fix}\n")
    }

    /// Formats one line on the whole check.
    pub(crate) fn line(&self, colours: Colours) -> String {
        let total: std::time::Duration = self.steps.iter().map(|step| step.time).sum();
        let (time, ms) = (crate::config::timestamp(self.started), in_milliseconds(total));
        match self.steps.iter().find(|step| !step.ok) {
            None => {
                let ok = colours.paint(GREEN, "ok");
                format!("{time} {ok}     {ms:.2} ms  {}\n", self.url)
            }
            Some(step) => {
                let failed = colours.paint(RED, "FAILED");
                let why = self.verdict().map_or(&*step.finding.detail, |verdict| &verdict.problem);
                format!("{time} {failed} {ms:.2} ms  {}: {}: {why}\n", self.url, step.step.name())
            }
        }
    }
}

impl StepResult {
    fn text(&self, colours: Colours) -> String {
        let StepResult { step, ok, time, finding } = self;
        let verdict = match ok {
            true => colours.paint(GREEN, "ok") + "    ",
            false => colours.paint(RED, "FAILED"),
        };
        let ms = in_milliseconds(*time);
        let mut text = format!("{verdict} {:<7} {ms:>8.2} ms  {}\n", step.name(), finding.detail);
        if let Some(round_trips) = &finding.round_trips {
            let _ = writeln!(text, "       {round_trips}");
        }
        for line in finding.body.lines() {
            let _ = writeln!(text, "{}", format!("       | {}", visible(line)).trim_end());
        }
        text
    }
}

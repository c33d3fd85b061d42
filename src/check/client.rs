//! The client: one connection, step by step, each one timed.

use std::time::{Duration, Instant};

use super::options::CheckOptions;
use super::reach::{connect, resolve};
use super::report::{CheckReport, CheckStep, Finding, StepResult};
use super::session::CheckSession;
use super::upgrade::upgrade;

/// Takes every step that can be taken.
pub(crate) fn check(options: &CheckOptions) -> CheckReport {
    let mut run = CheckRun { timeout: options.timeout(), steps: Vec::new() };
    if let Some(session) = run.open(options) {
        run.converse(session);
    }
    CheckReport { url: options.target.url.clone(), steps: run.steps }
}

/// A step of an open session.
type StepFn<'a> = fn(&mut CheckSession<'a>) -> Result<Finding, Finding>;

struct CheckRun {
    timeout: Duration,
    steps: Vec<StepResult>,
}

impl CheckRun {
    /// Takes one step, and notes how it went.
    fn take<T>(
        &mut self,
        step: CheckStep,
        go: impl FnOnce(Instant) -> Result<(Finding, T), Finding>,
    ) -> Option<T> {
        let started = Instant::now();
        let result = go(started + self.timeout);
        let time = started.elapsed();
        let (ok, finding, value) = match result {
            Ok((finding, value)) => (true, finding, Some(value)),
            Err(finding) => (false, finding, None),
        };
        self.steps.push(StepResult { step, ok, time, finding });
        value
    }

    /// From the URL to a session.
    fn open<'a>(&mut self, options: &'a CheckOptions) -> Option<CheckSession<'a>> {
        let addresses = self.take(CheckStep::Resolve, |deadline| {
            let addresses = resolve(&options.target, deadline)?;
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Ok((ips.join(", ").into(), addresses))
        })?;
        let mut line = self.take(CheckStep::Connect, |deadline| {
            let (address, line, failures) = connect(&addresses, deadline)?;
            let after = if failures.is_empty() { "" } else { ", after " };
            Ok((format!("{address}{after}{}", failures.join("; ")).into(), line))
        })?;
        if options.target.is_tls {
            self.take(CheckStep::Tls, |deadline| {
                line.set_deadline(deadline);
                Ok((line.secure(options)?.into(), ()))
            })?;
        }
        let early = self.take(CheckStep::Upgrade, |deadline| {
            line.set_deadline(deadline);
            upgrade(&mut line, options)
        })?;
        Some(CheckSession::new(line, early, options))
    }

    /// A server without an echo may still answer a Ping, which says something about it.
    fn converse<'a>(&mut self, mut session: CheckSession<'a>) {
        let steps: [(CheckStep, StepFn<'a>); 3] = [
            (CheckStep::Echo, CheckSession::echo),
            (CheckStep::Ping, CheckSession::ping),
            (CheckStep::Close, CheckSession::close),
        ];
        for (step, go) in steps {
            if !session.is_over() {
                self.take(step, |_| go(&mut session).map(|finding| (finding, ())));
            }
        }
    }
}

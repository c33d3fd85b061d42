//! Runs and times the steps of a check, over one connection.

use std::time::{Duration, Instant};

use super::connect::{connect, resolve};
use super::options::CheckOptions;
use super::report::{CheckReport, CheckStep, Finding, StepResult};
use super::second_look::second_look;
use super::session::CheckSession;
use super::upgrade::{UpgradeFailure, upgrade};

/// Runs all steps, as far as the server lets them succeed.
pub(crate) fn check(options: &CheckOptions) -> CheckReport {
    let mut run = CheckRun { timeout: options.timeout(), steps: Vec::new() };
    if let Some(session) = run.open_session(options) {
        run.check_session(session);
    }
    CheckReport { url: options.target.url.clone(), steps: run.steps }
}

/// A step in an open session.
type StepFn<'a> = fn(&mut CheckSession<'a>) -> Result<Finding, Finding>;

struct CheckRun {
    timeout: Duration,
    steps: Vec<StepResult>,
}

impl CheckRun {
    /// Runs one step with its deadline, and records its result. `None` if it failed.
    fn run_step<T>(
        &mut self,
        step: CheckStep,
        action: impl FnOnce(Instant) -> Result<(Finding, T), Finding>,
    ) -> Option<T> {
        let started = Instant::now();
        let result = action(started + self.timeout);
        let time = started.elapsed();
        let (ok, finding, value) = match result {
            Ok((finding, value)) => (true, finding, Some(value)),
            Err(finding) => (false, finding, None),
        };
        self.steps.push(StepResult { step, ok, time, finding });
        value
    }

    /// Runs the steps up to the upgrade. `None` if one of them failed.
    fn open_session<'a>(&mut self, options: &'a CheckOptions) -> Option<CheckSession<'a>> {
        let addresses = self.run_step(CheckStep::Resolve, |deadline| {
            let addresses = resolve(&options.target, deadline)?;
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Ok((ips.join(", ").into(), addresses))
        })?;
        let (address, mut stream) = self.run_step(CheckStep::Connect, |deadline| {
            let (address, stream, failures) = connect(&addresses, deadline)?;
            let after = if failures.is_empty() { "" } else { ", after " };
            Ok((format!("{address}{after}{}", failures.join("; ")).into(), (address, stream)))
        })?;
        if options.target.is_tls {
            self.run_step(CheckStep::Tls, |deadline| {
                stream.set_deadline(deadline);
                Ok((stream.start_tls(options)?.into(), ()))
            })?;
        }
        let early = self.run_step(CheckStep::Upgrade, |deadline| {
            stream.set_deadline(deadline);
            upgrade(&mut stream, options).map_err(|failure| match failure {
                UpgradeFailure::Answered(finding) => finding,
                UpgradeFailure::Silent(silence) => second_look(address, options, silence).into(),
            })
        })?;
        Some(CheckSession::new(stream, early, options))
    }

    /// Runs the steps of the open session. A failed echo does not skip the Ping: a server that has
    /// no echo may still answer it.
    fn check_session<'a>(&mut self, mut session: CheckSession<'a>) {
        let messages = &session.options.messages;
        let steps: [(bool, CheckStep, StepFn<'a>); 4] = [
            (messages.first, CheckStep::First, CheckSession::first),
            (messages.sends(), CheckStep::Echo, CheckSession::echo),
            (true, CheckStep::Ping, CheckSession::ping),
            (true, CheckStep::Close, CheckSession::close),
        ];
        for (is_wanted, step, action) in steps {
            if is_wanted && !session.is_closed() {
                self.run_step(step, |_| action(&mut session).map(|finding| (finding, ())));
            }
        }
    }
}

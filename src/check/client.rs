//! The client: one connection, step by step, each one timed.

use std::time::{Duration, Instant};

use super::options::Options;
use super::reach::{connect, resolve};
use super::report::{Finding, Report, Step, Taken};
use super::session::Session;
use super::upgrade::upgrade;

/// Takes every step that can be taken.
pub(crate) fn check(options: &Options) -> Report {
    let mut walk = Walk { timeout: options.timeout(), steps: Vec::new() };
    if let Some(session) = walk.open(options) {
        walk.converse(session);
    }
    Report { url: options.target.url.clone(), steps: walk.steps }
}

/// A step of an open session.
type Ask<'a> = fn(&mut Session<'a>) -> Result<Finding, Finding>;

struct Walk {
    timeout: Duration,
    steps: Vec<Taken>,
}

impl Walk {
    /// Takes one step, and notes how it went.
    fn take<T>(
        &mut self,
        step: Step,
        go: impl FnOnce(Instant) -> Result<(Finding, T), Finding>,
    ) -> Option<T> {
        let started = Instant::now();
        let result = go(started + self.timeout);
        let time = started.elapsed();
        let (ok, finding, value) = match result {
            Ok((finding, value)) => (true, finding, Some(value)),
            Err(finding) => (false, finding, None),
        };
        self.steps.push(Taken { step, ok, time, finding });
        value
    }

    /// From the URL to a session.
    fn open<'a>(&mut self, options: &'a Options) -> Option<Session<'a>> {
        let addresses = self.take(Step::Resolve, |deadline| {
            let addresses = resolve(&options.target, deadline)?;
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Ok((ips.join(", ").into(), addresses))
        })?;
        let mut line = self.take(Step::Connect, |deadline| {
            let (address, line, failures) = connect(&addresses, deadline)?;
            let after = if failures.is_empty() { "" } else { ", after " };
            Ok((format!("{address}{after}{}", failures.join("; ")).into(), line))
        })?;
        if options.target.is_tls {
            self.take(Step::Tls, |deadline| {
                line.set_deadline(deadline);
                Ok((line.secure(options)?.into(), ()))
            })?;
        }
        let early = self.take(Step::Upgrade, |deadline| {
            line.set_deadline(deadline);
            upgrade(&mut line, options)
        })?;
        Some(Session::new(line, early, options))
    }

    /// A server without an echo may still answer a Ping, which says something about it.
    fn converse<'a>(&mut self, mut session: Session<'a>) {
        let steps: [(Step, Ask<'a>); 3] = [
            (Step::Echo, Session::echo),
            (Step::Ping, Session::ping),
            (Step::Close, Session::close),
        ];
        for (step, go) in steps {
            if !session.is_over() {
                self.take(step, |_| go(&mut session).map(|finding| (finding, ())));
            }
        }
    }
}

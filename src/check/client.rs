//! Runs and times the steps of a check, over one connection.

use std::time::{Duration, Instant, SystemTime};

use super::alpn::alpn;
use super::connect::{Route, RouteEnd, connect, connect_unix};
use super::connection_options::ConnectionOptions;
use super::options::CheckOptions;
use super::proxy::Proxy;
use super::report::{CheckReport, CheckStep, Finding, StepResult};
use super::resolve::resolve;
use super::second_look::second_look;
use super::session::CheckSession;
use super::stream::CheckStream;
use super::upgrade::{UpgradeFailure, upgrade};
use super::url::Target;

/// Runs all steps, as far as the server lets them succeed.
pub(crate) fn check(options: &CheckOptions) -> CheckReport {
    let started = SystemTime::now();
    let mut run = CheckRun { timeout: options.connection.timeout(), steps: Vec::new() };
    if let Some(session) = run.open_session(options) {
        run.check_session(session);
    }
    let Target { url, is_guessed, .. } = &options.connection.target;
    CheckReport { url: url.clone(), started, is_guessed: *is_guessed, steps: run.steps }
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
        let connection = &options.connection;
        let proxy = match Proxy::of(connection) {
            Ok(proxy) => proxy,
            Err(verdict) => return self.run_step(CheckStep::Proxy, |_| Err(verdict.into())),
        };
        let (end, mut stream) = self.connect(connection, proxy.as_ref())?;
        let route = Route { end, proxy };
        if let Some(proxy) = &route.proxy {
            self.run_step(CheckStep::Proxy, |deadline| {
                stream.set_deadline(deadline);
                Ok((proxy.open_tunnel(&mut stream, connection)?.into(), ()))
            })?;
        }
        if connection.target.is_tls {
            self.run_step(CheckStep::Tls, |deadline| {
                stream.set_deadline(deadline);
                Ok((stream.start_tls(connection, &connection.http1_alpn())?, ()))
            })?;
        }
        if connection.offers_http2() {
            self.run_step(CheckStep::Alpn, |_| Ok((alpn(&route, connection)?.into(), ())))?;
        }
        let upgraded = self.run_step(CheckStep::Upgrade, |deadline| {
            stream.set_deadline(deadline);
            upgrade(&mut stream, options).map_err(|failure| match failure {
                UpgradeFailure::Answered(finding) => finding,
                UpgradeFailure::Silent(silence) => second_look(&route, connection, silence).into(),
            })
        })?;
        Some(CheckSession::new(stream, upgraded, options))
    }

    /// Resolves and connects: to the target, or to the proxy.
    fn connect(
        &mut self,
        connection: &ConnectionOptions,
        proxy: Option<&Proxy>,
    ) -> Option<(RouteEnd, CheckStream)> {
        let Target { host, port, socket, .. } = &connection.target;
        if let Some(path) = socket {
            return self.run_step(CheckStep::Connect, |deadline| {
                let stream = connect_unix(path, deadline)?;
                Ok((path.display().to_string().into(), (RouteEnd::Unix(path.clone()), stream)))
            });
        }
        let (host, port) = proxy.map_or((host, *port), |proxy| (&proxy.host, proxy.port));
        let addresses = self.run_step(CheckStep::Resolve, |deadline| {
            let addresses = resolve(host, port, deadline)?;
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Ok((ips.join(", ").into(), addresses))
        })?;
        self.run_step(CheckStep::Connect, |deadline| {
            let (address, stream, detail) = connect(&addresses, deadline)?;
            Ok((detail.into(), (RouteEnd::Tcp(address), stream)))
        })
    }

    /// Runs the steps of the open session. A failed echo does not skip the Ping: a server that has
    /// no echo may still answer it.
    fn check_session<'a>(&mut self, mut session: CheckSession<'a>) {
        let messages = &session.options.messages;
        let steps: [(bool, CheckStep, StepFn<'a>); 5] = [
            (messages.first, CheckStep::First, CheckSession::first),
            (messages.sends(), CheckStep::Echo, CheckSession::echo),
            (true, CheckStep::Deflate, CheckSession::deflate),
            (true, CheckStep::Ping, CheckSession::ping),
            (true, CheckStep::Close, CheckSession::close),
        ];
        for (is_wanted, step, action) in steps {
            let is_possible = step != CheckStep::Deflate || session.can_compress();
            if is_wanted && is_possible && !session.is_closed() {
                self.run_step(step, |_| action(&mut session).map(|finding| (finding, ())));
            }
        }
    }
}

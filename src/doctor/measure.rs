//! The groups of measurements, one after the other; the lanes of a group run side by side.

use std::sync::{Mutex, MutexGuard};
use std::thread;

use super::endings::{self, Ending};
use super::findings::Finding;
use super::lane::{Access, NotOpen, token};
use super::limits::ANSWER_TIMEOUT_MIN;
use super::options::DoctorOptions;
use super::output::DoctorReport;
use super::record::{Both, Record, Side};
use super::{compression, heads, idle, messages, pings, refusal, report, sizes, timing};
use crate::check::client::check;
use crate::check::connect::Route;
use crate::check::connection_options::ConnectionOptions;
use crate::check::verdict::Verdict;
use crate::lock::unpoisoned;
use crate::products::{self, Product};

/// The report so far.
pub(super) fn lock(report: &Mutex<DoctorReport>) -> MutexGuard<'_, DoctorReport> {
    unpoisoned(report.lock())
}

/// Measures what the options ask for, over this connection.
pub(super) fn measure(
    options: &DoctorOptions,
    connection: &ConnectionOptions,
    report: &Mutex<DoctorReport>,
) {
    let Ok(access) = access(connection) else {
        see_one_end(connection, report);
        return;
    };
    let one_end = || {
        let is_well = see_one_end(connection, report);
        if let Some(time) = options.idle().filter(|_| is_well) {
            measure_group(report, "idle", || idle::measure_one_end(&access, time));
        }
    };
    lock(report).address = access.place();
    match first_look(&access) {
        First::Both(both) => {
            let mut report = lock(report);
            report.hops = heads::hops(&both);
            report.via = heads::via(&both);
            report.peer = heads::shown(&both.server.peer);
            report.add("heads", String::new(), heads::compare(&both));
            let findings = endings::with_cut(messages::compare(&both), &both);
            report.add("compression", String::new(), findings);
        }
        First::Refused(findings, product) => {
            let mut report = lock(report);
            report.hops.extend(product);
            return report.add("heads", String::new(), findings);
        }
        First::OneEnd => return one_end(),
    }
    lock(report).phase = "messages, pings, endings";
    thread::scope(|scope| {
        let is_possible = |plan: &&Plan| access.has_resets() || !plan.is_reset();
        for plan in QUICK.iter().filter(is_possible) {
            scope.spawn(|| plan.run(&access, report));
        }
    });
    if let Some(max) = options.sizes() {
        measure_group(report, "sizes", || sizes::measure(&access, max));
    }
    if options.timing {
        measure_group(report, "timing", || timing::measure(&access));
    }
    if let Some(time) = options.idle() {
        measure_group(report, "idle", || idle::measure(&access, time));
    }
}

/// Measures one group, and adds what it has found. `measure` returns its detail and its findings.
fn measure_group(
    report: &Mutex<DoctorReport>,
    name: &'static str,
    measure: impl FnOnce() -> (String, Vec<Finding>),
) {
    lock(report).phase = name;
    let (detail, findings) = measure();
    lock(report).add(name, detail, findings);
}

/// What is left against a server without reports. Returns whether it passes the check.
fn see_one_end(connection: &ConnectionOptions, report: &Mutex<DoctorReport>) -> bool {
    let check = check(&DoctorOptions::check(connection));
    let mut report = lock(report);
    let is_well = check.exit_code() == 0;
    if is_well {
        let what = "no report at /report: it is no wsecho, or it has --no-faults, or a proxy does not pass /report on";
        report.add("check", String::new(), vec![Finding::between("other_server", what)]);
    }
    report.check = Some(check);
    is_well
}

/// Finds an address that is open.
fn access(connection: &ConnectionOptions) -> Result<Access, Verdict> {
    let route = Route::find(connection)?;
    Ok(Access { connection: connection.clone(), route, answer_timeout: ANSWER_TIMEOUT_MIN })
}

/// What the first lane shows.
enum First {
    Both(Box<Both>),
    /// With the product that answered.
    Refused(Vec<Finding>, Option<&'static Product>),
    OneEnd,
}

/// The first lane; again with more time if something did not arrive.
fn first_look(access: &Access) -> First {
    match first(access) {
        First::Both(both) if messages::compare(&both).iter().any(Finding::may_be_late) => {
            first(&access.with_more_time())
        }
        seen => seen,
    }
}

/// Runs the lane of heads and compression: whether there is a wsecho with reports decides what follows.
fn first(access: &Access) -> First {
    let token = token();
    let client = match compression::send(access, &token) {
        Ok(client) => client,
        Err(NotOpen::Refused { request, response, body }) => {
            let found = refusal::findings(&request, &response, &body, &access.connection);
            let product = products::recognized(|name| response.field(name));
            return found.map_or(First::OneEnd, |found| First::Refused(found, product));
        }
        Err(NotOpen::Failed) => return First::OneEnd,
    };
    match report::fetch_ended(access, &token) {
        Some(server) => First::Both(Box::new(Both { client, server })),
        None => First::OneEnd,
    }
}

/// A lane of the quick group.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Send,
    Receive,
    Pings,
    /// The end of a session, by this side.
    End(Side, Ending),
}

impl Plan {
    fn group(self) -> &'static str {
        match self {
            Plan::Send | Plan::Receive => "messages",
            Plan::Pings => "pings",
            Plan::End(..) => "endings",
        }
    }

    fn is_reset(self) -> bool {
        matches!(self, Plan::End(_, Ending::Reset))
    }

    fn lane(self, access: &Access, token: &str) -> Result<Record, NotOpen> {
        match self {
            Plan::Send => messages::send(access, token),
            Plan::Receive => messages::receive(access, token),
            Plan::Pings => pings::send(access, token),
            Plan::End(Side::Client, ending) => endings::by_client(access, token, ending),
            Plan::End(Side::Server, ending) => endings::by_server(access, token, ending),
        }
    }

    fn compare(self, both: &Both) -> Vec<Finding> {
        let findings = match self {
            Plan::Send => messages::compare(both),
            Plan::Receive => messages::compare_greeting(both),
            Plan::Pings => pings::compare(both),
            Plan::End(side, ending) => return endings::compare(both, side, ending),
        };
        endings::with_cut(findings, both)
    }

    fn run(self, access: &Access, report: &Mutex<DoctorReport>) {
        let mut findings = self.look(access);
        if findings.iter().any(Finding::may_be_late) {
            findings = self.look(&access.with_more_time());
        }
        lock(report).add(self.group(), String::new(), findings);
    }

    fn look(self, access: &Access) -> Vec<Finding> {
        let token = token();
        let both = self.lane(access, &token).ok().and_then(|client| {
            let server = report::fetch_ended(access, &token)?;
            Some(Both { client, server })
        });
        both.map_or_else(|| lost(self.group()), |both| self.compare(&both))
    }
}

/// A lane whose connection failed, or whose report is missing.
fn lost(group: &str) -> Vec<Finding> {
    let what = format!("a further connection, for {group}, has failed or has no report");
    vec![Finding::between("lane_lost", what)]
}

/// The lanes that follow the first one, side by side.
const QUICK: &[Plan] = &[
    Plan::Send,
    Plan::Receive,
    Plan::Pings,
    Plan::End(Side::Client, Ending::Close),
    Plan::End(Side::Client, Ending::Fin),
    Plan::End(Side::Client, Ending::Reset),
    Plan::End(Side::Server, Ending::Close),
    Plan::End(Side::Server, Ending::Fin),
    Plan::End(Side::Server, Ending::Reset),
];

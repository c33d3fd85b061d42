//! `wsecho doctor URL`: runs both ends of a WebSocket, compares what they saw, and says what the way
//! between them does.
//!
//! The server records a session whose query has `report=TOKEN`; the client records its lanes itself. A
//! lane is one connection with its own plan; the comparisons are pure.
//!
//! **Invariant:** it terminates, whatever the way does: each wait has a deadline.
//!
//! ```text
//! options ──▶ lanes ──▶ record (client) ─┬─▶ heads, messages, pings, endings ──▶ findings ──▶ output
//!             GET /report ─▶ record (server) ─┘
//! ```

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

mod compression;
mod endings;
mod findings;
mod heads;
mod idle;
mod lane;
mod limits;
mod messages;
mod options;
mod output;
mod pings;
mod record;
mod refusal;
mod report;
mod sizes;
mod timing;

pub(crate) use options::DoctorOptions;

use self::endings::Ending;
use self::findings::Finding;
use self::lane::{Access, NotOpen, token};
use self::output::DoctorReport;
use self::record::{Both, Record, Side};
use crate::check::client::check;
use crate::check::connect::Route;
use crate::check::connection_options::ConnectionOptions;
use crate::check::{colours, verdict::Verdict};
use crate::lock::unpoisoned;

/// Measures, prints the report, and returns the exit code of the program.
pub(crate) fn run(options: &DoctorOptions) -> ExitCode {
    let report = Arc::new(Mutex::new(DoctorReport::new(&options.connection.target.url)));
    let started = Instant::now();
    measure(options, &report);
    let mut report = lock(&report);
    report.elapsed = started.elapsed();
    print(&report, options);
    ExitCode::from(report.exit_code())
}

/// The report so far.
fn lock(report: &Mutex<DoctorReport>) -> MutexGuard<'_, DoctorReport> {
    unpoisoned(report.lock())
}

fn print(report: &DoctorReport, options: &DoctorOptions) {
    let text = if options.json { report.json() } else { report.text(colours()) };
    let mut out = std::io::stdout().lock();
    // A caller that has closed stdout still gets the exit code.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Measures what the options ask for.
fn measure(options: &DoctorOptions, report: &Mutex<DoctorReport>) {
    let Ok(access) = access(&options.connection) else { return see_one_end(options, report) };
    lock(report).address = access.place();
    match first(&access) {
        First::Both(both) => {
            let mut report = lock(report);
            report.hops = heads::hops(&both);
            report.via = heads::via(&both);
            report.peer = heads::shown(&both.server.peer);
            report.add("heads", String::new(), heads::compare(&both));
            report.add("compression", String::new(), messages::compare(&both));
        }
        First::Refused(findings) => return lock(report).add("heads", String::new(), findings),
        First::OneEnd => return see_one_end(options, report),
    }
    thread::scope(|scope| {
        for plan in QUICK {
            scope.spawn(|| plan.run(&access, report));
        }
    });
    if let Some(max) = options.sizes() {
        let (detail, findings) = sizes::measure(&access, max);
        lock(report).add("sizes", detail, findings);
    }
    if options.timing {
        let (detail, findings) = timing::measure(&access);
        lock(report).add("timing", detail, findings);
    }
    if let Some(time) = options.idle() {
        let (detail, findings) = idle::measure(&access, time);
        lock(report).add("idle", detail, findings);
    }
}

/// What is left against a server without reports.
fn see_one_end(options: &DoctorOptions, report: &Mutex<DoctorReport>) {
    let check = check(&options.check());
    let mut report = lock(report);
    if check.exit_code() == 0 {
        let what = "there is no report of the server, so this is what one end shows";
        report.add("check", String::new(), vec![Finding::new("other_server", Side::Server, what)]);
    }
    report.check = Some(check);
}

/// Finds an address that is open.
fn access(connection: &ConnectionOptions) -> Result<Access, Verdict> {
    let route = Route::find(connection)?;
    Ok(Access { connection: connection.clone(), route })
}

/// What the first lane shows.
enum First {
    Both(Box<Both>),
    Refused(Vec<Finding>),
    OneEnd,
}

/// Runs the lane of heads and compression: whether there is a wsecho with reports decides what follows.
fn first(access: &Access) -> First {
    let token = token();
    let client = match compression::send(access, &token) {
        Ok(client) => client,
        Err(NotOpen::Refused { request, response, body }) => {
            let found = refusal::findings(&request, &response, &body, &access.connection);
            return found.map_or(First::OneEnd, First::Refused);
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
        let mut findings = match self {
            Plan::Send => messages::compare(both),
            Plan::Receive => messages::compare_greeting(both),
            Plan::Pings => pings::compare(both),
            Plan::End(side, ending) => return endings::compare(both, side, ending),
        };
        let cut = endings::compare_cut(both);
        if !cut.is_empty() {
            // What does not arrive then is a consequence.
            findings.retain(|finding| !finding.is_loss());
        }
        findings.extend(cut);
        findings
    }

    fn run(self, access: &Access, report: &Mutex<DoctorReport>) {
        let token = token();
        let both = self.lane(access, &token).ok().and_then(|client| {
            let server = report::fetch_ended(access, &token)?;
            Some(Both { client, server })
        });
        let group = self.group();
        let findings = both.map_or_else(|| lost(group), |both| self.compare(&both));
        lock(report).add(group, String::new(), findings);
    }
}

/// A lane whose connection failed, or whose report is missing.
fn lost(group: &str) -> Vec<Finding> {
    let what = format!("a further connection, for {group}, has failed or has no report");
    vec![Finding::new("lane_lost", Side::Client, what)]
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

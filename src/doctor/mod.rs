//! `wsecho doctor URL`: runs both ends of a WebSocket, compares what they saw, and says what the way
//! between them does.
//!
//! The server records a session whose query has `report=TOKEN`; the client records its lanes itself. A
//! lane is one connection with its own plan; the comparisons are pure.
//!
//! **Invariant:** it terminates, whatever the way does: each wait has a deadline.
//!
//! ```text
//! options ─▶ measure ─┬▶ lane ──▶ record (client) ─┬▶ heads, messages, pings, endings ─▶ findings ─▶ output
//!                     └▶ report ▶ record (server) ─┘
//! ```
//!
//! `idle`, `sizes` and `timing` have lanes and comparisons of their own; `refusal` reads what a wsecho says when
//! it refuses a handshake.

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

mod compression;
mod endings;
mod findings;
mod heads;
mod idle;
mod lane;
mod limits;
mod measure;
mod messages;
mod options;
mod output;
mod pings;
mod progress;
mod record;
mod refusal;
mod report;
mod sizes;
mod timing;

pub(crate) use options::DoctorOptions;

use self::measure::{lock, measure};
use self::output::DoctorReport;
use self::progress::{Progress, clear_line};
use crate::check::colours;

/// The exit code that a shell reports for a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Measures, prints the report, and returns the exit code of the program. Ctrl-C prints what is known so far.
pub(crate) fn run(options: &DoctorOptions) -> ExitCode {
    let started = Instant::now();
    let report = Arc::new(Mutex::new(DoctorReport::new(&options.connection.target.url)));
    print_when_interrupted(&report, started, options.json);
    let progress = Progress::start(&report, started);
    let control = thread::scope(|scope| {
        let control = options.control().map(|connection| {
            let report = Mutex::new(DoctorReport::new(&connection.target.url));
            scope.spawn(move || {
                measure(options, &connection, &report);
                report
            })
        });
        measure(options, &options.connection, &report);
        control.and_then(|control| control.join().ok())
    });
    progress.stop();
    let mut report = lock(&report);
    report.control = control.and_then(|report| report.into_inner().ok()).map(Box::new);
    report.finish(started);
    print(&report, options.json);
    ExitCode::from(report.exit_code())
}

fn print(report: &DoctorReport, is_json: bool) {
    let text = if is_json { report.json() } else { report.text(colours()) };
    let mut out = std::io::stdout().lock();
    // A caller that has closed stdout still gets the exit code.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn print_when_interrupted(report: &Arc<Mutex<DoctorReport>>, started: Instant, is_json: bool) {
    let report = Arc::clone(report);
    // Without the handler, Ctrl-C ends it without a report.
    let _ = ctrlc::set_handler(move || {
        let mut report = lock(&report);
        report.is_partial = true;
        report.finish(started);
        clear_line();
        print(&report, is_json);
        std::process::exit(INTERRUPTED);
    });
}

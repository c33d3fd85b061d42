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

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

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
mod record;
mod refusal;
mod report;
mod sizes;
mod timing;

pub(crate) use options::DoctorOptions;

use self::measure::{lock, measure};
use self::output::DoctorReport;
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

/// A line on the terminal that counts the seconds.
struct Progress {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    fn start(report: &Arc<Mutex<DoctorReport>>, started: Instant) -> Progress {
        let (stop, stopped) = mpsc::channel();
        let report = Arc::clone(report);
        let show = move || {
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let phase = lock(&report).phase;
                eprint!("\r\x1b[K{phase}: {} s", started.elapsed().as_secs());
            }
            clear_line();
        };
        let thread = std::io::stderr().is_terminal().then(|| thread::spawn(show));
        Progress { stop, thread }
    }

    fn stop(self) {
        drop(self.stop);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

fn clear_line() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

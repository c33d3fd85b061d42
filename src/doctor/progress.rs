//! A line on the terminal that says what is being measured, and counts the seconds.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::measure::lock;
use super::output::DoctorReport;

/// See the module.
pub(super) struct Progress {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts the line, if stderr is a terminal.
    pub(super) fn start(report: &Arc<Mutex<DoctorReport>>, started: Instant) -> Progress {
        let (stop, stopped) = mpsc::channel();
        let report = Arc::clone(report);
        let count = move || {
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let phase = lock(&report).phase;
                show(&format!("\r\x1b[K{phase}: {} s", started.elapsed().as_secs()));
            }
            clear_line();
        };
        let thread = io::stderr().is_terminal().then(|| thread::spawn(count));
        Progress { stop, thread }
    }

    pub(super) fn stop(self) {
        drop(self.stop);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

/// Removes the line.
pub(super) fn clear_line() {
    if io::stderr().is_terminal() {
        show("\r\x1b[K");
    }
}

fn show(text: &str) {
    // A terminal that is gone needs no line.
    let _ = io::stderr().write_all(text.as_bytes());
}

//! SIGINT, SIGTERM and SIGHUP stop the server. SIGHUP reloads the certificate instead, if there is one.
//!
//! The signals are blocked in the main thread before any other thread starts, and so, by inheritance, in
//! all of them. One thread waits for them with sigwait(3): no handler interrupts what another thread does,
//! and none has to be safe to run at any moment.
//!
//! **Invariants:** a signal that was ignored at the start stays ignored: `nohup` means that the program
//! outlives its terminal, and a shell ignores SIGINT for its background jobs. A second signal ends the
//! process whatever the other threads wait for.

use std::fs;
use std::io;
use std::thread;

use super::service::ServiceManager;
use crate::server::Stopper;
use log::info;
use nix::sys::signal::{SigSet, Signal};

/// The exit code that a shell reports for a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Lets a write beyond a file size limit (`ulimit -f`) fail, which would otherwise end the process.
pub(super) fn block_file_size_signal() {
    block(&SigSet::from(Signal::SIGXFSZ));
}

/// Blocks the signals that the server waits for, and returns them. To be called before another thread
/// starts.
pub(super) fn block_waited() -> SigSet {
    let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let mut waited = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        if ignored & 1 << (signal as u32 - 1) == 0 {
            waited.add(signal);
        }
    }
    block(&waited);
    waited
}

fn block(signals: &SigSet) {
    // It fails for signals that do not exist.
    let _ = signals.thread_block();
}

/// The mask of ignored signals in `/proc/self/status`, see proc_pid_status(5); 0 if it is not there.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// Lets the first of `signals` stop the server, and a second one end the process at once.
///
/// # Errors
/// The thread that waits for them cannot be created.
pub(super) fn stop_on(
    signals: SigSet,
    stopper: Stopper,
    manager: ServiceManager,
) -> io::Result<()> {
    let thread = thread::Builder::new().name("wsecho-signals".to_owned());
    let wait = move || {
        if signals.wait().is_err() {
            return;
        }
        info!("stopping; a second signal ends the process at once");
        manager.stopping();
        stopper.stop();
        if signals.wait().is_ok() {
            std::process::exit(INTERRUPTED);
        }
    };
    thread.spawn(wait).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_found() {
        let status = "Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored(status), 0x1001);
        assert_eq!(ignored("Name:\tx\n"), 0);
    }
}

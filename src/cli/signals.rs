//! SIGINT, SIGTERM and SIGHUP stop the server. SIGHUP reloads the certificate instead, if there is one.
//!
//! They are blocked before any other thread starts, and unblocked once ctrlc handles them, so that one that
//! comes during the start is not lost, and leaves nothing behind.
//!
//! **Invariants:** a signal that was ignored at the start stays blocked, and so has no effect: `nohup` means
//! that the program outlives its terminal, and a shell ignores SIGINT for its background jobs. A second
//! signal ends the process whatever the other threads wait for.

use std::fs;
use std::io;

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

/// Blocks the signals that the server handles, and returns those that were not ignored. To be called before
/// another thread starts.
pub(super) fn block_handled() -> SigSet {
    let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    block(&signals.into_iter().collect());
    let is_handled = |signal: &Signal| ignored & 1 << (*signal as u32 - 1) == 0;
    signals.into_iter().filter(is_handled).collect()
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
/// The thread that runs the handler cannot be created.
pub(super) fn stop_on(
    signals: &SigSet,
    stopper: Stopper,
    manager: ServiceManager,
) -> io::Result<()> {
    let mut is_stopping = false;
    let handler = move || {
        if is_stopping {
            std::process::exit(INTERRUPTED);
        }
        is_stopping = true;
        info!("stopping; a second signal ends the process at once");
        manager.stopping();
        stopper.stop();
    };
    ctrlc::set_handler(handler).map_err(io::Error::other)?;
    // As for `block`.
    let _ = signals.thread_unblock();
    Ok(())
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

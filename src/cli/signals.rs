//! SIGINT and SIGTERM stop the server. SIGHUP does, too, unless it reloads the certificate.

use std::sync::atomic::{AtomicBool, Ordering};

use super::service;
use crate::server::Stopper;
use log::{info, warn};

/// The exit code that a shell reports for a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Lets the first SIGINT, SIGTERM or SIGHUP stop the server, and a second one end the process at once.
/// With TLS, SIGHUP is blocked and does not get here; see `reload`.
pub(crate) fn stop_on_signals(stopper: Stopper) {
    let is_stopping = AtomicBool::new(false);
    let handler = move || {
        if is_stopping.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        info!("stopping; a second signal ends the process at once");
        service::stopping();
        stopper.stop();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        warn!("cannot handle signals, they will end the process without closing sessions: {error}");
    }
}

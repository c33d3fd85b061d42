//! Reloads the certificate on SIGHUP.
//!
//! It has a thread of its own, so that a reload that takes time does not delay the stop.
//!
//! **Invariant:** without TLS, SIGHUP stops the server as other signals do.

use std::io;
use std::thread;

use crate::server::Server;
use log::{error, info};
use nix::sys::signal::{SigSet, Signal};

/// Starts the thread that waits for SIGHUP, and returns `waited` without it: the signals that stop the
/// server. Does nothing without TLS, or if SIGHUP is not among them, as it is ignored.
///
/// # Errors
/// The thread could not be started.
pub(super) fn on_hangup(server: &Server, mut waited: SigSet) -> io::Result<SigSet> {
    let Some(reloader) = server.certificate_reloader() else { return Ok(waited) };
    if !waited.contains(Signal::SIGHUP) {
        return Ok(waited);
    }
    waited.remove(Signal::SIGHUP);
    let hangup = SigSet::from(Signal::SIGHUP);
    let thread = thread::Builder::new().name("wsecho-reload".to_owned());
    let wait = move || {
        while hangup.wait().is_ok() {
            match reloader.reload() {
                Ok(()) => info!("certificate reloaded; new connections use it"),
                Err(why) => error!("cannot reload the certificate, keeping the current one: {why}"),
            }
        }
    };
    thread.spawn(wait).map(|_| waited)
}

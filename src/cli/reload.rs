//! Reloads the certificate on SIGHUP.
//!
//! SIGHUP is blocked in the main thread before any other thread starts, and so, by inheritance, in
//! all of them; the log's thread, which is there already, blocks all signals. One thread waits for it with sigwait(3). A signal handler would need unsafe code or
//! another crate.
//!
//! **Invariant:** without TLS, SIGHUP stops the server as other signals do.

use std::io;
use std::thread;

use crate::server::Server;
use log::{error, info};
use nix::sys::signal::{SigSet, Signal};

/// Starts the thread that waits for SIGHUP. To be called before any other thread is
/// started, except the log's.
///
/// # Errors
/// The thread could not be started.
pub(crate) fn on_hangup(server: &Server) -> io::Result<()> {
    let Some(reloader) = server.certificate_reloader() else { return Ok(()) };
    let hangup = SigSet::from(Signal::SIGHUP);
    hangup.thread_block()?;
    let thread = thread::Builder::new().name("wsecho-reload".to_owned());
    let wait = move || {
        while hangup.wait().is_ok() {
            match reloader.reload() {
                Ok(()) => info!("certificate reloaded; new connections use it"),
                Err(why) => error!("cannot reload the certificate, keeping the current one: {why}"),
            }
        }
    };
    thread.spawn(wait).map(drop)
}

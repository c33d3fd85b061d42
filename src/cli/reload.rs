//! SIGHUP: the certificate is read again.
//!
//! What it is: a thread that waits for that signal. Each thread inherits that the signal is blocked, so
//! that it is nobody else's; without unsafe code or another crate, which a handler of its own would take.
//! Invariant: where no TLS is spoken, SIGHUP stops the server as other signals do.

use std::io;
use std::thread;

use log::{error, info};
use nix::sys::signal::{SigSet, Signal};
use wsecho::Server;

/// To be called before there is another thread.
///
/// # Errors
/// No thread can be made.
pub(crate) fn on_hangup(server: &Server) -> io::Result<()> {
    let Some(reloader) = server.certificate_reloader() else { return Ok(()) };
    let hangup = SigSet::from(Signal::SIGHUP);
    hangup.thread_block()?;
    let thread = thread::Builder::new().name("wsecho-renewal".to_owned());
    let wait = move || {
        while hangup.wait().is_ok() {
            match reloader.reload() {
                Ok(()) => info!("the certificate was read again; new connections have it"),
                Err(why) => error!("the certificate in use stays: {why}"),
            }
        }
    };
    thread.spawn(wait).map(drop)
}

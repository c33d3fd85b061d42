//! The service manager: what it is told, and the sockets that it hands over.
//!
//! What it is: the protocols of systemd (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)), for
//! whoever speaks them. Where nobody does, nothing happens.
//! What it is not: a way into the background; a service stays where it was started.
//! Invariant: a manager that does not listen is no reason not to serve.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Instant;

use listenfd::ListenFd;
use log::warn;
use sd_notify::NotifyState;
use wsecho::Probe;

/// The sockets that are passed to this process; they come in place of `--listen`.
///
/// # Errors
/// A descriptor that is no socket to listen on.
pub(crate) fn listeners() -> io::Result<Vec<OwnedFd>> {
    let mut passed = ListenFd::from_env();
    (0..passed.len()).filter_map(|index| take(&mut passed, index).transpose()).collect()
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<Option<OwnedFd>> {
    if let Ok(unix) = passed.take_unix_listener(index) {
        return Ok(unix.map(Into::into));
    }
    passed.take_tcp_listener(index).map(|tcp| tcp.map(Into::into))
}

/// Clients may come; `status` is for people.
pub(crate) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The stop has begun.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: sessions are told to part")]);
}

/// Where a watchdog waits, tells it twice in its time that the server lives, each time after an echo;
/// a server that does not answer itself is one to restart.
///
/// # Errors
/// No thread can be made.
pub(crate) fn keep_watchdog(probe: Probe) -> io::Result<()> {
    let Some(time) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else {
        return Ok(());
    };
    let interval = time / 2;
    let thread = thread::Builder::new().name("wsecho-watchdog".to_owned());
    let watch = move || {
        loop {
            let started = Instant::now();
            match probe.echo(interval) {
                Ok(()) => tell(&[NotifyState::Watchdog]),
                Err(error) => warn!("no answer to an echo of our own: {error}"),
            }
            thread::sleep(interval.saturating_sub(started.elapsed()));
        }
    };
    thread.spawn(watch).map(drop)
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!("the service manager cannot be told (NOTIFY_SOCKET): {error}");
    }
}

//! Integration with a service manager: readiness, watchdog and socket activation.
//!
//! This implements the protocols of systemd: sd_notify(3), sd_listen_fds(3),
//! sd_watchdog_enabled(3). Without their environment variables, all of it does nothing.
//!
//! **Invariant:** an unreachable service manager does not keep the server from serving.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::probe::Probe;
use listenfd::ListenFd;
use log::warn;
use sd_notify::NotifyState;

/// How long the stop waits for the service manager to take the notification. Usually it takes it at once.
const STOPPING_TIMEOUT: Duration = Duration::from_millis(500);

/// Takes the sockets passed to this process, which replace those of `--listen`.
///
/// # Errors
/// A descriptor is not a socket to listen on.
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

/// Notifies that the server accepts connections. `status` is shown to people.
pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Notifies that shutdown begins. A manager that reads nothing delays it by [`STOPPING_TIMEOUT`] at most.
pub(crate) fn stopping() {
    let (done, is_done) = sync_channel::<()>(0);
    let notify_stopping = move || {
        notify(&[NotifyState::Stopping, NotifyState::Status("stopping: closing sessions")]);
        drop(done);
    };
    // Without a thread the manager is not notified.
    let _ = thread::Builder::new().name("wsecho-notify".to_owned()).spawn(notify_stopping);
    let _ = is_done.recv_timeout(STOPPING_TIMEOUT);
}

/// If a watchdog is configured, starts a thread that notifies it twice per watchdog interval, each
/// time after a successful echo. The service manager thus restarts a server that does not answer.
///
/// # Errors
/// The thread could not be started.
pub(crate) fn keep_watchdog(probe: Probe) -> io::Result<()> {
    let Some(time) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else {
        return Ok(());
    };
    let interval = time / 2;
    let thread = thread::Builder::new().name("wsecho-watchdog".to_owned());
    let probe_periodically = move || {
        loop {
            let started = Instant::now();
            match probe.echo(interval) {
                Ok(()) => notify(&[NotifyState::Watchdog]),
                Err(error) => warn!("the watchdog's echo failed: {error}"),
            }
            thread::sleep(interval.saturating_sub(started.elapsed()));
        }
    };
    thread.spawn(probe_periodically).map(drop)
}

fn notify(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!("cannot notify the service manager (NOTIFY_SOCKET): {error}");
    }
}

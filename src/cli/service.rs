//! Integration with a service manager: readiness, watchdog and socket activation.
//!
//! This implements the protocols of systemd: sd_notify(3), sd_listen_fds(3),
//! sd_watchdog_enabled(3), and `JOURNAL_STREAM` of systemd.exec(5). Without their environment variables,
//! all of it does nothing.
//!
//! **Invariants:** an unreachable service manager does not keep the server from serving. A notification
//! needs no free descriptor.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
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

/// Whether stderr goes to systemd's journal, which adds the time to a line, and reads its priority.
pub(super) fn logs_to_journal() -> bool {
    let Ok(journal) = env::var("JOURNAL_STREAM") else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let stderr = stderr.and_then(|stderr| stderr.metadata());
    stderr.is_ok_and(|stderr| journal == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// The service manager that wants to be notified, if there is one.
#[derive(Debug, Clone)]
pub(super) struct ServiceManager(Option<Arc<NotifySocket>>);

/// Kept open, as later there may be no descriptor left for another one.
#[derive(Debug)]
struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl ServiceManager {
    /// The one at `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    pub(super) fn from_environment() -> ServiceManager {
        let named = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let opened = named.map(|name| NotifySocket::open(&name)).transpose();
        let socket = opened.inspect_err(warn_unnotified).ok().flatten();
        ServiceManager(socket.map(Arc::new))
    }

    /// Notifies that the server accepts connections. `status` is shown to people.
    pub(super) fn ready(&self, status: &str) {
        self.notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Notifies that shutdown begins. A manager that reads nothing delays it by [`STOPPING_TIMEOUT`] at
    /// most.
    pub(super) fn stopping(&self) {
        let (done, is_done) = sync_channel::<()>(0);
        let manager = self.clone();
        let notify = move || {
            manager.notify(&[
                NotifyState::Stopping,
                NotifyState::Status("stopping: closing sessions"),
            ]);
            drop(done);
        };
        // Without a thread the manager is not notified.
        let _ = thread::Builder::new().name("wsecho-notify".to_owned()).spawn(notify);
        let _ = is_done.recv_timeout(STOPPING_TIMEOUT);
    }

    /// If a watchdog is configured, starts a thread that notifies it twice per watchdog interval, each
    /// time after a successful echo. The service manager thus restarts a server that does not answer.
    ///
    /// # Errors
    /// The thread could not be started.
    pub(super) fn keep_watchdog(self, probe: Probe) -> io::Result<()> {
        let Some(time) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else {
            return Ok(());
        };
        let interval = time / 2;
        let thread = thread::Builder::new().name("wsecho-watchdog".to_owned());
        let probe_periodically = move || {
            let mut started = Instant::now(); // by the first echo the server is ready
            loop {
                thread::sleep(interval.saturating_sub(started.elapsed()));
                started = Instant::now();
                match probe.echo(interval) {
                    Ok(()) => self.notify(&[NotifyState::Watchdog]),
                    Err(error) => warn!("the watchdog's echo failed: {error}"),
                }
            }
        };
        thread.spawn(probe_periodically).map(drop)
    }

    fn notify(&self, states: &[NotifyState]) {
        if let Some(manager) = &self.0 {
            let lines: Vec<_> = states.iter().map(|state| format!("{state}\n")).collect();
            let sent = manager.socket.send_to_addr(lines.concat().as_bytes(), &manager.address);
            let _ = sent.inspect_err(warn_unnotified);
        }
    }
}

impl NotifySocket {
    fn open(name: &OsStr) -> io::Result<NotifySocket> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        Ok(NotifySocket { socket: UnixDatagram::unbound()?, address })
    }
}

fn warn_unnotified(error: &io::Error) {
    warn!("cannot notify the service manager (NOTIFY_SOCKET): {error}");
}

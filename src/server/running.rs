//! A server on a thread of its own, for tests and for programs that do other things beside it.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Error, Server, Stopper};
use crate::config::Config;
use crate::config::tuning::ENDED_SESSIONS;
use crate::connection::ended_session::EndedSession;

/// A server that serves on a thread of its own; see [`Server::spawn`].
///
/// Dropping it stops the server, and waits until no thread and no descriptor of it is left. While a
/// panic unwinds, it does not wait, so that a client that is still connected does not delay the
/// failure of a test.
#[derive(Debug)]
pub struct Running {
    /// The first TCP address; `None` on Unix sockets only.
    address: Option<SocketAddr>,
    scheme: &'static str,
    stopper: Stopper,
    ended: Mutex<Receiver<EndedSession>>,
    /// `None` once it was joined.
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Server {
    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// The thread cannot be created.
    pub fn spawn(self) -> Result<Running, Error> {
        let (sender, ended) = sync_channel(ENDED_SESSIONS);
        // A server is spawned once, so nothing was set before.
        let _ = self.context.ended.set(sender);
        let (address, stopper) = (self.local_addrs().first().copied(), self.stopper());
        let scheme = if self.context.tls.is_some() { "wss" } else { "ws" };
        let thread = thread::Builder::new().name("wsecho".to_owned());
        let thread = thread.spawn(|| self.run()).map_err(Error::Thread)?;
        Ok(Running { address, scheme, stopper, ended: Mutex::new(ended), thread: Some(thread) })
    }
}

/// Starts a server with the default configuration on a free port of `127.0.0.1`.
///
/// # Errors
/// The port cannot be listened on, or a thread cannot be created.
pub fn spawn() -> Result<Running, Error> {
    Server::bind(Config::on_free_port())?.spawn()
}

impl Running {
    /// The first TCP address it listens on.
    ///
    /// # Panics
    /// It listens on Unix sockets only.
    pub fn addr(&self) -> SocketAddr {
        self.address.expect("the server listens on no TCP address")
    }

    /// The URL of a path, which begins with `/`, at [`addr`](Running::addr): `ws://127.0.0.1:PORT/echo`,
    /// or `wss://` with TLS.
    ///
    /// # Panics
    /// As [`addr`](Running::addr).
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.addr())
    }

    /// A handle that stops this server, for another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the next session that ends, and returns what it did. Sessions are returned in the order
    /// in which they ended, each once; of those that nobody asks for, the first 1,024 are kept. `None` if
    /// none ends within `timeout`.
    pub fn ended_session(&self, timeout: Duration) -> Option<EndedSession> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(timeout).ok()
    }

    /// Stops the server as a [`Stopper`] does, and waits for its end.
    ///
    /// # Errors
    /// Those of [`Server::run`].
    ///
    /// # Panics
    /// The server has panicked.
    pub fn stop(mut self) -> Result<(), Error> {
        self.stopper.stop();
        self.join()
    }

    /// Waits until another thread has stopped the server.
    ///
    /// # Errors
    /// Those of [`Server::run`].
    ///
    /// # Panics
    /// The server has panicked.
    pub fn wait(mut self) -> Result<(), Error> {
        self.join()
    }

    fn join(&mut self) -> Result<(), Error> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().expect("the server has panicked"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        if !thread::panicking() {
            // `Running::stop` returns the error.
            let _ = self.join();
        }
    }
}

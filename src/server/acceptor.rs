//! The accept loops: each accepted connection gets a slot and a thread, or a refusal.
//!
//! **Invariants:** an accept thread never waits for a peer. The loops end when [`Acceptor::close`] is
//! called, and need neither the network nor a free descriptor for that.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, info, warn};

use super::pool::ThreadPool;
use super::rejector::Rejector;
use crate::config::tuning::{ACCEPT_BACKOFF, LOG_EVERY};
use crate::connection::Accepted;
use crate::connection::context::Context;
use crate::http::forwarded;
use crate::http::response::Response;
use crate::http::unavailable::{self, Unavailable};
use crate::net::Stream;
use crate::net::address::Address;
use crate::net::listener::Listener;
use crate::net::tls::REFUSAL;
use crate::net::waker::Waker;
use crate::token_bucket::TokenBucket;

/// See the module.
pub(super) struct Acceptor {
    pool: ThreadPool<Accepted>,
    rejector: Rejector,
    context: Arc<Context>,
    /// Set when accepting is over. Accepting goes on while sessions close, so that a health check
    /// gets the 503 of the stop.
    closed: Waker,
}

impl Acceptor {
    /// # Errors
    /// No thread, or no descriptor is left.
    pub(super) fn new(pool: ThreadPool<Accepted>, context: Arc<Context>) -> io::Result<Acceptor> {
        Ok(Acceptor { pool, rejector: Rejector::start()?, context, closed: Waker::new()? })
    }

    /// Accepts connections until [`close`](Acceptor::close) is called.
    pub(super) fn accept(&self, listener: &Listener) {
        let (shortest, longest) = ACCEPT_BACKOFF;
        let throttle = || TokenBucket::full(1, LOG_EVERY, Instant::now());
        let (mut pause, mut errors, mut refusals) = (shortest, throttle(), throttle());
        loop {
            match listener.accept(&self.closed) {
                Ok(Some((stream, peer))) => {
                    pause = shortest;
                    self.admit(stream, peer, &mut refusals);
                }
                Ok(None) => return,
                Err(error) if concerns_one_peer(&error) => {
                    debug!("a connection was lost before it was accepted: {error}");
                }
                Err(error) => {
                    self.on_error(&error, &mut errors);
                    self.pause(pause);
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    fn on_error(&self, error: &io::Error, errors: &mut TokenBucket) {
        if let Some(metrics) = &self.context.metrics {
            metrics.accept_failed();
        }
        if let Some(more) = errors.take(Instant::now()) {
            warn!(
                "cannot accept connections, trying again: {error} ({more} such errors since the last line)"
            );
        }
    }

    /// Gives a connection its slot and its thread, or its refusal.
    fn admit(&self, stream: Stream, peer: Address, refusals: &mut TokenBucket) {
        let is_proxy = forwarded::trusts(&self.context.config.trusted_proxies, peer.host());
        let (stream, why) = match self.context.admission.connect((!is_proxy).then(|| peer.host())) {
            Ok(permit) => match self.pool.run(Accepted { stream, peer, permit }) {
                Ok(()) => return,
                Err(back) => (back.stream, Unavailable::NoThread),
            },
            Err(limit) => (stream, Unavailable::LimitReached(limit)),
        };
        if let Some(more) = refusals.take(Instant::now()) {
            warn!("{peer}: refused: {why} ({more} more since the last line)");
        }
        if let Some(metrics) = &self.context.metrics {
            metrics.refused(why.label());
        }
        let response = match self.context.tls_for(peer) {
            // A readable refusal would need a TLS handshake, and so a thread. Hence the alert.
            Some(_) => REFUSAL.to_vec(),
            None => rendered(unavailable::diagnosis(why, None).without_request()),
        };
        self.rejector.reject(stream, response);
    }

    /// Waits before the next accept. A stop shortens the wait, but not to nothing.
    fn pause(&self, pause: Duration) {
        if self.context.stop.wait_for(pause) {
            thread::sleep(ACCEPT_BACKOFF.0);
        }
    }

    /// Waits until all sessions and then all requests in progress have ended; drops those that take
    /// longer than `grace`.
    pub(super) fn drain(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        let sessions = self.context.admission.wait_for_sessions(deadline);
        self.close();
        let connections = self.context.admission.wait_for_connections(deadline);
        if connections > 0 {
            warn!(
                "the grace period is over (--grace-period): {connections} connections are dropped, {sessions} of them sessions"
            );
            self.context.stop.cut();
        } else {
            info!("every connection has ended");
        }
    }

    /// Ends the accept loops.
    pub(super) fn close(&self) {
        self.closed.wake();
    }

    /// Waits until every thread of the pool is gone.
    pub(super) fn join(self) {
        self.pool.join();
    }
}

/// Whether an error belongs to the connection, although accept(2) reports it. An interrupted call
/// counts as such an error: neither needs a pause.
fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, PermissionDenied, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    )
}

fn rendered(response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    response.write(&mut bytes, false, None).expect("a Vec takes every byte");
    bytes
}

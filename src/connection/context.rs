//! The state that all connections of a server share.

use std::sync::atomic::AtomicU64;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};

use super::ended_session::EndedSession;
use super::refusals::Refusals;
use crate::chat::room::Rooms;
use crate::config::Config;
use crate::http::head::Head;
use crate::http::page::Site;
use crate::http::unavailable::Unavailable;
use crate::message_memory::MessageMemory;
use crate::metrics::Metrics;
use crate::net::address::Address;
use crate::net::admission::Admission;
use crate::net::shutdown::Stop;
use crate::net::tls::TlsAcceptor;
use crate::report::Reports;
use crate::session::deflate::DeflatePool;

/// See the module.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    /// `None` without TLS.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) site: Site,
    pub(crate) stop: Arc<Stop>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) deflate: Arc<DeflatePool>,
    pub(crate) memory: Arc<MessageMemory>,
    pub(crate) reports: Reports,
    /// Sessions so far, which numbers them in the log.
    pub(crate) sessions: AtomicU64,
    /// Why the last handshakes were refused, for `/refusals`.
    pub(crate) refusals: Refusals,
    /// Where ended sessions are reported; not set unless the server was [spawned](crate::Server::spawn).
    pub(crate) ended: OnceLock<SyncSender<EndedSession>>,
    /// The `Sec-WebSocket-Key` of the server's own [`Probe`](crate::Probe). It is random and secret.
    pub(crate) probe_key: String,
    /// `None` without an admin listener.
    pub(crate) metrics: Option<Arc<Metrics>>,
}

impl Context {
    /// Whether this handshake is the server's own [`Probe`](crate::Probe).
    pub(crate) fn is_own(&self, head: &Head) -> bool {
        head.fields.get("Sec-WebSocket-Key") == Some(&self.probe_key)
    }

    /// Reports an ended session to the program that has spawned this server. It does not wait: sessions
    /// that do not fit into the channel are not reported.
    pub(super) fn report(&self, ended: impl FnOnce() -> EndedSession) {
        if let Some(sender) = self.ended.get() {
            let _ = sender.try_send(ended());
        }
    }

    /// The metrics that count this request; `None` without an admin listener, or for the own probe.
    pub(crate) fn metrics_of(&self, head: &Head) -> Option<&Arc<Metrics>> {
        self.metrics.as_ref().filter(|_| !self.is_own(head))
    }

    /// For `/healthz`: `Err` once shutdown has begun.
    pub(crate) fn health(&self) -> Result<(), Unavailable> {
        if self.stop.requested() { Err(Unavailable::Stopping) } else { Ok(()) }
    }

    /// For `/readyz`: `Err` if another session would get no slot, or no memory for a large message.
    pub(crate) fn readiness(&self) -> Result<(), Unavailable> {
        self.health()?;
        self.admission.has_session_left().map_err(Unavailable::LimitReached)?;
        if self.memory.waiting() > 0 { Err(Unavailable::NoMemory) } else { Ok(()) }
    }

    /// The TLS acceptor for `peer`; `None` on Unix sockets, or without TLS.
    pub(crate) fn tls_for(&self, peer: Address) -> Option<&TlsAcceptor> {
        self.tls.as_ref().filter(|_| peer != Address::Unix)
    }
}

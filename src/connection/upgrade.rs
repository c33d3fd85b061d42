//! From a request head to a session's slot: what a handshake has to pass.

use std::io;

use super::context::Context;
use super::http_connection::HttpConnection;
use crate::chat::join_request::{self, JoinRequest};
use crate::config::Config;
use crate::handshake::check::{AccessPolicy, check, no_upgrade};
use crate::handshake::refusals;
use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint::{self, Endpoint};
use crate::http::forwarded;
use crate::http::head::Head;
use crate::http::unavailable::{self, Unavailable};
use crate::net::admission::SessionPermit;
use crate::net::transport::{PauseEnd, Transport};
use crate::report::OpenReport;
use crate::session::faults::{self, Faults};

/// What a valid handshake asks for, and the slot for its session.
pub(super) struct UpgradeRequest {
    pub(super) endpoint: Endpoint,
    pub(super) faults: Faults,
    /// The chat room to join; `None` on other endpoints.
    pub(super) join: Option<JoinRequest>,
    /// The report that the client asks for.
    pub(super) report: Option<OpenReport>,
    pub(super) permit: SessionPermit,
}

impl HttpConnection {
    /// Checks all of a handshake; only then takes a slot.
    ///
    /// # Errors
    /// Why it is refused; counted in the metrics.
    pub(super) fn check_upgrade(&self, head: &Head) -> Result<UpgradeRequest, Diagnosis> {
        let (endpoint, faults, join) = self.check_request(head).inspect_err(|refusal| {
            if let Some(metrics) = self.server.metrics_of(head) {
                metrics.handshake_refused(refusal.status);
            }
        })?;
        let permit = self.session_slot().map_err(|why| self.unavailable(why, head))?;
        let token = faults.report.as_deref();
        let report = token.map(|token| self.begin_report(token, head)).transpose()?;
        Ok(UpgradeRequest { endpoint, faults, join, report, permit })
    }

    #[cold]
    fn begin_report(&self, token: &str, head: &Head) -> Result<OpenReport, Diagnosis> {
        let Context { reports, memory, .. } = &*self.server;
        let report = reports.begin(token, head, self.client.peer, memory);
        report.map_err(|why| refusals::no_report(head, why))
    }

    /// Waits before the handshake is answered, if a fault asks for that. The session's slot is taken by
    /// then, so that clients that wait leave the reserve free.
    ///
    /// # Errors
    /// The client has reset the connection.
    pub(super) fn delay(&mut self, request: &UpgradeRequest) -> io::Result<PauseEnd> {
        let delay = request.faults.handshake.delay;
        if delay.is_zero() { Ok(PauseEnd::Over) } else { self.socket.pause(delay, None) }
    }

    /// Checks all that does not depend on the server's state.
    fn check_request(
        &self,
        head: &Head,
    ) -> Result<(Endpoint, Faults, Option<JoinRequest>), Diagnosis> {
        Ok((check(head, &self.access_policy(head))?, self.faults(head)?, join_request(head)?))
    }

    pub(super) fn access_policy(&self, head: &Head) -> AccessPolicy<'_> {
        let Config { trusted_proxies, allow_host, allow_origin, .. } = &self.server.config;
        let peer = self.client.peer.host();
        AccessPolicy {
            local: self.local.is_some_and(|local| local.host().is_local()),
            peer,
            is_forwarded: forwarded::trusts(trusted_proxies, peer) && forwarded::is_forwarded(head),
            allow_host,
            allow_origin,
        }
    }

    /// Parses the query parameters that inject faults.
    ///
    /// # Errors
    /// They are invalid, or ask for a status other than 101.
    fn faults(&self, head: &Head) -> Result<Faults, Diagnosis> {
        let Config { faults: is_on, limits, .. } = &self.server.config;
        if !is_on || head.query.is_empty() || !endpoint::takes_faults(&head.path) {
            return Ok(Faults::default());
        }
        let faults = faults::parse(&head.query, limits)
            .map_err(|why| refusals::bad_parameters(head, why))?;
        match faults.handshake.status {
            Some(status) => Err(refusals::forced_status(head, status)),
            None => Ok(faults),
        }
    }

    /// Takes a slot for a session.
    fn session_slot(&self) -> Result<SessionPermit, Unavailable> {
        self.server.health()?;
        self.permit.session().map_err(Unavailable::LimitReached)
    }

    /// The response to plain HTTP on a WebSocket path: why a handshake with this query would be refused
    /// now, or else what makes a handshake of this request. Browsers hide why a handshake failed, so
    /// the page sends this request afterwards.
    pub(super) fn upgrade_required(&self, head: &Head) -> Diagnosis {
        let refusal = self.faults(head).and_then(|_| join_request(head)).and_then(|_| {
            self.session_slot().map_err(|why| unavailable::diagnosis(why, Some(head)))
        });
        refusal.err().unwrap_or_else(|| no_upgrade(head, &self.access_policy(head)))
    }
}

/// Parses the query of `/chat`; `None` on other paths.
fn join_request(head: &Head) -> Result<Option<JoinRequest>, Diagnosis> {
    if endpoint::at(&head.path) != Some(Endpoint::Chat) {
        return Ok(None);
    }
    join_request::parse(&head.query).map(Some).map_err(|why| refusals::bad_join_request(head, why))
}

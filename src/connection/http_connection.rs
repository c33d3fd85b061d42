//! The HTTP part of a connection: requests are answered one after another, until one of them is a
//! valid handshake.

use std::io::ErrorKind::{InvalidData, WouldBlock};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use log::debug;

use super::context::Context;
use super::info;
use super::route::{Route, route};
use crate::chat::join_request::{self, JoinRequest};
use crate::config::tuning::{HEAD_READ, LINGER_TIME, STOP_REQUEST};
use crate::config::{Config, Timeouts};
use crate::handshake::check::{OriginPolicy, check, no_upgrade};
use crate::handshake::negotiate::Negotiated;
use crate::handshake::refusals;
use crate::handshake::response::switching_protocols;
use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint::{self, Endpoint};
use crate::http::forwarded::{self, Client};
use crate::http::head::{self, Head, HeadError};
use crate::http::response::Response;
use crate::http::unavailable::{self, Unavailable, state};
use crate::net::Stream;
use crate::net::address::Address;
use crate::net::admission::{AddressPermit, ConnectionPermit, SessionPermit};
use crate::net::lingering_close::linger;
use crate::net::socket::Socket;
use crate::net::tls::{TlsAcceptor, TlsSession};
use crate::net::transport::{ReadTimeout, Transport};
use crate::session::faults::{self, Faults};

/// An accepted connection with its slot.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: Address,
    pub(crate) permit: ConnectionPermit,
}

/// See the module.
pub(super) struct HttpConnection {
    pub(super) socket: Socket,
    /// Received and not used yet: the start of a head, a pipelined request, early frames.
    pub(super) buffer: Vec<u8>,
    /// The client of the last request. Behind a trusted proxy it is not the peer.
    pub(super) client: Client,
    /// Our address, if the connection has one.
    pub(super) local: Option<Address>,
    pub(super) permit: ConnectionPermit,
    /// Behind a trusted proxy: the client's own slot, while its request or its session lasts.
    pub(super) client_permit: Option<AddressPermit>,
    server: Arc<Context>,
}

/// What a valid handshake asks for, and the slot for its session.
pub(super) struct UpgradeRequest {
    pub(super) endpoint: Endpoint,
    pub(super) faults: Faults,
    /// The chat room to join; `None` on other endpoints.
    pub(super) join: Option<JoinRequest>,
    pub(super) permit: SessionPermit,
}

/// What a request leads to.
enum Answer {
    /// A response, and another request.
    Respond(Response),
    /// A response, after which the connection closes.
    Refuse(Response),
    /// A session.
    Upgrade(Box<UpgradeRequest>),
}

impl HttpConnection {
    /// # Errors
    /// The operating system's, if the peer is gone already.
    pub(super) fn open(accepted: Accepted, server: &Arc<Context>) -> io::Result<HttpConnection> {
        let Accepted { stream, peer, permit } = accepted;
        let local = Address::of_our_end(&stream);
        let tls = server.tls_for(peer).map(TlsAcceptor::session).transpose()?;
        let write_timeout = server.config.timeouts.write;
        Ok(HttpConnection {
            socket: Socket::new(stream, peer, tls, &server.stop, write_timeout)?,
            buffer: Vec::new(),
            client: Client::of_connection(peer),
            local,
            permit,
            client_permit: None,
            server: Arc::clone(server),
        })
    }

    /// Answers requests. Returns the handshake that turns the connection into a session; `None` if the
    /// connection is over.
    pub(super) fn serve_until_upgrade(&mut self) -> Option<(Head, Box<UpgradeRequest>)> {
        let max_requests = self.server.config.limits.max_requests;
        for number in 1..=max_requests {
            let head = match self.next_head(number == 1) {
                Ok(head) => head,
                Err(error) => {
                    self.refuse_head(&error);
                    return None;
                }
            };
            let (response, keep) = match self.answer(&head) {
                Answer::Upgrade(request) => return Some((head, request)),
                Answer::Respond(response) => {
                    (response, head.keeps_alive() && number < max_requests)
                }
                Answer::Refuse(response) => (response, false),
            };
            if !self.respond(response, &head, keep && !self.server.stop.requested()) {
                return None;
            }
        }
        None
    }

    /// Sends the 101.
    ///
    /// # Errors
    /// The peer is gone.
    pub(super) fn accept(
        &mut self,
        head: &Head,
        request: &UpgradeRequest,
        negotiated: &Negotiated,
    ) -> io::Result<()> {
        let bad_accept = request.faults.handshake.bad_accept;
        let response = switching_protocols(head, negotiated, bad_accept);
        self.socket.write_all(response.as_bytes())?;
        if let Some(metrics) = self.server.metrics_of(head) {
            // To be measured, it is sent now, and not together with the first replies.
            self.socket.flush()?;
            metrics.upgrades.observe(self.socket.last_received().elapsed());
        }
        Ok(())
    }

    /// Reads the next request head. The first one has a single deadline; a later one may be waited
    /// for, and its deadline begins with its first byte.
    fn next_head(&mut self, is_first: bool) -> Result<Head, HeadError> {
        let Timeouts { handshake, keep_alive, .. } = self.server.config.timeouts;
        let mut timeout = if is_first { handshake } else { keep_alive };
        if self.server.stop.requested() {
            timeout = timeout.min(STOP_REQUEST);
        }
        self.socket.set_read_timeout(ReadTimeout::deadline(Instant::now() + timeout));
        if self.buffer.is_empty() {
            self.wait_for_request().map_err(|error| match error {
                HeadError::Timeout if !is_first => HeadError::Left,
                other => other,
            })?;
        }
        if !is_first {
            let deadline = Instant::now() + handshake;
            self.socket.set_read_timeout(ReadTimeout::deadline(deadline));
        }
        Head::read(&mut self.socket, &mut self.buffer, &self.server.config.limits)
    }

    /// Reads the first bytes of a request. A stop ends this wait, as nothing is lost by it; a client
    /// that connected after the stop is read, so that it can get its 503.
    fn wait_for_request(&mut self) -> Result<(), HeadError> {
        self.socket.set_waiting(!self.server.stop.requested());
        let read = head::fill(&mut self.socket, &mut self.buffer, HEAD_READ);
        self.socket.set_waiting(false);
        match read {
            Ok(length) if length > 0 => Ok(()),
            Err(error) if error.kind() == WouldBlock && !self.server.stop.requested() => {
                Err(HeadError::Timeout)
            }
            Err(error) if error.kind() == InvalidData => {
                debug!("{}: TLS failed: {error}", self.client.peer);
                Err(HeadError::Left)
            }
            Ok(_) | Err(_) => Err(HeadError::Left),
        }
    }

    /// Decides what a request gets.
    fn answer(&mut self, head: &Head) -> Answer {
        if let Err(response) = self.identify_client(head) {
            return Answer::Refuse(response);
        }
        if self.socket.spoke_plaintext() {
            let diagnosis = unavailable::plaintext_on_tls_port(Some(head), &[]);
            return Answer::Refuse(diagnosis.answer(head));
        }
        match route(head) {
            Route::WebSocket => self.upgrade(head),
            Route::End(diagnosis) => Answer::Refuse(diagnosis.answer(head)),
            route => Answer::Respond(self.plain_response(route, head)),
        }
    }

    /// Finds out who the client is. Behind a trusted proxy it takes its own slot.
    fn identify_client(&mut self, head: &Head) -> Result<(), Response> {
        let trusted = &self.server.config.trusted_proxies;
        self.client = forwarded::resolve(self.client.peer, trusted, head);
        for remark in &self.client.remarks {
            debug!("{}: {remark}", self.client);
        }
        if forwarded::trusts(trusted, self.client.peer.host()) {
            let permit = self.permit.client(self.client.address);
            self.client_permit = permit.map_err(|limit| {
                self.unavailable(Unavailable::LimitReached(limit), head).answer(head)
            })?;
        }
        Ok(())
    }

    /// The response to a request that is not a handshake.
    fn plain_response(&self, route: Route, head: &Head) -> Response {
        match route {
            Route::Health => state("ok\n", self.server.health(), head),
            Route::Ready => state("ready\n", self.server.readiness(), head),
            Route::Help => Response::text(200, faults::manual(self.server.config.faults)),
            Route::Info => {
                let tls = self.socket.tls().and_then(TlsSession::details);
                info::answer(head, &self.client, self.local, tls.as_ref())
            }
            Route::Page(path) => self
                .server
                .site
                .get(&path, head)
                .unwrap_or_else(|| refusals::not_found(head).answer(head)),
            Route::UpgradeRequired => self.upgrade_required(head).answer(head),
            Route::Refusal(diagnosis) | Route::End(diagnosis) => diagnosis.answer(head),
            Route::WebSocket => no_upgrade(head, &self.origin_policy()).answer(head),
        }
    }

    /// Plain HTTP to a WebSocket endpoint. The page asks so after a handshake failed, because browsers
    /// hide the reason; so the answer is why a handshake would be refused, if it would be.
    fn upgrade_required(&self, head: &Head) -> Diagnosis {
        let refusal = self.faults(head).and_then(|_| join_request(head)).and_then(|_| {
            self.session_slot().map_err(|why| unavailable::unavailable(why, Some(head)))
        });
        refusal.err().unwrap_or_else(|| no_upgrade(head, &self.origin_policy()))
    }

    /// Accepts a handshake, or refuses it.
    fn upgrade(&self, head: &Head) -> Answer {
        match self.check_upgrade(head) {
            Ok(request) => Answer::Upgrade(Box::new(request)),
            Err(diagnosis) => {
                if let Some(metrics) = self.server.metrics_of(head)
                    && diagnosis.status != unavailable::STATUS
                {
                    metrics.handshake_refused(diagnosis.status);
                }
                Answer::Refuse(diagnosis.answer(head))
            }
        }
    }

    /// Checks all of a handshake; only then waits, if a fault asks for that, and takes a slot.
    fn check_upgrade(&self, head: &Head) -> Result<UpgradeRequest, Diagnosis> {
        let endpoint = check(head, &self.origin_policy())?;
        let faults = self.faults(head)?;
        let join = join_request(head)?;
        if !faults.handshake.delay.is_zero() {
            self.server.stop.wait_for(faults.handshake.delay);
        }
        let permit = self.session_slot().map_err(|why| self.unavailable(why, head))?;
        Ok(UpgradeRequest { endpoint, faults, join, permit })
    }

    fn origin_policy(&self) -> OriginPolicy<'_> {
        OriginPolicy {
            local: self.local.is_some_and(|local| local.host().is_local()),
            allow_origin: &self.server.config.allow_origin,
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

    /// The refusal of a client that needed a slot; counted in the metrics.
    #[cold]
    fn unavailable(&self, why: Unavailable, head: &Head) -> Diagnosis {
        if let Some(metrics) = self.server.metrics_of(head) {
            metrics.refused(why.label());
        }
        unavailable::unavailable(why, Some(head))
    }

    /// Writes a response. Returns whether the connection is kept.
    fn respond(&mut self, response: Response, head: &Head, keep: bool) -> bool {
        debug!("{}: {} {:?}: {}", self.client, head.method, head.path, response.status);
        let written = response.write(&mut self.socket, head.method == "HEAD", keep);
        // Freed before the last bytes leave: the client may be back as soon as it has them.
        self.client_permit = None;
        let written = written.and_then(|()| self.socket.flush());
        if written.is_ok() && !keep {
            linger(&mut self.socket, LINGER_TIME);
        }
        written.is_ok() && keep
    }

    /// Answers bytes that are not a request; does nothing if the peer has left.
    fn refuse_head(&mut self, error: &HeadError) {
        let diagnosis = match unavailable::no_request(error, &self.buffer) {
            Some(_) if self.socket.spoke_plaintext() => {
                unavailable::plaintext_on_tls_port(None, &self.buffer)
            }
            Some(diagnosis) => diagnosis,
            None => return,
        };
        debug!("{}: no request: {}", self.client.peer, diagnosis.status);
        if diagnosis.without_request().write(&mut self.socket, false, false).is_ok() {
            linger(&mut self.socket, LINGER_TIME);
        }
    }
}

/// Parses the query of `/chat`; `None` on other paths.
fn join_request(head: &Head) -> Result<Option<JoinRequest>, Diagnosis> {
    if endpoint::at(&head.path) != Some(Endpoint::Chat) {
        return Ok(None);
    }
    join_request::parse(&head.query).map(Some).map_err(|why| refusals::bad_join_request(head, why))
}

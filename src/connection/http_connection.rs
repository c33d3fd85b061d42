//! The HTTP part of a connection: requests are answered one after another, until one of them is a
//! valid handshake.

use std::io::ErrorKind::{InvalidData, WouldBlock};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use form_urlencoded::parse as pairs;
use log::{Level, debug, log};

use super::context::Context;
use super::info;
use super::route::{PlainRoute, Route, route};
use super::upgrade::UpgradeRequest;
use crate::config::Timeouts;
use crate::config::tuning::{HEAD_READ, LINGER_TIME, SHOWN_VALUE, STOP_REQUEST};
use crate::handshake::check::check_host;
use crate::handshake::negotiate::Negotiated;
use crate::handshake::refusals;
use crate::handshake::response::switching_protocols;
use crate::http::diagnosis::Diagnosis;
use crate::http::excerpt::escaped;
use crate::http::forwarded::{self, Client};
use crate::http::head::{self, Head, HeadError};
use crate::http::no_request;
use crate::http::response::Response;
use crate::http::unavailable::{self, Unavailable, state};
use crate::net::Stream;
use crate::net::address::Address;
use crate::net::admission::{AddressPermit, ConnectionPermit, LimitReached};
use crate::net::idle::Idle;
use crate::net::lingering_close::linger_while;
use crate::net::socket::Socket;
use crate::net::tls::{TlsAcceptor, TlsSession};
use crate::net::transport::{PauseEnd, ReadTimeout, Transport};
use crate::report::SessionReport;
use crate::session::faults;

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
    pub(super) server: Arc<Context>,
}

/// How a request is answered.
enum Answer {
    /// With this response; the connection is kept alive if client and server allow it.
    KeepAlive(Response),
    /// With this diagnosis, after which the connection is closed.
    Refuse(Diagnosis),
    /// With a 101, and then a session.
    Upgrade(Box<UpgradeRequest>),
    /// Not at all, as the client has reset the connection.
    Nothing,
}

impl HttpConnection {
    /// # Errors
    /// The operating system's, if the peer is gone already.
    pub(super) fn open(accepted: Accepted, server: &Arc<Context>) -> io::Result<HttpConnection> {
        let Accepted { stream, peer, mut permit } = accepted;
        let local = Address::of_our_end(&stream);
        let tls = server.tls_for(peer).map(TlsAcceptor::session).transpose()?;
        let write_timeout = server.config.timeouts.write;
        let socket = Socket::new(stream, peer, tls, &server.stop, write_timeout)?;
        permit.set_idle(Idle::Silent, socket.handle());
        Ok(HttpConnection {
            socket,
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
            let head = self.next_head(number == 1);
            if !self.permit.set_busy() {
                self.on_slot_lost();
                return None;
            }
            let head = match head {
                Ok(head) => head,
                Err(error) => {
                    self.refuse_head(&error);
                    return None;
                }
            };
            let (response, keep) = match self.answer(&head) {
                Answer::Upgrade(request) => return Some((head, request)),
                Answer::Nothing => return None,
                Answer::KeepAlive(response) => {
                    (response, head.keeps_alive() && number < max_requests)
                }
                Answer::Refuse(diagnosis) => {
                    self.log_refusal(&diagnosis, &head);
                    let response = diagnosis.answer(&head);
                    if is_others_handshake(&head, &self.server) {
                        self.server.refusals.add(&self.client, &head, diagnosis);
                    }
                    (response, false)
                }
            };
            if !self.respond(response, &head, keep && !self.server.stop.requested()) {
                return None;
            }
        }
        None
    }

    /// Writes the 101 to the buffer, from which it is sent with the first replies or before the first wait.
    ///
    /// # Errors
    /// The peer is gone.
    pub(super) fn send_101(
        &mut self,
        head: &Head,
        request: &UpgradeRequest,
        negotiated: &Negotiated,
    ) -> io::Result<()> {
        let bad_accept = request.faults.handshake.bad_accept;
        let response = switching_protocols(head, negotiated, bad_accept);
        self.socket.write_all(response.as_bytes())?;
        if let Some(report) = &request.report {
            report.set_response(&response);
        }
        let greets =
            request.faults.session.as_ref().is_some_and(|faults| faults.greeting.is_some());
        if greets {
            // The greeting leaves in the same write.
            return Ok(());
        }
        if let Some(metrics) = self.server.metrics_of(head) {
            // So that the time until it is sent can be measured.
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
            if !is_first {
                self.permit.set_idle(Idle::KeptAlive, self.socket.handle());
            }
            self.wait_for_request().map_err(|error| match error {
                HeadError::Timeout if !is_first => HeadError::Left,
                other => other,
            })?;
        }
        if !is_first {
            let deadline = Instant::now() + handshake;
            self.socket.set_read_timeout(ReadTimeout::deadline(deadline));
        }
        let mut rest = RestOfHead { socket: &mut self.socket, permit: &mut self.permit };
        Head::read(&mut rest, &mut self.buffer, &self.server.config.limits)
    }

    /// Another connection needed the slot, and this one was idle.
    #[cold]
    fn on_slot_lost(&self) {
        let why = Unavailable::LimitReached(LimitReached::Connections);
        debug!("{}: closed without another request: {why}", self.client.peer);
        if let Some(metrics) = &self.server.metrics {
            metrics.refused(why.label());
        }
    }

    /// Reads the first bytes of a request. The stop ends this wait, because no request has begun. A
    /// connection accepted after the stop is not interrupted: it is to get its 503.
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
        if let Err(limit) = self.identify_client(head) {
            return Answer::Refuse(self.unavailable(Unavailable::LimitReached(limit), head));
        }
        if self.socket.spoke_plaintext() {
            return Answer::Refuse(no_request::plaintext_on_tls_port(Some(head), &[]));
        }
        match route(head) {
            Route::WebSocket => self.upgrade(head),
            Route::Plain(route) => {
                let misdirected = check_host(head, &self.access_policy(head)).err();
                Answer::KeepAlive(match misdirected {
                    Some(diagnosis) => diagnosis.answer(head),
                    None => self.plain_response(&route, head),
                })
            }
            Route::Malformed(diagnosis) => Answer::Refuse(diagnosis),
        }
    }

    /// Finds out who the client is. Behind a trusted proxy it takes its own slot.
    fn identify_client(&mut self, head: &Head) -> Result<(), LimitReached> {
        let trusted = &self.server.config.trusted_proxies;
        self.client = forwarded::resolve(self.client.peer, trusted, head);
        for remark in &self.client.remarks {
            debug!("{}: {remark}", self.client);
        }
        if forwarded::trusts(trusted, self.client.peer.host()) {
            self.client_permit = self.permit.client(self.client.address)?;
        }
        Ok(())
    }

    /// The response to a request that is not a handshake.
    fn plain_response(&self, route: &PlainRoute, head: &Head) -> Response {
        match route {
            PlainRoute::Health => state(Response::text(200, "ok\n"), self.server.health(), head),
            PlainRoute::Ready => {
                state(Response::text(200, "ready\n"), self.server.readiness(), head)
            }
            PlainRoute::Help => Response::text(200, faults::manual(self.server.config.faults)),
            PlainRoute::Info => {
                let tls = self.socket.tls().and_then(TlsSession::details);
                info::answer(head, &self.client, self.local, tls.as_ref())
            }
            PlainRoute::Report => self.report(head),
            PlainRoute::Refusals => self.server.refusals.answer(&self.client, head),
            PlainRoute::Page(path) => {
                let page = self.server.site.get(path, head);
                page.unwrap_or_else(|| refusals::not_found(head).answer(head))
            }
            PlainRoute::UpgradeRequired => self.upgrade_required(head).answer(head),
            PlainRoute::Options => state(Response::options(), self.server.health(), head),
            PlainRoute::MethodNotAllowed => refusals::method_not_allowed(head).answer(head),
        }
    }

    /// What the server saw of a session. As `/info`, it repeats the client's credentials.
    #[cold]
    fn report(&self, head: &Head) -> Response {
        let token = pairs(head.query.as_bytes()).find(|(name, _)| name == "token");
        match token.and_then(|(_, token)| self.server.reports.find(&token)) {
            Some(report) => {
                Response::json(200, &SessionReport::new(&report), false).own_origin_only()
            }
            None => refusals::unknown_report(head).answer(head),
        }
    }

    /// Accepts a handshake, or refuses it.
    fn upgrade(&mut self, head: &Head) -> Answer {
        let request = match self.check_upgrade(head) {
            Ok(request) => Box::new(request),
            Err(diagnosis) => return Answer::Refuse(diagnosis),
        };
        match self.delay(&request) {
            Ok(PauseEnd::Stopping) => Answer::Refuse(self.unavailable(Unavailable::Stopping, head)),
            Ok(PauseEnd::Over | PauseEnd::PeerLeft) => Answer::Upgrade(request),
            Err(error) => {
                debug!("{}: gone before the handshake was answered: {error}", self.client);
                Answer::Nothing
            }
        }
    }

    /// The refusal of a client that needed a slot; counted in the metrics.
    #[cold]
    pub(super) fn unavailable(&self, why: Unavailable, head: &Head) -> Diagnosis {
        if let Some(metrics) = self.server.metrics_of(head) {
            metrics.refused(why.label());
        }
        unavailable::diagnosis(why, Some(head))
    }

    /// Writes the log line of a refused handshake; other requests have one with `-v` only.
    fn log_refusal(&self, diagnosis: &Diagnosis, head: &Head) {
        let level =
            if is_others_handshake(head, &self.server) { Level::Info } else { Level::Debug };
        // Shortened, as a head may have 16 KiB.
        let path = escaped(&head.path, SHOWN_VALUE);
        let origin = head.fields.get("Origin").map(|origin| escaped(origin, SHOWN_VALUE));
        log!(
            level,
            client:% = self.client.address,
            peer:% = self.client.peer,
            path = path.as_str(),
            origin = origin.as_deref(),
            status = diagnosis.status,
            problem = diagnosis.problem.as_ref();
            "refused {} {path}, {}: {} {}",
            self.client,
            origin.as_ref().map_or("no Origin".to_owned(), |origin| format!("Origin {origin}")),
            diagnosis.status,
            diagnosis.problem,
        );
    }

    /// Writes a response. Returns whether the connection is kept.
    fn respond(&mut self, response: Response, head: &Head, keep: bool) -> bool {
        debug!("{}: {} {:?}: {}", self.client, head.method, head.path, response.status);
        let written =
            response.write(&mut self.socket, head.method == "HEAD", keep.then_some(head.version));
        // Freed before the last bytes leave: the client may be back as soon as it has them.
        self.client_permit = None;
        let written = written.and_then(|()| self.socket.flush());
        if written.is_ok() && !keep {
            self.linger();
        }
        written.is_ok() && keep
    }

    /// Closes the connection once the peer has had time to read the last response.
    fn linger(&mut self) {
        self.permit.set_idle(Idle::Answered, self.socket.handle());
        linger_while(&mut self.socket, LINGER_TIME, || self.permit.has_slot());
    }

    /// Answers bytes that are not a request; does nothing if the peer has left.
    fn refuse_head(&mut self, error: &HeadError) {
        let is_plaintext_on_tls = self.socket.spoke_plaintext();
        let Some(diagnosis) = no_request::diagnosis(error, &self.buffer, is_plaintext_on_tls)
        else {
            return;
        };
        debug!("{}: no request: {}", self.client.peer, diagnosis.status);
        if diagnosis.without_request().write(&mut self.socket, false, None).is_ok() {
            self.linger();
        }
    }
}

/// Whether this is a handshake, and not that of the server's own probe.
fn is_others_handshake(head: &Head, server: &Context) -> bool {
    head.attempts_websocket() && !server.is_own(head)
}

/// Reads the rest of a request head. While it waits, the connection may lose its slot.
struct RestOfHead<'a> {
    socket: &'a mut Socket,
    permit: &'a mut ConnectionPermit,
}

impl Read for RestOfHead<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.permit.set_idle(Idle::PartialHead, self.socket.handle());
        self.socket.read(buf)
    }
}

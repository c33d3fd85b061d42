//! One peer, from its first byte to its last.
//!
//! What it is: the place where HTTP and WebSocket meet: requests are answered one after another,
//! until one of them turns the connection into a session.
//! What it is not: a decision; `http` decides.

pub(crate) mod context;
pub(crate) mod info;
pub(crate) mod route;
pub(crate) mod upgraded;

use std::io::ErrorKind::{InvalidData, WouldBlock};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use log::debug;

use self::upgraded::{Upgrade, Upgraded};
use crate::chat::join_request::{self, JoinRequest};
use crate::config::Config;
use crate::config::tuning::{HEAD_READ, LINGER_TIME, STOP_REQUEST};
use crate::connection::context::Context;
use crate::connection::route::{Route, route};
use crate::handshake::check::{self, Handshake, OriginPolicy};
use crate::handshake::extensions::{self, Extension};
use crate::handshake::response::{self, Chosen};
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
use crate::net::socket::{ReadTimeout, Socket, Transport};
use crate::net::tls::TlsAcceptor;
use crate::session::deflate::{self, DeflateParameters, Terms};
use crate::session::faults::{self, Compression, Faults, HandshakeFaults, SessionFaults};

/// A connection that has its place.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: Address,
    pub(crate) permit: ConnectionPermit,
}

/// What a request leads to.
enum Step<'a> {
    /// This response, and another request.
    Respond(Response),
    /// This response, and the end.
    Refuse(Response),
    /// The 101 response, and a session.
    Upgrade(Box<Acceptable<'a>>),
}

/// A handshake that is accepted.
struct Acceptable<'a> {
    handshake: Handshake<'a>,
    faults: HandshakeFaults,
    session: Option<Box<SessionFaults>>,
    join_request: Option<JoinRequest>,
    permit: SessionPermit,
}

/// Serves a connection to its end.
pub(crate) fn serve(accepted: Accepted, context: &Context) {
    let Accepted { stream, peer, permit } = accepted;
    let local = Address::of_our_end(&stream);
    let socket = match socket(stream, peer, context) {
        Ok(socket) => socket,
        Err(error) => return debug!("{peer}: gone before the first byte: {error}"),
    };
    let mut connection = Connection {
        socket,
        buffer: Vec::new(),
        client: Box::new(Client::of_connection(peer)),
        local,
        permit,
        client_permit: None,
        context,
    };
    if let Some((head, upgrade)) = connection.serve_requests() {
        let Connection { socket, buffer: early, client, .. } = &mut connection;
        upgraded::serve(Upgraded { socket, early, client, local, context }, head, upgrade);
    }
}

/// Not in the frame below a session, which would grow by another one of these.
#[inline(never)]
fn socket(stream: Stream, peer: Address, context: &Context) -> io::Result<Socket> {
    let tls = context.tls_for(peer).map(TlsAcceptor::session).transpose()?;
    Socket::new(stream, peer, tls, &context.stop, context.config.timeouts.write)
}

struct Connection<'a> {
    socket: Socket,
    /// Read, not used yet: the start of a head, a pipelined request, early frames.
    buffer: Vec<u8>,
    /// Who sent the last request. Boxed, as this is in a frame below every session.
    client: Box<Client>,
    local: Option<Address>,
    permit: ConnectionPermit,
    /// Behind a proxy: the client's own place, while its request is answered or its session lasts.
    client_permit: Option<AddressPermit>,
    context: &'a Context,
}

impl Connection<'_> {
    /// Answers requests until the connection is over, or becomes a session.
    #[inline(never)]
    fn serve_requests(&mut self) -> Option<(Box<Head>, Upgrade)> {
        let max_requests = self.context.config.limits.max_requests;
        for number in 1..=max_requests {
            let head = match self.next_head(number == 1) {
                Ok(head) => head,
                Err(error) => {
                    self.refuse_head(&error);
                    return None;
                }
            };
            let step = self.identify(&head).map_or_else(Step::Refuse, |()| self.decide(&head));
            let (response, keep) = match step {
                Step::Upgrade(acceptable) => {
                    let (response, upgrade) = self.accept(&head, acceptable);
                    self.socket.write_all(response.as_bytes()).ok()?;
                    self.measure_upgrade(&head);
                    return Some((head, upgrade));
                }
                Step::Respond(response) => (response, head.keeps_alive() && number < max_requests),
                Step::Refuse(response) => (response, false),
            };
            if !self.respond(response, &head, keep && !self.context.stop.requested()) {
                return None;
            }
        }
        None
    }

    /// Where that is asked for, the 101 leaves now, and not with the first replies.
    fn measure_upgrade(&mut self, head: &Head) {
        if let Some(metrics) = self.context.metrics_of(head)
            && self.socket.flush().is_ok()
        {
            metrics.upgrades.observe(self.socket.last_heard().elapsed());
        }
    }

    /// The next request head. The first one has a single deadline; a later one may be waited for,
    /// and has its deadline from its first byte on.
    #[inline(never)]
    fn next_head(&mut self, first: bool) -> Result<Box<Head>, HeadError> {
        let Config { limits, timeouts, .. } = &self.context.config;
        let mut patience = if first { timeouts.handshake } else { timeouts.keep_alive };
        if self.context.stop.requested() {
            patience = patience.min(STOP_REQUEST);
        }
        let deadline = Instant::now() + patience;
        self.socket.set_read_timeout(ReadTimeout::deadline(deadline));
        if self.buffer.is_empty() {
            self.wait_for_request().map_err(|error| match error {
                HeadError::Timeout if !first => HeadError::Left,
                other => other,
            })?;
        }
        if !first {
            self.socket
                .set_read_timeout(ReadTimeout::deadline(Instant::now() + timeouts.handshake));
        }
        Head::read(&mut self.socket, &mut self.buffer, limits)
    }

    /// The first bytes of a request. A stop ends this wait, as it would lose nothing; who connects
    /// after the stop is to hear of it.
    fn wait_for_request(&mut self) -> Result<(), HeadError> {
        self.socket.set_waiting(!self.context.stop.requested());
        let read = head::fill(&mut self.socket, &mut self.buffer, HEAD_READ);
        self.socket.set_waiting(false);
        match read {
            Ok(length) if length > 0 => Ok(()),
            Err(error) if error.kind() == WouldBlock && !self.context.stop.requested() => {
                Err(HeadError::Timeout)
            }
            Err(error) if error.kind() == InvalidData => {
                debug!("{}: TLS failed: {error}", self.client.peer);
                Err(HeadError::Left)
            }
            Ok(_) | Err(_) => Err(HeadError::Left),
        }
    }

    /// Finds out who the client is. Behind a proxy it is not known before, and takes its place now.
    #[inline(never)]
    fn identify(&mut self, head: &Head) -> Result<(), Response> {
        let trusted = &self.context.config.trusted_proxies;
        *self.client = forwarded::resolve(self.client.peer, trusted, head);
        for remark in &self.client.remarks {
            debug!("{}: {remark}", self.client);
        }
        if forwarded::trusts(trusted, self.client.peer.host()) {
            let permit = self.permit.client(self.client.address);
            self.client_permit = permit.map_err(|full| {
                self.turn_away(Unavailable::LimitReached(full), head).answer(head)
            })?;
        }
        Ok(())
    }

    /// Writes a response. Returns whether the connection is kept.
    #[inline(never)]
    fn respond(&mut self, response: Response, head: &Head, keep: bool) -> bool {
        debug!("{}: {} {:?}: {}", self.client, head.method, head.path, response.status);
        let written = response.write(&mut self.socket, head.method == "HEAD", keep);
        // Before the last bytes leave, as the client may be back the moment it has them.
        self.client_permit = None;
        let written = written.and_then(|()| self.socket.flush());
        if written.is_ok() && !keep {
            linger(&mut self.socket, LINGER_TIME);
        }
        written.is_ok() && keep
    }

    /// Answers what was not a request, where there is somebody to answer.
    fn refuse_head(&mut self, error: &HeadError) {
        let diagnosis = match unavailable::no_request(error, &self.buffer) {
            Some(_) if self.socket.spoke_plaintext() => {
                unavailable::plaintext_on_tls_port(None, &self.buffer)
            }
            Some(diagnosis) => diagnosis,
            None => return,
        };
        debug!("{}: no request: {}", self.client.peer, diagnosis.status);
        if diagnosis.unasked().write(&mut self.socket, false, false).is_ok() {
            linger(&mut self.socket, LINGER_TIME);
        }
    }

    #[inline(never)]
    fn decide<'a>(&self, head: &'a Head) -> Step<'a> {
        if self.socket.spoke_plaintext() {
            return Step::Refuse(unavailable::plaintext_on_tls_port(Some(head), &[]).answer(head));
        }
        match route(head) {
            Route::Health => Step::Respond(state("ok\n", self.context.health(), head)),
            Route::Ready => Step::Respond(state("ready\n", self.context.readiness(), head)),
            Route::Help => {
                Step::Respond(Response::text(200, faults::manual(self.context.config.faults)))
            }
            Route::Info => {
                Step::Respond(info::answer(head, &self.client, self.local, self.socket.tls()))
            }
            Route::Page(path) => Step::Respond(
                self.context
                    .site
                    .get(&path, head)
                    .unwrap_or_else(|| check::nothing(head).answer(head)),
            ),
            // A browser hides from a page why its handshake failed, so the page asks again without.
            Route::UpgradeRequired => {
                let asked = self.faults(head).and_then(|_| join_request(head));
                let place =
                    |_| self.place().map_err(|why| unavailable::unavailable(why, Some(head)));
                let refused = asked.and_then(place).err();
                let why = refused.unwrap_or_else(|| check::no_upgrade(head, &self.policy()));
                Step::Respond(why.answer(head))
            }
            Route::WebSocket => self
                .upgrade(head)
                .unwrap_or_else(|diagnosis| self.refuse_handshake(&diagnosis, head)),
            Route::Refusal(diagnosis) => Step::Respond(diagnosis.answer(head)),
            Route::End(diagnosis) => Step::Refuse(diagnosis.answer(head)),
        }
    }

    fn policy(&self) -> OriginPolicy<'_> {
        OriginPolicy {
            local: self.local.is_some_and(|local| local.host().is_local()),
            allow_origin: &self.context.config.allow_origin,
        }
    }

    /// A place for a session, or why there is none just now.
    fn place(&self) -> Result<SessionPermit, Unavailable> {
        self.context.health()?;
        self.permit.session().map_err(Unavailable::LimitReached)
    }

    /// The refusal of who would have needed a place.
    #[cold]
    fn turn_away(&self, why: Unavailable, head: &Head) -> Diagnosis {
        if let Some(metrics) = self.context.metrics_of(head) {
            metrics.refused(why.label());
        }
        unavailable::unavailable(why, Some(head))
    }

    /// Refuses a handshake; where there was no place, that has been counted.
    fn refuse_handshake(&self, diagnosis: &Diagnosis, head: &Head) -> Step<'static> {
        if let Some(metrics) = self.context.metrics_of(head)
            && diagnosis.status != unavailable::STATUS
        {
            metrics.handshake_refused(diagnosis.status);
        }
        Step::Refuse(diagnosis.answer(head))
    }

    /// What the query faults, as far as it is not a refusal.
    fn faults(&self, head: &Head) -> Result<Faults, Diagnosis> {
        let Config { faults: is_on, limits, .. } = &self.context.config;
        if !is_on || head.query.is_empty() || !endpoint::reads_parameters(&head.path) {
            return Ok(Faults::default());
        }
        let control =
            faults::parse(&head.query, limits).map_err(|why| check::bad_query(head, why))?;
        match control.handshake.status {
            Some(status) => Err(check::ordered(head, status)),
            None => Ok(control),
        }
    }

    /// Checks a handshake, and takes a place for its session.
    fn upgrade<'a>(&self, head: &'a Head) -> Result<Step<'a>, Diagnosis> {
        let handshake = check::examine(head, &self.policy())?;
        let Faults { handshake: faults, session } = self.faults(head)?;
        if !faults.delay.is_zero() {
            self.context.stop.wait_for(faults.delay);
        }
        let join_request = join_request(head)?;
        let permit = self.place().map_err(|why| self.turn_away(why, head))?;
        Ok(Step::Upgrade(Box::new(Acceptable { handshake, faults, session, join_request, permit })))
    }

    /// The 101, and what the session needs. Not below the frame that decides, which is large.
    #[inline(never)]
    fn accept(&self, head: &Head, acceptable: Box<Acceptable>) -> (String, Upgrade) {
        let (extension, deflate) = self.compression(head, &acceptable).unzip();
        let Acceptable { handshake, faults, session, join_request, permit } = *acceptable;
        let subprotocol = response::chosen_subprotocol(head, &faults).map(str::to_owned);
        let chosen = Box::new(Chosen { subprotocol, extension });
        let response = response::accept(handshake.key, &chosen, faults.bad_accept);
        let endpoint = handshake.endpoint;
        (response, Upgrade { endpoint, chosen, deflate, faults: session, join_request, permit })
    }

    /// The compression that is agreed on. Not in a chat, whose messages are encoded once for all its
    /// members, nor where frames are to be spoilt, as that is told from right ones.
    fn compression(&self, head: &Head, acceptable: &Acceptable) -> Option<(Extension, Box<Terms>)> {
        let Acceptable { handshake, faults, session, .. } = acceptable;
        let spoils = session.as_ref().and_then(|session| session.frames?.bad).is_some();
        let is_off = !self.context.config.compression
            || faults.compression == Some(Compression::Off)
            || handshake.endpoint == Endpoint::Chat;
        if is_off || spoils {
            return None;
        }
        let pool = Arc::clone(&self.context.deflate);
        let is_wanted = faults.compression == Some(Compression::Takeover);
        let takeover = if is_wanted { pool.takeover() } else { None };
        let (offer, agreement) = extensions::choose(head, |offer| {
            (offer.name == deflate::NAME)
                .then(|| DeflateParameters::reach(&offer.parameters, takeover.is_some()))?
        })?;
        let terms = Terms {
            agreement,
            always: faults.compression.is_some(),
            pool,
            takeover: takeover.filter(|_| agreement.keeps_context()),
        };
        Some((Extension { offer, answer: agreement.to_string() }, Box::new(terms)))
    }
}

/// Who wants into which room, where that is the question.
fn join_request(head: &Head) -> Result<Option<JoinRequest>, Diagnosis> {
    if endpoint::at(&head.path) != Some(Endpoint::Chat) {
        return Ok(None);
    }
    join_request::parse(&head.query).map(Some).map_err(|why| check::bad_join_request(head, why))
}

//! A connection that has become a WebSocket, from its 101 to its log line.
//!
//! What it is: the place where an accepted handshake and `ws` (and `chat`) meet.
//! Invariant: one log line for each session, written where its end is known; for the server's own
//! sessions with `-v` alone, as there is one every few seconds for years.

use std::io::Write;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use log::{Level, debug, log};

use crate::chat::courier::Courier;
use crate::chat::join_request::JoinRequest;
use crate::chat::member::ChatSession;
use crate::chat::outbox::Outbox;
use crate::config::Config;
use crate::connection::context::Context;
use crate::connection::info::{self, SessionInfo};
use crate::handshake::response::Chosen;
use crate::http::endpoint::Endpoint;
use crate::http::forwarded::Client;
use crate::http::head::Head;
use crate::metrics::Metrics;
use crate::metrics::registry::{Registration, SessionIdentity};
use crate::metrics::tally::CompressionStats;
use crate::net::address::Address;
use crate::net::admission::SessionPermit;
use crate::net::socket::Socket;
use crate::session::deflate::Terms;
use crate::session::end::SessionEnd;
use crate::session::faults::SessionFaults;
use crate::session::reply::Reply;
use crate::session::{self, Opening, SessionOutcome};

/// The code of a Close that asks to come back later.
const TRY_AGAIN_LATER: u16 = 1013;

/// An accepted handshake.
pub(crate) struct Upgrade {
    pub(crate) endpoint: Endpoint,
    pub(crate) chosen: Box<Chosen>,
    /// Where compression was.
    pub(crate) deflate: Option<Box<Terms>>,
    pub(crate) faults: Option<Box<SessionFaults>>,
    /// For `/chat`.
    pub(crate) join_request: Option<JoinRequest>,
    pub(crate) permit: SessionPermit,
}

/// The connection that it was accepted on.
pub(crate) struct Upgraded<'a> {
    pub(crate) socket: &'a mut Socket,
    /// What arrived together with the handshake, or after it.
    pub(crate) early: &'a mut Vec<u8>,
    pub(crate) client: &'a Client,
    pub(crate) local: Option<Address>,
    pub(crate) context: &'a Context,
}

/// Runs the session, and logs its end.
#[inline(never)]
pub(crate) fn serve(mut on: Upgraded, head: Box<Head>, upgrade: Upgrade) {
    let Context { config, sessions, .. } = on.context;
    let number = sessions.fetch_add(1, Ordering::Relaxed) + 1;
    debug!("session {number} {} {}: open", on.client, head.path);
    let started = Instant::now();
    on.socket.set_waiting(true);
    let path = head.path.clone();
    let is_own = on.context.is_own(&head);
    let (opening, mut holding) = on.open(number, &path, head, upgrade);
    let report = session::run(&mut *on.socket, opening, config);
    holding.note_end(&report);
    let level = if is_own { Level::Debug } else { Level::Info };
    log_end(level, number, on.client, &path, &report, started.elapsed());
}

/// What a session holds to its end; on the heap, where it is below none. Dropped in this order: the
/// registration counts all that the courier has delivered.
struct Holding {
    _courier: Option<Box<Courier>>,
    _permit: SessionPermit,
    /// Where the operator sees it.
    registration: Option<Box<Registration>>,
}

impl Holding {
    fn note_end(&mut self, report: &SessionOutcome) {
        if let Some(registration) = &mut self.registration {
            registration.ends(SessionEnd::from(&report.cause).labels());
        }
    }
}

impl Upgraded<'_> {
    /// What a session begins with, and what it holds. Not in the frame below a session, which would
    /// grow by a page.
    #[inline(never)]
    fn open(
        &mut self,
        number: u64,
        path: &str,
        head: Box<Head>,
        upgrade: Upgrade,
    ) -> (Box<Opening>, Box<Holding>) {
        let metrics = self.context.metrics_of(&head);
        let subprotocol = metrics.and(upgrade.chosen.subprotocol.clone());
        let (mut opening, mut holding) = self.prepare(number, head, upgrade);
        if let Some(metrics) = metrics {
            let registration = self.enter(metrics, number, path, subprotocol, &opening.replier);
            opening.stats = Some(Arc::clone(registration.stats()));
            holding.registration = Some(Box::new(registration));
        }
        (opening, holding)
    }

    #[inline(never)]
    fn prepare(
        &mut self,
        number: u64,
        head: Box<Head>,
        upgrade: Upgrade,
    ) -> (Box<Opening>, Box<Holding>) {
        let Upgrade { endpoint, chosen, deflate, mut faults, join_request, permit } = upgrade;
        let (replier, courier) = self.replier(endpoint, join_request).unwrap_or_else(|why| {
            faults = Some(Box::new(SessionFaults::close(TRY_AGAIN_LATER, why)));
            (Reply::Echo, None)
        });
        // What is left of the head's buffer would become the session's own, all of it resident.
        self.early.shrink_to_fit();
        let (client, local, tls) = (self.client.clone(), self.local, self.socket.tls().cloned());
        let describe = move |stats: Option<CompressionStats>| {
            let opened = Some(SessionInfo { number, chosen: &chosen, reached: stats });
            info::text(&info::describe(&head, &client, local, tls.as_ref(), opened))
        };
        let opening = Box::new(Opening {
            number,
            early: mem::take(self.early),
            replier,
            faults,
            deflate,
            describe_request: Box::new(describe),
            stats: None,
        });
        (opening, Box::new(Holding { _courier: courier, _permit: permit, registration: None }))
    }

    /// How the session answers, and who carries that where it does not by itself; or why it cannot be
    /// in a room now.
    fn replier(
        &mut self,
        endpoint: Endpoint,
        join_request: Option<JoinRequest>,
    ) -> Result<(Reply, Option<Box<Courier>>), String> {
        let Config { reply, clock, .. } = &self.context.config;
        Ok(match (endpoint, join_request) {
            (Endpoint::Tutorial, _) => (Reply::tutorial(reply.clone(), clock.clone()), None),
            (Endpoint::Chat, Some(join_request)) => {
                let (chat, courier) = self.join(join_request)?;
                (Reply::Chat(Box::new(chat)), Some(Box::new(courier)))
            }
            (Endpoint::Echo | Endpoint::Chat, _) => (Reply::Echo, None),
        })
    }

    /// Enters the operator's list, and has the socket measured.
    #[cold]
    #[inline(never)]
    fn enter(
        &mut self,
        metrics: &Metrics,
        number: u64,
        path: &str,
        subprotocol: Option<String>,
        replier: &Reply,
    ) -> Registration {
        self.socket.measure(Arc::clone(&metrics.echoes));
        let (room, name, answered) = match replier {
            Reply::Chat(chat) => {
                let (room, name) = chat.names();
                (Some(room.to_owned()), name, Arc::clone(chat.outbox().delivered()))
            }
            Reply::Echo | Reply::Tutorial(..) => (None, None, Arc::default()),
        };
        let (path, Client { address, peer, .. }) = (path.to_owned(), self.client);
        let (address, peer) = (*address, *peer);
        let describe = move || SessionIdentity {
            client: address.to_string(),
            peer: peer.to_string(),
            path: path.clone(),
            subprotocol: subprotocol.clone(),
            room: room.clone(),
            name: name.clone(),
        };
        Registration::new(&metrics.sessions, number, Box::new(describe), answered)
    }

    /// Joins a room of the chat; or says why that cannot be now.
    #[cold]
    fn join(&mut self, join_request: JoinRequest) -> Result<(ChatSession, Courier), String> {
        let rooms = &self.context.rooms;
        // The 101 goes before all that the courier brings. A connection that is gone will show.
        let _ = self.socket.flush();
        let outbox = Arc::new(Outbox::new(rooms.limits().outbox));
        let member =
            rooms.join(join_request, &outbox, SystemTime::now()).map_err(|why| why.to_string())?;
        // After the place is sure: a courier that is dropped ends the connection.
        let close = self.context.config.timeouts.close;
        let courier = Courier::start(&outbox, self.socket.writer(), close)
            .map_err(|_| "no thread could be made".to_owned())?;
        Ok((ChatSession::new(member, Instant::now()), courier))
    }
}

/// The one log line of a session; its parts are there for programs too. Not in the frame below a
/// session, which would grow by a page.
#[inline(never)]
fn log_end(
    level: Level,
    number: u64,
    client: &Client,
    path: &str,
    report: &SessionOutcome,
    lasted: Duration,
) {
    let SessionOutcome { cause, received, answered, on_wire, round_trip } = report;
    let end = SessionEnd::from(cause);
    let ping = round_trip.map_or(String::new(), |ping| format!(", ping {:.1} ms", millis(ping)));
    let taken = |bytes: Option<u64>| bytes.map_or(String::new(), |n| format!(", {n} on the wire"));
    let wire_in = on_wire.map(|on_wire| on_wire.received);
    let wire_out = on_wire.map(|on_wire| on_wire.sent);
    log!(
        level,
        session = number,
        client:% = client.address,
        peer:% = client.peer,
        path,
        by = end.by,
        how = end.how,
        code = end.code,
        reason = end.reason.as_str(),
        limit = end.limit,
        messages_in = received.messages,
        bytes_in = received.bytes,
        wire_in,
        messages_out = answered.messages,
        bytes_out = answered.bytes,
        wire_out,
        seconds = lasted.as_secs_f64(),
        ping_ms = round_trip.map(millis);
        "session {number} {client} {}: {end}; in {} ({} bytes{}), out {} ({} bytes{}), {:.3} s{ping}",
        path.escape_debug(),
        received.messages,
        received.bytes,
        taken(wire_in),
        answered.messages,
        answered.bytes,
        taken(wire_out),
        lasted.as_secs_f64(),
    );
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

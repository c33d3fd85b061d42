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
use crate::chat::outbox::Outbox;
use crate::chat::talk::Talk;
use crate::chat::ticket::Ticket;
use crate::config::Config;
use crate::context::Context;
use crate::control::SessionOrders;
use crate::http::endpoint::Endpoint;
use crate::http::forwarded::Client;
use crate::http::head::Head;
use crate::http::info::{self, Opened};
use crate::http::upgrade::Chosen;
use crate::net::address::Address;
use crate::net::admission::SessionPermit;
use crate::net::socket::Socket;
use crate::ops::metrics::Metrics;
use crate::ops::roll::{About, Presence};
use crate::ops::tally::Reached;
use crate::ws::deflate::Terms;
use crate::ws::ending::Ending;
use crate::ws::reply::Replier;
use crate::ws::session::{self, Opening, Report};

/// The code of a Close that asks to come back later.
const TRY_AGAIN: u16 = 1013;

/// An accepted handshake.
pub(crate) struct Upgrade {
    pub(crate) endpoint: Endpoint,
    pub(crate) chosen: Box<Chosen>,
    /// Where compression was.
    pub(crate) deflate: Option<Box<Terms>>,
    pub(crate) orders: Option<Box<SessionOrders>>,
    /// For `/chat`.
    pub(crate) ticket: Option<Ticket>,
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
/// presence counts all that the courier has delivered.
struct Holding {
    _courier: Option<Box<Courier>>,
    _permit: SessionPermit,
    /// Where the operator sees it.
    presence: Option<Box<Presence>>,
}

impl Holding {
    fn note_end(&mut self, report: &Report) {
        if let Some(presence) = &mut self.presence {
            presence.ends(Ending::from(&report.cause).labels());
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
            let presence = self.enter(metrics, number, path, subprotocol, &opening.replier);
            opening.live = Some(Arc::clone(presence.live()));
            holding.presence = Some(Box::new(presence));
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
        let Upgrade { endpoint, chosen, deflate, mut orders, ticket, permit } = upgrade;
        let (replier, courier) = self.replier(endpoint, ticket).unwrap_or_else(|why| {
            orders = Some(Box::new(SessionOrders::close(TRY_AGAIN, why)));
            (Replier::Verbatim, None)
        });
        // What is left of the head's buffer would become the session's own, all of it resident.
        self.early.shrink_to_fit();
        let (client, local, tls) = (self.client.clone(), self.local, self.socket.tls().cloned());
        let introduce = move |reached: Option<Reached>| {
            let opened = Some(Opened { number, chosen: &chosen, reached });
            info::text(&info::describe(&head, &client, local, tls.as_ref(), opened))
        };
        let opening = Box::new(Opening {
            number,
            early: mem::take(self.early),
            replier,
            orders,
            deflate,
            introduction: Box::new(introduce),
            live: None,
        });
        (opening, Box::new(Holding { _courier: courier, _permit: permit, presence: None }))
    }

    /// How the session answers, and who carries that where it does not by itself; or why it cannot be
    /// in a room now.
    fn replier(
        &mut self,
        endpoint: Endpoint,
        ticket: Option<Ticket>,
    ) -> Result<(Replier, Option<Box<Courier>>), String> {
        let Config { reply, clock, .. } = &self.context.config;
        Ok(match (endpoint, ticket) {
            (Endpoint::Tutorial, _) => (Replier::tutorial(reply.clone(), clock.clone()), None),
            (Endpoint::Chat, Some(ticket)) => {
                let (talk, courier) = self.join(ticket)?;
                (Replier::Chat(Box::new(talk)), Some(Box::new(courier)))
            }
            (Endpoint::Echo | Endpoint::Chat, _) => (Replier::Verbatim, None),
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
        replier: &Replier,
    ) -> Presence {
        self.socket.measure(Arc::clone(&metrics.echoes));
        let (room, name, answered) = match replier {
            Replier::Chat(talk) => {
                let (room, name) = talk.names();
                (Some(room.to_owned()), name, Arc::clone(talk.outbox().delivered()))
            }
            Replier::Verbatim | Replier::Tutorial(..) => (None, None, Arc::default()),
        };
        let (path, Client { address, peer, .. }) = (path.to_owned(), self.client);
        let (address, peer) = (*address, *peer);
        let introduce = move || About {
            client: address.to_string(),
            peer: peer.to_string(),
            path: path.clone(),
            subprotocol: subprotocol.clone(),
            room: room.clone(),
            name: name.clone(),
        };
        Presence::new(&metrics.sessions, number, Box::new(introduce), answered)
    }

    /// Joins a room of the chat; or says why that cannot be now.
    #[cold]
    fn join(&mut self, ticket: Ticket) -> Result<(Talk, Courier), String> {
        let rooms = &self.context.rooms;
        // The 101 goes before all that the courier brings. A connection that is gone will show.
        let _ = self.socket.flush();
        let outbox = Arc::new(Outbox::new(rooms.limits().outbox));
        let member =
            rooms.join(ticket, &outbox, SystemTime::now()).map_err(|why| why.to_string())?;
        // After the place is sure: a courier that is dropped ends the connection.
        let close = self.context.config.timeouts.close;
        let courier = Courier::start(&outbox, self.socket.writer(), close)
            .map_err(|_| "no thread could be made".to_owned())?;
        Ok((Talk::new(member, Instant::now()), courier))
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
    report: &Report,
    lasted: Duration,
) {
    let Report { cause, received, answered, on_wire, round_trip } = report;
    let end = Ending::from(cause);
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

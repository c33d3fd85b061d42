//! From an accepted handshake to a session, in the order in which things happen.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use log::debug;

use super::context::Context;
use super::http_connection::HttpConnection;
use super::info::{self, SessionInfo};
use super::session_log::SessionLog;
use super::upgrade::UpgradeRequest;
use crate::chat::join_request::JoinRequest;
use crate::chat::member::ChatSession;
use crate::chat::room::JoinError;
use crate::config::Config;
use crate::handshake::negotiate::Negotiated;
use crate::http::endpoint::Endpoint;
use crate::http::forwarded::Client;
use crate::http::head::Head;
use crate::metrics::registry::{Registration, SessionIdentity};
use crate::net::socket::Socket;
use crate::net::tls::TlsSession;
use crate::report::OpenReport;
use crate::session::SessionSetup;
use crate::session::deflate::{DeflateSetup, TakeoverSlot};
use crate::session::faults::Faults;
use crate::session::reply::Reply;

/// Prepares the session of a connection whose 101 was written.
pub(super) fn set_up(
    http: HttpConnection,
    head: Head,
    request: UpgradeRequest,
    negotiated: Negotiated,
    takeover: Option<TakeoverSlot>,
    server: &Context,
) -> (Socket, SessionSetup, SessionLog) {
    let HttpConnection {
        mut socket, buffer: mut early, client, local, permit, client_permit, ..
    } = http;
    let UpgradeRequest { endpoint, faults, join, report, permit: session_permit } = request;
    let number = server.sessions.fetch_add(1, Ordering::Relaxed) + 1;
    debug!("session {number} {client} {}: open", head.path);
    socket.set_waiting(true);

    let reply = reply(endpoint, join, server);
    if let Ok(Reply::Chat(chat)) = &reply {
        socket.set_waker(chat.waker());
    }
    let registration = server.metrics_of(&head).map(|metrics| {
        socket.measure(Arc::clone(&metrics.echoes));
        let screen = faults.screen.clone();
        let identity = identity(&client, screen, head.path.clone(), &negotiated, &reply);
        Registration::new(&metrics.sessions, number, identity)
    });
    let log = SessionLog {
        number,
        path: head.path.clone(),
        client: client.clone(),
        screen: faults.screen.clone(),
        is_own: server.is_own(&head),
        started: Instant::now(),
        registration,
        report,
        permits: (permit, client_permit, session_permit),
    };

    // It has the capacity for a request head; most clients send nothing before the 101.
    early.shrink_to_fit();
    let tls = socket.tls().and_then(TlsSession::details);
    let setup = SessionSetup {
        number,
        early,
        reply,
        deflate: deflate(&negotiated, &faults, takeover, server),
        faults: faults.session,
        recorder: log.report.as_ref().map(OpenReport::recorder),
        memory: Arc::clone(&server.memory),
        stats: log.stats(),
        describe: Box::new(move |reached| {
            let opened = Some(SessionInfo { number, negotiated: &negotiated, reached });
            info::text(&info::describe(&head, &client, local, tls.as_ref(), opened))
        }),
    };
    (socket, setup, log)
}

/// How the session answers. A chat room is joined here, and not before: its slot is taken once
/// everything else is sure.
fn reply(
    endpoint: Endpoint,
    join: Option<JoinRequest>,
    server: &Context,
) -> Result<Reply, JoinError> {
    let Config { reply, clock, .. } = &server.config;
    match (endpoint, join) {
        (Endpoint::Tutorial, _) => Ok(Reply::tutorial(reply.clone(), clock.clone())),
        (Endpoint::Chat, Some(request)) => {
            ChatSession::join(&server.rooms, request, Instant::now()).map(Reply::Chat)
        }
        (Endpoint::Echo | Endpoint::Chat, _) => Ok(Reply::Echo),
    }
}

fn deflate(
    negotiated: &Negotiated,
    faults: &Faults,
    takeover: Option<TakeoverSlot>,
    server: &Context,
) -> Option<DeflateSetup> {
    let compression = negotiated.compression.as_ref()?;
    Some(DeflateSetup {
        parameters: compression.parameters,
        always: faults.handshake.compression.is_some(),
        pool: Arc::clone(&server.deflate),
        takeover,
    })
}

/// The session's entry in `/sessions`. A closure, so that the admin thread pays for the formatting.
fn identity(
    client: &Client,
    screen: Option<String>,
    path: String,
    negotiated: &Negotiated,
    reply: &Result<Reply, JoinError>,
) -> Box<dyn Fn() -> SessionIdentity + Send + Sync> {
    let Client { address, peer, .. } = *client;
    let subprotocol = negotiated.subprotocol.clone();
    let (room, name) = match reply {
        Ok(Reply::Chat(chat)) => {
            let (room, name) = chat.names();
            (Some(room.to_owned()), name)
        }
        _ => (None, None),
    };
    Box::new(move || SessionIdentity {
        client: address.to_string(),
        peer: peer.to_string(),
        screen: screen.clone(),
        path: path.clone(),
        subprotocol: subprotocol.clone(),
        room: room.clone(),
        name: name.clone(),
    })
}

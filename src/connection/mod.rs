//! One connection, from its first byte to its log line.
//!
//! Read [`serve`] first: it is the story of a connection, and each line of it is a module.

pub(crate) mod context;
pub(crate) mod ended_session;
mod http_connection;
pub(crate) mod info;
pub(crate) mod refusals;
pub(crate) mod route;
mod session_log;
mod session_setup;
mod upgrade;

use std::sync::Arc;

use log::debug;

use self::context::Context;
pub(crate) use self::http_connection::Accepted;
use self::http_connection::HttpConnection;
use self::session_setup::set_up;
use crate::handshake::negotiate::negotiate;
use crate::session::Session;

/// The session of a connection, to be run by the same thread; see [`serve`].
pub(crate) type Continuation = Box<dyn FnOnce()>;

/// Serves a connection up to its upgrade, on a thread of its own. Returns the session as a closure. The
/// pool runs it on the same thread after this function has returned, so that the session uses the same
/// pages of stack again: every page that a thread has touched stays in memory while it waits.
pub(crate) fn serve(accepted: Accepted, server: &Arc<Context>) -> Option<Continuation> {
    let peer = accepted.peer;
    let mut http = HttpConnection::open(accepted, server)
        .inspect_err(|error| debug!("{peer}: gone before the first byte: {error}"))
        .ok()?;
    // Pages and refusals, as long as the connection is kept alive.
    let (head, request) = http.serve_until_upgrade()?;
    let mut negotiated =
        negotiate(&head, request.endpoint, &request.faults, server.config.compression);
    let takeover = negotiated.reserve_takeover(&server.deflate);
    http.send_101(&head, &request, &negotiated).ok()?;
    let server = Arc::clone(server);
    Some(Box::new(move || {
        let (socket, setup, log) = set_up(http, head, *request, negotiated, takeover, &server);
        let mut session = Session::new(socket, setup, &server.config);
        // The blocking loop: read, reply, write.
        let outcome = session.run();
        drop(session); // closes the connection, and leaves the chat room
        log.finish(&outcome, &server);
    }))
}

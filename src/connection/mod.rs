//! One connection, from its first byte to its log line.
//!
//! Read [`serve`] first: it is the story of a connection, and each line of it is a module.

pub(crate) mod context;
mod http_connection;
pub(crate) mod info;
pub(crate) mod route;
mod session_log;
mod session_setup;

use log::debug;

use self::context::Context;
pub(crate) use self::http_connection::Accepted;
use self::http_connection::HttpConnection;
use self::session_setup::set_up;
use crate::handshake::negotiate::negotiate;
use crate::session::Session;

/// Serves a connection to its end, on its own thread.
pub(crate) fn serve(accepted: Accepted, server: &Context) {
    let peer = accepted.peer;
    let mut http = match HttpConnection::open(accepted, server) {
        Ok(http) => http,
        Err(error) => return debug!("{peer}: gone before the first byte: {error}"),
    };
    // Pages and refusals, as long as the connection is kept alive.
    let Some(request) = http.serve_until_upgrade() else { return };
    let mut negotiated =
        negotiate(&request.head, request.endpoint, &request.faults, server.config.compression);
    let takeover = negotiated.reserve_takeover(&server.deflate);
    if http.accept(&request, &negotiated).is_err() {
        return;
    }
    let (socket, setup, log) = set_up(http, request, negotiated, takeover, server);
    let mut session = Session::new(socket, setup, &server.config);
    // The blocking loop: read, reply, write.
    let outcome = session.run();
    drop(session); // closes the connection, and leaves the chat room
    log.finish(&outcome);
}

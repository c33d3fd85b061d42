//! Which paths speak WebSocket, and the list of everything that is here.
//!
//! What it is: two tables. What it is not: the decision what a request gets; `route` makes it.

/// Which reply a WebSocket gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `You sent: …`
    Tutorial,
    /// The message itself.
    Echo,
    /// The message to everybody in the room.
    Chat,
}

/// Paths that speak WebSocket. `/` is the page as well.
pub(crate) const ENDPOINTS: [(&str, Endpoint); 6] = [
    ("/ws", Endpoint::Tutorial),
    ("/", Endpoint::Tutorial),
    ("/WebSocketGenericHandler.ashx", Endpoint::Tutorial),
    ("/WebSocketHandler.ashx", Endpoint::Tutorial),
    ("/echo", Endpoint::Echo),
    ("/chat", Endpoint::Chat),
];

/// What whoever asked for something else is shown.
pub(crate) const ENDPOINT_LIST: &str = "\
/         the page (GET); WebSocket: as /ws
/ws       WebSocket: answers `You sent: <message> at <time>`
/echo     WebSocket: answers with the same message
/chat     WebSocket: what one member says, all in the room get (/chat?room=lobby&name=ann)
/help     what the query of /ws and /echo can order: delays, faults, ends (GET)
/info     what the server saw of the request, in JSON (GET); WebSocket: send `?info` first
/healthz  200 while serving (GET)
/readyz   200 while there is a place for another session (GET)
/WebSocketGenericHandler.ashx and /WebSocketHandler.ashx answer as /ws.";

/// Whether a query at `path` is read: what the tutorial's addresses and the page's links say in
/// theirs is not for us.
pub(crate) fn reads_parameters(path: &str) -> bool {
    matches!(path, "/ws" | "/echo")
}

/// What is spoken at `path`, where it is WebSocket.
pub(crate) fn at(path: &str) -> Option<Endpoint> {
    ENDPOINTS.iter().find(|(known, _)| *known == path).map(|(_, endpoint)| *endpoint)
}

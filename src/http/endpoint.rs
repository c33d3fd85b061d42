//! The WebSocket endpoints by path, and the list of all paths that an error response shows.

/// Which reply a WebSocket endpoint gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `You sent: …`
    Tutorial,
    /// The message itself.
    Echo,
    /// The message, to all members of the room.
    Chat,
}

/// Paths that speak WebSocket. `/` also serves the page.
pub(crate) const ENDPOINTS: [(&str, Endpoint); 6] = [
    ("/ws", Endpoint::Tutorial),
    ("/", Endpoint::Tutorial),
    ("/WebSocketGenericHandler.ashx", Endpoint::Tutorial),
    ("/WebSocketHandler.ashx", Endpoint::Tutorial),
    ("/echo", Endpoint::Echo),
    ("/chat", Endpoint::Chat),
];

/// All paths, for 404 and 405 responses.
pub(crate) const ENDPOINT_LIST: &str = "\
/         the page (GET); WebSocket: as /ws
/ws       WebSocket: answers `You sent: <message> at <time>`
/echo     WebSocket: answers with the same message
/chat     WebSocket: sends each message to all members of a room (/chat?room=lobby&name=ann)
/help     the query parameters of /ws and /echo: delays, faults, close codes (GET)
/report   what the server saw of a session of /echo?report=TOKEN (GET /report?token=TOKEN)
/info     the request as the server received it, as JSON (GET); WebSocket: send `?info` first
/refusals why your last handshakes were refused, as JSON (GET)
/healthz  200 while serving (GET)
/readyz   200 while another session can be accepted (GET)
/WebSocketGenericHandler.ashx and /WebSocketHandler.ashx answer as /ws.";

/// Whether the query of `path` may inject faults. `/chat` has parameters of its own; every other
/// query is ignored, as the tutorial's addresses and the page's links have queries, too.
pub(crate) fn takes_faults(path: &str) -> bool {
    matches!(path, "/ws" | "/echo")
}

/// The endpoint at `path`; `None` if the path does not speak WebSocket.
pub(crate) fn at(path: &str) -> Option<Endpoint> {
    ENDPOINTS.iter().find(|(known, _)| *known == path).map(|(_, endpoint)| *endpoint)
}

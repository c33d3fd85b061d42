//! Which protocol on top of WebSocket a server speaks, by its first message.

/// What a first message begins with, and what its server is.
const STARTS: [(&str, &str); 9] = [
    ("0{\"sid\"", "Socket.IO (Engine.IO 4)"),
    ("97:0{\"sid\"", "Socket.IO (Engine.IO 3)"),
    ("{\"type\":\"welcome\"}", "Action Cable (Rails)"),
    ("{}\u{1e}", "SignalR (ASP.NET Core)"),
    ("{\"type\":7", "SignalR (ASP.NET Core)"),
    ("{\"C\":\"", "SignalR (ASP.NET)"),
    ("{\"type\":\"connected\"}", "Vite's hot reload"),
    ("{\"type\":\"hot\"", "webpack-dev-server's hot reload"),
    ("{\"type\":\"connection_ack\"", "GraphQL over WebSocket"),
];

/// The protocol of a server whose first message is this; `None` if it is not recognised.
pub(crate) fn spoken(first: &str) -> Option<&'static str> {
    // SockJS opens with a frame of one letter.
    if first == "o" {
        return Some("SockJS");
    }
    STARTS.iter().find(|(start, _)| first.starts_with(start)).map(|(_, protocol)| *protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_recognized_by_the_first_message() {
        for (first, protocol) in [
            (r#"0{"sid":"x","upgrades":[],"pingInterval":25000}"#, Some("Socket.IO")),
            ("o", Some("SockJS")),
            ("{}\u{1e}", Some("SignalR")),
            (r#"{"type":7,"error":"Handshake was canceled."}"#, Some("SignalR")),
            (r#"{"type":"welcome"}"#, Some("Action Cable")),
            ("ok", None),
            ("", None),
        ] {
            let found = spoken(first).map(|name| name.split(" (").next().unwrap());
            assert_eq!(found, protocol, "{first}");
        }
    }
}

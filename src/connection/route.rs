//! From a request head to what is to be done.
//!
//! What it is: a pure decision; it opens no file and takes no place.
//! What it is not: the answer; `connection` gives it. Why a request is refused says `diagnosis`.
//! Invariant: every head has exactly one route.

use crate::handshake::check::is_websocket_meant;
use crate::handshake::refusals;
use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint;
use crate::http::framing;
use crate::http::head::Head;

/// What a request gets.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/healthz`.
    Health,
    /// `/readyz`.
    Ready,
    /// `/help`.
    Help,
    /// `/info`.
    Info,
    /// The file of this path, if there is one.
    Page(String),
    /// A WebSocket, if the handshake is valid and there is an endpoint; `diagnosis` looks.
    WebSocket,
    /// Plain HTTP where WebSocket is spoken; `diagnosis` says how it may have come to that.
    UpgradeRequired,
    /// This answer; the connection can be kept.
    Refusal(Diagnosis),
    /// This answer, and the end: what follows the head cannot be trusted.
    End(Diagnosis),
}

/// Decides.
pub(crate) fn route(head: &Head) -> Route {
    if is_websocket_meant(head) {
        return Route::WebSocket;
    }
    if let Err(diagnosis) = framing::check(head) {
        return Route::End(diagnosis);
    }
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return Route::Refusal(refusals::method_not_allowed(head));
    }
    match head.path.as_str() {
        "/healthz" => Route::Health,
        "/readyz" => Route::Ready,
        "/help" => Route::Help,
        "/info" => Route::Info,
        path if path != "/" && endpoint::at(path).is_some() => Route::UpgradeRequired,
        path => Route::Page(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::head::parse;

    fn routed(request: &str) -> Route {
        let head = request.replace('\n', "\r\n") + "\r\n\r\n";
        route(&parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0)
    }

    fn status(request: &str) -> u16 {
        match routed(request) {
            Route::Refusal(why) | Route::End(why) => why.status,
            Route::UpgradeRequired => 426,
            Route::Health
            | Route::Ready
            | Route::Help
            | Route::Info
            | Route::Page(_)
            | Route::WebSocket => 200,
        }
    }

    #[test]
    fn whoever_means_a_websocket_is_looked_at_as_such() {
        for request in [
            "GET /ws?q HTTP/1.1\nHost: h\nUpgrade: WebSocket",
            "GET /healthz HTTP/1.1\nHost: h\nUpgrade: h2c, websocket",
            "GET /nothing HTTP/1.1\nHost: h\nSec-WebSocket-Key: k",
            "POST / HTTP/1.0\nUpgrade: websocket\nContent-Length: 1",
        ] {
            assert!(matches!(routed(request), Route::WebSocket), "{request}");
        }
    }

    #[test]
    fn plain_paths() {
        for method in ["GET", "HEAD"] {
            let routed = |path| routed(&format!("{method} {path} HTTP/1.1\nHost: h\nUpgrade: h2c"));
            assert!(matches!(routed("/healthz"), Route::Health));
            assert!(matches!(routed("/readyz"), Route::Ready));
            assert!(matches!(routed("/help"), Route::Help));
            assert!(matches!(routed("/info?x"), Route::Info));
            assert!(matches!(routed("/"), Route::Page(path) if path == "/"));
            assert!(matches!(routed("/client.js?v=1"), Route::Page(path) if path == "/client.js"));
            for path in ["/ws", "/echo", "/WebSocketHandler.ashx"] {
                assert!(matches!(routed(path), Route::UpgradeRequired), "{path}");
            }
        }
    }

    #[test]
    fn other_methods() {
        for request in ["POST /", "DELETE /ws", "OPTIONS *", "get /", "PUT /nothing"] {
            assert_eq!(
                status(&format!("{request} HTTP/1.1\nHost: h\nContent-Length: 0")),
                405,
                "{request}"
            );
        }
    }

    #[test]
    fn a_request_with_an_uncertain_end_is_the_last() {
        for fields in ["Host: h\nContent-Length: 1", "Host: h\nHost: h", "X: y"] {
            let route = routed(&format!("GET /healthz HTTP/1.1\n{fields}"));
            assert!(matches!(route, Route::End(_)), "{fields}: {route:?}");
        }
    }
}

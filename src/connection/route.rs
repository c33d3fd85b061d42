//! Routes a request head. The decision is pure: it opens no file and takes no permit; `connection`
//! carries it out.
//!
//! **Invariant:** Every head has exactly one route.

use crate::handshake::check::is_websocket_meant;
use crate::handshake::refusals;
use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint;
use crate::http::framing;
use crate::http::head::Head;

/// How a request is answered.
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
    /// An upgrade to WebSocket is attempted; `handshake::check` validates it.
    WebSocket,
    /// Plain HTTP on a WebSocket path; `check::no_upgrade` diagnoses the likely cause.
    UpgradeRequired,
    /// This error; the connection can be kept alive.
    Refusal(Diagnosis),
    /// This error, and the connection is closed: the bytes after the head cannot be trusted.
    End(Diagnosis),
}

/// Determines the route of a request.
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
    fn any_upgrade_attempt_routes_to_websocket() {
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
    fn plain_requests_are_routed_by_path() {
        for method in ["GET", "HEAD"] {
            let routed = |path| routed(&format!("{method} {path} HTTP/1.1\nHost: h\nUpgrade: h2c"));
            assert!(matches!(routed("/healthz"), Route::Health));
            assert!(matches!(routed("/readyz"), Route::Ready));
            assert!(matches!(routed("/help"), Route::Help));
            assert!(matches!(routed("/info?x"), Route::Info));
            assert!(matches!(routed("/"), Route::Page(path) if path == "/"));
            assert!(
                matches!(routed("/js/main.js?v=1"), Route::Page(path) if path == "/js/main.js")
            );
            for path in ["/ws", "/echo", "/WebSocketHandler.ashx"] {
                assert!(matches!(routed(path), Route::UpgradeRequired), "{path}");
            }
        }
    }

    #[test]
    fn other_methods_are_405() {
        for request in ["POST /", "DELETE /ws", "OPTIONS *", "get /", "PUT /nothing"] {
            assert_eq!(
                status(&format!("{request} HTTP/1.1\nHost: h\nContent-Length: 0")),
                405,
                "{request}"
            );
        }
    }

    #[test]
    fn requests_with_uncertain_framing_end_the_connection() {
        for fields in ["Host: h\nContent-Length: 1", "Host: h\nHost: h", "X: y"] {
            let route = routed(&format!("GET /healthz HTTP/1.1\n{fields}"));
            assert!(matches!(route, Route::End(_)), "{fields}: {route:?}");
        }
    }
}

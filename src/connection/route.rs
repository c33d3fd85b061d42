//! Routes a request head. The decision is pure: it opens no file and takes no permit; `connection`
//! carries it out.
//!
//! **Invariant:** Every head has exactly one route.

use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint;
use crate::http::framing;
use crate::http::head::Head;

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Route {
    /// An upgrade to WebSocket is attempted; `handshake::check` validates it.
    WebSocket,
    /// A response, after which the connection can be kept alive.
    Plain(PlainRoute),
    /// This error, after which the connection is closed: where the next request begins is uncertain.
    Malformed(Diagnosis),
}

/// Which response a request without an upgrade gets.
#[derive(Debug)]
pub(crate) enum PlainRoute {
    /// `/healthz`.
    Health,
    /// `/readyz`.
    Ready,
    /// `/help`.
    Help,
    /// `/info`.
    Info,
    /// `/report`.
    Report,
    /// `/refusals`.
    Refusals,
    /// The file of this path, if there is one.
    Page(String),
    /// Plain HTTP on a WebSocket path; `check::no_upgrade` diagnoses the likely cause.
    UpgradeRequired,
    /// `OPTIONS` on any path, and `OPTIONS *`: health checks (HAProxy's by default).
    Options,
    /// The method is none of these.
    MethodNotAllowed,
}

/// Determines the route of a request.
pub(crate) fn route(head: &Head) -> Route {
    if head.attempts_websocket() {
        return Route::WebSocket;
    }
    if let Err(diagnosis) = framing::check(head) {
        return Route::Malformed(diagnosis);
    }
    Route::Plain(plain_route(head))
}

fn plain_route(head: &Head) -> PlainRoute {
    match head.method.as_str() {
        "GET" | "HEAD" => {}
        "OPTIONS" => return PlainRoute::Options,
        _ => return PlainRoute::MethodNotAllowed,
    }
    match head.path.as_str() {
        "/healthz" => PlainRoute::Health,
        "/readyz" => PlainRoute::Ready,
        "/help" => PlainRoute::Help,
        "/info" => PlainRoute::Info,
        "/report" => PlainRoute::Report,
        "/refusals" => PlainRoute::Refusals,
        path if path != "/" && endpoint::at(path).is_some() => PlainRoute::UpgradeRequired,
        path => PlainRoute::Page(path.to_owned()),
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

    fn plain(request: &str) -> PlainRoute {
        match routed(request) {
            Route::Plain(plain) => plain,
            other => panic!("{request}: {other:?}"),
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
            let plain = |path| plain(&format!("{method} {path} HTTP/1.1\nHost: h\nUpgrade: h2c"));
            assert!(matches!(plain("/healthz"), PlainRoute::Health));
            assert!(matches!(plain("/readyz"), PlainRoute::Ready));
            assert!(matches!(plain("/help"), PlainRoute::Help));
            assert!(matches!(plain("/info?x"), PlainRoute::Info));
            assert!(matches!(plain("/report?token=x"), PlainRoute::Report));
            assert!(matches!(plain("/refusals"), PlainRoute::Refusals));
            assert!(matches!(plain("/"), PlainRoute::Page(path) if path == "/"));
            assert!(
                matches!(plain("/js/main.js?v=1"), PlainRoute::Page(path) if path == "/js/main.js")
            );
            for path in ["/ws", "/echo", "/WebSocketHandler.ashx"] {
                assert!(matches!(plain(path), PlainRoute::UpgradeRequired), "{path}");
            }
        }
    }

    #[test]
    fn other_methods_are_405() {
        for request in ["POST /", "DELETE /ws", "TRACE *", "get /", "PUT /nothing"] {
            let plain = plain(&format!("{request} HTTP/1.1\nHost: h\nContent-Length: 0"));
            assert!(matches!(plain, PlainRoute::MethodNotAllowed), "{request}: {plain:?}");
        }
    }

    #[test]
    fn options_has_one_route_on_every_path() {
        for target in ["*", "/", "/ws", "/nothing", "http://h"] {
            let plain = plain(&format!("OPTIONS {target} HTTP/1.1\nHost: h"));
            assert!(matches!(plain, PlainRoute::Options), "{target}: {plain:?}");
        }
    }

    #[test]
    fn requests_with_uncertain_framing_are_malformed() {
        for fields in ["Host: h\nContent-Length: 1", "Host: h\nHost: h", "X: y"] {
            let route = routed(&format!("GET /healthz HTTP/1.1\n{fields}"));
            assert!(matches!(route, Route::Malformed(_)), "{fields}: {route:?}");
        }
    }
}

//! From a request head to what is to be done.
//!
//! What it is: a pure decision; it opens no file and takes no place.
//! What it is not: the answer; `connection` gives it.
//! Invariant: every head has exactly one route, and every refusal says what would be right.

use super::head::{Head, Version};
use super::response::Response;
use super::upgrade;

/// What a request gets.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/healthz`.
    Health,
    /// The file of this path, if there is one.
    Page(String),
    /// A WebSocket; the handshake is still to be checked.
    WebSocket(Endpoint),
    /// Plain HTTP where WebSocket is spoken: this response, unless a handshake would fail as well.
    UpgradeRequired(Response),
    /// This response; the connection can be kept.
    Refusal(Response),
    /// This response, and the end: what follows the head cannot be trusted.
    End(Response),
}

/// Which reply a WebSocket gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `You sent: …`
    Tutorial,
    /// The message itself.
    Echo,
}

/// Paths that speak WebSocket. `/` is the page as well.
const ENDPOINTS: [(&str, Endpoint); 5] = [
    ("/ws", Endpoint::Tutorial),
    ("/", Endpoint::Tutorial),
    ("/WebSocketGenericHandler.ashx", Endpoint::Tutorial),
    ("/WebSocketHandler.ashx", Endpoint::Tutorial),
    ("/echo", Endpoint::Echo),
];

/// The body of a 404.
pub(crate) const ENDPOINT_LIST: &str = "\
There is nothing here. This is wsecho, a WebSocket echo server:

  /         the page (GET); WebSocket: as /ws
  /ws       WebSocket: answers `You sent: <message> at <time>`
  /echo     WebSocket: answers with the same message
  /healthz  200 while serving (GET)

/WebSocketGenericHandler.ashx and /WebSocketHandler.ashx answer as /ws.
";

/// Decides.
pub(crate) fn route(head: &Head) -> Route {
    if let Err(refusal) = check_framing(head).and_then(|()| check_host(head)) {
        return Route::End(refusal);
    }
    let endpoint =
        ENDPOINTS.iter().find(|(path, _)| *path == head.path).map(|(_, endpoint)| *endpoint);
    if upgrade::is_meant(head) {
        return match endpoint {
            Some(endpoint) => Route::WebSocket(endpoint),
            None => Route::Refusal(Response::text(404, ENDPOINT_LIST)),
        };
    }
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        let text = format!("{} is not served here; GET and HEAD are.\n", head.method);
        return Route::Refusal(Response::text(405, text).with("Allow", "GET, HEAD"));
    }
    match (head.path.as_str(), endpoint) {
        ("/healthz", _) => Route::Health,
        ("/", _) | (_, None) => Route::Page(head.path.clone()),
        (path, Some(_)) => Route::UpgradeRequired(Response::text(
            426,
            format!(
                "{path} speaks WebSocket, and this is plain HTTP. Open / in a browser, or connect with ws://.\n"
            ),
        )),
    }
}

/// No request here has a body; one that announces a body is not read any further.
fn check_framing(head: &Head) -> Result<(), Response> {
    let coded = head.get("Transfer-Encoding").is_some();
    let mut lengths = head.all("Content-Length").map(str::trim);
    let length = lengths.next();
    if coded && (length.is_some() || head.version < Version::Http11) {
        return Err(Response::text(
            400,
            "Transfer-Encoding is not allowed beside Content-Length or in HTTP/1.0.\n",
        ));
    }
    if let Some(length) = length
        && (length.is_empty()
            || !length.bytes().all(|byte| byte.is_ascii_digit())
            || lengths.next().is_some())
    {
        return Err(Response::text(400, "Content-Length must be one number.\n"));
    }
    if coded || length.is_some_and(|length| length.bytes().any(|digit| digit != b'0')) {
        return Err(Response::text(413, "No request to this server has a body.\n"));
    }
    Ok(())
}

/// RFC 9112, section 3.2: one valid Host, and none only in HTTP/1.0.
fn check_host(head: &Head) -> Result<(), Response> {
    let mut hosts = head.all("Host");
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version < Version::Http11 => Ok(()),
        (Some(host), None) if is_host(host) => Ok(()),
        (None, _) => Err(Response::text(400, "HTTP/1.1 requires a Host header field.\n")),
        (Some(_), Some(_)) => {
            Err(Response::text(400, "There is more than one Host header field.\n"))
        }
        (Some(_), None) => {
            Err(Response::text(400, "The Host header field is not a host and port.\n"))
        }
    }
}

/// Host and optional port, by the characters they may have.
fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:[]".contains(c);
    host.chars().all(allowed)
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
            Route::Refusal(response) | Route::UpgradeRequired(response) | Route::End(response) => {
                response.status
            }
            Route::Health | Route::Page(_) | Route::WebSocket(_) => 200,
        }
    }

    #[test]
    fn websocket_paths() {
        for (path, expected) in ENDPOINTS {
            let route = routed(&format!("GET {path}?q HTTP/1.1\nHost: h\nUpgrade: WebSocket"));
            assert!(matches!(route, Route::WebSocket(endpoint) if endpoint == expected), "{path}");
        }
        assert_eq!(status("GET /healthz HTTP/1.1\nHost: h\nUpgrade: websocket"), 404);
        assert_eq!(status("GET /nothing HTTP/1.1\nHost: h\nSec-WebSocket-Key: k"), 404);
    }

    #[test]
    fn plain_paths() {
        for method in ["GET", "HEAD"] {
            let routed = |path| routed(&format!("{method} {path} HTTP/1.1\nHost: h\nUpgrade: h2c"));
            assert!(matches!(routed("/healthz"), Route::Health));
            assert!(matches!(routed("/"), Route::Page(path) if path == "/"));
            assert!(matches!(routed("/client.js?v=1"), Route::Page(path) if path == "/client.js"));
            for path in ["/ws", "/echo", "/WebSocketHandler.ashx"] {
                assert!(
                    matches!(routed(path), Route::UpgradeRequired(r) if r.status == 426),
                    "{path}"
                );
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
    fn bodies_and_smuggling_shapes() {
        for (fields, expected) in [
            ("Content-Length: 0", 200),
            ("Content-Length: 1", 413),
            ("Content-Length: 99999999999999999999999999", 413),
            ("Transfer-Encoding: chunked", 413),
            ("Transfer-Encoding: chunked\nContent-Length: 0", 400),
            ("Content-Length: 0\nContent-Length: 0", 400),
            ("Content-Length: 0, 0", 400),
            ("Content-Length: +1", 400),
            ("Content-Length: -1", 400),
            ("Content-Length:", 400),
            ("Transfer-Encoding: x\nTransfer-Encoding: chunked", 413),
        ] {
            assert_eq!(status(&format!("GET / HTTP/1.1\nHost: h\n{fields}")), expected, "{fields}");
        }
        assert_eq!(status("GET / HTTP/1.0\nTransfer-Encoding: chunked"), 400);
    }

    #[test]
    fn hosts() {
        for (request, expected) in [
            ("GET / HTTP/1.0", 200),
            ("GET / HTTP/1.1", 400),
            ("GET / HTTP/1.1\nHost: a\nHost: a", 400),
            ("GET / HTTP/1.1\nHost: a b", 400),
            ("GET / HTTP/1.1\nHost: a/b", 400),
            ("GET / HTTP/1.1\nHost: u@a", 400),
            ("GET / HTTP/1.1\nHost: [::1]:80", 200),
            ("GET / HTTP/1.1\nHost:", 200),
            ("GET http://other/ HTTP/1.1\nHost: h", 200),
        ] {
            assert_eq!(status(request), expected, "{request}");
        }
    }
}

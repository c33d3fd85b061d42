//! The endpoint table over HTTP, and what a connection does between requests.

use crate::support::client::handshake;
use crate::support::server::TestServer;

#[test]
fn every_plain_endpoint_answers_get_and_head_on_one_connection() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for (path, status, content_type, sample) in [
        ("/", 200, "text/html", "<title>"),
        ("/client.js", 200, "text/javascript", "WebSocket"),
        ("/style.css", 200, "text/css", "{"),
        ("/favicon.svg", 200, "image/svg+xml", "<svg"),
        ("/healthz", 200, "text/plain", "ok"),
        ("/ws", 426, "text/plain", "ws://"),
        ("/echo", 426, "text/plain", "ws://"),
        ("/nothing", 404, "text/plain", "/echo"),
        ("/Echo", 404, "text/plain", "/echo"),
    ] {
        let got = raw.get(path);
        assert_eq!(got.status, status, "{path}");
        assert!(got.get("Content-Type").unwrap().starts_with(content_type), "{path}: {}", got.head);
        assert!(got.body.contains(sample), "{path}: {}", got.body);
        let head = raw.send(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n")).response_to_head();
        assert_eq!(head.status, status, "HEAD {path}");
        assert_eq!(head.get("Content-Length"), got.get("Content-Length"), "HEAD {path}");
    }
}

#[test]
fn plain_http_on_a_websocket_path_is_told_to_upgrade() {
    let response = TestServer::start().raw().get("/echo");
    assert_eq!(response.status, 426);
    assert_eq!(response.get("Upgrade"), Some("websocket"));
    assert_eq!(response.get("Connection"), Some("Upgrade"));
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for request in ["POST /", "PUT /ws", "DELETE /nothing", "OPTIONS *"] {
        let response = raw.send(format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n")).response();
        assert_eq!((response.status, response.get("Allow")), (405, Some("GET, HEAD")), "{request}");
    }
}

#[test]
fn a_404_lists_the_endpoints() {
    let response = TestServer::start().raw().get("/nothing");
    for endpoint in [
        "/ ",
        "/ws ",
        "/echo ",
        "/healthz ",
        "/WebSocketGenericHandler.ashx",
        "/WebSocketHandler.ashx",
    ] {
        assert!(response.body.contains(endpoint), "{endpoint} is not in {}", response.body);
    }
}

#[test]
fn an_upgrade_where_there_is_no_websocket_is_a_404() {
    let server = TestServer::start();
    for path in ["/healthz", "/client.js", "/nothing"] {
        assert_eq!(server.raw().send(handshake(path)).response().status, 404, "{path}");
    }
}

#[test]
fn a_head_may_come_in_one_byte_pieces() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for byte in handshake("/echo").into_bytes() {
        raw.send([byte]);
    }
    assert_eq!(raw.response_to_head().status, 101);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start();
    let mut raw = server.raw();
    let requests = ["/healthz", "/nothing", "/style.css"]
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    raw.send(requests.concat() + &handshake("/echo"));
    for status in [200, 404, 200] {
        assert_eq!(raw.response().status, status);
    }
    assert_eq!(raw.response_to_head().status, 101);
}

#[test]
fn a_connection_ends_when_its_client_wants_it_to() {
    let server = TestServer::start();
    for request in [
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    ] {
        let mut raw = server.raw();
        let response = raw.send(request).response();
        assert_eq!((response.status, response.get("Connection")), (200, Some("close")));
        raw.finish();
        assert_eq!(raw.rest(), b"");
    }
}

#[test]
fn an_absolute_target_is_its_path() {
    let server = TestServer::start();
    let response =
        server.raw().send("GET http://h/healthz?x HTTP/1.1\r\nHost: h\r\n\r\n").response();
    assert_eq!((response.status, response.body.as_str()), (200, "ok\n"));
}

#[test]
fn what_is_not_a_request_gets_an_answer_and_the_end() {
    let server = TestServer::start();
    for (request, status) in [
        ("\x16\x03\x01 hello TLS", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 413),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            400,
        ),
    ] {
        let mut raw = server.raw();
        let response = raw.send(request).response();
        assert_eq!(
            (response.status, response.get("Connection")),
            (status, Some("close")),
            "{request}"
        );
        raw.finish();
        assert_eq!(raw.rest(), b"", "{request}");
    }
}

//! Plain HTTP: the endpoints, persistent connections, and the explanations in refusals.

use serde_json::{Value, json};

use crate::support::client::{Raw, handshake};
use crate::support::server::TestServer;

#[test]
fn every_plain_endpoint_answers_get_and_head_on_one_connection() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for (path, status, content_type, sample) in [
        ("/", 200, "text/html", "<title>"),
        ("/js/main.js", 200, "text/javascript", "connection.observe("),
        ("/style.css", 200, "text/css", "{"),
        ("/favicon.svg", 200, "image/svg+xml", "<svg"),
        ("/healthz", 200, "text/plain", "ok"),
        ("/readyz", 200, "text/plain", "ready"),
        ("/info", 200, "application/json", "\"request_line\": \"GET /info HTTP/1.1\""),
        ("/refusals", 200, "application/json", "[]"),
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
fn plain_http_on_a_websocket_path_gets_426() {
    let response = TestServer::start().raw().get("/echo");
    assert_eq!(response.status, 426);
    assert_eq!(response.get("Upgrade"), Some("websocket"));
    assert_eq!(response.get("Connection"), Some("Upgrade"));
}

#[test]
fn other_methods_get_405_with_allow() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for request in ["POST /", "PUT /ws", "DELETE /nothing", "TRACE *"] {
        let response = raw.send(format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n")).response();
        let allow = response.get("Allow");
        assert_eq!((response.status, allow), (405, Some("GET, HEAD, OPTIONS")), "{request}");
    }
}

/// HAProxy's health check is `OPTIONS / HTTP/1.0` unless it is told another.
#[test]
fn options_is_answered_on_every_path_until_the_stop() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for target in ["/", "*", "/ws", "/healthz", "/nothing"] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\nOrigin: http://x\r\n\r\n");
        let response = raw.send(request).response_to_head();
        let allow = response.get("Allow");
        assert_eq!((response.status, allow), (204, Some("GET, HEAD, OPTIONS")), "{target}");
        assert_eq!(response.get("Content-Length"), None, "{}", response.head);
        assert!(!response.head.contains("Access-Control"), "{}", response.head);
    }
    let check = "OPTIONS / HTTP/1.0\r\n\r\n";
    assert_eq!(server.raw().send(check).response_to_head().status, 204);
    let mut last = server.open("/echo");
    server.stop();
    assert_eq!(last.close_code(), 1001); // the server waits for the answering Close
    assert_eq!(server.raw().send(check).response().status, 503);
    last.assert_closed();
    server.join();
}

#[test]
fn a_404_lists_the_endpoints() {
    let response = TestServer::start().raw().get("/nothing");
    for endpoint in [
        "/ ",
        "/ws ",
        "/echo ",
        "/healthz ",
        "/info ",
        "/refusals ",
        "/WebSocketGenericHandler.ashx",
        "/WebSocketHandler.ashx",
    ] {
        assert!(response.body.contains(endpoint), "{endpoint} is not in {}", response.body);
    }
}

#[test]
fn an_upgrade_on_a_plain_path_gets_404() {
    let server = TestServer::start();
    for path in ["/healthz", "/info", "/js/main.js", "/nothing"] {
        let mut raw = server.raw();
        let response = raw.send(handshake(path)).response();
        assert_eq!((response.status, response.get("Connection")), (404, Some("close")), "{path}");
        assert!(response.body.contains("/echo "), "{}", response.body);
        raw.finish();
        assert_eq!(raw.rest(), b"");
    }
}

#[test]
fn refused_handshakes_are_told_to_the_same_client_alone() {
    let server = TestServer::start();
    let asked = |raw: &mut Raw, agent: &str| {
        let fields = format!("Host: h\r\nUser-Agent: {agent}\r\nOrigin: http://page.example");
        let response = raw.send(format!("GET /refusals HTTP/1.1\r\n{fields}\r\n\r\n")).response();
        assert_eq!(response.get("Cross-Origin-Resource-Policy"), Some("same-origin"));
        assert_eq!(response.get("Access-Control-Allow-Origin"), None);
        serde_json::from_str::<Value>(&response.body).unwrap()
    };
    for path in ["/nothing", "/ws?delay=soon"] {
        let request = handshake(path).replace("Host:", "User-Agent: browser\r\nHost:");
        server.raw().send(request).response();
    }
    let own = asked(&mut server.raw(), "browser");
    let field = |n: usize, name: &str| own[n][name].clone();
    assert_eq!((field(0, "path"), field(0, "status")), (json!("/ws"), json!(400)));
    assert_eq!((field(1, "path"), field(1, "status")), (json!("/nothing"), json!(404)));
    assert_eq!(field(1, "problem"), "No WebSocket is served at /nothing.");
    assert!(field(1, "age_ms").is_u64() && field(1, "fix").is_string(), "{own}");
    assert_eq!(own.as_array().unwrap().len(), 2);

    assert_eq!(asked(&mut server.raw(), "curl"), json!([]));
    let mut other = Raw::connect_from([127, 0, 0, 2].into(), server.address);
    assert_eq!(asked(&mut other, "browser"), json!([]));
    // A plain request is no handshake.
    server.raw().send("GET /nothing HTTP/1.1\r\nHost: h\r\nUser-Agent: plain\r\n\r\n").response();
    assert_eq!(asked(&mut server.raw(), "plain"), json!([]));
}

/// A handshake as nginx forwards it without WebSocket configuration.
const THROUGH_A_PROXY: &str = "GET /echo HTTP/1.0\r\nHost: h\r\nConnection: close\r\n\
    X-Forwarded-For: 10.0.0.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn a_refused_upgrade_is_explained() {
    let response = TestServer::start().raw().send(THROUGH_A_PROXY).response();
    assert_eq!((response.status, response.get("Connection")), (400, Some("close")));
    assert_eq!(response.get("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.get("Cache-Control"), Some("no-store"));
    let expected = "\
A WebSocket handshake needs HTTP/1.1; this request is HTTP/1.0.

What arrived:
  GET /echo HTTP/1.0
  (no Upgrade)
  Connection: close
  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
  X-Forwarded-For: 10.0.0.1

The usual cause:
  A proxy that speaks HTTP/1.0 to its servers: the default of older versions of nginx
  (without proxy_http_version 1.1;), and Apache with force-proxy-request-1.0.

The fix:
  nginx, beside proxy_pass:
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection \"upgrade\";
      proxy_set_header Host $http_host;
";
    assert!(response.body.starts_with(expected), "{}", response.body);
}

#[test]
fn refusals_are_json_if_accept_prefers_it() {
    let server = TestServer::start();
    for (request, status) in [
        (THROUGH_A_PROXY.to_owned(), 400),
        (handshake("/nothing"), 404),
        (handshake("/echo").replace("Version: 13", "Version: 8"), 426),
        (handshake("/echo").replace("GET", "POST"), 405),
        (handshake("/echo").replace("Host", "Origin: http://evil.example\r\nHost"), 403),
        (handshake("/echo").replace("Host", "Content-Length: 1\r\nHost"), 413),
        ("GET /echo HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 426),
        ("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 404),
        ("PUT / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 405),
    ] {
        let accept = "\r\nAccept: text/plain;q=0.5, application/json\r\n\r\n";
        let response = server.raw().send(request.replace("\r\n\r\n", accept)).response();
        assert_eq!((response.status, response.get("Vary")), (status, Some("Accept")), "{request}");
        assert_eq!(response.get("Content-Type"), Some("application/json"), "{request}");
        let json: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(json["status"], status, "{request}");
        assert!(json["arrived"][0].is_string(), "{json}");

        let text = server.raw().send(request).response();
        assert_eq!(text.get("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(text.body.lines().next(), json["problem"].as_str());
        for part in ["cause", "fix"] {
            let line = json[part].as_str().unwrap().lines().next().unwrap();
            assert!(text.body.contains(line), "{line} is not in {}", text.body);
        }
    }
}

#[test]
fn refusals_at_capacity_and_during_shutdown_can_be_json() {
    let server = TestServer::with(|config| config.limits.max_connections = 1);
    let mut last = server.open("/echo");
    let accept = "Host: h\r\nAccept: application/json\r\n";
    let plain = format!("GET /ws HTTP/1.1\r\n{accept}\r\n");
    let requests = [handshake("/ws").replace("Host: h\r\n", accept), plain];
    let refused = |server: &TestServer, request: &String| {
        let response = server.raw().send(request).response();
        assert_eq!((response.status, response.get("Retry-After")), (503, Some("5")), "{request}");
        serde_json::from_str::<Value>(&response.body).unwrap()["problem"].to_string()
    };
    for request in &requests {
        assert!(refused(&server, request).contains("--max-connections"));
    }
    server.stop();
    assert_eq!(last.close_code(), 1001); // the server waits for the answering Close
    assert!(refused(&server, &requests[0]).contains("shutting down"));
    last.assert_closed();
    server.join();
}

#[test]
fn control_characters_are_escaped_in_refusals() {
    let server = TestServer::start();
    let evil = "\u{9b}2J\u{202e}\t\\";
    let request = THROUGH_A_PROXY.replace("10.0.0.1", evil).into_bytes();
    let mut bytes = request.clone();
    // Invalid UTF-8.
    bytes.splice(5..5, [0x80, 0xff]);
    for request in [request, bytes] {
        let response = server.raw().send(request).response();
        assert_eq!(response.status, 400);
        let is_harmless = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(response.body.chars().all(is_harmless), "{:?}", response.body);
    }
    let body = server.raw().send(THROUGH_A_PROXY.replace("10.0.0.1", evil)).response().body;
    assert!(body.contains(r"X-Forwarded-For: \u{9b}2J\u{202e}\t\\"), "{body}");
}

#[test]
fn unparsable_requests_are_quoted_by_their_first_bytes() {
    let response = TestServer::start().raw().send(b"\x16\x03\x01\x02\x00").response();
    assert_eq!(response.status, 400);
    assert!(response.body.contains(r"5 bytes: \x16\x03\x01\x02\x00"), "{}", response.body);
    assert!(response.body.contains("TLS"), "{}", response.body);
}

#[test]
fn info_reports_the_request_and_the_connection() {
    let server = TestServer::start();
    let mut raw = server.raw();
    let peer = raw.0.get_ref().local_addr().unwrap();
    let request = "GET /info?x=%20 HTTP/1.0\r\nhOST: h\r\nX-B: 2\r\nX-A: \"1\"\r\n\
        X-B:  \t1 \r\nCookie: a=b\r\nSec-WebSocket-Protocol: soap, wamp\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let response = raw.send(request).response();
    assert_eq!((response.status, response.get("Content-Type")), (200, Some("application/json")));
    assert_eq!(response.get("Cache-Control"), Some("no-store"));
    // Pages of other origins must not be able to read it.
    assert_eq!(response.get("Access-Control-Allow-Origin"), None);
    assert_eq!(response.get("Cross-Origin-Resource-Policy"), Some("same-origin"));
    let expected = json!({
        "server": {"name": "wsecho", "version": env!("CARGO_PKG_VERSION")},
        "session": null,
        "request_line": "GET /info?x=%20 HTTP/1.0",
        "http_version": "HTTP/1.0",
        "headers": [
            ["hOST", "h"],
            ["X-B", "2"],
            ["X-A", "\"1\""],
            ["X-B", "1"],
            ["Cookie", "a=b"],
            ["Sec-WebSocket-Protocol", "soap, wamp"],
            ["Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"],
        ],
        "peer": peer.to_string(),
        "local": server.address.to_string(),
        "tls": null,
        "client": {
            "address": "127.0.0.1",
            "port": peer.port(),
            "source": "the connection itself",
            "remarks": [],
        },
        "subprotocols": {"offered": ["soap", "wamp"], "chosen": null},
        "extensions": {
            "offered": ["permessage-deflate; client_max_window_bits"],
            "chosen": null,
            "declined": [],
            "reached": null,
        },
    });
    assert_eq!(serde_json::from_str::<Value>(&response.body).unwrap(), expected);
}

#[test]
fn info_is_indented_json() {
    let server = TestServer::start();
    let body = server.raw().get("/info").body;
    assert!(body.starts_with("{\n  \"server\": {\n    \"name\": \"wsecho\""), "{body}");
    assert!(body.ends_with("}\n"), "{body}");
}

#[test]
fn a_head_may_arrive_in_one_byte_pieces() {
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
fn http_1_0_and_connection_close_end_the_connection() {
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

/// `ab -k` waits for the end of the connection if the response does not say that it is kept.
#[test]
fn a_connection_of_http_1_0_is_kept_if_the_client_asks_and_the_response_says_so() {
    let server = TestServer::with(|config| config.limits.max_requests = 2);
    let mut raw = server.raw();
    for expected in ["keep-alive", "close"] {
        let request = "GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
        let response = raw.send(request).response();
        assert_eq!((response.status, response.get("Connection")), (200, Some(expected)));
    }
    raw.finish();
    assert_eq!(raw.rest(), b"");
}

#[test]
fn an_absolute_form_target_is_routed_by_its_path() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for scheme in ["http", "https", "ws", "wss"] {
        let request = format!("GET {scheme}://h/healthz?x HTTP/1.1\r\nHost: h\r\n\r\n");
        let response = raw.send(request).response();
        assert_eq!((response.status, response.body.as_str()), (200, "ok\n"), "{scheme}");
    }
    raw.upgrade("wss://h/echo");
}

#[test]
fn invalid_requests_are_answered_and_the_connection_ends() {
    let server = TestServer::start();
    for (request, status) in [
        ("\x16\x03\x01 hello TLS", 400),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 400),
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

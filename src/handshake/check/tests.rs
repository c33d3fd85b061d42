//! Tables of invalid handshakes and their diagnoses.

use super::*;
use crate::config::Limits;
use crate::fuzzing::assert_readable;
use crate::handshake::refusals::method_not_allowed;
use crate::http::forwarded;
use crate::http::head::{Version, parse};

const POLICY: AccessPolicy = AccessPolicy::OF_NETWORK;

/// RFC 6455, section 1.3, but for the path.
const SAMPLE: &str = "GET /echo HTTP/1.1\nHost: server.example.com\nUpgrade: websocket\n\
    Connection: Upgrade\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The sample after nginx with its default settings.
const THROUGH_NGINX: &str = "GET /echo HTTP/1.0\nHost: 127.0.0.1:8080\nConnection: close\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13";

fn parsed(request: &str) -> Head {
    let head = request.replace('\n', "\r\n") + "\r\n\r\n";
    parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0
}

/// The diagnosis of a request from the network.
fn diagnosed(request: &str) -> Diagnosis {
    let diagnosis = check(&parsed(request), &POLICY).expect_err(request);
    assert_readable(&diagnosis);
    diagnosis
}

/// The sample with one thing changed.
fn broken(valid: &str, changed: &str) -> Diagnosis {
    assert!(SAMPLE.contains(valid), "{valid:?} is not in the sample");
    diagnosed(&SAMPLE.replace(valid, changed))
}

#[test]
fn valid_handshakes_are_accepted_with_their_endpoint() {
    for (changes, endpoint) in [
        (&[("GET", "GET")][..], Endpoint::Echo),
        (&[("/echo", "/WebSocketHandler.ashx?x")], Endpoint::Tutorial),
        (&[("/echo", "ws://h/")], Endpoint::Tutorial),
        // Fields may be lists.
        (
            &[
                (": websocket", ": WebSocket, h2c"),
                (": Upgrade", ": keep-alive\nConnection: x,upgrade"),
            ],
            Endpoint::Echo,
        ),
        (
            &[("GET", "GET"), ("Upgrade:", "Origin: https://server.example.com\nUpgrade:")],
            Endpoint::Echo,
        ),
    ] {
        let request = changes.iter().fold(SAMPLE.to_owned(), |request, (from, to)| {
            assert!(request.contains(from), "{from:?} is not in the sample");
            request.replacen(from, to, 1)
        });
        let head = parsed(&request);
        let checked = check(&head, &POLICY);
        assert_eq!(checked.expect(&request), endpoint, "{request}");
    }
}

#[test]
fn invalid_handshakes_are_diagnosed() {
    for (valid, changed, status, problem, cause) in [
        ("GET", "POST", 405, "this one is POST.", "another method"),
        ("GET", "get", 405, "this one is get.", "another method"),
        ("HTTP/1.1", "HTTP/1.0", 400, "this request is HTTP/1.0.", "proxy_http_version"),
        ("Upgrade: websocket", "Upgrade: h2c", 400, "not to websocket", "h2c"),
        ("Upgrade: websocket\n", "", 400, "a proxy probably dropped it", "hop-by-hop"),
        ("Connection: Upgrade\n", "", 400, "no `Connection: Upgrade`", "`close`"),
        ("Connection: Upgrade", "Connection: close", 400, "no `Connection: Upgrade`", "`close`"),
        ("\nSec-WebSocket-Version: 13", "", 426, "it is missing", "handwritten"),
        ("Version: 13", "Version: 8", 426, "it is `8`", "hybi"),
        ("Version: 13", "Version: 0", 426, "it is `0`", "hixie-76"),
        ("Version: 13", "Version: 13, 8", 426, "it is `13, 8`", "several versions"),
        ("Version: 13", "Version: 14", 426, "it is `14`", "No version follows 13"),
        (
            "Version: 13",
            "Version: 13\nSec-WebSocket-Version: 8",
            426,
            "there are 2",
            "adds the field a second time",
        ),
        ("\nSec-WebSocket-Version: 13", "\nSec-WebSocket-Key1: 1 2", 426, "missing", "2010"),
        (
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n",
            "",
            400,
            "no Sec-WebSocket-Key",
            "handwritten",
        ),
        (
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Key1: 1 2",
            400,
            "no Sec-WebSocket-Key",
            "2010",
        ),
        (
            "Sec-WebSocket-Key: ",
            "Sec-WebSocket-Key: x\nSec-WebSocket-Key: ",
            400,
            "there are 2",
            "its library",
        ),
        (KEY, "dGhlIHNhbXBsZSBub25jZQ", 400, "it is 16 bytes without padding.", "padding"),
        (KEY, "dGhlIHNhbXBsZSBub25jZQA=", 400, "it is 17 bytes.", "another length"),
        (KEY, "eA==", 400, "it is 1 byte.", "a word"),
        (KEY, "____________________-w==", 400, "it is 16 bytes in base64url.", "handwritten"),
        (
            KEY,
            "????????????????????????",
            400,
            "it is 24 characters that are not Base64.",
            "a word",
        ),
        (KEY, "", 400, "it is empty.", "handwritten"),
    ] {
        let diagnosis = broken(valid, changed);
        assert_eq!(diagnosis.status, status, "{changed}");
        assert!(diagnosis.problem.contains(problem), "{changed}: {}", diagnosis.problem);
        assert!(diagnosis.cause.contains(cause), "{changed}: {}", diagnosis.cause);
    }
}

#[test]
fn responses_have_the_fields_of_their_status() {
    for (request, field) in [
        (SAMPLE.replace("GET", "PUT"), "Allow: GET, HEAD, OPTIONS"),
        (SAMPLE.replace("Version: 13", "Version: 7"), "Sec-WebSocket-Version: 13"),
        ("GET /ws HTTP/1.0".to_owned(), "Upgrade: websocket"),
    ] {
        for accept in ["text/plain", "application/json"] {
            let request = format!("{request}\nAccept: {accept}");
            let mut out = Vec::new();
            diagnosed(&request)
                .answer(&parsed(&request))
                .write(&mut out, true, Some(Version::Http11))
                .unwrap();
            let response = String::from_utf8(out).unwrap();
            for field in [field, "Vary: Accept", &format!("Content-Type: {accept}")] {
                assert!(response.contains(&format!("\r\n{field}")), "{response}");
            }
        }
    }
}

#[test]
fn relevant_fields_of_the_request_are_quoted() {
    for (request, arrived) in [
        (SAMPLE.replace(KEY, "x"), &["GET /echo HTTP/1.1", "Sec-WebSocket-Key: x"][..]),
        (
            THROUGH_NGINX.to_owned() + "\nX-Real-IP: 10.0.0.1",
            &[
                "GET /echo HTTP/1.0",
                "(no Upgrade)",
                "Connection: close",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "X-Real-IP: 10.0.0.1",
            ],
        ),
        (
            SAMPLE.replace("Upgrade: websocket", "upgrade: a\nUPGRADE: b"),
            &["GET /echo HTTP/1.1", "Upgrade: a", "Upgrade: b", "Connection: Upgrade"],
        ),
    ] {
        assert_eq!(diagnosed(&request).arrived, arrived);
    }
}

#[test]
fn quoted_fields_are_shortened_and_escaped() {
    let long = "x".repeat(10_000);
    for request in [
        format!("GET /{long} HTTP/1.1\nHost: h\nUpgrade: websocket"),
        format!("{long} /echo HTTP/1.1\nHost: h\nUpgrade: websocket"),
        SAMPLE.replace(KEY, &long),
        SAMPLE.replace("Version: 13", &format!("Version: {long}")),
        SAMPLE.replace("Upgrade: websocket", &format!("Upgrade: {long}")),
        SAMPLE.replace("Upgrade: websocket", "Upgrade: h2c\n".repeat(90).trim_end()),
        format!("{SAMPLE}\nOrigin: http://{long}\nVia: {long}\nForwarded: {long}"),
        format!("{THROUGH_NGINX}\n{}", "X-Forwarded-For: 10.0.0.1\n".repeat(90).trim_end()),
    ] {
        let text = diagnosed(&request).to_string();
        assert!(text.len() < 3000 && !text.contains(&long), "{text}");
    }
    let text = broken("Upgrade: websocket", "Upgrade: \u{9b}2J\u{202e}\t\\").to_string();
    assert!(text.contains(r"Upgrade: \u{9b}2J\u{202e}\t\\"), "{text}");
}

#[test]
fn secrets_are_not_repeated() {
    let text =
        diagnosed(&format!("{THROUGH_NGINX}\nCookie: a=b\nAuthorization: Basic c")).to_string();
    assert!(!text.contains("Cookie") && !text.contains("Basic"), "{text}");
}

#[test]
fn requests_without_an_upgrade_are_diagnosed() {
    for (fields, status, problem) in [
        ("", 426, "/ws speaks WebSocket, and this is plain HTTP."),
        ("User-Agent: Mozilla/5.0\nConnection: keep-alive", 426, "and this is plain HTTP."),
        ("Via: 1.1 squid", 426, "that came through a proxy."),
        ("X-Forwarded-For: 10.0.0.1", 426, "that came through a proxy."),
        ("Forwarded: for=10.0.0.1", 426, "that came through a proxy."),
        ("X-Real-IP: 10.0.0.1", 426, "that came through a proxy."),
        ("Sec-WebSocket-Version: 13", 426, "a proxy probably dropped it."),
        ("sec-websocket-extensions: permessage-deflate", 426, "a proxy probably dropped it."),
        // nginx adds this to every request if it is set to forward upgrades.
        ("Connection: upgrade", 426, "that came through a proxy."),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400, "a proxy probably dropped it."),
        ("Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c", 426, "not to websocket."),
    ] {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let diagnosis = diagnosed(format!("GET /ws {version}\nHost: h\n{fields}").trim_end());
            assert_eq!(diagnosis.status, status, "{fields}");
            let problem = match version {
                "HTTP/1.0" if problem == "a proxy probably dropped it." => "is HTTP/1.0.",
                _ => problem,
            };
            assert!(diagnosis.problem.ends_with(problem), "{fields}: {}", diagnosis.problem);
            for proxy in ["proxy_http_version 1.1;", "mod_proxy_wstunnel", "IIS", "timeout tunnel"]
            {
                assert!(diagnosis.fix.contains(proxy), "{fields}: {}", diagnosis.fix);
            }
        }
    }
}

#[test]
fn the_settings_of_the_product_that_left_its_fields_come_first() {
    for (field, product) in [
        ("Via: 1.1 Caddy", "Caddy: "),
        ("X-ARR-LOG-ID: 1", "IIS: "),
        ("X-Forwarded-Server: a", "Apache, 2.4.47 or later"),
        ("X-Real-IP: 10.0.0.1", "nginx, beside proxy_pass"),
    ] {
        let diagnosis = broken("Upgrade: websocket", field);
        assert!(diagnosis.fix.starts_with(product), "{field}: {}", diagnosis.fix);
        assert!(diagnosis.fix.contains("proxy_http_version 1.1;"), "{}", diagnosis.fix);
    }
    let origin = format!("{SAMPLE}\nOrigin: http://a.example\nVia: 1.1 varnish");
    let fix = diagnosed(&origin).fix;
    assert!(fix.contains("\nVarnish, without:\n    set bereq.http.host\nnginx"), "{fix}");
}

#[test]
fn the_origin_of_a_page_that_requests_plain_http_is_diagnosed() {
    for (fields, is_refused) in [
        ("Host: 127.0.0.1:8080\nConnection: upgrade\nReferer: http://example.com/", true),
        ("Host: 127.0.0.1:8080\nReferer: https://example.com:8443", true),
        ("Host: example.com\nReferer: http://example.com/?url=/ws", false),
        ("Host: example.com\nReferer: https://example.com/", false),
        ("Host: example.com\nReferer: about:blank", false),
        // The user followed a link.
        ("Host: example.com\nReferer: http://a.example/\nSec-Fetch-Mode: navigate", false),
    ] {
        let diagnosis = diagnosed(&format!("GET /ws HTTP/1.1\n{fields}"));
        assert_eq!(diagnosis.status, 426);
        assert_eq!(diagnosis.problem.contains("is from another."), is_refused, "{fields}");
        assert!(diagnosis.fix.contains("proxy_set_header Host $http_host;"), "{}", diagnosis.fix);
    }
}

#[test]
fn handshakes_on_other_paths_are_404() {
    for path in ["/nothing", "/Echo", "/echo/", "/healthz", "/info", "/js/main.js"] {
        let diagnosis = broken("/echo", path);
        assert_eq!(diagnosis.status, 404, "{path}");
        assert_eq!(diagnosis.problem, format!("No WebSocket is served at {path}."));
        assert!(diagnosis.fix.contains("/echo     WebSocket"), "{}", diagnosis.fix);
    }
}

#[test]
fn framing_is_checked_before_the_handshake() {
    for (fields, status, problem) in [
        ("Content-Length: 5", 413, "have a body"),
        ("Content-Length: 5\nTransfer-Encoding: chunked", 400, "not allowed"),
        ("Host: h", 400, "more than one Host"),
    ] {
        let diagnosis = diagnosed(&format!("{SAMPLE}\n{fields}"));
        assert_eq!(diagnosis.status, status, "{fields}");
        assert!(diagnosis.problem.contains(problem), "{}", diagnosis.problem);
    }
}

#[test]
fn pages_of_other_origins_are_refused() {
    for (fields, cause, fix) in [
        ("Origin: https://evil.example", "another site", "--allow-origin https://evil.example"),
        ("Origin: null", "sandboxed", "--allow-origin null"),
        ("Origin: NULL", "sandboxed", "--allow-origin null"),
        ("Origin: file://", "from a file", "--allow-origin file://"),
        ("Origin: file:///", "from a file", "--allow-origin file://"),
        ("Origin: http://localhost/", "another site", "--allow-origin http://localhost\n"),
        ("Origin: chrome-extension://abc", "extension", "--allow-origin chrome-extension://abc"),
        ("Origin: http://server.example.com:8080", "in the port alone", "$http_host"),
        ("Origin: https://server.example.com:80", "in the port alone", "ProxyPreserveHost On"),
        ("Origin: http://a.example\nX-Forwarded-Host: A.example", "changed Host", "$http_host"),
        (
            "Origin: http://a.example\nForwarded: for=_x;Host=\"a.example\"",
            "changed Host",
            "HAProxy",
        ),
        ("Origin: http://a.example\nX-Forwarded-Host: b.example", "Or it\nis", "$http_host"),
        (
            "Origin: http://a.example\nVia: 1.1 squid",
            "Or it\nis",
            "--allow-origin http://a.example",
        ),
        // No browser sends these, and no option admits them.
        ("Origin: http://a;reboot", "disguise", "Send one Origin"),
        ("Origin: $(reboot)", "disguise", "Send one Origin"),
        ("Origin: http://localhost:80@evil.example", "disguise", "Send one Origin"),
        (
            "Origin: https://server.example.com\nOrigin: https://evil.example",
            "disguise",
            "Send one",
        ),
        ("Origin:", "disguise", "Programs may leave the field out"),
    ] {
        let diagnosis = diagnosed(&format!("{SAMPLE}\n{fields}"));
        assert_eq!(diagnosis.status, 403, "{fields}");
        assert!(diagnosis.cause.contains(cause), "{fields}: {}", diagnosis.cause);
        assert!(diagnosis.fix.contains(fix), "{fields}: {}", diagnosis.fix);
        assert!(diagnosis.arrived.contains(&"Host: server.example.com".to_owned()));
    }
}

#[test]
fn loopback_and_listed_origins_are_accepted() {
    let head = SAMPLE.replace("server.example.com", "192.0.2.1");
    let head = parsed(&format!("{head}\nOrigin: http://localhost:3000"));
    let allowed = ["http://localhost:3000".parse().unwrap()];
    assert!(check(&head, &POLICY).is_err());
    assert!(check(&head, &AccessPolicy { local: true, ..POLICY }).is_ok());
    assert!(check(&head, &AccessPolicy { allow_origin: &allowed, ..POLICY }).is_ok());
}

/// The policies of the command lines that a fix prints, each added to `policy`.
fn advised(fix: &str, policy: AccessPolicy<'static>) -> Vec<AccessPolicy<'static>> {
    let fix = fix.replace(" \\\n        ", " ");
    let commands = fix.lines().filter_map(|line| line.strip_prefix("    wsecho "));
    let admit = |command: &str| {
        let mut policy = policy;
        let words: Vec<_> = command.split(' ').collect();
        for option in words.chunks(2) {
            match option {
                ["--allow-origin", origin] => {
                    policy.allow_origin = vec![origin.parse().unwrap()].leak();
                }
                ["--allow-host", name] => policy.allow_host = vec![name.parse().unwrap()].leak(),
                ["--trusted-proxy", proxy] => {
                    let proxy = proxy.parse::<crate::config::Network>().unwrap();
                    policy.is_forwarded = forwarded::trusts(&[proxy], policy.peer);
                }
                _ => panic!("{command}"),
            }
        }
        policy
    };
    commands.map(admit).collect()
}

#[test]
fn an_option_that_a_refusal_prints_admits_what_was_refused() {
    let origins = [
        "",
        "null",
        "NULL",
        "file://",
        "file:///",
        "http://localhost/",
        "https://evil.example",
        "http://a:1",
        "HTTPS://Evil.example:443/",
        "https://[2001:DB8::1]:8080",
        "chrome-extension://abcdefgh",
        "app://.",
        "moz-extension://7a1b-4c",
        "capacitor://localhost",
        "http://0x7f.1",
        "x://",
        "https://a-name-that-is-as-long-as-those-of-services-in-a-cloud.example",
    ];
    let hosts = [
        "server.example.com",
        "Evil.example:8080",
        "my.service",
        "h.example.",
        "another-name-that-is-as-long-as-those-of-services-in-a-cloud.example:8080",
        "localhost",
        "192.0.2.1",
    ];
    let proxies =
        ["", "\nVia: 1.1 squid", "\nX-Forwarded-For: 192.0.2.7", "\nForwarded: for=unknown"];
    let local = AccessPolicy { local: true, peer: Host::Ip([127, 0, 0, 1].into()), ..POLICY };
    let policies = [POLICY, local, AccessPolicy { local: true, ..POLICY }];
    let mut refusals = 0;
    for (origin, host, proxy, policy) in product(&origins, &hosts, &proxies, &policies) {
        let origin = if origin.is_empty() { String::new() } else { format!("\nOrigin: {origin}") };
        let request = format!("{}{origin}{proxy}", SAMPLE.replace("server.example.com", host));
        let head = parsed(&request);
        let Err(refusal) = check(&head, &policy) else { continue };
        assert_readable(&refusal);
        let advised = advised(&refusal.fix, policy);
        assert!(!advised.is_empty(), "{refusal}");
        for policy in advised {
            assert_eq!(
                check(&head, &policy).map_err(|again| again.to_string()),
                Ok(Endpoint::Echo),
                "{refusal}"
            );
        }
        refusals += 1;
    }
    assert!(refusals > 200, "{refusals}");
}

/// All combinations of the elements.
fn product<'a, A: Copy, B: Copy, C: Copy, D: Copy>(
    a: &'a [A],
    b: &'a [B],
    c: &'a [C],
    d: &'a [D],
) -> impl Iterator<Item = (A, B, C, D)> {
    let pairs = a.iter().flat_map(move |a| b.iter().map(move |b| (*a, *b)));
    let triples = pairs.flat_map(move |(a, b)| c.iter().map(move |c| (a, b, *c)));
    triples.flat_map(move |(a, b, c)| d.iter().map(move |d| (a, b, c, *d)))
}

#[test]
fn only_this_machines_listeners_check_host_and_only_for_browsers() {
    let local = AccessPolicy { local: true, ..POLICY };
    let rebound = format!("{SAMPLE}\nOrigin: http://server.example.com");
    let status = |request: &str, policy: &AccessPolicy| {
        check(&parsed(request), policy).map_err(|why| why.status)
    };
    assert_eq!(status(&rebound, &local), Err(421));
    assert_eq!(status(&rebound, &POLICY), Ok(Endpoint::Echo));
    assert_eq!(status(&rebound, &AccessPolicy { is_forwarded: true, ..local }), Ok(Endpoint::Echo));
    // No browser sends a handshake without the origin of a page.
    assert_eq!(status(SAMPLE, &local), Ok(Endpoint::Echo));
    assert_eq!(status(&format!("{SAMPLE}\nOrigin: 127.0.0.1"), &local), Ok(Endpoint::Echo));
    // It sends plain requests without one.
    for (request, is_refused) in [
        ("GET /info HTTP/1.1\nHost: evil.example", true),
        ("GET /info HTTP/1.1\nHost: app.localhost:1", false),
        ("GET /info HTTP/1.0", false),
    ] {
        assert_eq!(check_host(&parsed(request), &local).is_err(), is_refused, "{request}");
        assert!(check_host(&parsed(request), &POLICY).is_ok(), "{request}");
    }
}

#[test]
fn refusals_of_plain_requests_are_readable() {
    let head = parsed("DELETE /n\u{202e}othing?x HTTP/1.1\nHost: h");
    assert_readable(&not_found(&head));
    assert_readable(&method_not_allowed(&head));
    assert_eq!(
        method_not_allowed(&head).problem,
        "DELETE is not served here; GET, HEAD and OPTIONS are."
    );
}

#[test]
fn a_diagnosis_is_serialized_as_json() {
    let diagnosis = broken("Version: 13", "Version: \"7\"");
    let json = serde_json::to_value(&diagnosis).unwrap();
    let expected = serde_json::json!({
        "status": 426,
        "problem": "Sec-WebSocket-Version must be 13, once; it is `\"7\"`.",
        "arrived": ["GET /echo HTTP/1.1", "Sec-WebSocket-Version: \"7\""],
        "cause": "A client that lists several versions, or an invalid one. No version follows 13.",
        "fix": "Send `Sec-WebSocket-Version: 13`; replace an old client by a newer one.",
    });
    assert_eq!(json, expected);
}

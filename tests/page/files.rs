//! The page's files over HTTP: compression, revalidation, and the fields that restrict the page.

use std::fs;
use std::io::Read;

use flate2::read::GzDecoder;

use crate::support::server::TestServer;

/// What the first view needs. It is preloaded, so that it takes one round trip.
const FIRST: [&str; 13] = [
    "/",
    "/style.css",
    "/favicon.svg",
    "/js/main.js",
    "/js/address.js",
    "/js/chat.js",
    "/js/close-codes.js",
    "/js/compose.js",
    "/js/connection.js",
    "/js/history.js",
    "/js/page.js",
    "/js/statistics.js",
    "/js/words.js",
];

/// What is loaded once the page is shown, or when it is needed.
const LATER: [&str; 25] = [
    "/js/box.js",
    "/js/chat-events.js",
    "/js/code.js",
    "/js/compression.js",
    "/js/duration.js",
    "/js/failure-words.js",
    "/js/failure.js",
    "/js/faults.js",
    "/js/files.js",
    "/js/filter.js",
    "/js/http.js",
    "/js/kiosk.js",
    "/js/lists.js",
    "/js/matching.js",
    "/js/message-forms.js",
    "/js/plot.js",
    "/js/recall.js",
    "/js/repeat.js",
    "/js/report-words.js",
    "/js/report.js",
    "/js/room.js",
    "/js/row-tools.js",
    "/js/saved.js",
    "/js/snippets.js",
    "/kiosk.css",
];

/// Sizes of each group, as written and gzipped, in bytes: the first one is what a phone waits for, at most
/// 0.2 s at 1 Mbit/s. The second one is not waited for; it must not outgrow the first.
const BUDGETS: [(&[&str], usize, usize); 2] =
    [(&FIRST, 60 * 1024, 25_000), (&LATER, 60 * 1024, 25_000)];

fn paths() -> impl Iterator<Item = &'static str> {
    FIRST.into_iter().chain(LATER)
}

#[test]
fn gzipped_files_equal_the_plain_ones_and_stay_small() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for (paths, most, most_compressed) in BUDGETS {
        let (mut whole, mut total) = (0, 0);
        for path in paths {
            let plain = raw.get(path);
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip, br\r\n\r\n");
            let head = raw.send(request).response_to_head();
            let length = head.get("Content-Length").unwrap().parse().unwrap();
            let mut unzipped = String::new();
            GzDecoder::new(raw.bytes(length).as_slice()).read_to_string(&mut unzipped).unwrap();
            assert_eq!(unzipped, plain.body, "{path}");
            assert_eq!(head.get("Content-Encoding"), Some("gzip"), "{path}");
            assert_eq!(plain.get("Content-Encoding"), None, "{path}");
            for response in [&head, &plain] {
                assert_eq!(response.get("Vary"), Some("Accept-Encoding"), "{path}");
            }
            assert_ne!(head.get("ETag"), plain.get("ETag"), "{path}");
            whole += plain.body.len();
            total += length;
        }
        let sizes = format!("{whole} bytes, {total} compressed: {paths:?}");
        println!("{sizes}");
        assert!(whole < most && total < most_compressed, "the page has grown to {sizes}");
    }
}

#[test]
fn a_current_entity_tag_is_answered_with_304() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for path in paths() {
        for encoding in ["gzip", "identity"] {
            let mut get = |tag: &str| {
                raw.send(format!(
                    "GET {path} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {encoding}\r\nIf-None-Match: {tag}\r\n\r\n"
                ))
                .response_to_head()
            };
            let current = get("*");
            assert_eq!(current.status, 304, "{path}");
            let tag = current.get("ETag").unwrap();
            assert_eq!(get(tag).status, 304, "{path}");
            assert!(current.get("Content-Security-Policy").is_some(), "{path}");
        }
        let changed = format!("GET {path} HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"old\"\r\n\r\n");
        assert_eq!(raw.send(changed).response().status, 200, "{path}");
    }
}

#[test]
fn the_page_has_strict_security_fields() {
    let server = TestServer::start();
    let mut raw = server.raw();
    for path in paths() {
        let response = raw.get(path);
        let policy = response.get("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.get("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(response.get("Referrer-Policy"), Some("no-referrer"));
        assert!(response.get("Permissions-Policy").unwrap().contains("camera=()"));
        let cached = if path == "/favicon.svg" { "max-age=86400" } else { "no-cache" };
        assert_eq!(response.get("Cache-Control"), Some(cached), "{path}");
    }
}

#[test]
fn a_custom_page_is_revalidated_and_has_no_content_security_policy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    fs::write(&file, "one").unwrap();
    let server = TestServer::with(|config| config.www = Some(folder.path().to_owned()));
    let mut raw = server.raw();
    let first = raw.get("/");
    assert_eq!(first.get("Cache-Control"), Some("no-cache"));
    assert_eq!(first.get("Content-Security-Policy"), None);
    let again = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: {}\r\n\r\n",
        first.get("ETag").unwrap()
    );
    assert_eq!(raw.send(&again).response_to_head().status, 304);
    fs::write(&file, "three").unwrap();
    assert_eq!(raw.send(&again).response().body, "three");
}

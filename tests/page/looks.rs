//! Accessibility, layout, keyboard navigation, and that no request leaves the page's origin.

use serde_json::{Value, json};

use super::{open, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// Unfolds every list, which the kiosk contains, too, but hides.
fn unfold(browser: &mut Browser) {
    browser
        .eval("localStorage.messages = JSON.stringify([{ text: 'x'.repeat(400), form: 'text' }])");
    browser.eval("document.querySelectorAll('details').forEach((list) => { list.open = true; })");
    browser.wait(
        "['fault', 'code'].every(name => document.querySelector(`#${name}-list`).children.length > 0)",
    );
}

/// Returns the rules of axe-core that the page violates, with the elements concerned.
fn violations(browser: &mut Browser) -> Vec<String> {
    let path =
        std::env::var("WSECHO_AXE").expect("WSECHO_AXE is not set; scripts/tool axe prints it");
    let axe = std::fs::read_to_string(path).unwrap();
    // The page's Content-Security-Policy does not apply to the DevTools protocol.
    browser.call("Runtime.evaluate", &json!({"expression": axe}));
    let found = browser.eval(
        "axe.run().then(({violations}) => violations.map(v => \
         v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')))",
    );
    let Value::Array(found) = found else { panic!("no answer from axe: {found}") };
    found.iter().map(ToString::to_string).collect()
}

#[test]
#[ignore = "needs Chromium and axe-core; scripts/test runs it"]
fn axe_finds_no_violation() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send={\"a\":1}");
    wait_for_row(&mut browser, "received", "{\"a\":1}");
    browser.eval("document.querySelector('#history [data-from=received]').click()");
    unfold(&mut browser);
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        assert_eq!(violations(&mut browser), Vec::<String>::new(), "open, {scheme}");
    }
    browser.open(&format!("http://{}/?url=/nothing", server.address));
    browser.wait("document.querySelector('#notice-fix').checkVisibility()");
    unfold(&mut browser);
    browser.eval("document.querySelector('#send').click()");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        assert_eq!(violations(&mut browser), Vec::<String>::new(), "failed, {scheme}");
    }
    browser.open(&format!("http://{}/?chat&name=ann", server.address));
    browser.wait("!document.querySelector('#members').hidden");
    browser.fill("Message", "x");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "sent", "ann: x");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        assert_eq!(violations(&mut browser), Vec::<String>::new(), "chat, {scheme}");
    }
    browser.open(&format!("http://{}/?kiosk", server.address));
    wait_for_state(&mut browser, "OPEN");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        assert_eq!(violations(&mut browser), Vec::<String>::new(), "kiosk, {scheme}");
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn nothing_is_wider_than_the_window() {
    let server = TestServer::start();
    let long = "x".repeat(400);
    let replied = "document.querySelector('#received').innerText === '1'";
    for (query, shown) in [
        (format!("?url=/echo&send={long}"), replied),
        (format!("?url=/{long}"), "document.querySelector('#notice-fix').checkVisibility()"),
        (
            format!("?chat&room={0}&name={0}", &long[..32]),
            "!document.querySelector('#members').hidden",
        ),
        (format!("?kiosk&url=/echo&send={long}"), "document.querySelector('#last-text').innerText"),
    ] {
        let mut browser = open(&server, &query);
        browser.wait(shown);
        unfold(&mut browser);
        // A small phone, a common one, a small window at 200 % zoom, a desktop.
        for (width, height) in [(320, 568), (390, 844), (500, 320), (1280, 800)] {
            browser.resize(width, height);
            let wider = browser.eval(
                "[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() \
                 && !e.matches('h1, input, #last, #last *, datalist *, #saved-list button') \
                 && (e.getBoundingClientRect().right > innerWidth + 0.5 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth)) \
                 .map(e => e.id || e.className || e.tagName).join()",
            );
            assert_eq!(wider, "", "{query} at {width} x {height}");
            let scrolls =
                "document.documentElement.scrollWidth > document.documentElement.clientWidth";
            assert_eq!(browser.eval(scrolls), false, "{query} at {width} x {height}");
        }
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn nothing_moves_when_the_connection_opens_or_closes() {
    let server = TestServer::start();
    for query in ["?url=ws://other.invalid/ws", "?chat&url=ws://other.invalid/chat"] {
        let mut browser = open(&server, query);
        // A link to another server does not connect, so that the first state is without an address.
        let mut places = vec![places_at_common_widths(&mut browser)];
        let path = if query.starts_with("?chat") { "/chat" } else { "/ws" };
        browser.replace("combobox", "Address", path);
        browser.click("button", "Connect");
        wait_for_state(&mut browser, "OPEN");
        places.push(places_at_common_widths(&mut browser));
        browser.click("button", "Stop");
        wait_for_state(&mut browser, "CLOSED");
        places.push(places_at_common_widths(&mut browser));
        assert!(places.iter().all(|now| *now == places[0]), "{query}: {places:#?}");
    }
}

/// Returns where the buttons and the history begin, in windows of several widths.
fn places_at_common_widths(browser: &mut Browser) -> Vec<Value> {
    let mut places = Vec::new();
    for width in [360, 390, 412, 500, 1000] {
        browser.resize(width, 844);
        places.push(browser.eval(
            "['#open', '#stop', '#log'].map(part => { \
             const { left, top } = document.querySelector(part).getBoundingClientRect(); \
             return [left + scrollX, top + scrollY].map(Math.round).join(); })",
        ));
    }
    places
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn no_request_leaves_the_origin_and_no_policy_is_violated() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/nothing");
    browser.wait_for_text("No WebSocket is served at /nothing.");
    browser.replace("combobox", "Address", "/echo");
    browser.press("Enter", 13);
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "x");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "x");
    let origins = [format!("http://{}/", server.address), format!("ws://{}/", server.address)];
    let requests = browser.requests();
    assert!(requests.len() >= 6, "{requests:?}");
    for url in requests {
        assert!(origins.iter().any(|origin| url.starts_with(origin)), "{url}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_module_that_explains_failures_is_loaded_before_any_failure() {
    let server = TestServer::start();
    // Connected; and a link to another server, which does not connect.
    for query in ["?url=/echo", "?url=ws://other.invalid/ws"] {
        let mut browser = open(&server, query);
        browser.wait(
            "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/js/failure-words.js'))",
        );
    }
}

/// Returns the id of the focused element, or its name if it has none.
fn focused(browser: &mut Browser) -> String {
    let element = browser.eval("document.activeElement.id || document.activeElement.localName");
    element.as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn every_control_is_reached_by_the_tab_key() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send=x");
    wait_for_row(&mut browser, "received", "x");
    let mut reached = Vec::new();
    for _ in 0..32 {
        browser.press("Tab", 9);
        reached.push(focused(&mut browser));
    }
    for id in [
        "as-echo",
        "as-chat",
        "address",
        "subprotocols",
        "open",
        "stop",
        "summary",
        "filter",
        "kind",
        "autoscroll",
        "pause",
        "save",
        "clear",
        "history",
        "message",
        "send",
        "form",
        "format",
        "larger",
        "pick",
        "times",
        "every",
        "copy-link",
        "repeat",
    ] {
        assert!(reached.iter().any(|found| found == id), "{id} is not among {reached:?}");
    }
    // In the history, the arrow keys move between messages, and Tab moves to a message's tools.
    browser.eval("document.querySelector('#history').focus()");
    browser.press("ArrowUp", 38);
    assert_eq!(browser.eval("document.activeElement.dataset.from"), "received");
    browser.wait("!document.querySelector('#tools').hidden");
    browser.press("Tab", 9);
    assert_eq!(browser.eval("document.activeElement.id"), "as-hex");
    browser.click("button", "Chat");
    browser.wait("!document.querySelector('#members').hidden");
    let mut reached = Vec::new();
    for _ in 0..14 {
        browser.press("Tab", 9);
        reached.push(focused(&mut browser));
    }
    let connection = ["address", "subprotocols", "room", "name", "open", "stop", "summary"];
    let history = ["filter", "kind", "autoscroll", "pause", "save", "clear", "member-list"];
    assert_eq!(reached, [connection, history].concat());
}

//! The list of faults: fetched from the server's /help, and added to the address by a click.

use serde_json::json;

use super::{open, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// Returns path and query of the address.
fn path_and_query(browser: &mut Browser) -> String {
    let address = browser.eval("document.querySelector('#address').value");
    let address = address.as_str().unwrap();
    let start = address.match_indices('/').nth(2).unwrap().0;
    address[start..].to_owned()
}

fn set_address(browser: &mut Browser, address: &str) {
    browser.eval(&format!("document.querySelector('#address').value = {}", json!(address)));
}

/// Opens or closes the list by the keyboard.
fn toggle_list(browser: &mut Browser) {
    browser.eval("document.querySelector('summary').focus()");
    browser.press("Enter", 13);
}

/// Clicks the button whose text starts with this query parameter.
fn select(browser: &mut Browser, parameter: &str) {
    browser.eval(&format!(
        "[...document.querySelectorAll('#fault-list button')]\
         .find(button => button.innerText.startsWith({})).click()",
        json!(parameter)
    ));
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn selecting_a_fault_adds_it_to_the_address() {
    let server = TestServer::start();
    let mut browser = open(&server, "?send=x");
    wait_for_state(&mut browser, "OPEN");
    let fetched = |browser: &mut Browser| {
        browser.requests().iter().filter(|url| url.ends_with("/help")).count()
    };
    assert_eq!(fetched(&mut browser), 0, "the list is fetched on demand");
    toggle_list(&mut browser);
    browser.wait("document.querySelector('#fault-list').children.length > 0");
    let listed = browser.eval(
        "[...document.querySelectorAll('#fault-list button')].map(button => button.textContent)",
    );
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = server.raw().get("/help").body;
    let expected: Vec<_> = help.lines().filter(|line| line.starts_with("  ")).map(words).collect();
    assert_eq!(listed, json!(expected));

    for (address, parameter, expected) in [
        ("/WebSocketGenericHandler.ashx?user=1", "delay=250ms", "/echo?delay=250ms"),
        ("no: address", "delay=250ms", "/echo?delay=250ms"),
        ("/ws", "close=4001", "/ws?close=4001"),
        ("/ws?after=1&close=1000", "close=4001", "/ws?after=1&close=4001"),
        ("/echo?close=4001&after=1", "reason=bye", "/echo?close=4001&after=1&reason=bye"),
    ] {
        set_address(&mut browser, address);
        select(&mut browser, parameter);
        assert_eq!(path_and_query(&mut browser), expected, "{parameter} after {address}");
        let status = browser.text("#faults-status");
        assert_eq!(status, format!("Press Connect to open {expected}"));
    }
    browser.click("button", "Connect");
    browser.wait("[...document.querySelectorAll('#history [data-from=event]')].length === 3");
    browser.fill("Message", "answered");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "event", "Connection Closed by the server: 4001");
    toggle_list(&mut browser);
    toggle_list(&mut browser);
    assert_eq!(fetched(&mut browser), 1, "the list is fetched once");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_list_that_cannot_be_fetched_shows_the_reason_and_is_fetched_again() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");
    let status =
        |words| format!("document.querySelector('#faults-status').innerText.includes('{words}')");
    browser.eval("import('/js/lists.js').then(() => 0)"); // it could not be loaded later
    browser.offline(true);
    toggle_list(&mut browser);
    browser.wait(&status("This device is offline."));
    toggle_list(&mut browser);
    browser.offline(false);
    toggle_list(&mut browser);
    browser.wait("document.querySelector('#fault-list').children.length > 0");
    assert_eq!(browser.text("#faults-status"), "");

    let off = TestServer::with(|config| config.faults = false);
    browser.open(&format!("http://{}/", off.address));
    toggle_list(&mut browser);
    browser.wait(&status("turned off on this server (--no-faults)"));
}

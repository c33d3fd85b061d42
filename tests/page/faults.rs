//! The list of orders: as the server has them, and a tap away from the address.

use serde_json::json;

use super::{open, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// Path and query of the address.
fn ordered(browser: &mut Browser) -> String {
    let address = browser.eval("document.querySelector('#address').value");
    let address = address.as_str().unwrap();
    let start = address.match_indices('/').nth(2).unwrap().0;
    address[start..].to_owned()
}

fn set_address(browser: &mut Browser, address: &str) {
    browser.eval(&format!("document.querySelector('#address').value = {}", json!(address)));
}

/// Opens the list as the keyboard does.
fn toggle_list(browser: &mut Browser) {
    browser.eval("document.querySelector('summary').focus()");
    browser.press("Enter", 13);
}

/// Taps the order that starts with these words.
fn tap(browser: &mut Browser, order: &str) {
    browser.eval(&format!(
        "[...document.querySelectorAll('#order-list button')]\
         .find(button => button.innerText.startsWith({})).click()",
        json!(order)
    ));
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn an_order_is_a_tap_away_from_the_address() {
    let server = TestServer::start();
    let mut browser = open(&server, "?send=x");
    wait_for_state(&mut browser, "OPEN");
    let asked = |browser: &mut Browser| {
        browser.requests().iter().filter(|url| url.ends_with("/help")).count()
    };
    assert_eq!(asked(&mut browser), 0, "it is asked for on demand");
    toggle_list(&mut browser);
    browser.wait("document.querySelector('#order-list').children.length > 0");
    let listed = browser.eval(
        "[...document.querySelectorAll('#order-list button')].map(button => button.textContent)",
    );
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected: Vec<_> = wsecho::fault_help().lines().map(words).collect();
    assert_eq!(listed, json!(expected));

    for (address, order, expected) in [
        ("/WebSocketGenericHandler.ashx?user=1", "delay=250ms", "/echo?delay=250ms"),
        ("no: address", "delay=250ms", "/echo?delay=250ms"),
        ("/ws", "close=4001", "/ws?close=4001"),
        ("/ws?after=1&close=1000", "close=4001", "/ws?after=1&close=4001"),
        ("/echo?close=4001&after=1", "reason=bye", "/echo?close=4001&after=1&reason=bye"),
    ] {
        set_address(&mut browser, address);
        tap(&mut browser, order);
        assert_eq!(ordered(&mut browser), expected, "{order} after {address}");
        let said = browser.text("#orders-said");
        assert_eq!(said, format!("Connect opens {expected}"));
    }
    browser.click("button", "Connect");
    browser.wait("[...document.querySelectorAll('#history [data-from=event]')].length === 2");
    browser.fill("Message", "answered");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "event", "Connection Closed by the server: 4001");
    toggle_list(&mut browser);
    toggle_list(&mut browser);
    assert_eq!(asked(&mut browser), 1, "it is asked for once");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_list_that_cannot_be_had_says_why_and_is_asked_for_again() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");
    let said =
        |words| format!("document.querySelector('#orders-said').innerText.includes('{words}')");
    browser.offline(true);
    toggle_list(&mut browser);
    browser.wait(&said("This device is offline."));
    toggle_list(&mut browser);
    browser.offline(false);
    toggle_list(&mut browser);
    browser.wait("document.querySelector('#order-list').children.length > 0");
    assert_eq!(browser.text("#orders-said"), "");

    let off = TestServer::with(|config| config.faults = false);
    browser.open(&format!("http://{}/", off.address));
    toggle_list(&mut browser);
    browser.wait(&said("turned off here (--no-control)"));
}

//! Links: the query names the address and the messages to send, and the address bar is kept as one.

use super::{open, wait_for_row};
use crate::support::server::TestServer;

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_link_connects_and_sends_and_the_address_bar_follows() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send=one&send=two");
    wait_for_row(&mut browser, "received", "one");
    wait_for_row(&mut browser, "received", "two");

    browser.fill("Message", "three & more");
    browser.press("Enter", 13);
    browser.wait("new URLSearchParams(location.search).get('send') === 'three & more'");
    browser.replace("combobox", "Address", "/ws");
    browser.press("Enter", 13);
    browser.wait("new URLSearchParams(location.search).get('url') === '/ws'");

    browser.call("Page.reload", &serde_json::json!({}));
    wait_for_row(&mut browser, "received", "You sent: three & more at ");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_link_does_not_connect_to_another_server_by_itself() {
    let server = TestServer::start();
    let other = format!("ws://localhost:{}/echo", server.address.port());
    let mut browser = open(&server, &format!("?url={other}&send=asked"));
    wait_for_row(&mut browser, "event", "Press Connect to open it.");
    assert!(browser.requests().iter().all(|url| !url.starts_with("ws:")));
    browser.click("button", "Connect");
    wait_for_row(&mut browser, "received", "asked");
}

//! Links: the query names the address and messages, which are shown before they are sent. The address bar
//! is kept as a link to the form.

use serde_json::json;

use super::{message_text, open, wait_for_row, wait_for_state};
use crate::support::server::TestServer;

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_messages_of_a_link_are_shown_before_they_are_sent() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    browser.open(&format!("http://{}/?url=/echo&send=one&send=two", server.address));
    wait_for_state(&mut browser, "OPEN");
    browser.wait_for_text("Message 1 of 2 from the link. Press Send to send it.");
    assert_eq!(message_text(&mut browser), "one");
    browser.wait("location.search === '?url=%2Fecho&send=one&send=two'");
    assert_eq!(browser.text("#sent"), "0");

    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "one");
    browser.wait_for_text("Message 2 of 2 from the link.");
    assert_eq!(message_text(&mut browser), "two");
    browser.wait("location.search === '?url=%2Fecho&send=two'");
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "two");
    assert_eq!(message_text(&mut browser), "");
    browser.wait("location.search === '?url=%2Fecho'");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_reload_sends_nothing() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send=one");
    wait_for_row(&mut browser, "received", "one");
    browser.fill("Message", "two & more");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "two & more");
    browser.replace("combobox", "Address", "/WebSocketHandler.ashx");
    browser.press("Enter", 13);
    browser.wait("location.search === '?url=%2FWebSocketHandler.ashx'");

    browser.eval("window.isOld = true");
    browser.call("Page.reload", &json!({}));
    browser.wait("!window.isOld");
    wait_for_state(&mut browser, "OPEN");
    wait_for_row(&mut browser, "event", "/WebSocketHandler.ashx.");
    assert_eq!(message_text(&mut browser), "");
    assert_eq!(browser.text("#sent"), "0");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn copy_link_makes_a_link_with_the_message() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    // The clipboard of a test is that of the machine.
    browser.eval("navigator.clipboard.writeText = async (text) => { window.copied = text; }");
    browser.fill("Message", "one & more");
    browser.click("button", "Copy link");
    browser.wait_for_text("Copied.");
    let expected = format!("http://{}/?url=%2Fecho&send=one+%26+more", server.address);
    assert_eq!(browser.eval("copied"), expected);
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "one & more");
    browser.eval("copied = ''");
    browser.click("button", "Copy link");
    browser.wait("copied");
    assert_eq!(browser.eval("copied"), expected, "the last message");
    browser.wait("location.search === '?url=%2Fecho'");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_link_does_not_connect_to_another_server_by_itself() {
    let server = TestServer::start();
    let other = format!("ws://localhost:{}/echo", server.address.port());
    let mut browser = open(&server, "");
    browser.open(&format!("http://{}/?url={other}&send=asked", server.address));
    wait_for_row(&mut browser, "event", "Press Connect to open it.");
    assert_eq!(message_text(&mut browser), "asked");
    assert_eq!(browser.eval("document.documentElement.dataset.state"), "CLOSED");
    assert_eq!(browser.eval("document.querySelector('#stop').ariaDisabled"), "true");
    assert!(browser.requests().iter().all(|url| !url.starts_with("ws://localhost")));
    browser.click("button", "Connect");
    wait_for_state(&mut browser, "OPEN");
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "asked");
}

//! Compression, as Chromium negotiates it and the page shows it.

use super::{open, wait_for_row, wait_for_state};
use crate::support::server::TestServer;

const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn what_was_offered_agreed_on_and_reached() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    let [offered, agreed] = browser.handshake_field("Sec-WebSocket-Extensions");
    let offered = offered.unwrap();
    assert!(offered.starts_with("permessage-deflate"), "{offered}");
    assert_eq!(agreed.unwrap(), AGREED);
    assert_eq!(browser.text("#agreed-on"), format!("Agreed on: {AGREED}"));

    browser.fill("Message", &"again and ".repeat(1000));
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "again and again");
    browser.click("button", "Ask the server");
    browser.wait("document.querySelector('#offered').innerText");
    assert_eq!(browser.text("#offered"), format!("Offered: {offered}"));
    for side in ["#sent-shrunk", "#received-shrunk"] {
        let ratio = browser.text(side);
        let (times, one) = ratio.split_once(" : ").expect(&ratio);
        assert!(times.parse::<f64>().unwrap() > 20.0 && one == "1", "{side} {ratio}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn what_was_not_agreed_on_is_not_shown() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo?compression=off");
    wait_for_state(&mut browser, "OPEN");
    let [offered, agreed] = browser.handshake_field("Sec-WebSocket-Extensions");
    assert!(offered.is_some() && agreed.is_none(), "{agreed:?}");
    assert_eq!(browser.eval("document.querySelector('#compression').checkVisibility()"), false);
}

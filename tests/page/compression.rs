//! Compression: the page shows what Chromium negotiated, and the ratios.

use super::{open, wait_for_row, wait_for_state};
use crate::support::server::TestServer;

const NEGOTIATED: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_offer_the_negotiated_extension_and_the_ratios_are_shown() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    let [offered, negotiated] = browser.handshake_field("Sec-WebSocket-Extensions");
    let offered = offered.unwrap();
    assert!(offered.starts_with("permessage-deflate"), "{offered}");
    assert_eq!(negotiated.unwrap(), NEGOTIATED);
    browser.wait("!document.querySelector('#compression').hidden");
    assert_eq!(browser.text("#negotiated"), format!("Negotiated: {NEGOTIATED}"));

    browser.fill("Message", &"again and ".repeat(1000));
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "again and again");
    browser.click("button", "Ask the server");
    browser.wait("document.querySelector('#offered').innerText");
    assert_eq!(browser.text("#offered"), format!("Offered: {offered}"));
    for side in ["#sent-ratio", "#received-ratio"] {
        let ratio = browser.text(side);
        let (times, one) = ratio.split_once(" : ").expect(&ratio);
        assert!(times.parse::<f64>().unwrap() > 20.0 && one == "1", "{side} {ratio}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn compression_is_hidden_unless_negotiated() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo?compression=off");
    wait_for_state(&mut browser, "OPEN");
    let [offered, negotiated] = browser.handshake_field("Sec-WebSocket-Extensions");
    assert!(offered.is_some() && negotiated.is_none(), "{negotiated:?}");
    assert_eq!(browser.eval("document.querySelector('#compression').checkVisibility()"), false);
}

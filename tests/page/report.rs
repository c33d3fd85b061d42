//! What the server saw of a session, shown by the page.

use super::{open, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

fn unfold(browser: &mut Browser) {
    browser.eval("document.querySelector('#report summary').focus()");
    browser.press("Enter", 13);
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_page_shows_both_heads_all_frames_and_the_end() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    unfold(&mut browser);
    browser.wait("document.querySelector('#report-status').textContent !== ''");
    assert_eq!(browser.text("#report-status"), "This session is not recorded.");

    browser.eval("document.querySelector('#record').click()");
    browser.click("button", "Connect");
    wait_for_row(&mut browser, "event", "Connection Closed");
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "hello");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "hello");
    browser.click("button", "Refresh");
    browser.wait("document.querySelectorAll('#report tbody tr').length === 2");
    assert!(browser.text("#report-status").starts_with("Open for "));
    let heads = browser.text("#report .heads");
    assert!(heads.contains("GET /echo?report=") && heads.contains("User-Agent: "), "{heads}");
    assert!(heads.contains("HTTP/1.1 101 Switching Protocols"), "{heads}");
    let address = browser.eval("document.querySelector('#address').value");
    assert!(!address.as_str().unwrap().contains("report"), "the token is not in the address");

    // The browser may ask before the server has seen the end.
    browser.eval(
        "(ask => window.fetch = async (...request) => {
            const response = await ask(...request), report = await response.json();
            window.fetch = ask;
            return new Response(JSON.stringify({ ...report, end: null }), response);
        })(fetch) && 0",
    );
    browser.click("button", "Stop");
    browser.wait("document.querySelectorAll('#report tbody tr').length === 4");
    browser.wait("document.querySelector('#report-status').textContent.includes('closed by the client: 1000')");
    assert!(browser.text("#report tbody").contains("Close"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

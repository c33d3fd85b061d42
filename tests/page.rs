//! The page in a real browser.

use crate::support::browser::Browser;
use crate::support::server::TestServer;

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn from_load_to_a_reply_to_stop() {
    let server = TestServer::start();
    let mut browser = Browser::launch();
    browser.open(&format!("http://{}/", server.address));
    browser.wait_for_text("Connection Opened with the Echo server.");

    browser.fill("Message", "hello <b>you</b>");
    browser.click("button", "Send");
    browser.wait(
        "/You sent: hello <b>you<\\/b> at \\d+:\\d\\d:\\d\\d [AP]M/.test(document.body.innerText)",
    );

    browser.fill("Message", "by the Enter key");
    browser.press("Enter", 13);
    browser.wait_for_text("You sent: by the Enter key at ");

    browser.click("button", "Stop");
    browser.wait("!document.body.innerText.includes('The underlying connection is closed.')");
    browser.fill("Message", "too late");
    browser.click("button", "Send");
    browser.wait_for_text("The underlying connection is closed.");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

//! The screenshot in the README. `scripts/screenshot` runs this test, as the browser driver can
//! wait until the page shows all messages.

use super::wait_for_state;
use crate::support::browser::Browser;
use crate::support::server::TestServer;

const SAMPLE: &str = "?url=/ws&send=hello&send=Grüße&send=one&send=two&send=three&send=four\
    &send={\"room\":\"lab\",\"celsius\":21.5}&send=five&send=six&send=seven&send=eight&send=thank%20you";

#[test]
#[ignore = "needs Chromium; scripts/test and scripts/screenshot run it"]
fn a_link_is_all_that_a_picture_takes() {
    let server = TestServer::start();
    let query = std::env::var("WSECHO_PICTURE_QUERY").unwrap_or_else(|_| SAMPLE.to_owned());
    let mut browser = Browser::launch();
    browser.resize(1000, 640);
    browser.open(&format!("http://{}/{query}", server.address));
    // The link's messages are put into the box one after another.
    for received in 1..=query.matches("send=").count() {
        wait_for_state(&mut browser, "OPEN");
        browser.press("Enter", 13);
        browser.wait(&format!("+document.querySelector('#received').innerText === {received}"));
    }
    browser.wait(
        "document.documentElement.dataset.state === 'OPEN' \
            || /^(?!Unexpected)./.test(document.querySelector('#notice-title').textContent)",
    );
    let picture = browser.picture();
    assert!(picture.starts_with(b"\x89PNG"));
    if let Ok(path) = std::env::var("WSECHO_PICTURE") {
        std::fs::write(path, picture).unwrap();
    } else {
        assert!(picture.len() < 150_000, "too large for the README: {} bytes", picture.len());
    }
}

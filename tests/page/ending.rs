//! An end is told in the same words on the page and in the log.

use nix::sys::signal::Signal;

use super::{open_at, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::program::Program;

/// How the page tells the newest end, once it has.
fn told(browser: &mut Browser) -> String {
    const NEWEST: &str = "#history [data-from=event]:last-child .what";
    browser.wait(&format!(
        "document.querySelector('{NEWEST}')?.innerText.startsWith('Connection Closed ')"
    ));
    browser.text(NEWEST)
}

/// The page's words as they are in the log, where what is sent here comes in; without the time,
/// which each measures for itself.
fn as_logged(told: &str) -> String {
    let words = told.replace("Connection Closed", "closed").replace("; sent", "; in");
    let words = words.replace(", received", ", out");
    words.rsplit_once("), ").unwrap().0.to_owned() + "), "
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_page_and_the_log_tell_an_end_in_the_same_words() {
    // A page does not know what went over the wire.
    let program = Program::start(&["--compression", "off"]);
    let mut browser = open_at(program.address(), "?url=/ws&send=Grüße");
    let mut expected = Vec::new();

    wait_for_row(&mut browser, "received", "You sent: Grüße");
    browser.click("button", "Clear"); // which is of the numbers beside the history
    browser.click("button", "Stop");
    expected.push(told(&mut browser));
    assert!(
        expected[0].starts_with(
            "Connection Closed by the client: 1000 (normal closure) \"\"; sent 1 (7 bytes), received 1 ("
        ),
        "{expected:?}"
    );

    browser.click("button", "Connect");
    wait_for_state(&mut browser, "OPEN");
    wait_for_row(&mut browser, "event", "Connection Opened"); // and so the end is not the newest
    browser.click("button", "Stop");
    expected.push(told(&mut browser));
    assert!(expected[1].contains("; sent 0 (0 bytes), received 0 (0 bytes), "), "{expected:?}");

    for query in [
        "close=4001%26reason=%22gr%C3%BC%C3%9F%22%20dich%26after=1&send=x",
        "close=1012",
        "close=1000%26after=1&send=x",
    ] {
        browser.open(&format!("http://{}/?url=/echo?{query}", program.address()));
        expected.push(told(&mut browser));
    }

    browser.open(&format!("http://{}/?url=/echo&send=x", program.address()));
    wait_for_row(&mut browser, "received", "x");
    program.signal(Signal::SIGTERM);
    expected.push(told(&mut browser));
    let log = program.wait().1;
    for (number, told) in (1..).zip(&expected) {
        let session = format!("session {number} ");
        let line = log.lines().find(|line| line.contains(&session)).unwrap_or_default();
        assert!(line.contains(&as_logged(told)), "{told}\n{log}");
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn an_end_without_a_close_is_told_as_far_as_a_browser_knows_it() {
    let program = Program::start(&[]);
    let mut browser = Browser::launch();
    for end in ["abort=rst", "abort=fin", "bad=rsv"] {
        let query = format!("?url=/echo?{end}%26after=1&send=x&send=y");
        browser.open(&format!("http://{}/{query}", program.address()));
        let told = told(&mut browser);
        assert!(
            told.starts_with(
                "Connection Closed without a Close: 1006 (lost without a closing handshake); \
                 browsers do not tell by whom, nor FIN from RST; sent "
            ),
            "{told}"
        );
        assert!(told.contains(", received 1 (1 bytes), "), "{told}");
    }
}

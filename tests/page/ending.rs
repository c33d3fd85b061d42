//! The page describes how a session ended in the words of the server's log.

use nix::sys::signal::Signal;

use super::{open_at, visit, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::program::Program;

/// Waits until the newest row describes a close, and returns its text.
fn close_row(browser: &mut Browser) -> String {
    const NEWEST: &str = "#history [data-from=event]:last-child .content";
    browser.wait(&format!(
        "document.querySelector('{NEWEST}')?.innerText.startsWith('Connection Closed ')"
    ));
    browser.text(NEWEST)
}

/// Translates the page's words to those of the log, in which `in` is what the page sent. Omits the
/// duration, which page and server measure separately.
fn as_logged(row: &str) -> String {
    let words = row.replace("Connection Closed", "closed").replace("; sent", "; in");
    let words = words.replace(", received", ", out");
    words.rsplit_once("), ").unwrap().0.to_owned() + "), "
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_page_and_the_log_describe_a_close_in_the_same_words() {
    // Without compression, as a page cannot count the bytes on the wire, which the log would have.
    let program = Program::start(&["--compression", "off"]);
    let mut browser = open_at(program.address(), "?url=/ws&send=Grüße");
    let mut expected = Vec::new();

    wait_for_row(&mut browser, "received", "You sent: Grüße");
    browser.click("button", "Clear"); // resets the page's totals, but not the session's
    browser.click("button", "Stop");
    expected.push(close_row(&mut browser));
    assert!(
        expected[0].starts_with(
            "Connection Closed by the client: 1000 Normal Closure \"\"; sent 1 (7 bytes), received 1 ("
        ),
        "{expected:?}"
    );

    browser.click("button", "Connect");
    wait_for_state(&mut browser, "OPEN");
    wait_for_row(&mut browser, "event", "Connection Opened"); // the newest row is no close
    browser.click("button", "Stop");
    expected.push(close_row(&mut browser));
    assert!(expected[1].contains("; sent 0 (0 bytes), received 0 (0 bytes), "), "{expected:?}");

    for query in [
        "close=4001%26reason=%22gr%C3%BC%C3%9F%22%20dich%26after=1&send=x",
        "close=1012",
        "close=1000%26after=1&send=x",
    ] {
        visit(&mut browser, program.address(), &format!("?url=/echo?{query}"));
        expected.push(close_row(&mut browser));
    }

    visit(&mut browser, program.address(), "?url=/echo&send=x");
    wait_for_row(&mut browser, "received", "x");
    program.signal(Signal::SIGTERM);
    expected.push(close_row(&mut browser));
    let log = program.wait().1;
    for (number, row) in (1..).zip(&expected) {
        let session = format!("session {number} ");
        let line = log.lines().find(|line| line.contains(&session)).unwrap_or_default();
        assert!(line.contains(&as_logged(row)), "{row}\n{log}");
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn an_end_without_a_close_frame_is_described_as_1006() {
    let program = Program::start(&[]);
    let mut browser = Browser::launch();
    for fault in ["abort=rst", "abort=fin", "bad=rsv"] {
        let query = format!("?url=/echo?{fault}%26after=1&send=x&send=y");
        visit(&mut browser, program.address(), &query);
        let row = close_row(&mut browser);
        assert!(
            row.starts_with(
                "Connection Closed with 1006 Abnormal Closure: the connection ended without a closing \
                 handshake; browsers do not report by which end, or how; sent "
            ),
            "{row}"
        );
        // An RST takes with it what the browser has not read yet.
        if fault != "abort=rst" {
            assert!(row.contains(", received 1 (1 bytes), "), "{row}");
        }
    }
}

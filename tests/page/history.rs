//! The history: its limits, the views of a message, saving, and speed under a flood.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use super::{open, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::client::TIMEOUT;
use crate::support::server::TestServer;

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_hundred_thousand_messages_do_not_freeze_the_page() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    browser.call("Network.disable", &json!({})); // else it reports each frame
    browser.eval(
        "window.drawn = 0; window.rows = 0; \
         (function look() { drawn += 1; requestAnimationFrame(look); })(); \
         new MutationObserver((changes) => changes.forEach((change) => { rows += change.addedNodes.length; })) \
         .observe(document.querySelector('#history'), { childList: true })",
    );
    browser.fill("Message", "many");
    browser.replace("textbox", "Repeat", "100000");
    browser.replace("textbox", "times, every ms", "0");
    browser.click("button", "Repeat");
    browser.wait("document.querySelector('#received').innerText === '100,000'");

    assert_eq!(browser.text("#sent"), "100,000");
    assert_eq!(browser.eval("document.querySelectorAll('#history li').length"), 1000);
    // One entry for each direction of each message, and the opening.
    assert_eq!(browser.text("#dropped"), "199,001 older entries dropped");
    // The page kept rendering, and created rows only for the entries that remained; most had none.
    let count = |browser: &mut Browser, name| browser.eval(name).as_u64().unwrap();
    let (drawn, rows) = (count(&mut browser, "drawn"), count(&mut browser, "rows"));
    assert!(drawn > 10, "{drawn} frames were drawn");
    assert!(rows <= drawn * 1000 && rows < 200_001, "{rows} rows in {drawn} frames");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_message_is_shown_as_json_hex_and_base64_on_demand() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send={\"a\":[1]}");
    wait_for_row(&mut browser, "received", "{\"a\":[1]}");
    browser.eval("document.querySelector('#history [data-from=received]').click()");
    browser.wait("!document.querySelector('#tools').hidden");
    browser.click("button", "JSON");
    browser.wait("document.querySelector('[data-from=received] .content').textContent === '{\\n  \"a\": [\\n    1\\n  ]\\n}'");
    browser.click("button", "Hex");
    wait_for_row(&mut browser, "received", "0000  7b 22 61 22 3a 5b 31 5d  {\"a\":[1]");
    browser.click("button", "Base64");
    wait_for_row(&mut browser, "received", "eyJhIjpbMV19");
    browser.click("button", "Base64");
    wait_for_row(&mut browser, "received", "{\"a\":[1]}");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_newest_row_stays_in_view_unless_scrolled_back() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    let burst = "document.querySelector('#times').value = 50; document.querySelector('#every').value = 0; \
                 document.querySelector('#repeat').click()";
    let at_end = "history_.scrollHeight - history_.scrollTop - history_.clientHeight < 2";
    browser.eval("window.history_ = document.querySelector('#history'); 0");
    browser.eval(burst);
    browser.wait("document.querySelector('#received').innerText === '50'");
    browser.wait(at_end);

    browser.eval("history_.scrollTop = 40");
    browser.wait("!document.querySelector('#newest').hidden");
    browser.eval(burst);
    browser.wait("document.querySelector('#received').innerText === '100' && history_.children.length === 201");
    assert_eq!(browser.eval("history_.scrollTop"), 40);

    browser.click("button", "Newest ↓");
    browser.wait(at_end);
    browser.wait("document.querySelector('#newest').hidden");

    // Something above takes room: nobody has scrolled back.
    browser.eval("history_.style.maxHeight = '80px'; history_.dispatchEvent(new Event('scroll'))");
    browser.wait(at_end);
    assert_eq!(browser.eval("document.querySelector('#newest').hidden"), true);
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_history_is_saved_as_json_lines_and_cleared() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send=one");
    wait_for_row(&mut browser, "received", "one");
    let folder = tempfile::tempdir().unwrap();
    let params = json!({"behavior": "allow", "downloadPath": folder.path()});
    browser.call("Page.setDownloadBehavior", &params);
    browser.click("button", "Save");
    let deadline = Instant::now() + TIMEOUT;
    // The browser reserves the name with an empty file, which it replaces by the complete one.
    let saved = loop {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_saved =
            |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
        let text = files.into_iter().find(is_saved).map(std::fs::read_to_string);
        if let Some(Ok(text)) = text
            && !text.is_empty()
        {
            break text;
        }
        assert!(Instant::now() < deadline, "nothing was saved");
        browser.eval("new Promise(done => setTimeout(done, 20))");
    };
    let lines: Vec<Value> = saved.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = |line: &Value| (line["from"].clone(), line["text"].clone(), line["size"].clone());
    assert_eq!(lines.len(), 3, "{saved}");
    assert_eq!(fields(&lines[1]), (json!("sent"), json!("one"), json!(3)));
    assert_eq!(fields(&lines[2]), (json!("received"), json!("one"), json!(3)));

    browser.click("button", "Clear");
    browser.wait("document.querySelectorAll('#history li').length === 0");
    browser.wait("document.querySelector('#received').innerText === '0'");
}

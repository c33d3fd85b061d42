//! Tools around the messages: filter, pause, programs to copy, saved messages, JSON, a larger box.

use serde_json::json;

use super::{message_text, open, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// Returns the texts of the rows that are shown.
fn shown(browser: &mut Browser) -> String {
    let texts = browser.eval(
        "[...document.querySelectorAll('#history li:not([hidden]) .content')].map(e => e.textContent).join('|')",
    );
    texts.as_str().unwrap().to_owned()
}

fn set(browser: &mut Browser, selector: &str, value: &str) {
    browser.eval(&format!(
        "(() => {{ const e = document.querySelector({}); e.value = {}; \
         e.dispatchEvent(new Event('input', {{ bubbles: true }})) }})()",
        json!(selector),
        json!(value)
    ));
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_history_is_filtered_by_text_and_kind() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/ws&send=Hello&send=two");
    wait_for_row(&mut browser, "received", "You sent: two");
    set(&mut browser, "#filter", "hello");
    browser.wait_for_text("3 hidden by the filter");
    assert!(shown(&mut browser).starts_with("Hello|You sent: Hello"));
    set(&mut browser, "#kind", "sent");
    browser.wait_for_text("4 hidden by the filter");
    assert_eq!(shown(&mut browser), "Hello");
    // Rows that arrive later are filtered, too.
    browser.fill("Message", "hello again");
    browser.press("Enter", 13);
    browser.wait_for_text("5 hidden by the filter");
    assert_eq!(shown(&mut browser), "Hello|hello again");
    browser.eval("document.querySelector('#history').focus()");
    for text in ["hello again", "Hello"] {
        browser.press("ArrowUp", 38);
        let focused = browser.eval("document.activeElement.querySelector('.content')?.textContent");
        assert_eq!(focused, text, "the arrow keys skip hidden rows");
    }
    set(&mut browser, "#filter", "");
    set(&mut browser, "#kind", "all");
    browser.wait("document.querySelectorAll('#history li:not([hidden])').length === 7");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_paused_history_keeps_what_arrives() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send=one");
    wait_for_row(&mut browser, "received", "one");
    browser.click("button", "Pause");
    browser.fill("Message", "two");
    browser.press("Enter", 13);
    browser.wait_for_text("Resume (2 new)");
    assert_eq!(browser.eval("document.querySelectorAll('#history li').length"), 3);
    browser.click("button", "Resume (2 new)");
    wait_for_row(&mut browser, "received", "two");
    browser.wait("document.querySelector('#pause').innerText === 'Pause'");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn without_follow_the_history_stays_where_it_is() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    browser.click("checkbox", "Follow");
    browser.fill("Message", "again");
    browser.replace("textbox", "Repeat", "50");
    browser.replace("textbox", "times, every ms", "0");
    browser.click("button", "Repeat");
    browser.wait("document.querySelectorAll('#history li').length === 101");
    assert_eq!(browser.eval("document.querySelector('#history').scrollTop"), 0);
    browser.click("checkbox", "Follow");
    browser.wait("document.querySelector('#history').scrollTop > 100");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn an_answer_shows_its_round_trip() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo?delay=30ms&send=x");
    wait_for_row(&mut browser, "received", " ms");
    let shown = browser.text("#history [data-from=received] .size:nth-child(4)");
    assert!(shown.trim_end_matches(" ms").parse::<f64>().unwrap() >= 30.0, "{shown}");
    assert_eq!(browser.text("#history [data-from=sent] .size:nth-child(4)"), "");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn programs_that_do_the_same_can_be_copied() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    browser.eval("navigator.clipboard.writeText = async (text) => { window.copied = text; }");
    browser.eval("document.querySelector('#code').open = true");
    browser.fill("Message", "it's me");
    browser.wait("document.querySelector('#code-list').innerText.includes(\"it's me\")");
    browser.click("button", "Copy JavaScript");
    browser.wait("window.copied");
    let opened = format!("const socket = new WebSocket(\"ws://{}/echo\");", server.address);
    assert!(browser.eval("copied").as_str().unwrap().starts_with(&opened));
    for name in ["websocat", "Python, with websockets", "Node.js, with ws", "wsecho"] {
        assert!(browser.text("#code-list").contains(name), "{name}");
    }
    browser.press("Escape", 27);
    browser.wait("!document.querySelector('#code').open");
    assert_eq!(browser.eval("document.activeElement.innerText"), "Code");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn messages_are_saved_in_the_browser() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    browser.eval("document.querySelector('#saved').open = true");
    browser.choose("Send as", "hex");
    browser.fill("Message", "48 65");
    browser.click("button", "Save the message in the box");
    browser.wait("document.querySelectorAll('#saved-list li').length === 1");
    browser.open(&format!("http://{}/?url=/echo", server.address));
    wait_for_state(&mut browser, "OPEN");
    browser.eval("document.querySelector('#saved').open = true");
    browser.wait("document.querySelectorAll('#saved-list li').length === 1");
    browser.click("button", "48 65");
    assert_eq!(message_text(&mut browser), "48 65");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "He");
    browser.click("button", "Remove 48 65");
    browser.wait("document.querySelectorAll('#saved-list li').length === 0");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn json_in_the_box_is_indented_and_the_box_grows() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "{\"a\":[1]");
    browser.click("button", "Format JSON");
    browser.wait_for_text("This is not JSON: ");
    browser.eval("document.querySelector('#message').focus()");
    browser.call("Input.insertText", &json!({"text": "}"}));
    browser.click("button", "Format JSON");
    browser.wait("document.querySelector('#message').value === '{\\n  \"a\": [\\n    1\\n  ]\\n}'");
    assert_eq!(browser.text("#status"), "");

    let height = "document.querySelector('#message').clientHeight";
    let before = browser.eval(height).as_f64().unwrap();
    browser.click("button", "Larger box");
    browser.wait(&format!("{height} > {}", before * 1.2));
    // A long text does not grow the box: it would be laid out as a whole at each key.
    browser.click("button", "Larger box");
    browser.replace("textbox", "Message", &"word ".repeat(5000));
    browser.wait("getComputedStyle(document.querySelector('#message')).fieldSizing === 'fixed'");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn texts_have_their_direction_and_hide_no_character() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "שלום (1)");
    assert_eq!(browser.eval("document.querySelector('#message').dir"), "rtl");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "שלום (1)");
    let style = browser.eval(
        "(({unicodeBidi, textAlign}) => [unicodeBidi, textAlign].join())\
         (getComputedStyle(document.querySelector('#history [data-from=received] .content')))",
    );
    assert_eq!(style, "plaintext,start");
    browser.fill("Message", "a\u{202e}live\u{7}");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "aU+202EliveU+0007");
    browser.wait("document.querySelector('#last-text').innerText === 'aU+202EliveU+0007'");
    assert_eq!(browser.eval("document.querySelectorAll('#history .invisible').length"), 4);
}

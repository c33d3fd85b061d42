//! The page as a chat: real windows that hear each other through the real binary.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{open, open_at, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::program::Program;
use crate::support::server::TestServer;

/// A window in this room, once the page lists that name as its own.
fn join(program: &Program, room: &str, name: &str) -> Browser {
    let mut browser = open_at(program.address(), &format!("?chat&room={room}&name={name}"));
    browser.wait(&format!("document.querySelector('#members').innerText.includes('{name} (you)')"));
    browser
}

fn say(browser: &mut Browser, text: &str) {
    browser.fill("Message", text);
    browser.press("Enter", 13);
}

fn wait_for_members(browser: &mut Browser, members: &[&str]) {
    browser.wait(&format!(
        "document.querySelector('#member-count').innerText === '{} here' && \
         JSON.stringify([...document.querySelectorAll('#member-list li')].map(e => e.innerText)) === {}",
        members.len(),
        json!(json!(members).to_string())
    ));
}

/// Time and text of what was said, in the order in which it is shown.
fn said(browser: &mut Browser) -> Value {
    browser.eval(
        "[...document.querySelectorAll('#history li:not([data-from=event])')]\
         .map(row => row.querySelector('time').innerText + ' ' + row.querySelector('.what').innerText)",
    )
}

/// The values of these inputs.
fn values(browser: &mut Browser, ids: &str) -> Value {
    browser.eval(&format!("{ids:?}.split(' ').map(id => document.getElementById(id).value)"))
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn two_windows_talk() {
    let program = Program::start(&[]);
    let mut ann = join(&program, "r", "ann");
    say(&mut ann, "is <b>nobody</b> here?");
    wait_for_row(&mut ann, "sent", "ann: is <b>nobody</b> here?");
    let mut bob = join(&program, "r", "bob");
    wait_for_row(&mut bob, "received", "ann: is <b>nobody</b> here?");
    wait_for_row(&mut ann, "event", "bob joins.");
    wait_for_members(&mut ann, &["ann (you)", "bob"]);
    wait_for_members(&mut bob, &["ann", "bob (you)"]);

    for turn in 1..=3 {
        say(&mut ann, &format!("ann {turn}"));
        say(&mut bob, &format!("bob {turn}"));
    }
    for (window, other, own) in
        [(&mut ann, "bob: bob 3", "ann: ann 3"), (&mut bob, "ann: ann 3", "bob: bob 3")]
    {
        wait_for_row(window, "received", other);
        wait_for_row(window, "sent", own);
    }
    let heard = said(&mut ann);
    assert_eq!(heard.as_array().unwrap().len(), 7, "{heard}");
    assert_eq!(heard, said(&mut bob));
    ann.wait("document.querySelector('#last-text').innerText === 'bob: bob 3'");
    assert_eq!(ann.text("#received"), "10"); // a welcome, two joins, and what was said
    assert!(ann.text("#plot-scale").starts_with("4 newest"), "what others say answers nothing");

    bob.click("button", "Stop");
    wait_for_row(&mut ann, "event", "bob leaves.");
    wait_for_members(&mut ann, &["ann (you)"]);
    bob.wait("document.querySelector('#members').hidden");
    bob.click("button", "Connect");
    wait_for_members(&mut ann, &["ann (you)", "bob"]);
    wait_for_members(&mut bob, &["ann", "bob (you)"]);
    drop(bob);
    wait_for_members(&mut ann, &["ann (you)"]);
    assert_eq!(ann.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_title_of_a_hidden_tab_counts_what_nobody_has_read() {
    let program = Program::start(&[]);
    let mut ann = join(&program, "r", "ann");
    let mut bob = join(&program, "r", "bob");
    say(&mut bob, "seen");
    wait_for_row(&mut ann, "received", "bob: seen");
    assert_eq!(ann.eval("document.title"), "WebSocket echo");

    ann.hide();
    for (text, title) in [("one", "(1) wsecho"), ("two", "(2) wsecho")] {
        say(&mut bob, text);
        ann.wait(&format!("document.title === '{title}'"));
    }
    ann.call("Page.bringToFront", &json!({}));
    ann.wait("document.title === 'WebSocket echo'");
    wait_for_row(&mut ann, "received", "bob: two");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_switch_ends_one_session_and_begins_the_other() {
    let program = Program::start(&[]);
    let mut browser = open_at(program.address(), "?url=/echo&send=x");
    wait_for_row(&mut browser, "received", "x");
    browser.click("button", "Chat");
    wait_for_members(&mut browser, &["guest-1 (you)"]);
    browser.wait("location.search === '?chat'");
    say(&mut browser, "y");
    wait_for_row(&mut browser, "sent", "guest-1: y");
    assert_eq!(said(&mut browser).as_array().unwrap().len(), 3, "one history");

    browser.replace("textbox", "Name", "ann");
    browser.replace("textbox", "Room", "a & b");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "event", "You are ann in a & b.");
    wait_for_members(&mut browser, &["ann (you)"]);
    browser.wait("location.search === '?chat&room=a+%26+b&name=ann'");

    let typed = format!("http://{}/chat?name=bob&room=typed", program.address());
    browser.replace("combobox", "Address", &typed);
    assert_eq!(values(&mut browser, "room name"), json!(["typed", "bob"]));
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "event", "You are bob in typed.");

    browser.click("button", "Echo");
    browser.wait("location.search.startsWith('?url=%2Fecho')");
    wait_for_state(&mut browser, "OPEN");
    assert_eq!(browser.eval("document.querySelector('#members').hidden"), true);
    say(&mut browser, "z");
    wait_for_row(&mut browser, "received", "z");

    browser.open(&format!("http://{}/?chat", program.address()));
    wait_for_members(&mut browser, &["ann (you)"]); // as the form was left
    assert_eq!(values(&mut browser, "room name"), json!(["a & b", "ann"]));
    browser.click("button", "Stop");
    wait_for_state(&mut browser, "CLOSED");
    assert_eq!(browser.complaints(), Vec::<String>::new());

    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    for (session, path) in (1..).zip(["/echo", "/chat", "/chat", "/chat", "/echo", "/chat"]) {
        let session = format!("session {session} ");
        let line = log.lines().find(|line| line.contains(&session)).unwrap_or_default();
        assert!(
            line.contains(&format!(" {path}: closed by the client: ")),
            "{session}{path}: {log}"
        );
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn who_is_out_sees_why() {
    let program = Program::start(&["--chat-members=1", "--chat-rate=1"]);
    let mut ann = join(&program, "r", "ann");
    let mut bob = open_at(program.address(), "?chat&room=r&name=bob");
    bob.wait_for_text("Closed by the server: 1013 (try again later) \"this room is full\".");
    ann.fill("Message", "x");
    ann.replace("textbox", "times, every ms", "0");
    ann.click("button", "Repeat");
    ann.wait_for_text(
        "Closed by the server: 1008 (against the policy) \"more than 1 messages in a second\".",
    );
    ann.wait("document.querySelector('#members').hidden");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_server_that_speaks_otherwise_is_shown_as_it_is() {
    let server = TestServer::start();
    let mut browser = open(&server, "?chat&url=/echo");
    wait_for_state(&mut browser, "OPEN");
    for text in [
        "no JSON",
        "null",
        "[\"join\"]",
        r#"{"type":"constructor"}"#,
        r#"{"type":{"toString":1}}"#,
        r#"{"type":"join","name":1,"at":"now"}"#,
        r#"{"type":"message","from":"ann","text":"x","at":"now","seq":"1"}"#,
        r#"{"type":"leave"}"#,
        r#"{"type":["leave"],"name":"ann","at":"now"}"#,
    ] {
        say(&mut browser, text);
        wait_for_row(&mut browser, "sent", text);
        wait_for_row(&mut browser, "received", text);
    }
    // Events without a room, and a welcome with members that are none.
    say(&mut browser, r#"{"type":"message","from":"ann","text":"early","at":"never","seq":1}"#);
    wait_for_row(&mut browser, "received", "ann: early");
    say(
        &mut browser,
        r#"{"type":"welcome","room":"r","name":"me","members":["ann",1,{}],"seq":4}"#,
    );
    wait_for_members(&mut browser, &["ann"]);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

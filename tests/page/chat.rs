//! The page as a chat: several browsers exchange messages through the real binary.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{open, open_at, wait_for_row, wait_for_state};
use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::server::TestServer;

/// Opens the page in this room, and waits until it lists `name` as its own.
fn join(program: &Program, room: &str, name: &str) -> Browser {
    let mut browser = open_at(program.address(), &format!("?chat&room={room}&name={name}"));
    browser.wait(&format!("document.querySelector('#members').innerText.includes('{name} (you)')"));
    browser
}

fn send(browser: &mut Browser, text: &str) {
    browser.fill("Message", text);
    browser.press("Enter", 13);
}

fn wait_for_members(browser: &mut Browser, members: &[&str]) {
    browser.wait(&format!(
        "document.querySelector('#member-count').innerText === 'Members: {}' && \
         JSON.stringify([...document.querySelectorAll('#member-list li')].map(e => e.innerText)) === {}",
        members.len(),
        json!(json!(members).to_string())
    ));
}

/// Returns time and text of the messages in the order in which they are shown.
fn messages(browser: &mut Browser) -> Value {
    browser.eval(
        "[...document.querySelectorAll('#history li:not([data-from=event])')]\
         .map(row => row.querySelector('time').innerText + ' ' + row.querySelector('.content').innerText)",
    )
}

/// Returns the values of these inputs; `ids` is separated by spaces.
fn values(browser: &mut Browser, ids: &str) -> Value {
    browser.eval(&format!("{ids:?}.split(' ').map(id => document.getElementById(id).value)"))
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn members_see_messages_joins_and_leaves_in_one_order() {
    let program = Program::start(&[]);
    let mut ann = join(&program, "r", "ann");
    send(&mut ann, "is <b>nobody</b> here?");
    wait_for_row(&mut ann, "sent", "ann: is <b>nobody</b> here?");
    let mut bob = join(&program, "r", "bob");
    wait_for_row(&mut bob, "received", "ann: is <b>nobody</b> here?");
    wait_for_row(&mut ann, "event", "bob joins.");
    wait_for_members(&mut ann, &["ann (you)", "bob"]);
    wait_for_members(&mut bob, &["ann", "bob (you)"]);

    for turn in 1..=3 {
        send(&mut ann, &format!("ann {turn}"));
        send(&mut bob, &format!("bob {turn}"));
    }
    for (window, other, own) in
        [(&mut ann, "bob: bob 3", "ann: ann 3"), (&mut bob, "ann: ann 3", "bob: bob 3")]
    {
        wait_for_row(window, "received", other);
        wait_for_row(window, "sent", own);
    }
    let shown = messages(&mut ann);
    assert_eq!(shown.as_array().unwrap().len(), 7, "{shown}");
    assert_eq!(shown, messages(&mut bob));
    // A message from before is older than the row that says that one has joined.
    for (window, most) in [(&mut ann, 0), (&mut bob, 1)] {
        let times = window.eval(
            "[...document.querySelectorAll('#history li')].map(row => row.querySelector('time').innerText)\
             .filter((time, n, all) => time < all[n - 1]).length",
        );
        assert!(times.as_u64().unwrap() <= most, "{times} rows are older than the one before");
    }
    ann.wait("document.querySelector('#last-text').innerText === 'bob: bob 3'");
    assert_eq!(ann.text("#received"), "10"); // a welcome, two joins, seven messages
    assert!(ann.text("#plot-scale").starts_with("last 4;"), "messages of others are no answers");

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
fn further_lines_of_a_text_are_indented() {
    let program = Program::start(&[]);
    let mut bob = join(&program, "r", "bob");
    let mut ann = Client::open(program.address(), "/chat?room=r&name=ann");
    let spaces = " ".repeat(300);
    for text in ["hi\nbob: forged", &format!("hi{spaces}bob: forged")] {
        ann.0.send(text.into()).unwrap();
        wait_for_row(&mut bob, "received", "bob: forged");
        let left = |browser: &mut Browser, found: &str| {
            let start = format!(
                "(() => {{ const content = [...document.querySelectorAll('#history .content')].at(-1); \
                 const text = {0} === 'ann' ? content.firstChild.firstChild : content.lastChild; \
                 const range = new Range(); const at = text.data.lastIndexOf({0}); \
                 range.setStart(text, at); range.setEnd(text, at + 1); return range.getBoundingClientRect().left }})()",
                json!(found)
            );
            browser.eval(&start).as_f64().unwrap()
        };
        let (first, second) = (left(&mut bob, "ann"), left(&mut bob, "bob: "));
        assert!(second > first + 5.0, "{text:?}: {first} and {second}");
        bob.click("button", "Clear");
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_hidden_tab_counts_unread_messages_in_its_title() {
    let program = Program::start(&[]);
    let mut ann = join(&program, "r", "ann");
    let mut bob = join(&program, "r", "bob");
    send(&mut bob, "seen");
    wait_for_row(&mut ann, "received", "bob: seen");
    assert_eq!(ann.eval("document.title"), "WebSocket echo");

    ann.hide();
    for (text, title) in [("one", "(1) wsecho"), ("two", "(2) wsecho")] {
        send(&mut bob, text);
        ann.wait(&format!("document.title === '{title}'"));
    }
    ann.show();
    ann.wait("document.title === 'WebSocket echo'");
    wait_for_row(&mut ann, "received", "bob: two");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn switching_the_mode_closes_the_session_and_opens_another() {
    let program = Program::start(&[]);
    let mut browser = open_at(program.address(), "?url=/echo&send=x");
    wait_for_row(&mut browser, "received", "x");
    browser.click("button", "Chat");
    wait_for_members(&mut browser, &["guest-1 (you)"]);
    browser.wait("location.search === '?chat'");
    send(&mut browser, "y");
    wait_for_row(&mut browser, "sent", "guest-1: y");
    assert_eq!(messages(&mut browser).as_array().unwrap().len(), 3, "one history");

    browser.replace("textbox", "Name", "ann");
    browser.replace("textbox", "Room", "a & b");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "event", "You joined a & b as ann.");
    wait_for_members(&mut browser, &["ann (you)"]);
    browser.wait("location.search === '?chat&room=a+%26+b&name=ann'");

    let typed = format!("http://{}/chat?name=bob&room=typed", program.address());
    browser.replace("combobox", "Address", &typed);
    assert_eq!(values(&mut browser, "room name"), json!(["typed", "bob"]));
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "event", "You joined typed as bob.");

    browser.click("button", "Echo");
    browser.wait("location.search.startsWith('?url=%2Fecho')");
    wait_for_state(&mut browser, "OPEN");
    assert_eq!(browser.eval("document.querySelector('#members').hidden"), true);
    send(&mut browser, "z");
    wait_for_row(&mut browser, "received", "z");

    browser.open(&format!("http://{}/?chat", program.address()));
    wait_for_members(&mut browser, &["ann (you)"]); // the form remembers its fields
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
fn a_member_that_was_removed_sees_the_reason() {
    let program = Program::start(&["--chat-members=1", "--chat-rate=1"]);
    let mut ann = join(&program, "r", "ann");
    let mut bob = open_at(program.address(), "?chat&room=r&name=bob");
    bob.wait_for_text("Closed by the server: 1013 Try Again Later \"this room is full\".");
    ann.fill("Message", "x");
    ann.replace("textbox", "times, every ms", "0");
    ann.click("button", "Repeat");
    ann.wait_for_text(
        "Closed by the server: 1008 Policy Violation \"more than 1 messages in a second\".",
    );
    ann.wait("document.querySelector('#members').hidden");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn messages_that_are_no_chat_events_are_shown_unchanged() {
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
        send(&mut browser, text);
        wait_for_row(&mut browser, "sent", text);
        wait_for_row(&mut browser, "received", text);
    }
    // A message before the welcome, and a welcome with invalid members.
    send(&mut browser, r#"{"type":"message","from":"ann","text":"early","at":"never","seq":1}"#);
    wait_for_row(&mut browser, "received", "ann: early");
    send(
        &mut browser,
        r#"{"type":"welcome","room":"r","name":"me","members":["ann",1,{}],"seq":4}"#,
    );
    wait_for_members(&mut browser, &["ann"]);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

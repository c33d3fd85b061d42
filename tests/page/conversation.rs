//! Connect, send, stop: the ordinary use of the page.

use std::fs;
use std::net::TcpListener;

use super::{message_text, open, wait_for_row, wait_for_state};
use crate::support::server::TestServer;

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_page_connects_sends_and_stops() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    browser.wait_for_text(&format!("Connection Opened with ws://{}/ws.", server.address));
    wait_for_state(&mut browser, "OPEN");
    browser.wait_for_text(&format!("OPEN ws://{}/ws", server.address));

    browser.fill("Message", "hello <b>you</b>");
    browser.click("button", "Send");
    browser.wait(
        "/You sent: hello <b>you<\\/b> at \\d+:\\d\\d:\\d\\d [AP]M/.test(document.querySelector('#history').innerText)",
    );
    assert_eq!(message_text(&mut browser), "");

    browser.fill("Message", "by the Enter key");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "You sent: by the Enter key at ");

    browser.click("button", "Stop");
    wait_for_state(&mut browser, "CLOSED");
    wait_for_row(&mut browser, "event", "Connection Closed by the client: 1000 Normal Closure");
    browser.fill("Message", "too late");
    browser.click("button", "Send");
    browser.wait_for_text("The underlying connection is closed.");
    assert_eq!(message_text(&mut browser), "too late");

    browser.click("button", "Connect");
    wait_for_state(&mut browser, "OPEN");
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "You sent: too late at ");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_message_of_before_the_connection_is_sent_once_it_is_open() {
    let server = TestServer::start();
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut browser = open(&server, &format!("?url=ws://{}/", slow.local_addr().unwrap()));
    browser.click("button", "Connect");
    let connection = slow.accept().unwrap().0;
    browser.fill("Message", "early");
    browser.click("button", "Send");
    browser.wait_for_text("The message is sent once the connection is open.");
    let mut connection = tungstenite::accept(connection).unwrap();
    assert_eq!(connection.read().unwrap(), "early".into());
    wait_for_row(&mut browser, "sent", "early");
    assert_eq!(message_text(&mut browser), "");

    // If the connection fails instead, the message stays, and the next one does not send it by itself.
    browser.click("button", "Connect");
    let connection = slow.accept().unwrap().0;
    browser.fill("Message", "kept");
    browser.click("button", "Send");
    browser.wait_for_text("The message is sent once the connection is open.");
    drop(connection);
    browser.wait_for_text("The message was not sent. It is still in the box.");
    assert_eq!(message_text(&mut browser), "kept");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn markup_from_the_network_stays_text() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    let markup = "<img src=x onerror=document.title='harm'><script>document.title='harm'</script>";
    browser.fill("Message", markup);
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", markup);
    browser.wait("document.querySelector('#last-text').innerText.startsWith('<img')");
    assert_eq!(browser.eval("document.querySelectorAll('main img, main script').length"), 0);
    assert_eq!(browser.eval("document.title"), "WebSocket echo");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn hexadecimal_input_and_files_are_sent_as_binary() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");

    browser.choose("Send as", "hex");
    browser.fill("Message", "00 ff 4");
    browser.click("button", "Send");
    browser.wait_for_text("Write two digits for each byte; one is missing.");
    assert_eq!(message_text(&mut browser), "00 ff 4");
    browser.fill("Message", "8");
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "00 ff 48");
    wait_for_row(&mut browser, "received", "3 B");

    browser.choose("Send as", "base64");
    browser.fill("Message", "SGVsbG8");
    browser.click("button", "Send");
    wait_for_row(&mut browser, "received", "48 65 6c 6c 6f");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bytes");
    fs::write(&file, (0..=255).collect::<Vec<u8>>()).unwrap();
    browser.choose_file(&file);
    wait_for_row(&mut browser, "received", "256 B");
    wait_for_row(&mut browser, "received", "f8 f9 fa fb fc fd fe ff");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_up_key_recalls_sent_messages() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo&send=first");
    wait_for_row(&mut browser, "received", "first");
    browser.fill("Message", "second");
    browser.press("Enter", 13);
    wait_for_row(&mut browser, "received", "second");

    browser.fill("Message", "draft");
    for (key, code, expected) in [
        ("ArrowUp", 38, "second"),
        ("ArrowUp", 38, "first"),
        ("ArrowUp", 38, "first"),
        ("ArrowDown", 40, "second"),
        ("ArrowDown", 40, "draft"),
    ] {
        browser.press(key, code);
        assert_eq!(message_text(&mut browser), expected, "{key}");
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_message_repeats_n_times_or_until_stopped() {
    let server = TestServer::start();
    let mut browser = open(&server, "?url=/echo");
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "again");
    browser.replace("textbox", "Repeat", "7");
    browser.replace("textbox", "times, every ms", "1");
    browser.click("button", "Repeat");
    browser.wait("document.querySelector('#received').innerText === '7'");
    browser.wait("document.querySelector('#repeat').innerText === 'Repeat'");
    assert_eq!(browser.text("#sent"), "7");
    assert_eq!(browser.text("#received-bytes"), "35 B");

    for (count, interval, said) in [
        ("abc", "1s", "“abc” is not a number of times."),
        ("-1", "1s", "“-1” is not a number of times."),
        ("3", "every 1s", "“every 1s” is not an interval"),
    ] {
        browser.replace("textbox", "Repeat", count);
        browser.replace("textbox", "times, every ms", interval);
        browser.click("button", "Repeat");
        browser.wait_for_text(said);
        assert_eq!(browser.text("#repeat"), "Repeat");
    }
    browser.replace("textbox", "Repeat", "2");
    browser.replace("textbox", "times, every ms", "0.1s");
    browser.click("button", "Repeat");
    browser.wait("document.querySelector('#received').innerText === '9'");
    assert_eq!(browser.text("#status"), "");
    // The interval is no obstacle to sending.
    browser.click("button", "Send");
    browser.wait("document.querySelector('#received').innerText === '10'");
    browser.fill("Message", "again");

    browser.replace("textbox", "Repeat", "");
    browser.replace("textbox", "times, every ms", "1");
    browser.click("button", "Repeat");
    browser.wait("+document.querySelector('#received').innerText > 20");
    browser.click("button", "Stop repeating");
    browser.wait("document.querySelector('#sent').innerText === document.querySelector('#received').innerText");
    browser.wait("document.querySelector('#repeat').innerText === 'Repeat'");
    assert!(browser.text("#rtt-p99").ends_with(" ms"));
    assert!(
        browser
            .eval("document.querySelector('#plot-bars').getAttribute('d').length")
            .as_u64()
            .unwrap()
            > 100
    );
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_negotiated_subprotocol_is_shown() {
    let server = TestServer::start();
    let mut browser = open(&server, "?subprotocols=chat,superchat");
    wait_for_state(&mut browser, "OPEN");
    browser.wait_for_text("subprotocol chat");
}

//! The page: its files over HTTP, and its behaviour in Chromium.

mod chat;
mod client;
mod compression;
mod conversation;
mod ending;
mod failure;
mod faults;
mod files;
mod history;
mod kiosk;
mod link;
mod looks;
mod picture;
mod report;
mod tools;

use std::net::SocketAddr;

use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// Opens the page of `server` with this query in a browser, and sends the messages that the query brings.
fn open(server: &TestServer, query: &str) -> Browser {
    open_at(server.address, query)
}

/// The same at the server with this address.
fn open_at(address: SocketAddr, query: &str) -> Browser {
    let mut browser = Browser::launch();
    visit(&mut browser, address, query);
    browser
}

/// Goes to the page with this query, and sends the messages that the query brings.
fn visit(browser: &mut Browser, address: SocketAddr, query: &str) {
    browser.open(&format!("http://{address}/{query}"));
    browser.wait("document.documentElement.dataset.mode"); // it is shown
    let texts = query.split(['?', '&']).filter(|pair| pair.starts_with("send=")).count();
    if texts > 0 {
        wait_for_state(browser, "OPEN");
    }
    for _ in 0..texts {
        assert_ne!(message_text(browser), "");
        browser.press("Enter", 13);
    }
}

/// Waits until the page shows this connection state.
fn wait_for_state(browser: &mut Browser, state: &str) {
    browser.wait(&format!("document.documentElement?.dataset.state === '{state}'"));
}

/// Waits until a row of the history contains this text; `from` is `sent`, `received` or `event`.
fn wait_for_row(browser: &mut Browser, from: &str, text: &str) {
    browser.wait(&format!(
        "[...document.querySelectorAll('#history [data-from={from}]')].some(row => row.innerText.includes({text:?}))"
    ));
}

/// Returns the text in the message box.
fn message_text(browser: &mut Browser) -> String {
    browser.eval("document.querySelector('#message').value").as_str().unwrap().to_owned()
}

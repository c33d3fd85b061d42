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

use std::net::SocketAddr;

use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// Opens the page of `server` with this query in a browser.
fn open(server: &TestServer, query: &str) -> Browser {
    open_at(server.address, query)
}

/// Opens the page of the server at this address.
fn open_at(address: SocketAddr, query: &str) -> Browser {
    let mut browser = Browser::launch();
    browser.open(&format!("http://{address}/{query}"));
    browser
}

/// Waits until the page shows this connection state.
fn wait_for_state(browser: &mut Browser, state: &str) {
    browser.wait(&format!("document.querySelector('#state-word')?.innerText === '{state}'"));
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

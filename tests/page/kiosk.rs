//! `?kiosk`: the page reconnects and resends by itself.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;
use wsecho::AllowedOrigin;

use super::{message_text, open, open_at, wait_for_state};
use crate::support::browser::{Browser, executable};
use crate::support::client::wait_for;
use crate::support::port::own_address;
use crate::support::program::Program;
use crate::support::server::TestServer;

const ATTEMPT: &str =
    "+(document.querySelector('#state-detail').innerText.match(/Attempt (\\d+) in/)?.[1] ?? 0)";

/// Parses the number and the delay in seconds of `… Attempt 3 in 1.4 s.`
fn shown_attempt(detail: &str) -> (i32, f64) {
    let (_, attempt) = detail.split_once("Attempt ").unwrap();
    let (number, delay) = attempt.split_once(" in ").unwrap();
    (number.parse().unwrap(), delay.trim_end_matches(" s.").parse().unwrap())
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn it_reconnects_and_sends_what_was_kept() {
    let server = TestServer::at(own_address());
    let address = server.address;
    let mut browser = open(&server, "?kiosk");
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "first");
    browser.click("button", "Send");
    browser
        .wait("document.querySelector('#last-text').innerText.startsWith('You sent: first at ')");

    drop(server);
    wait_for_state(&mut browser, "CLOSED");
    browser.fill("Message", "kept");
    browser.click("button", "Send");
    browser.wait_for_text("The underlying connection is closed.");
    assert_eq!(message_text(&mut browser), "kept");
    browser.wait("document.querySelector('#state-detail').innerText.includes('The server cannot be reached.')");
    browser.wait(&format!("{ATTEMPT} >= 3"));

    let _back = TestServer::at(address);
    browser.wait("document.querySelector('#last-text').innerText.startsWith('You sent: kept at ')");
    wait_for_state(&mut browser, "OPEN");
    assert_eq!(message_text(&mut browser), "");
    assert_eq!(browser.text("#status"), "");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_text_whose_reply_was_lost_is_sent_again() {
    let listener = TcpListener::bind(own_address()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = TestServer::start();
    let mut browser = open(&server, &format!("?kiosk&url=ws://{address}/ws"));
    // The page does not connect to another server by itself.
    browser.eval("document.querySelector('#connect').requestSubmit()");
    let mut silent = tungstenite::accept(listener.accept().unwrap().0).unwrap();
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "lost");
    browser.click("button", "Send");
    assert_eq!(silent.read().unwrap(), "lost".into());
    drop((silent, listener));
    let _back = TestServer::with(|config| {
        config.listen = vec![address.into()];
        config.allow_origin = vec![AllowedOrigin::ANY];
    });
    browser.wait("document.querySelector('#last-text').innerText.startsWith('You sent: lost at ')");
    assert_eq!(message_text(&mut browser), "");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn it_waits_longer_each_time_and_wakes_at_once() {
    let server = TestServer::at(own_address());
    let mut browser = open(&server, "?kiosk");
    wait_for_state(&mut browser, "OPEN");
    drop(server);
    // Each delay shown is between half and all of 0.5, 1, 2 and 4 seconds.
    for attempt in 1..=4 {
        browser.wait(&format!("{ATTEMPT} >= {attempt}"));
        let detail = browser.text("#state-detail");
        let (attempt, delay) = shown_attempt(&detail);
        let longest = 0.25 * 2_f64.powi(attempt);
        assert!(delay >= longest / 2.0 - 0.05 && delay <= longest + 0.05, "{detail}");
    }
    // Without the event, the next attempt would be at least two seconds away.
    let took = browser.eval(&format!(
        "new Promise(done => {{ const start = performance.now(); \
         dispatchEvent(new Event('visibilitychange')); \
         (function look() {{ {ATTEMPT} >= 5 ? done(performance.now() - start) : setTimeout(look, 5) }})() }})"
    ));
    assert!(took.as_f64().unwrap() < 1500.0, "retried after {took} ms");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_cached_page_connects_once_the_server_starts() {
    let server = TestServer::at(own_address());
    let address = server.address;
    let mut browser = open(&server, "?kiosk");
    wait_for_state(&mut browser, "OPEN");
    browser.open("data:text/html,elsewhere");
    drop(server);
    browser.back();
    browser.wait("location.protocol === 'http:' && document.querySelector('#state-word')");
    browser.wait(&format!("{ATTEMPT} >= 1"));
    let _started = TestServer::at(address);
    wait_for_state(&mut browser, "OPEN");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn a_page_of_which_a_part_is_missing_is_loaded_anew() {
    let server = TestServer::start();
    let mut browser = open(&server, "");
    browser.call("Network.setBlockedURLs", &json!({"urls": ["*/js/kiosk.js"]}));
    browser.open(&format!("http://{}/?kiosk", server.address));
    assert_eq!(browser.eval("document.documentElement.dataset.mode ?? null"), json!(null));
    browser.call("Network.setBlockedURLs", &json!({"urls": []}));
    wait_for_state(&mut browser, "OPEN");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn nothing_scrolls_and_everything_can_be_hit() {
    let server = TestServer::start();
    let mut browser = open(&server, "?kiosk");
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", &"many words ".repeat(300));
    browser.click("button", "Send");
    browser.wait("document.querySelector('#last-text').innerText.includes('many words')");
    for (width, height) in [(320, 480), (390, 844), (800, 300), (1024, 768), (1920, 1080)] {
        browser.resize(width, height);
        browser.eval("scrollTo(100, 100)");
        assert_eq!(browser.eval("[scrollX, scrollY].join()"), "0,0", "{width} x {height}");
        let small = browser.eval(
            "[...document.querySelectorAll('button, textarea, input')].filter(e => e.checkVisibility())\
             .map(e => [e.id, e.getBoundingClientRect()])\
             .filter(([, r]) => r.height < 48 || r.width < 48 || r.bottom > innerHeight || r.right > innerWidth)\
             .map(([id]) => id).join()",
        );
        assert_eq!(small, "", "{width} x {height}");
    }
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn its_words_are_for_the_public_and_can_be_translated() {
    let server = TestServer::start();
    let mut browser = open(&server, "?kiosk");
    wait_for_state(&mut browser, "OPEN");
    assert_eq!(browser.text("#state-word"), "Connected");
    assert_eq!(browser.text("#state-detail"), "");
    let words = "Verbunden|Verbinde …|Nicht verbunden|Nachricht|Senden";
    browser.open(&format!("http://{}/?kiosk&words={words}", server.address));
    wait_for_state(&mut browser, "OPEN");
    assert_eq!(browser.text("#state-word"), "Verbunden");
    browser.fill("Nachricht", "hallo");
    browser.click("button", "Senden");
    browser.wait("document.querySelector('#last-text').innerText.startsWith('You sent: hallo')");
    drop(server);
    browser.wait("document.querySelector('#state-word').innerText === 'Nicht verbunden'");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_screen_has_its_name_in_the_log() {
    let program = Program::start(&[]);
    let mut browser = open_at(program.address(), "?kiosk&screen=lobby%203");
    wait_for_state(&mut browser, "OPEN");
    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    assert!(log.contains(" screen \"lobby 3\" /ws: "), "{log}");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_texts_of_the_last_visitor_go() {
    let server = TestServer::start();
    let mut browser = open(&server, "?kiosk&reset=0.3");
    wait_for_state(&mut browser, "OPEN");
    browser.fill("Message", "secret");
    browser.click("button", "Send");
    browser.wait("document.querySelector('#last-text').innerText.startsWith('You sent: secret')");
    browser.fill("Message", "not sent");
    browser.wait("document.querySelector('#last-text').innerText === ''");
    assert_eq!(message_text(&mut browser), "");
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn it_notices_by_itself_that_the_server_is_out_of_reach() {
    let server = TestServer::start();
    let mut browser = open(&server, "?kiosk&probe=0.05");
    wait_for_state(&mut browser, "OPEN");
    browser.call("Network.setBlockedURLs", &json!({"urls": ["*/healthz"]}));
    browser.wait("document.querySelector('#state-detail').innerText.startsWith('The server does not answer.')");
    browser.call("Network.setBlockedURLs", &json!({"urls": []}));
    wait_for_state(&mut browser, "OPEN");
}

/// Runs a command with a runtime directory; only /run and shared memory are writable.
const ON_A_READ_ONLY_ROOT: &str = r#"
    mount --make-rprivate / && mount -t tmpfs none /run && mkdir "/run/$0" || exit
    mount -o remount,bind,ro /
    ! touch /written 2>/dev/null || exit
    exec "$@"
"#;

/// Returns the Chromium command of the sample unit's compositor, without that, with the page at `address`.
fn unit_chromium(address: SocketAddr) -> Command {
    let unit = include_str!("../../scripts/systemd/wsecho-kiosk.service");
    let value = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let screen = include_str!("../../scripts/systemd/wsecho-kiosk.conf");
    let exec = screen.lines().find_map(|line| line.strip_prefix("exec '/usr/bin/chromium "));
    let exec = exec.unwrap().strip_suffix("; swaymsg exit'").unwrap().replace('"', "");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", ON_A_READ_ONLY_ROOT]);
    command.arg(value("RuntimeDirectory="));
    command.arg(executable());
    for argument in exec.split(' ').filter(|argument| !argument.contains("wayland")) {
        command.arg(argument.replace("127.0.0.1:8080", &address.to_string()));
    }
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]);
    command.envs(value("Environment=").split(' ').filter_map(|pair| pair.split_once('=')));
    command
}

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn the_units_chromium_may_start_before_the_server_and_on_a_read_only_root() {
    let address = own_address();
    let mut browser = Browser::start(&mut unit_chromium(address));
    browser.wait("document.body?.innerText.includes('ERR_CONNECTION_REFUSED')");
    let server = TestServer::at(address);
    wait_for_state(&mut browser, "OPEN");
    drop(server);
    wait_for_state(&mut browser, "CLOSED");
    let _again = TestServer::at(address);
    wait_for_state(&mut browser, "OPEN");
}

#[test]
fn the_check_of_the_units_finds_the_session_of_a_screen() {
    let check = include_str!("../../scripts/systemd/wsecho-kiosk-check.service");
    let case = check.lines().find_map(|line| line.trim().strip_prefix("case $$sessions in "));
    let pattern = case.unwrap().split_once(") exit 0").unwrap().0.replace("\\'", "'");
    let program = Program::start(&["--admin", "127.0.0.1:0"]);
    let sessions = |path: &str| {
        wait_for(|| {
            let listed = program.ask_admin("/sessions").body;
            if listed.contains(path) { Ok(listed) } else { Err(listed) }
        })
    };
    let is_found = |sessions: String| {
        let script = format!("case $1 in {pattern}) exit 0 ;; esac; exit 1");
        Command::new("sh").args(["-c", &script, "sh", &sessions]).status().unwrap().success()
    };
    let _nameless = program.open("/echo");
    assert!(!is_found(sessions("/echo")));
    let screen = include_str!("../../scripts/systemd/wsecho-kiosk.conf");
    let name = screen.split_once("/?kiosk&").unwrap().1.split_once('"').unwrap().0;
    let _screen = program.open(&format!("/ws?{name}"));
    assert!(is_found(sessions("/ws")));
}

//! Chromium, a strict client, against each injected fault: its JavaScript API and the server's log
//! must agree on how the session ended.

use nix::sys::signal::Signal;
use serde_json::json;

use super::open_at;
use crate::support::program::Program;

/// Opens a WebSocket in the page, sends the first message, the next one after each answer, and then
/// closes. The promise resolves to all events: open, messages, and the fields of the close event.
const EXCHANGE: &str = "(path) => new Promise((done) => {
    const events = [];
    const texts = ['first', 'second', 'third'];
    const socket = new WebSocket('ws://' + location.host + path);
    const send = () => texts.length ? socket.send(texts.shift()) : socket.close(1000);
    socket.onopen = () => { events.push('open'); send(); };
    socket.onmessage = ({ data }) => { events.push(data); send(); };
    socket.onclose = ({ code, reason, wasClean }) => done([...events, code, reason, wasClean].join());
})";

/// Exchanges messages until a Ping must have been sent and three more answers have arrived, then
/// closes. The promise resolves to the fields of the close event.
const EXCHANGE_PAST_PING: &str = "(path) => new Promise((done) => {
    const socket = new WebSocket('ws://' + location.host + path);
    let opened, more = 3;
    socket.onopen = () => { opened = performance.now(); socket.send('on'); };
    socket.onmessage = () => {
        if (performance.now() - opened > 100) more -= 1;
        more ? socket.send('on') : socket.close(1000);
    };
    socket.onclose = ({ code, wasClean }) => done([code, wasClean].join());
})";

#[test]
#[ignore = "needs Chromium; scripts/test runs it"]
fn chromium_and_the_log_agree_on_each_fault() {
    let program = Program::start(&[]);
    let mut browser = open_at(program.address(), "?url=/nothing"); // so no session
    let broken = "open,first,1006,,false";
    let table = [
        ("bad=utf8&after=1", broken, "closed by the client: 1002 Protocol Error "),
        ("bad=rsv&after=1", broken, "closed by the client: 1002 Protocol Error "),
        ("bad=opcode&after=1", broken, "closed by the client: 1002 Protocol Error "),
        ("bad=mask&after=1", broken, "closed by the client: 1002 Protocol Error "),
        ("bad=length&after=1", broken, "closed by the client: 1002 Protocol Error "),
        ("bad=accept", "1006,,false", "by the client: "),
        ("close=4001&reason=bye&after=1", "open,first,4001,bye,true", "closed by the server: 4001"),
        ("abort=rst&after=1", broken, "reset by the server: RST, abort=rst"),
        ("abort=fin&after=1", broken, "ended by the server: FIN, abort=fin"),
        (
            "fragment=3&close=1000&after=2",
            "open,first,second,1000,,true",
            "closed by the server: 1000",
        ),
    ];
    for (query, expected, _) in &table {
        let events = browser.eval(&format!("({EXCHANGE})({})", json!(format!("/echo?{query}"))));
        assert_eq!(events, *expected, "{query}");
    }
    assert_eq!(browser.eval(&format!("({EXCHANGE_PAST_PING})('/echo?ping=20ms')")), "1000,true");

    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    let ends = table.iter().map(|(query, _, end)| (*query, *end)).chain([("ping=20ms", ", ping ")]);
    for (number, (query, end)) in (1..).zip(ends) {
        let session = format!("session {number} ");
        let line = log.lines().find(|line| line.contains(&session)).unwrap_or_default();
        assert!(line.contains(end), "{query}: {log}");
    }
}

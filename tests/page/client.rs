//! A strict client that is not ours: what Chromium makes of each order. The server's log says that
//! it was Chromium that ended the session, where it was.

use nix::sys::signal::Signal;
use serde_json::json;

use super::open_at;
use crate::support::program::Program;

/// Opens a WebSocket in the page, sends a message, another one for each answer, and closes when
/// there is none left. The promise is of all that the browser told: opening, messages, end.
const CONVERSE: &str = "(path) => new Promise((done) => {
    const told = [];
    const texts = ['first', 'second', 'third'];
    const socket = new WebSocket('ws://' + location.host + path);
    const say = () => texts.length ? socket.send(texts.shift()) : socket.close(1000);
    socket.onopen = () => { told.push('open'); say(); };
    socket.onmessage = ({ data }) => { told.push(data); say(); };
    socket.onclose = ({ code, reason, wasClean }) => done([...told, code, reason, wasClean].join());
})";

/// The same until a Ping is due for certain and three more answers have come; then it closes.
const STAY: &str = "(path) => new Promise((done) => {
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
fn what_chromium_makes_of_the_orders() {
    let program = Program::start(&[]);
    let mut browser = open_at(program.address(), "?url=/nothing"); // and so without a session
    let broken = "open,first,1006,,false";
    let table = [
        ("bad=utf8&after=1", broken, "closed by the client: 1002 (protocol error) "),
        ("bad=rsv&after=1", broken, "closed by the client: 1002 (protocol error) "),
        ("bad=opcode&after=1", broken, "closed by the client: 1002 (protocol error) "),
        ("bad=mask&after=1", broken, "closed by the client: 1002 (protocol error) "),
        ("bad=length&after=1", broken, "closed by the client: 1002 (protocol error) "),
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
        let told = browser.eval(&format!("({CONVERSE})({})", json!(format!("/echo?{query}"))));
        assert_eq!(told, *expected, "{query}");
    }
    assert_eq!(browser.eval(&format!("({STAY})('/echo?ping=20ms')")), "1000,true");

    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    let ends = table.iter().map(|(query, _, end)| (*query, *end)).chain([("ping=20ms", ", ping ")]);
    for (number, (query, end)) in (1..).zip(ends) {
        let session = format!("session {number} ");
        let line = log.lines().find(|line| line.contains(&session)).unwrap_or_default();
        assert!(line.contains(end), "{query}: {log}");
    }
}

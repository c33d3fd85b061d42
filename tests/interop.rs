//! Third-party clients with compression: echoes are unaltered, and were compressed in both
//! directions.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::program::{Program, tool};

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// Runs a client without and with context takeover, and asserts that its messages were compressed.
fn assert_compressed(client: impl Fn() -> Command) {
    for query in ["", "?compression=takeover"] {
        let program = Program::start(&[]);
        let url = format!("ws://{}/echo{query}", program.address());
        let output = client().arg(url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let agreed = String::from_utf8(output.stdout).unwrap();
        assert!(agreed.starts_with("permessage-deflate"), "{agreed}");
        program.signal(Signal::SIGTERM);
        let log = program.wait().1;
        let wire = |way: &str| -> u64 {
            let counts = log.split(way).nth(1).and_then(|rest| rest.split(" bytes, ").nth(1));
            counts.and_then(|rest| rest.split(' ').next()?.parse().ok()).expect(&log)
        };
        // About 500 kB compress well, 70 kB are random.
        assert!(
            [wire(" in "), wire(" out ")].iter().all(|bytes| (70_000..80_000).contains(bytes)),
            "{log}"
        );
    }
}

fn script(interpreter: &str, name: &str, variable: &str, path: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(Path::new(PEERS).join(name)).env(variable, path);
    command
}

#[test]
#[ignore = "needs Python's websockets; scripts/test runs it"]
fn python_websockets_echoes_with_compression() {
    let path = tool("websockets");
    assert_compressed(|| script("python3", "client.py", "PYTHONPATH", &path));
}

#[test]
#[ignore = "needs Node.js and its ws; scripts/test runs it"]
fn node_ws_echoes_with_compression() {
    let path = tool("ws");
    assert_compressed(|| script("node", "client.mjs", "NODE_PATH", &path));
}

#[test]
#[ignore = "needs Go and its gorilla/websocket; scripts/test runs it"]
fn go_gorilla_echoes_with_compression() {
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("client");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&client).arg(Path::new(PEERS).join("client.go"));
    let built = go.env("GO111MODULE", "off").env("GOPATH", tool("gorilla")).status().unwrap();
    assert!(built.success());
    assert_compressed(|| Command::new(&client));
}

//! The forms of a report: for people, for programs, and as a probe.

use std::io::{BufRead, Write};
use std::process::{Command, Stdio};

use super::{LONG, check};
use crate::support::port::bound;
use crate::support::program::{command, timed, tool};
use crate::support::server::TestServer;

#[test]
fn quiet_prints_only_problem_and_fix() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    assert_eq!(check(&url, &["--quiet", LONG[0], LONG[1]]), (0, String::new()));
    let (_bound, address) = bound();
    let (code, report) = check(&format!("ws://{address}/"), &["-q", LONG[0], LONG[1]]);
    let expected = format!(
        "problem: {address}: connection refused, nothing listens there.\n\
         fix:     Start the server, or correct host and port.\n"
    );
    assert_eq!((code, report), (4, expected));
}

#[test]
fn prometheus_gets_the_names_of_the_blackbox_exporter() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    let (code, text) = check(&url, &["--prometheus", "--count", "2", LONG[0], LONG[1]]);
    assert_eq!(code, 0, "{text}");
    for name in ["probe_success", "probe_http_ssl", "wsecho_check_exit_code"] {
        assert!(text.contains(&format!("\n{name}{{target=\"{url}\"}} ")), "{text}");
    }
    assert!(text.contains("wsecho_check_round_trip_seconds{"), "{text}");
    let (code, text) = check(&format!("ws://{}/x", server.address), &["--prometheus"]);
    assert!(code == 5 && text.contains("probe_http_status_code{"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("probe_success{") && line.ends_with(" 0")));
}

#[test]
#[ignore = "needs promtool; scripts/test runs it"]
fn promtool_accepts_the_metrics_of_a_check() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo?\"", server.address).replace('"', "%22");
    let (_, text) = check(&url, &["--prometheus", "--count", "2", LONG[0], LONG[1]]);
    let mut promtool = Command::new(tool("promtool"));
    let mut child = promtool.args(["check", "metrics"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
}

#[test]
fn a_repeated_check_prints_a_line_each_time() {
    let server = TestServer::start();
    let url = format!("ws://{}/echo", server.address);
    for (options, expected) in [(&[][..], " ok     "), (&["--json"], "\"exit_code\":0")] {
        let mut checking = command(&["check", &url, "--repeat", "10ms"]);
        let mut child = checking.args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = timed(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            let line = lines.next().unwrap().unwrap();
            assert!(line.contains(expected) && line.contains(&url), "{line}");
        }
        drop(lines); // a closed stdout ends it
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

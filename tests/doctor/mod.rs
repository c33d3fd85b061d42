//! `wsecho doctor`: both ends of a WebSocket compared, through the real server.

use std::process::Output;

use serde_json::Value;

use crate::support::client::Raw;
use crate::support::program::command;
use crate::support::server::TestServer;

/// Runs it. Returns exit code and stdout.
fn doctor(url: &str, options: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } =
        command(&["doctor", url, "--timeout", "20s"]).args(options).output().unwrap();
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

/// Runs it with `--json`. Returns exit code and report.
fn json(url: &str, options: &[&str]) -> (i32, Value) {
    let (code, text) = doctor(url, &[&["--json"], options].concat());
    (code, serde_json::from_str(&text).unwrap())
}

/// The identifiers of the findings.
fn ids(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

#[test]
fn a_server_without_reports_is_seen_from_one_end() {
    let server = TestServer::with(|config| config.faults = false);
    let url = format!("ws://{}/echo", server.address);
    let (code, text) = doctor(&url, &[]);
    assert!(code == 0 && text.contains("note     other_server: "), "{text}");
    assert!(text.contains("\nok     echo "), "{text}");
    let (code, report) = json(&url, &[]);
    assert_eq!((code, ids(&report)), (0, vec!["other_server"]));
    assert_eq!(report["both_ends"], false);
    assert_eq!(report["check"]["ok"], true);
}

#[test]
fn a_server_that_cannot_be_reached_has_the_exit_code_of_check() {
    let address = {
        let raw = Raw::connect(TestServer::start().address);
        raw.0.get_ref().local_addr().unwrap()
    };
    let (code, text) = doctor(&format!("ws://{address}/"), &[]);
    assert!(code == 4 && text.contains("problem: "), "{text}");
}

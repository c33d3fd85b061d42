//! `wsecho doctor`: both ends of a WebSocket compared, through the real server.

mod idle;
mod measures;
mod paths;
mod products;

use std::process::{Output, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::fault_proxy::{Fault, FaultProxy, HeadFault, Way};
use crate::support::port::bound;
use crate::support::program::command;
use crate::support::server::TestServer;
#[cfg(feature = "tls")]
use crate::support::stream::Wire;

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

/// Calls `check` for all cases at the same time, as most of a run is waiting.
fn side_by_side<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
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
    let (_socket, address) = bound();
    let (code, text) = doctor(&format!("ws://{address}/"), &[]);
    assert!(code == 4 && text.contains("problem: "), "{text}");
    assert!(text.starts_with("path     this machine -> the server; no connection\n"), "{text}");
}

#[test]
fn nothing_is_reported_on_a_clean_path() {
    let server = TestServer::start();
    for path in ["/", "/echo"] {
        let (code, report) = json(&format!("ws://{}{path}", server.address), &[]);
        assert_eq!((code, ids(&report)), (0, vec![]), "{report}");
        assert_eq!(report["both_ends"], true);
    }
    let (code, text) = doctor(&format!("ws://{}/", server.address), &[]);
    let nothing = "\nok       nothing is altered: heads, compression, ";
    assert!(code == 0 && text.contains(nothing), "{text}");
}

#[test]
fn the_exit_code_says_whether_something_breaks_clients() {
    let server = TestServer::start();
    for (fault, expected) in [
        (Fault::Request(HeadFault::Set("Host", "backend")), (1, "host_changed")),
        (Fault::SwallowPings(Way::ToClient), (1, "pings_swallowed")),
        (Fault::Request(HeadFault::Add("Via", "1.1 Caddy")), (0, "field_added")),
        (Fault::MergeFragments(Way::ToServer), (0, "fragments_merged")),
    ] {
        let proxy = FaultProxy::start(server.address, fault);
        let (code, report) = json(&proxy.url(), &[]);
        assert_eq!((code, ids(&report)), (expected.0, vec![expected.1]), "{report}");
    }
}

#[test]
fn a_refused_handshake_is_a_finding_with_the_setting_of_the_proxy() {
    let server = TestServer::start();
    let fault = Fault::Request(HeadFault::Remove("Upgrade"));
    let proxy = FaultProxy::start(server.address, fault);
    let (code, text) = doctor(&proxy.url(), &[]);
    assert!(code == 1 && text.contains("\nBREAKS   upgrade_dropped: "), "{text}");
    assert!(text.starts_with("path     this machine -> something without a name -> "), "{text}");
    assert!(text.contains("\n         fix:   Any proxy: forward Upgrade and Connection"), "{text}");
}

#[test]
fn a_control_server_tells_what_is_at_this_end() {
    let server = TestServer::start();
    let host = Fault::Request(HeadFault::Set("Host", "backend"));
    let [one, other] = [host, Fault::SwallowPings(Way::ToClient)]
        .map(|fault| FaultProxy::start(server.address, fault));
    let (code, report) = json(&one.url(), &["--control", &other.url()]);
    assert_eq!((code, ids(&report)), (1, vec!["host_changed"]));
    assert_eq!(ids(&report["control"]), ["pings_swallowed"]);
    let (_, text) = doctor(&one.url(), &["--control", &one.url()]);
    assert!(text.contains(": on both ways, so at this end: host_changed; only on"), "{text}");
}

#[test]
fn an_interrupt_prints_what_is_known_so_far() {
    let server = TestServer::start();
    let url = format!("ws://{}/", server.address);
    let mut doctor = command(&["doctor", &url, "--json", "--idle", "1h"]);
    let child = doctor.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The lanes of the quick group, after which those of --idle follow.
    for _ in 0..10 {
        server.ended_session();
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!((status.code(), &report["partial"]), (Some(130), &Value::Bool(true)));
    assert_eq!(report["groups"][0]["name"], "heads");
}

#[test]
fn a_changed_host_is_named_too_where_it_makes_the_server_refuse_an_origin() {
    let server = TestServer::start();
    let fault = Fault::Request(HeadFault::Set("Host", "backend"));
    let proxy = FaultProxy::start(server.address, fault);
    let origin = format!("http://{}", proxy.addr());
    let (code, report) = json(&proxy.url(), &["--origin", &origin]);
    assert_eq!((code, ids(&report)), (1, vec!["host_changed"]), "{report}");
    assert!(report["findings"][0]["fix"].as_str().unwrap().starts_with("Forward Host"), "{report}");
}

#[test]
#[cfg(feature = "tls")]
fn both_ends_are_compared_over_tls_too() {
    let server = TestServer::over(Wire::Tls, |_| {});
    let (code, report) = json(&format!("wss://{}/", server.address), &["--insecure"]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report}");
}

#[test]
fn a_unix_socket_is_a_way_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let _server = TestServer::with(|config| config.listen.push(listen.parse().unwrap()));
    let (code, report) = json(&listen, &[]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report}");
}

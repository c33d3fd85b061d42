//! `--idle`: what ends a silent session, and what keeps it.

use std::time::Duration;

use serde_json::Value;

use super::{ids, json, side_by_side};
use crate::support::fault_proxy::{Counts, Ending, Fault, FaultProxy, Way};
use crate::support::server::TestServer;

/// The lanes send at intervals of an eighth of it.
const IDLE: [&str; 2] = ["--idle", "1200ms"];
/// Four intervals, as a busy machine may be late for one.
const SILENCE: Duration = Duration::from_millis(600);

/// The report through a proxy with this fault.
fn report(fault: Fault) -> (i32, Value) {
    let server = TestServer::start();
    let proxy = FaultProxy::start(server.address, fault);
    json(&proxy.url(), &IDLE)
}

fn detail(report: &Value) -> String {
    let groups = report["groups"].as_array().unwrap();
    let idle = groups.iter().find(|group| group["name"] == "idle").unwrap();
    idle["detail"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_is_found_where_sessions_live() {
    let (code, report) = report(Fault::None);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report}");
    assert_eq!(detail(&report).matches(" it lives").count(), 6, "{report}");
}

#[test]
fn a_cut_after_silence_is_found_with_its_time_and_what_prevents_it() {
    let cases = [(Ending::Fin, "a FIN at both ends"), (Ending::Rst, "a RST at both ends")];
    side_by_side(&cases, |(ending, end)| {
        let (code, report) = report(Fault::Silence(SILENCE, Counts::All, *ending));
        assert_eq!((code, ids(&report)), (1, vec!["idle_timeout"]), "{report}");
        let what = report["findings"][0]["what"].as_str().unwrap();
        assert!(what.contains(" s of silence: ") && what.contains(end), "{what}");
        let after = what.strip_prefix("cut after ").unwrap().split(' ').next().unwrap();
        // The client sees the 101 later than the proxy.
        assert!(after.parse::<f32>().unwrap() >= SILENCE.as_secs_f32() / 2.0, "{what}");
        assert!(what.contains("; kept alive by all that is sent"), "{what}");
    });
}

#[test]
fn what_does_not_keep_a_session_alive_is_told() {
    let cases = [
        (Counts::Data, "; not by: Pings of the server, Pings of the client"),
        (Counts::Only(Way::ToClient), "; not by: messages of the client"),
    ];
    side_by_side(&cases, |(counts, text)| {
        let (_, report) = report(Fault::Silence(SILENCE, *counts, Ending::Fin));
        let what = report["findings"][0]["what"].as_str().unwrap();
        assert!(what.ends_with(text), "{counts:?}: {what}");
    });
}

#[test]
fn a_session_that_nobody_ends_is_found_dead() {
    let (code, report) = report(Fault::Silence(SILENCE, Counts::All, Ending::Nothing));
    assert_eq!((code, ids(&report)), (1, vec!["idle_timeout"]), "{report}");
    assert!(detail(&report).starts_with("with silence it is dead"), "{report}");
}

#[test]
fn a_cut_at_an_age_is_no_idle_timeout() {
    let (code, report) = report(Fault::Age(SILENCE, Ending::Rst));
    assert_eq!((code, ids(&report)), (1, vec!["lifetime_cap"]), "{report}");
}

#[test]
fn silence_is_measured_at_any_server_from_one_end() {
    let server = TestServer::with(|config| config.faults = false);
    let fault = Fault::Silence(SILENCE, Counts::All, Ending::Fin);
    let proxy = FaultProxy::start(server.address, fault);
    let (code, report) = json(&format!("{}/echo", proxy.url()), &IDLE);
    assert_eq!((code, ids(&report)), (1, vec!["idle_timeout", "other_server"]), "{report}");
    let what = report["findings"][0]["what"].as_str().unwrap();
    let expected = "of silence, by the server or on the way: a FIN at the client";
    assert!(what.starts_with("cut after 0.") && what.contains(expected), "{what}");
}

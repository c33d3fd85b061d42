//! Paths with exactly one fault, which is named, and a clean path, through which nothing is reported.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{ids, json};
use crate::support::fault_proxy::{Close, Ending, Fault, FaultProxy, HeadFault, Size, Way};
use crate::support::server::TestServer;

/// The doctors that run at the same time. They wait more than they work.
const AT_ONCE: usize = 8;

const UP: Way = Way::ToServer;
const DOWN: Way = Way::ToClient;

/// Runs it against a server of its own, through a path with this fault. Returns exit code and report.
fn examine(fault: Fault, options: &[&str]) -> (i32, Value) {
    let server = TestServer::start();
    let proxy = FaultProxy::start(server.address, fault);
    json(&proxy.url(), options)
}

/// A fault, the exit code, and what is found: this, and nothing else.
type Case = (Fault, i32, &'static [&'static str]);

/// Asserts that what each of these faults does is named. Lists all cases that differ.
fn assert_named(cases: &[Case], options: &[&str]) {
    let (cases, differing) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    let examine_next = || {
        while let Some((fault, code, expected)) = { cases.lock().unwrap().next() } {
            let (seen_code, report) = examine(*fault, options);
            let mut found = ids(&report);
            found.sort_unstable();
            if (seen_code, &found[..]) != (*code, expected) {
                let line = format!("{fault:?}: {seen_code} {found:?}, not {code} {expected:?}");
                differing.lock().unwrap().push(line);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(examine_next);
        }
    });
    let differing = differing.into_inner().unwrap();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Asserts that nothing is reported through so many clean paths.
fn assert_clean(count: usize, options: &[&str]) {
    assert_named(&vec![(Fault::None, 0, &[][..]); count], options);
}

#[test]
fn changed_heads_are_named() {
    use Fault::{Refuse, ReplaceKey, Request, Response};
    use HeadFault::{Add, Duplicate, FirstLine, Merge, Remove, Set, Sort};
    assert_named(
        &[
            (Request(Remove("Upgrade")), 1, &["upgrade_dropped"]),
            (Request(Remove("Connection")), 1, &["upgrade_dropped"]),
            (Request(Set("Connection", "close")), 1, &["upgrade_dropped"]),
            (Response(Remove("Upgrade")), 1, &["upgrade_dropped"]),
            (Request(Duplicate("Upgrade")), 1, &["upgrade_repeated"]),
            (Request(Set("Host", "backend:8080")), 1, &["host_changed"]),
            (Request(Remove("Host")), 1, &["host_changed"]),
            (Request(FirstLine("HTTP/1.1", "HTTP/1.0")), 1, &["http_version_changed"]),
            (Request(FirstLine("/echo", "/ws")), 0, &["path_changed"]),
            (Request(FirstLine("/echo", "/app/echo")), 1, &["path_changed"]),
            (Request(Remove("X-Wsecho-Doctor")), 0, &["field_removed"]),
            (Request(Set("X-Wsecho-Doctor", "other")), 0, &["field_changed"]),
            (Request(Add("X-Hop", "1")), 0, &["field_added"]),
            (Response(Add("X-Hop", "1")), 0, &["field_added"]),
            (Request(Set("Upgrade", "WebSocket")), 0, &["field_rewritten"]),
            (Request(Merge("X-Wsecho-Doctor")), 0, &["fields_merged"]),
            (Request(Sort), 0, &["fields_reordered"]),
            (Request(Remove("Sec-WebSocket-Key")), 1, &["field_removed"]),
            (Request(Remove("Sec-WebSocket-Version")), 1, &["field_removed"]),
            (ReplaceKey { mends_accept: true }, 0, &["key_replaced"]),
            (ReplaceKey { mends_accept: false }, 1, &["accept_wrong", "key_replaced"]),
            (Response(Set("Sec-WebSocket-Accept", "x")), 1, &["accept_wrong"]),
            // As `wsecho check` does: there is no server to compare with.
            (Refuse(403), 5, &[]),
        ],
        &[],
    );
}

#[test]
fn stripped_extensions_and_subprotocols_are_named() {
    const EXTENSIONS: HeadFault = HeadFault::Remove("Sec-WebSocket-Extensions");
    const SUBPROTOCOL: HeadFault = HeadFault::Remove("Sec-WebSocket-Protocol");
    assert_named(
        &[
            (Fault::Request(EXTENSIONS), 0, &["extensions_stripped"]),
            (Fault::Response(EXTENSIONS), 1, &["compression_one_sided"]),
            (Fault::Request(SUBPROTOCOL), 1, &["subprotocol_stripped"]),
            (Fault::Response(SUBPROTOCOL), 1, &["subprotocol_stripped"]),
        ],
        &[],
    );
}

#[test]
fn changed_frames_are_named() {
    // The server's replies in fragments are shorter.
    let cut = |way, ending| Fault::Oversized(way, Size::Frame(255), ending);
    assert_named(
        &[
            (Fault::LoseBehind101, 1, &["first_frame_lost"]),
            (Fault::FlipByte(UP, 3), 1, &["bytes_changed"]),
            (Fault::FlipByte(DOWN, 3), 1, &["bytes_changed"]),
            (Fault::ClearRsv(UP), 1, &["rsv_changed"]),
            (Fault::ClearRsv(DOWN), 1, &["rsv_changed"]),
            (Fault::MergeFragments(UP), 0, &["fragments_merged"]),
            (Fault::MergeFragments(DOWN), 0, &["fragments_merged"]),
            (Fault::SplitFrames(UP, 100), 0, &["frames_split"]),
            (Fault::SplitFrames(DOWN, 30), 0, &["frames_split"]),
            (cut(UP, Ending::Fin), 1, &["connection_cut"]),
            (cut(DOWN, Ending::Close(1009)), 1, &["connection_cut"]),
        ],
        &[],
    );
}

#[test]
fn pings_that_are_swallowed_or_answered_are_named() {
    assert_named(
        &[
            (Fault::SwallowPings(UP), 1, &["pings_swallowed"]),
            (Fault::SwallowPings(DOWN), 1, &["pings_swallowed"]),
            (Fault::SwallowPongs(UP), 1, &["pongs_swallowed"]),
            (Fault::SwallowPongs(DOWN), 1, &["pongs_swallowed"]),
            (Fault::AnswerPings(UP), 0, &["pings_answered_by_proxy"]),
            (Fault::AnswerPings(DOWN), 0, &["pings_answered_by_proxy"]),
        ],
        &[],
    );
}

#[test]
fn changed_endings_are_named() {
    assert_named(
        &[
            (Fault::Close(UP, Close::WithoutCode), 1, &["close_code_lost"]),
            (Fault::Close(DOWN, Close::WithoutCode), 1, &["close_code_lost"]),
            (Fault::Close(UP, Close::Fin), 1, &["close_code_lost"]),
            (Fault::Close(DOWN, Close::Fin), 1, &["close_code_lost"]),
            (Fault::Close(UP, Close::Rst), 1, &["close_code_lost"]),
            (Fault::Close(DOWN, Close::Rst), 1, &["close_code_lost"]),
            (Fault::CloseBeforeFin(UP, 1001), 0, &["close_added"]),
            (Fault::CloseBeforeFin(DOWN, 1001), 0, &["close_added"]),
            (Fault::ResetForFin(UP), 0, &["fin_became_reset"]),
            (Fault::ResetForFin(DOWN), 0, &["fin_became_reset"]),
            (Fault::FinForReset(UP), 0, &["reset_hidden"]),
            (Fault::FinForReset(DOWN), 0, &["reset_hidden"]),
            (Fault::NoHalfClose, 0, &["half_close_lost"]),
        ],
        &[],
    );
}

#[test]
fn what_does_not_arrive_is_named_and_what_arrives_late_is_not() {
    assert_named(
        &[
            (Fault::LoseLarge(UP, 255), 1, &["messages_lost"]),
            (Fault::LoseLarge(DOWN, 255), 1, &["messages_lost"]),
            (Fault::HideEnd(UP), 1, &["end_hidden"]),
            (Fault::HideEnd(DOWN), 1, &["end_hidden"]),
            (Fault::Buffer(UP, Duration::from_secs(1)), 0, &[]),
        ],
        &[],
    );
}

#[test]
fn nothing_is_reported_through_clean_paths() {
    assert_clean(20, &[]);
}

#[test]
#[ignore = "takes seconds; scripts/test runs it"]
fn nothing_is_reported_through_a_hundred_clean_paths() {
    assert_clean(100, &[]);
}

//! `--sizes` and `--timing`.

use std::time::Duration;

use serde_json::Value;

use super::{ids, json, side_by_side};
use crate::support::fault_proxy::{Ending, Fault, FaultProxy, Size, Way};
use crate::support::server::TestServer;

/// The report through a proxy with this fault, and the line of the group.
fn report(fault: Fault, options: &[&str], group: &str) -> (i32, Value, String) {
    let server = TestServer::with(|config| config.limits.max_message_size = 100_000);
    let proxy = FaultProxy::start(server.address, fault);
    let (code, report) = json(&proxy.url(), options);
    let groups = report["groups"].as_array().unwrap();
    let found = groups.iter().find(|listed| listed["name"] == group).unwrap();
    let detail = found["detail"].as_str().unwrap().to_owned();
    (code, report, detail)
}

#[test]
fn the_largest_message_is_found_and_the_servers_own_limit_is_no_finding() {
    let cases = [
        (&["--sizes", "--max", "64KiB"][..], " 65536 bytes arrive"),
        (&["--sizes"], "by the server's own limit"),
    ];
    side_by_side(&cases, |(options, text)| {
        let (code, report, detail) = report(Fault::None, options, "sizes");
        assert_eq!((code, ids(&report)), (0, vec![]), "{report}");
        assert_eq!(detail.matches(text).count(), 4, "{detail}");
    });
}

#[test]
fn a_limit_on_the_way_is_found_for_frames_and_for_messages_in_its_direction() {
    let options = ["--sizes", "--max", "64KiB"];
    side_by_side(&[(Way::ToServer, "client"), (Way::ToClient, "server")], |(way, who)| {
        let fault = Fault::Oversized(*way, Size::Frame(20_000), Ending::Close(1009));
        let (code, report, _) = report(fault, &options, "sizes");
        assert_eq!((code, ids(&report)), (1, vec!["size_limit"]), "{report}");
        let what = report["findings"][0]["what"].as_str().unwrap();
        assert!(
            what.starts_with(&format!("messages of the {who} as one frame of more than 199")),
            "{what}"
        );
        assert!(what.ends_with("; the client sees Close 1009"), "{what}");
        let fault = Fault::Oversized(*way, Size::Message(20_000), Ending::Rst);
        let (_, report, _) = self::report(fault, &options, "sizes");
        assert_eq!(ids(&report), ["size_limit"; 2], "{report}");
    });
}

#[test]
fn a_clean_path_does_not_buffer() {
    let (code, report, detail) = report(Fault::None, &["--timing"], "timing");
    assert_eq!((code, ids(&report)), (0, vec![]), "{report}");
    assert!(detail.contains(" round trips of 27 bytes: min "), "{detail}");
    assert!(detail.contains("; TCP segments of up to "), "{detail}");
}

#[test]
fn buffering_is_found_in_its_direction() {
    let cases =
        [(Way::ToServer, "on the way to the server"), (Way::ToClient, "on the way to the client")];
    side_by_side(&cases, |(way, place)| {
        let fault = Fault::Buffer(*way, Duration::from_millis(300));
        let (code, report, _) = self::report(fault, &["--timing"], "timing");
        assert_eq!((code, ids(&report)), (1, vec!["buffered"]), "{report}");
        assert_eq!(report["findings"][0]["where"], *place);
    });
}

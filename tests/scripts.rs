//! The scripts that a person types, against the real binary, with the real websocat.

use crate::support::program::{Program, script};

#[test]
#[ignore = "needs websocat and curl; scripts/test runs it"]
fn every_endpoint_can_be_tried_by_hand() {
    let program = Program::start(&[]);
    let output = script("try", &[&program.address().to_string()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("say hello to /ws: You sent: hello at "), "{text}");
    assert_eq!(text.lines().count(), 14, "{text}");
}

#[test]
#[ignore = "needs websocat and curl; scripts/test runs it"]
fn a_wrong_answer_is_noticed() {
    let program = Program::start(&["--reply", "{message}"]);
    let output = script("try", &[&program.address().to_string()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.matches("WRONG").count(), 4, "{text}");
}

#[test]
fn scripts_explain_themselves() {
    for name in ["autobahn", "fuzz", "instructions", "screenshot", "soak", "test", "tool", "try"] {
        let output = script(name, &["--nonsense"]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("Usage: scripts/"), "{name}");
    }
}

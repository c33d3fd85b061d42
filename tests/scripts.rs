//! The scripts for interactive use, with the real binary and the real websocat.

use crate::support::program::{Program, script};

#[test]
#[ignore = "needs websocat and curl; scripts/test runs it"]
fn try_succeeds_on_every_endpoint() {
    let program = Program::start(&[]);
    let output = script("try", &[&program.address().to_string()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("say hello to /ws: You sent: hello at "), "{text}");
    assert_eq!(text.lines().count(), 15, "{text}");
}

#[test]
#[ignore = "needs websocat and curl; scripts/test runs it"]
fn try_reports_wrong_answers() {
    let program = Program::start(&["--reply", "{message}"]);
    let output = script("try", &[&program.address().to_string()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.matches("WRONG").count(), 4, "{text}");
}

#[test]
#[ignore = "needs root for chroot; scripts/test runs it"]
fn a_dynamically_linked_binary_fails_in_an_empty_root() {
    let output = script("try-empty-root", &[env!("CARGO_BIN_EXE_wsecho")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("it did not start"), "{stderr}");
}

#[test]
fn a_missing_target_is_reported_with_its_install_command() {
    let output = script("build-static", &["aarch64-unknown-linux-none"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("rustup target add aarch64-unknown-linux-none"), "{stderr}");
}

#[test]
fn scripts_print_their_usage_on_unknown_options() {
    for name in [
        "autobahn",
        "boot",
        "build-static",
        "check-tree",
        "debian-root",
        "fuzz",
        "image",
        "instructions",
        "package",
        "release",
        "screenshot",
        "soak",
        "test",
        "tool",
        "try",
        "try-empty-root",
        "try-image",
        "try-kiosk",
        "try-systemd",
        "try-vm",
    ] {
        let output = script(name, &["--nonsense"]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("Usage: scripts/"), "{name}");
    }
}

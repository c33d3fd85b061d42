//! The dependencies in the manifest: each has a comment with its reason, and `rust-version`
//! satisfies all of them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

fn manifest() -> &'static str {
    include_str!("../Cargo.toml")
}

/// Runs cargo in the project's folder. Returns what it prints.
fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let cargo = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the lines of a table of the manifest.
fn table(name: &str) -> impl Iterator<Item = &'static str> {
    let lines = manifest().lines().skip_while(move |line| *line != name).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

/// Returns the dependencies of a table that have no comment on the line above.
fn unexplained(name: &str) -> Vec<&'static str> {
    let lines: Vec<_> = table(name).collect();
    assert!(lines.len() > 1, "{name} is empty");
    let pairs = lines.windows(2).map(|pair| (pair[0], pair[1]));
    let unexplained =
        pairs.filter(|(above, line)| line.contains(" = ") && !above.starts_with("# "));
    unexplained.map(|(_, line)| line).collect()
}

#[test]
fn each_dependency_has_a_comment_with_its_reason() {
    for name in ["[dependencies]", "[dev-dependencies]"] {
        assert_eq!(unexplained(name), Vec::<&str>::new(), "{name}");
    }
}

/// Parses a version such as `1.88`.
fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn rust_version_satisfies_every_dependency() {
    let metadata = cargo(&["metadata", "--locked", "--format-version=1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let stated = version(env!("CARGO_PKG_RUST_VERSION"));
    let packages = metadata["packages"].as_array().unwrap();
    let needs = packages
        .iter()
        .filter_map(|package| Some((package["name"].as_str()?, package["rust_version"].as_str()?)));
    let too_new: Vec<_> = needs.filter(|(_, needed)| version(needed)[..2] > stated[..2]).collect();
    assert!(too_new.is_empty(), "rust-version is {stated:?}: {too_new:?}");
}

#[test]
fn the_library_needs_no_crate_of_the_program() {
    let options = ["--locked", "--edges=normal", "--no-default-features", "--prefix=none"];
    let tree = cargo(&[&["tree"], &options[..]].concat());
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("tungstenite"), "{tree}");
    for program in ["clap", "env_logger", "ctrlc", "listenfd", "sd-notify", "rustls"] {
        assert!(!crates.contains(program), "{program}: {crates:?}");
    }
}

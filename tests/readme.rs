//! The README's tables name the tests that prove its claims; each of these tests must exist.

use std::path::Path;

/// Reads the source file of a module, in `tests` or `src`; `None` if there is none.
fn file(module: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = module.trim_end_matches("::tests").replace("::", "/");
    ["tests", "src"].iter().find_map(|folder| {
        std::fs::read_to_string(root.join(folder).join(&path).with_extension("rs")).ok()
    })
}

#[test]
fn every_test_named_in_the_readme_exists() {
    let named: Vec<_> = include_str!("../README.md")
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter_map(|code| code.rsplit_once("::"))
        .filter(|(module, _)| module.starts_with(char::is_alphabetic)) // not `[::1]`
        .collect();
    assert!(named.len() > 5, "{named:?}");
    for (module, name) in named {
        let file = file(module).unwrap_or_else(|| panic!("there is no {module}"));
        assert!(file.contains(&format!("fn {name}()")), "there is no {module}::{name}");
    }
}

#[test]
fn the_readme_names_the_rust_version_of_the_manifest() {
    let named = concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"), " or later");
    assert!(include_str!("../README.md").contains(named), "{named}");
}

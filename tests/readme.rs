//! The READMEs: the tests that they name exist, and their commands print what they show.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::program::{Program, timed, tool};

/// Where the READMEs' server listens.
const ADDRESS: &str = "127.0.0.1:8080";
/// A line that stands for others.
const LEFT_OUT: &str = "…";

/// Reads the source file of a module, in `tests` or `src`; `None` if there is none.
fn file(module: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = module.trim_end_matches("::tests").replace("::", "/");
    ["tests", "src"].iter().find_map(|folder| {
        std::fs::read_to_string(root.join(folder).join(&path).with_extension("rs")).ok()
    })
}

/// The texts of all READMEs, with their paths.
fn readmes() -> Vec<(PathBuf, String)> {
    fn find(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_ours = !path.ends_with("target") && !path.ends_with("node_modules");
            if path.is_dir() && is_ours {
                find(&path, found);
            } else if path.ends_with("README.md") {
                found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    found.push((root.join("README.md"), std::fs::read_to_string(root.join("README.md")).unwrap()));
    for folder in ["src", "tests", "scripts", "www"] {
        find(&root.join(folder), &mut found);
    }
    found
}

#[test]
fn every_test_named_in_a_readme_exists() {
    let readmes = readmes();
    let named: Vec<_> = readmes
        .iter()
        .flat_map(|(_, text)| text.lines())
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
fn every_link_to_a_file_leads_to_one() {
    for (path, text) in readmes() {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            let target = path.parent().unwrap().join(link);
            assert!(target.exists(), "{}: there is no {link}", path.display());
        }
    }
}

#[test]
fn the_readme_is_short_and_names_the_rust_version_of_the_manifest() {
    let readme = include_str!("../README.md");
    let named = concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"), " or later");
    assert!(readme.contains(named), "{named}");
    let words = readme.split_whitespace().count();
    assert!(words <= 1300, "{words} words");
}

/// A command in a `console` block, and the lines below it.
#[derive(Debug)]
struct Shown<'a> {
    command: &'a str,
    lines: Vec<&'a str>,
}

fn shown(text: &str) -> Vec<Shown<'_>> {
    let mut commands: Vec<Shown> = Vec::new();
    for block in text.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => commands.push(Shown { command, lines: Vec::new() }),
                None => commands.last_mut().unwrap().lines.push(line),
            }
        }
    }
    commands
}

/// Runs a command with a shell, against `address` in place of that in the README, and types one line if that is
/// not empty. Returns as many lines of its output as are shown, and all of them if the end is left out.
fn run(shown: &Shown, typed: &str, address: SocketAddr, path: &str) -> Vec<String> {
    let command = shown.command.replace(ADDRESS, &address.to_string());
    let mut shell = Command::new("bash");
    shell.args(["-c", &command]).env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = shell.stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    let lines = timed(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let is_cut = shown.lines.contains(&LEFT_OUT);
    let count = if is_cut { usize::MAX } else { shown.lines.len() };
    let printed = lines.take(count).map(|line| line.trim_end().to_owned()).collect();
    drop(stdin);
    child.wait().unwrap();
    printed
}

/// Whether `printed` has the lines that are shown, with more lines in between where that is said.
fn has(printed: &[String], shown: &[String]) -> bool {
    let mut rest = printed;
    shown.split(|line| line == LEFT_OUT).all(|part| {
        let at = (0..=rest.len()).find(|at| rest[*at..].starts_with(part));
        at.inspect(|at| rest = &rest[at + part.len()..]).is_some()
    })
}

#[test]
#[ignore = "needs websocat, which scripts/test installs"]
fn commands_print_what_the_readmes_show() {
    // The time in a reply is then that of the README.
    let program = Program::start(&["--time-format", "3:04:05 PM"]);
    let binaries = Path::new(env!("CARGO_BIN_EXE_wsecho")).parent().unwrap().display().to_string();
    let websocat = tool("websocat");
    let websocat = Path::new(&websocat).parent().unwrap().display();
    let path = format!("{binaries}:{websocat}:{}", std::env::var("PATH").unwrap());
    let mut count = 0;
    for (readme, text) in readmes() {
        for mut shown in shown(&text) {
            let reads_terminal =
                shown.command.starts_with("websocat") && !shown.command.contains("<<<");
            let typed = if reads_terminal {
                shown.lines.remove(0).to_owned() + "\n"
            } else {
                String::new()
            };
            let address = program.address().to_string();
            let expected: Vec<_> =
                shown.lines.iter().map(|line| line.replace(ADDRESS, &address)).collect();
            let printed = run(&shown, &typed, program.address(), &path);
            assert!(
                has(&printed, &expected),
                "{}: {shown:?} printed {printed:#?}",
                readme.display()
            );
            count += 1;
        }
    }
    assert!(count >= 4, "{count} commands");
}

//! Generates the man pages and shell completions of the packages.
//!
//! This is a test, which `scripts/package` runs to write the files into the folder
//! `WSECHO_PACKAGE`: in the program itself, the generators would take 230 KiB.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::options::Options;

/// The shells for which Debian has completion folders.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

fn write(folder: &Path) {
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut Options::command(), "wsecho", folder).unwrap();
    }
    clap_mangen::generate_to(Options::command(), folder).unwrap();
}

/// Returns the completions that bash offers for the last of `words`.
fn completions(folder: &Path, words: [&str; 2]) -> String {
    let script = format!(
        "source wsecho.bash; COMP_WORDS=({}); COMP_CWORD=1; _wsecho {}; echo ${{COMPREPLY[@]}}",
        words.join(" "),
        words.join(" ")
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(folder).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn man_pages_and_completions_know_the_options() {
    let temporary = tempfile::tempdir().unwrap();
    let folder =
        std::env::var_os("WSECHO_PACKAGE").map_or(temporary.path().to_owned(), PathBuf::from);
    write(&folder);

    let page = std::fs::read_to_string(folder.join("wsecho.1")).unwrap().replace("\\-", "-");
    let options = Options::command();
    let shown = options.get_arguments().filter(|option| !option.is_hide_set());
    for option in shown.filter_map(clap::Arg::get_long) {
        assert!(page.contains(&format!("--{option}")), "{option}");
    }
    for subcommand in ["check", "doctor"] {
        assert!(folder.join(format!("wsecho-{subcommand}.1")).exists());
    }
    assert_eq!(completions(&folder, ["wsecho", "--rep"]), "--reply");
    assert_eq!(completions(&folder, ["wsecho", "ch"]), "check");
}

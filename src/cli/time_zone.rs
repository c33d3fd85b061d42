//! Whether the time zone in `TZ` can be found. If it cannot, the C library shows UTC without a word.

use std::path::{Path, PathBuf};

/// Where the C libraries look for zones: glibc in the first folder, musl in all.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

/// Names of UTC. They show the right time whether or not they are found.
const UTC: [&str; 5] = ["UTC", "GMT", "Etc/UTC", "Etc/GMT", "Zulu"];

/// The warning if `TZ` names a zone that this machine does not have.
pub(super) fn warning() -> Option<String> {
    let zone = std::env::var_os("TZ")?;
    let zone = zone.to_string_lossy();
    let folders = match std::env::var_os("TZDIR") {
        Some(folder) => vec![folder.into()],
        None => FOLDERS.map(PathBuf::from).to_vec(),
    };
    (!is_known(&zone, &folders)).then(|| {
        format!(
            "the time zone TZ={zone} is not known on this machine, so local time is UTC; install the package tzdata, or write the zone as a rule, such as TZ=CET-1CEST,M3.5.0,M10.5.0/3"
        )
    })
}

fn is_known(zone: &str, folders: &[PathBuf]) -> bool {
    let name = zone.strip_prefix(':').unwrap_or(zone);
    let is_file = |folder: &PathBuf| folder.join(name).is_file();
    name.is_empty()
        || UTC.contains(&name)
        || is_rule(name)
        || Path::new(name).is_file() && name.starts_with('/')
        || folders.iter().any(is_file)
}

/// Whether the text is a rule, which needs no file: a name of three letters or more, or in angle brackets,
/// and the offset from UTC (POSIX.1-2017, section 8.3).
fn is_rule(text: &str) -> bool {
    let after_name = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let offset = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, offset)| offset),
        None if text.len() - after_name.len() >= 3 => Some(after_name),
        None => None,
    };
    offset.is_some_and(|offset| {
        let digits = offset.strip_prefix(['+', '-']).unwrap_or(offset);
        digits.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_rules_files_or_unknown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("Europe")).unwrap();
        let file = folder.path().join("Europe/Berlin");
        std::fs::write(&file, "TZif").unwrap();
        let absolute = file.display().to_string();
        let folders = [folder.path().to_owned()];
        for known in [
            "",
            "UTC",
            "UTC0",
            "XXX-5:45",
            "<-03>3",
            "<+0330>-3:30",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "Europe/Berlin",
            ":Europe/Berlin",
            &absolute,
            &format!(":{absolute}"),
        ] {
            assert!(is_known(known, &folders), "{known}");
        }
        for unknown in
            ["Europe", "Europe/Paris", "Nowhere/Land", "CET", "AB1", "<+03", "<+03>", "/no/file"]
        {
            assert!(!is_known(unknown, &folders), "{unknown}");
        }
    }
}

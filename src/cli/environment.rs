//! Environment variables instead of options: what their values mean, and which one an error comes from.

use std::ffi::OsStr;

use clap::Arg;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// From this likeness on a variable is taken for a typing error; all of them begin alike.
const SIMILAR: f64 = 0.93;

/// Parses the value of a flag, which only an environment variable has.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "on" | "true" => Ok(true),
        "0" | "no" | "off" | "false" => Ok(false),
        _ => Err("write 1 or 0 (or yes, no, on, off, true, false)".to_owned()),
    }
}

/// As [`yes_or_no`], but counts further than 1.
pub(super) fn verbosity(text: &str) -> Result<u8, String> {
    let number = || text.parse().map_err(|_| "write 0, 1 or 2 (or yes, no)".to_owned());
    yes_or_no(text).map(u8::from).or_else(|_| number())
}

/// Whether the variable of `option` is empty, or says that a flag is not given. clap would count both as
/// given.
pub(super) fn is_unset(option: &Arg) -> bool {
    let Some(value) = option.get_env().and_then(std::env::var_os) else { return false };
    let is_flag = !option.get_action().takes_values();
    value.is_empty() || is_flag && value.to_str().is_some_and(|text| yes_or_no(text) == Ok(false))
}

/// Adds to an error about a value the variable that it comes from, if it comes from one.
pub(super) fn with_variable(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let Some(option) = command.get_arguments().find(|option| option.to_string() == *shown) else {
        return error;
    };
    let is_set = |name: &&OsStr| std::env::var_os(name).is_some();
    let (Some(long), Some(name)) = (option.get_long(), option.get_env().filter(is_set)) else {
        return error;
    };
    let is_kind = matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
    let long = format!("--{long}");
    let is_typed = std::env::args_os()
        .any(|argument| argument.to_string_lossy().split('=').next() == Some(&long));
    if is_kind && !is_typed {
        let text = format!("{shown}', set by '{}", name.display());
        error.insert(ContextKind::InvalidArg, ContextValue::String(text));
    }
    error
}

/// The variables that begin as those of wsecho do and are none, each with the one that was probably meant.
pub(super) fn unknown(
    names: impl Iterator<Item = String>,
    command: &clap::Command,
) -> Vec<(String, Option<&str>)> {
    let known: Vec<&str> =
        command.get_arguments().filter_map(|option| option.get_env()?.to_str()).collect();
    let nearest = |name: &str| {
        let likeness = |known: &&str| strsim::jaro_winkler(name, known);
        let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(&best) >= SIMILAR).then_some(best)
    };
    names
        .filter(|name| name.starts_with("WSECHO_") && !known.contains(&name.as_str()))
        .map(|name| {
            let meant = nearest(&name);
            (name, meant)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::options::Options;

    #[test]
    fn unknown_variables_are_found_with_their_nearest_neighbour() {
        let names = ["WSECHO_LISTEN", "WSECHO_LISTN", "WSECHO_XYZZY", "PATH"].map(str::to_owned);
        let command = Options::command();
        let found = unknown(names.into_iter(), &command);
        let expected =
            [("WSECHO_LISTN".to_owned(), Some("WSECHO_LISTEN")), ("WSECHO_XYZZY".to_owned(), None)];
        assert_eq!(found, expected);
    }
}

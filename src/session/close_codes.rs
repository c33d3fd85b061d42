//! The close codes of RFC 6455, section 7.4, and of IANA's registry.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Name and meaning by code, by range such as `3xxx`, or by `other`. The page's file is the only
/// table: it is a module of JavaScript, as not all browsers import JSON yet, and a static file, as
/// `--www` serves those alone.
static TABLE: LazyLock<HashMap<&str, (&str, &str)>> = LazyLock::new(|| {
    let script = include_str!("../../www/js/close-codes.js");
    let object = script.find('{').zip(script.rfind('}')).map(|(start, end)| &script[start..=end]);
    serde_json::from_str(object.unwrap_or_default()).expect("the table is JSON")
});

/// The name of a close code in IANA's registry, such as `Going Away` for 1001.
pub fn close_code_name(code: u16) -> &'static str {
    describe(code).0
}

/// The meaning of a close code in a few words.
pub fn close_code_meaning(code: u16) -> &'static str {
    describe(code).1
}

/// Whether a Close may have this code: RFC 6455, section 7.4, and the codes that IANA has registered since.
pub(crate) fn close_may_have(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn describe(code: u16) -> (&'static str, &'static str) {
    let keys = [code.to_string(), format!("{}xxx", code / 1000), "other".to_owned()];
    keys.iter().find_map(|key| TABLE.get(key.as_str()).copied()).expect("the table has `other`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_and_a_meaning() {
        for (code, name) in [
            (1000, "Normal Closure"),
            (999, "Unassigned"),
            (1004, "Unassigned"),
            (1005, "No Status Received"),
            (1006, "Abnormal Closure"),
            (2999, "Unassigned"),
            (3000, "Unauthorized"),
            (3001, "Registered Code"),
            (3008, "Timeout"),
            (4999, "Private Use"),
            (5000, "Unassigned"),
            (u16::MAX, "Unassigned"),
        ] {
            assert_eq!(close_code_name(code), name);
            assert!(!close_code_meaning(code).is_empty());
        }
    }
}

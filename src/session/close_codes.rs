//! The close codes of RFC 6455, section 7.4, and of IANA's registry.

/// Names and meanings, by code. The page has the same table in `www/client.js`.
const REGISTERED: [(u16, &str, &str); 18] = [
    (1000, "Normal Closure", "the connection has served its purpose"),
    (1001, "Going Away", "one end is leaving, such as a server that stops or a page that was left"),
    (1002, "Protocol Error", "a frame broke the WebSocket protocol"),
    (1003, "Unsupported Data", "data of this type is not accepted"),
    (1005, "No Status Received", "the Close had no code"),
    (1006, "Abnormal Closure", "the connection ended without a closing handshake"),
    (
        1007,
        "Invalid Frame Payload Data",
        "the data does not match its type, such as text that is not UTF-8",
    ),
    (1008, "Policy Violation", "a message broke a rule of this endpoint"),
    (1009, "Message Too Big", "the message is larger than the receiver accepts"),
    (1010, "Mandatory Extension", "the server did not agree on an extension that the client needs"),
    (1011, "Internal Error", "an unexpected condition kept the server from going on"),
    (1012, "Service Restart", "the service restarts, connect again"),
    (1013, "Try Again Later", "the service is overloaded, connect again later"),
    (1014, "Bad Gateway", "a gateway got an invalid response from the server behind it"),
    (1015, "TLS Handshake", "the TLS handshake failed"),
    (3000, "Unauthorized", "the client has to authenticate first"),
    (3003, "Forbidden", "the client is not allowed to do this"),
    (3008, "Timeout", "the client took too long"),
];

/// The name of a close code in IANA's registry, such as `Going Away` for 1001.
pub fn close_code_name(code: u16) -> &'static str {
    describe(code).0
}

/// The meaning of a close code in a few words.
pub fn close_code_meaning(code: u16) -> &'static str {
    describe(code).1
}

fn describe(code: u16) -> (&'static str, &'static str) {
    if let Some((_, name, meaning)) = REGISTERED.iter().find(|(known, ..)| *known == code) {
        return (name, meaning);
    }
    match code {
        3000..=3999 => ("Registered Code", "defined by a library or framework"),
        4000..=4999 => ("Private Use", "defined by the application"),
        _ => ("Unassigned", "no meaning is registered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_and_a_meaning() {
        for (code, name) in [
            (1000, "Normal Closure"),
            (1004, "Unassigned"),
            (1006, "Abnormal Closure"),
            (2999, "Unassigned"),
            (3000, "Unauthorized"),
            (3001, "Registered Code"),
            (4999, "Private Use"),
            (5000, "Unassigned"),
        ] {
            assert_eq!(close_code_name(code), name);
            assert!(!close_code_meaning(code).is_empty());
        }
    }

    #[test]
    fn the_page_has_the_same_table() {
        let page = include_str!("../../www/client.js");
        for (code, name, meaning) in REGISTERED {
            let entry = format!("{code}: \"{name}: {meaning}\"");
            assert!(page.contains(&entry), "{entry}");
        }
        for code in [3001, 4000, 5000] {
            let entry = format!("\"{}: {}\"", close_code_name(code), close_code_meaning(code));
            assert!(page.contains(&entry), "{entry}");
        }
    }
}

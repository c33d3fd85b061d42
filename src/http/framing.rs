//! Checks where a request ends and which host it is for, on which a proxy and this server must
//! agree (RFC 9112, sections 3.2 and 6).
//!
//! **Invariant:** A request that passes has no body and no second Host.

use super::diagnosis::Diagnosis;
use super::excerpt::with_fields;
use crate::http::head::{Head, Version};

/// Checks the framing of any request, WebSocket handshake or not.
///
/// # Errors
/// The refusal. The connection must then be closed, as the bytes after the head may be its body.
pub(crate) fn check(head: &Head) -> Result<(), Diagnosis> {
    check_body(head)?;
    check_host(head)
}

/// Rejects requests with a body, and requests whose length is ambiguous (RFC 9112, section 6.3).
fn check_body(head: &Head) -> Result<(), Diagnosis> {
    let coded = head.fields.get("Transfer-Encoding").is_some();
    let mut lengths = head.fields.all("Content-Length").map(str::trim);
    let length = lengths.next();
    if coded && (length.is_some() || head.version < Version::Http11) {
        return Err(smuggling(
            head,
            "Transfer-Encoding is not allowed beside Content-Length or in HTTP/1.0.",
        ));
    }
    if let Some(length) = length
        && (length.is_empty()
            || !length.bytes().all(|byte| byte.is_ascii_digit())
            || lengths.next().is_some())
    {
        return Err(smuggling(head, "Content-Length must be one number."));
    }
    if coded || length.is_some_and(|length| length.bytes().any(|digit| digit != b'0')) {
        return Err(body(head));
    }
    Ok(())
}

/// Requires one valid Host; HTTP/1.0 requests may omit it (RFC 9112, section 3.2).
fn check_host(head: &Head) -> Result<(), Diagnosis> {
    let mut hosts = head.fields.all("Host");
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version < Version::Http11 => Ok(()),
        (Some(host), None) if is_host(host) => Ok(()),
        (None, _) => Err(bad_host(head, "HTTP/1.1 requires a Host header field.")),
        (Some(_), Some(_)) => Err(bad_host(head, "There is more than one Host header field.")),
        (Some(_), None) => Err(bad_host(head, "The Host header field is not a host and port.")),
    }
}

/// Whether all characters may occur in a host and port.
fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:[]".contains(c);
    host.chars().all(allowed)
}

const BODY_FIELDS: [&str; 2] = ["Content-Length", "Transfer-Encoding"];

#[cold]
fn smuggling(head: &Head, problem: &'static str) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: problem.into(),
        arrived: with_fields(head, &BODY_FIELDS),
        cause: "A bug in a client or proxy; or an attempt at request smuggling, which needs a proxy and a\n\
            server that disagree on where a request ends."
            .into(),
        fix: "Send neither field: requests to this server have no body.".into(),
    }
}

#[cold]
fn body(head: &Head) -> Diagnosis {
    Diagnosis {
        status: 413,
        problem: "Requests to this server must not have a body.".into(),
        arrived: with_fields(head, &BODY_FIELDS),
        cause: "The data to be echoed was sent in the request (curl's --data does that).".into(),
        fix: "Open a WebSocket, and send the data as messages.".into(),
    }
}

#[cold]
fn bad_host(head: &Head, problem: &'static str) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: problem.into(),
        arrived: with_fields(head, &["Host"]),
        cause:
            "A handwritten request without Host, or a proxy that adds a second or an invalid one."
                .into(),
        fix: "Send one Host field, such as `Host: example.com:8080`. In nginx:\n    \
            proxy_set_header Host $http_host;"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::head::parse;

    fn status(request: &str) -> u16 {
        let head = request.replace('\n', "\r\n") + "\r\n\r\n";
        let head = parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0;
        check(&head).map_or_else(|diagnosis| diagnosis.status, |()| 200)
    }

    #[test]
    fn bodies_and_ambiguous_lengths_are_rejected() {
        for (fields, expected) in [
            ("Content-Length: 0", 200),
            ("Content-Length: 1", 413),
            ("Content-Length: 99999999999999999999999999", 413),
            ("Transfer-Encoding: chunked", 413),
            ("Transfer-Encoding: chunked\nContent-Length: 0", 400),
            ("Content-Length: 0\nContent-Length: 0", 400),
            ("Content-Length: 0, 0", 400),
            ("Content-Length: +1", 400),
            ("Content-Length: -1", 400),
            ("Content-Length:", 400),
            ("Transfer-Encoding: x\nTransfer-Encoding: chunked", 413),
        ] {
            assert_eq!(status(&format!("GET / HTTP/1.1\nHost: h\n{fields}")), expected, "{fields}");
        }
        assert_eq!(status("GET / HTTP/1.0\nTransfer-Encoding: chunked"), 400);
    }

    #[test]
    fn exactly_one_valid_host_is_required() {
        for (request, expected) in [
            ("GET / HTTP/1.0", 200),
            ("GET / HTTP/1.1", 400),
            ("GET / HTTP/1.1\nHost: a\nHost: a", 400),
            ("GET / HTTP/1.1\nHost: a b", 400),
            ("GET / HTTP/1.1\nHost: a/b", 400),
            ("GET / HTTP/1.1\nHost: u@a", 400),
            ("GET / HTTP/1.1\nHost: [::1]:80", 200),
            ("GET / HTTP/1.1\nHost:", 200),
            ("GET http://other/ HTTP/1.1\nHost: h", 200),
        ] {
            assert_eq!(status(request), expected, "{request}");
        }
    }
}

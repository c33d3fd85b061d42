//! Where a request ends and whom it is for: the questions on which proxy and server must agree.
//!
//! What it is: the looks that every request has to pass, for a WebSocket or not.
//! Invariant: a request that passes has no body and no second Host.

use super::diagnosis::Diagnosis;
use super::excerpt::with_fields;
use crate::http::head::{Head, Version};

/// # Errors
/// What is wrong; bytes after such a head are not to be trusted.
pub(crate) fn check(head: &Head) -> Result<(), Diagnosis> {
    check_body(head)?;
    check_host(head)
}

/// No request here has a body; one that announces a body is not read any further.
fn check_body(head: &Head) -> Result<(), Diagnosis> {
    let coded = head.get("Transfer-Encoding").is_some();
    let mut lengths = head.all("Content-Length").map(str::trim);
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

/// RFC 9112, section 3.2: one valid Host, and none only in HTTP/1.0.
fn check_host(head: &Head) -> Result<(), Diagnosis> {
    let mut hosts = head.all("Host");
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version < Version::Http11 => Ok(()),
        (Some(host), None) if is_host(host) => Ok(()),
        (None, _) => Err(bad_host(head, "HTTP/1.1 requires a Host header field.")),
        (Some(_), Some(_)) => Err(bad_host(head, "There is more than one Host header field.")),
        (Some(_), None) => Err(bad_host(head, "The Host header field is not a host and port.")),
    }
}

/// Host and optional port, by the characters they may have.
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
        cause: "A client or a proxy with a fault; or an attempt at request smuggling, which lives on two\n\
            servers that disagree on where a request ends."
            .into(),
        fix: "Send neither of the two: no request to this server has a body.".into(),
    }
}

#[cold]
fn body(head: &Head) -> Diagnosis {
    Diagnosis {
        status: 413,
        problem: "No request to this server has a body.".into(),
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
            "A request written by hand without Host, or a proxy that sets Host to something else,\n\
            or once more."
                .into(),
        fix: "Send one Host field, such as `Host: example.com:8080`; nginx: \n\
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
    fn bodies_and_smuggling_shapes() {
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
    fn hosts() {
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

//! Refusals of requests that are no handshakes, or whose query has to be refused.

use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint::ENDPOINT_LIST;
use crate::http::excerpt::{brief, request_line};
use crate::http::head::Head;
use crate::report::ReportError;
use crate::session::faults;

/// Nothing is served at this path, or no WebSocket.
#[cold]
pub(crate) fn not_found(head: &Head) -> Diagnosis {
    let path = brief(&head.path);
    let problem = if head.attempts_websocket() {
        format!("No WebSocket is served at {path}.")
    } else {
        format!("Nothing is served at {path}.")
    };
    Diagnosis {
        status: 404,
        problem: problem.into(),
        arrived: vec![request_line(head)],
        cause: "A typing error in the address: letter case and a slash at the end count. Or a proxy that\n\
            adds a prefix to the path, or removes one (nginx does so with a path in proxy_pass)."
            .into(),
        fix: format!("Request one of the paths of this server, wsecho:\n{ENDPOINT_LIST}").into(),
    }
}

/// The query parameters of `/ws` or `/echo` are wrong. `why` is one sentence.
#[cold]
pub(crate) fn bad_parameters(head: &Head, why: String) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: why.into(),
        arrived: vec![request_line(head)],
        cause: "The query parameters of /ws and /echo inject faults and delays. One of them has a typing\n\
            error in its name or value, or the query is meant for another server."
            .into(),
        fix: format!("Remove the query, or use these parameters (/help explains them):\n{}", faults::examples())
            .into(),
    }
}

/// The session cannot be recorded.
#[cold]
pub(crate) fn no_report(head: &Head, why: ReportError) -> Diagnosis {
    let (status, cause, fix) = match why {
        ReportError::TokenInUse => (
            409,
            "A client that connects again with the token of its last session.",
            "Choose a new random token for each session.",
        ),
        ReportError::TooMany | ReportError::NoMemory => (
            503,
            "Many clients ask for reports, or send large messages.",
            "Try again later, or connect without report=.",
        ),
    };
    Diagnosis {
        status,
        problem: format!("This session gets no report: {why}.").into(),
        arrived: vec![request_line(head)],
        cause: cause.into(),
        fix: fix.into(),
    }
}

/// `/report` names no report.
#[cold]
pub(crate) fn unknown_report(head: &Head) -> Diagnosis {
    Diagnosis {
        status: 404,
        problem: "There is no report with this token.".into(),
        arrived: vec![format!("{} {}", head.method, head.path)],
        cause: "The session ended more than five minutes ago, many others came after it, or it went to\n\
            another server process behind the same address. Or fault injection is off (--no-faults)."
            .into(),
        fix: "Connect to /echo?report=TOKEN with a new token, and request /report?token=TOKEN.".into(),
    }
}

/// The query of `/chat` is wrong. `why` is one sentence.
#[cold]
pub(crate) fn bad_join_request(head: &Head, why: String) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: why.into(),
        arrived: vec![request_line(head)],
        cause: "A typing error in a name or a value, or a value that is not percent-encoded."
            .into(),
        fix: "Connect to /chat?room=lobby&name=ann; both parameters are optional.".into(),
    }
}

/// Fault injection: the query asks for this status.
#[cold]
pub(crate) fn forced_status(head: &Head, status: u16) -> Diagnosis {
    Diagnosis {
        status,
        problem: format!("Refused with {status}, as the query asks.").into(),
        arrived: vec![request_line(head)],
        cause: format!("status={status} in the address.").into(),
        fix: "Remove this parameter from the query.".into(),
    }
}

/// The method is neither GET, HEAD nor OPTIONS.
#[cold]
pub(crate) fn method_not_allowed(head: &Head) -> Diagnosis {
    let method = brief(&head.method);
    Diagnosis {
        status: 405,
        problem: format!("{method} is not served here; GET, HEAD and OPTIONS are.").into(),
        arrived: vec![request_line(head)],
        cause: "A client of an API, or a form.".into(),
        fix: format!("Send a GET request:\n{ENDPOINT_LIST}").into(),
    }
}

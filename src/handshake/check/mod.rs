//! Why a request gets no WebSocket: what is wrong, what arrived, what usually causes it, the fix.
//!
//! What it is: [`examine`], one pure function from a request head to its handshake or to a
//! [`Diagnosis`]; its rooms are the steps of that look.
//! What it is not: the 101 (`upgrade`), or the lack of a place (`refusal`).
//! Invariants: every part of a diagnosis says something; what the peer wrote is in it shortened and
//! escaped only, and nothing is that could be a secret (cookies, credentials).

mod fields;
mod origin;
mod proxy;

pub(crate) use self::fields::no_upgrade;
use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint::{self, ENDPOINT_LIST, Endpoint};
use crate::http::excerpt::{brief, request_line};
use crate::http::framing;
use crate::http::head::Head;
use crate::session::faults;

/// A valid handshake.
#[derive(Debug)]
pub(crate) struct Handshake<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: &'a str,
}

/// What decides beside the head whose page may come in.
#[derive(Debug)]
pub(crate) struct OriginPolicy<'a> {
    /// Whether the connection came in on a loopback address.
    pub(crate) local: bool,
    /// `--allow-origin`
    pub(crate) allow_origin: &'a [String],
}

/// The handshake that this head is; the looks are in the order in which a client's author wants to
/// know.
///
/// # Errors
/// Why it is none.
pub(crate) fn examine<'a>(
    head: &'a Head,
    policy: &OriginPolicy,
) -> Result<Handshake<'a>, Diagnosis> {
    framing::check(head)?;
    let endpoint = endpoint::at(&head.path).ok_or_else(|| no_websocket(head))?;
    origin::check(head, policy)?;
    let key = fields::check(head, policy)?;
    Ok(Handshake { endpoint, key })
}

/// A handshake where no WebSocket is spoken.
#[cold]
fn no_websocket(head: &Head) -> Diagnosis {
    nowhere(head, format!("No WebSocket is spoken at {}.", brief(&head.path)))
}

/// A request for what is not here.
#[cold]
pub(crate) fn nothing(head: &Head) -> Diagnosis {
    nowhere(head, format!("There is nothing at {}.", brief(&head.path)))
}

fn nowhere(head: &Head, problem: String) -> Diagnosis {
    Diagnosis {
        status: 404,
        problem: problem.into(),
        arrived: vec![request_line(head)],
        cause: "A slip in the address: letter case and a slash at the end count. Or a proxy that passes\n\
            on a prefix of its own, or cuts off one (nginx: a path at the end of proxy_pass does)."
            .into(),
        fix: format!("Ask this server, wsecho, for one of these:\n{ENDPOINT_LIST}").into(),
    }
}

/// A query that cannot be obeyed.
#[cold]
pub(crate) fn bad_query(head: &Head, why: String) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: why.into(),
        arrived: vec![request_line(head)],
        cause: "The query of /ws and /echo is read as orders to this server; a slip in a name or a value,\n\
            or a query that was meant for another server."
            .into(),
        fix: format!("Leave the query out, or order one of these (/help says more):\n{}", faults::help())
            .into(),
    }
}

/// A query of `/chat` that names no place.
#[cold]
pub(crate) fn bad_join_request(head: &Head, why: String) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: why.into(),
        arrived: vec![request_line(head)],
        cause: "A slip in a name or a value, or a value that is not percent-encoded.".into(),
        fix: "Connect to /chat?room=lobby&name=ann; both may be left out.".into(),
    }
}

/// A refusal that was ordered.
#[cold]
pub(crate) fn ordered(head: &Head, status: u16) -> Diagnosis {
    Diagnosis {
        status,
        problem: format!("Refused with {status}, as the query orders.").into(),
        arrived: vec![request_line(head)],
        cause: format!("status={status} in the address.").into(),
        fix: "Leave that out of the query.".into(),
    }
}

/// A method that nothing here has.
#[cold]
pub(crate) fn no_such_method(head: &Head) -> Diagnosis {
    let method = brief(&head.method);
    Diagnosis {
        status: 405,
        problem: format!("{method} is not served here; GET and HEAD are.").into(),
        arrived: vec![request_line(head)],
        cause:
            "A client of an API, or a form; or the probe that a browser sends before a request to\n\
            another origin (OPTIONS)."
                .into(),
        fix: format!("Ask by GET:\n{ENDPOINT_LIST}").into(),
    }
}

#[cfg(test)]
mod tests;

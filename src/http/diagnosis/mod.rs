//! Why a request gets no WebSocket: what is wrong, what arrived, what usually causes it, the fix.
//!
//! What it is: [`examine`], one pure function from a request head to its handshake or to a
//! [`Diagnosis`]; its rooms are the steps of that look.
//! What it is not: the 101 (`upgrade`), or the lack of a place (`refusal`).
//! Invariants: every part of a diagnosis says something; what the peer wrote is in it shortened and
//! escaped only, and nothing is that could be a secret (cookies, credentials).

mod arrived;
mod framing;
mod handshake;
mod origin;
mod proxy;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

pub(crate) use self::arrived::{escaped, method, request_line};
pub(crate) use self::framing::check as check_framing;
pub(crate) use self::handshake::no_upgrade;
use super::endpoint::{self, ENDPOINT_LIST, Endpoint};
use super::head::Head;
use super::negotiate::prefers_json;
use super::response::Response;
use crate::config::tuning::RETRY_AFTER_SECS;
use crate::control;

/// Why there is a refusal, for a person and for a program.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    pub(crate) status: u16,
    /// One sentence: what is wrong.
    pub(crate) problem: Cow<'static, str>,
    /// Line by line, the part of the request that it is about.
    pub(crate) arrived: Vec<String>,
    /// What usually causes it.
    pub(crate) cause: Cow<'static, str>,
    pub(crate) fix: Cow<'static, str>,
}

/// A valid handshake.
#[derive(Debug)]
pub(crate) struct Handshake<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) key: &'a str,
}

/// What decides beside the head whose page may come in.
#[derive(Debug)]
pub(crate) struct Door<'a> {
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
pub(crate) fn examine<'a>(head: &'a Head, door: &Door) -> Result<Handshake<'a>, Diagnosis> {
    check_framing(head)?;
    let endpoint = endpoint::at(&head.path).ok_or_else(|| no_websocket(head))?;
    origin::check(head, door)?;
    let key = handshake::check(head, door)?;
    Ok(Handshake { endpoint, key })
}

/// A handshake where no WebSocket is spoken.
#[cold]
fn no_websocket(head: &Head) -> Diagnosis {
    nowhere(head, format!("No WebSocket is spoken at {}.", arrived::brief(&head.path)))
}

/// A request for what is not here.
#[cold]
pub(crate) fn nothing(head: &Head) -> Diagnosis {
    nowhere(head, format!("There is nothing at {}.", arrived::brief(&head.path)))
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
        fix: format!("Leave the query out, or order one of these (/help says more):\n{}", control::help())
            .into(),
    }
}

/// A query of `/chat` that names no place.
#[cold]
pub(crate) fn bad_ticket(head: &Head, why: String) -> Diagnosis {
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
    let method = arrived::brief(&head.method);
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

impl Diagnosis {
    /// The response to this request: text, or JSON for who prefers that.
    pub(crate) fn answer(&self, head: &Head) -> Response {
        let response = if prefers_json(head) {
            Response::json(self.status, self, true)
        } else {
            Response::text(self.status, self.to_string())
        };
        self.complete(response).with("Vary", "Accept")
    }

    /// The response where no request was read.
    pub(crate) fn unasked(&self) -> Response {
        self.complete(Response::text(self.status, self.to_string()))
    }

    /// Adds what goes with the status.
    fn complete(&self, response: Response) -> Response {
        match self.status {
            405 => response.with("Allow", "GET, HEAD"),
            426 => response.with("Sec-WebSocket-Version", handshake::VERSION),
            503 => response.with("Retry-After", RETRY_AFTER_SECS.to_string()),
            _ => response,
        }
    }
}

/// The first line is the problem; a page that shows only one line shows that.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnosis { problem, arrived, cause, fix, .. } = self;
        writeln!(f, "{problem}")?;
        let arrived = arrived.iter().map(String::as_str);
        write_part(f, "What arrived", arrived)?;
        write_part(f, "The usual cause", cause.lines())?;
        write_part(f, "The fix", fix.lines())
    }
}

fn write_part<'a>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    lines: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    writeln!(f, "\n{title}:")?;
    for line in lines {
        writeln!(f, "{}", format!("  {line}").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

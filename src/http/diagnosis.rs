//! The explanation that comes with a refusal.
//!
//! Invariants: every part says something, in lines that fit a terminal. What the peer wrote is
//! repeated shortened and escaped, and no secret (cookies, credentials) is repeated at all.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::content_negotiation::prefers_json;
use super::head::Head;
use super::response::Response;
use crate::config::tuning::RETRY_AFTER_SECS;

/// The version of RFC 6455, as `Sec-WebSocket-Version` names it.
pub(crate) const WEBSOCKET_VERSION: &str = "13";

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
            426 => response.with("Sec-WebSocket-Version", WEBSOCKET_VERSION),
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

//! The body of an error response: the problem, its usual cause and the fix.
//!
//! **Invariants:** No part is empty, and every line fits a terminal. Text from the request is
//! repeated only shortened and escaped; secrets (cookies, credentials) are not repeated at all.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::content_negotiation::prefers_json;
use super::head::Head;
use super::response::{METHODS, Response};
use crate::config::tuning::RETRY_AFTER_SECS;

/// The value of `Sec-WebSocket-Version` in RFC 6455, section 4.1.
pub(crate) const WEBSOCKET_VERSION: &str = "13";

/// Why a request is refused; rendered as text for people or as JSON for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    pub(crate) status: u16,
    /// One sentence: what is wrong.
    pub(crate) problem: Cow<'static, str>,
    /// The relevant lines of the request.
    pub(crate) arrived: Vec<String>,
    /// The usual cause.
    pub(crate) cause: Cow<'static, str>,
    pub(crate) fix: Cow<'static, str>,
}

impl Diagnosis {
    /// The response to this request: text, or JSON if the client prefers that.
    pub(crate) fn answer(&self, head: &Head) -> Response {
        let response = if prefers_json(head) {
            Response::json(self.status, self, true)
        } else {
            Response::text(self.status, self.to_string())
        };
        self.complete(response).with("Vary", "Accept")
    }

    /// The response if no request could be read; always text.
    pub(crate) fn without_request(&self) -> Response {
        self.complete(Response::text(self.status, self.to_string()))
    }

    /// Adds the fields that belong to the status, and removes the content that it must not have.
    fn complete(&self, response: Response) -> Response {
        match self.status {
            405 => response.with("Allow", METHODS),
            204 | 205 | 304 => response.without_content(),
            426 => response.with("Sec-WebSocket-Version", WEBSOCKET_VERSION),
            503 => response.with("Retry-After", RETRY_AFTER_SECS.to_string()),
            _ => response,
        }
    }
}

/// The first line is the problem, for readers that show only one line (the page in kiosk mode).
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

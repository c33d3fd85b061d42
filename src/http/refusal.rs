//! Refusals that are not the route's: each says what is wrong, and names the option behind it.
//!
//! What it is: the words. What it is not: the decision, which was made by whoever asks here.

use super::head::HeadError;
use super::response::Response;
use crate::config::tuning::RETRY_AFTER_SECS;

/// The answer to what was not a request; none where nobody is left to read it.
pub(crate) fn no_request(error: &HeadError) -> Option<Response> {
    Some(match error {
        HeadError::Timeout => {
            Response::text(408, "The request head did not arrive in time (--handshake-timeout).\n")
        }
        HeadError::TooLarge => Response::text(431, "The request head is too large.\n"),
        HeadError::Version => Response::text(505, "This server speaks HTTP/1.1.\n"),
        HeadError::Malformed(what) => {
            Response::text(400, format!("This is not an HTTP request: {what}.\n"))
        }
        HeadError::Left => return None,
    })
}

/// A page from elsewhere that wants a WebSocket.
pub(crate) fn forbidden(origin: &str, host: &str) -> Response {
    Response::text(
        403,
        format!(
            "A page from {origin} may not open a WebSocket on {host}; \
             the operator of this server can allow it with --allow-origin {origin}.\n"
        ),
    )
}

/// A server that could, but not now.
pub(crate) fn unavailable(why: &str) -> Response {
    Response::text(503, format!("Not now: {why}; try again in {RETRY_AFTER_SECS} seconds.\n"))
        .with("Retry-After", RETRY_AFTER_SECS.to_string())
}

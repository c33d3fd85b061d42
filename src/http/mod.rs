//! HTTP/1.1 (RFC 9110, RFC 9112): request heads, responses and the page.
//!
//! Every module works on one request or one response; `connection` puts them in sequence.

pub(crate) mod content_negotiation;
pub(crate) mod diagnosis;
pub(crate) mod endpoint;
pub(crate) mod excerpt;
pub(crate) mod fields;
pub(crate) mod forwarded;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod host;
pub(crate) mod no_request;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod response;
pub(crate) mod unavailable;
pub(crate) mod visible_name;

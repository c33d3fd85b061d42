//! HTTP/1.1: request heads, responses and what is served by plain HTTP.
//!
//! Everything here works on one request or one response; `connection` puts them in order.

pub(crate) mod content_negotiation;
pub(crate) mod diagnosis;
pub(crate) mod endpoint;
pub(crate) mod excerpt;
pub(crate) mod forwarded;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod response;
pub(crate) mod unavailable;

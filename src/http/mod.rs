//! One HTTP request: read its head, decide, answer.

pub(crate) mod diagnosis;
pub(crate) mod embedded;
pub(crate) mod endpoint;
pub(crate) mod extensions;
pub(crate) mod forwarded;
pub(crate) mod head;
mod hop;
pub(crate) mod info;
pub(crate) mod negotiate;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod refusal;
pub(crate) mod response;
pub(crate) mod route;
pub(crate) mod upgrade;

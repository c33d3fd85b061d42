//! Whether a request head is a valid handshake: RFC 6455, section 4.2.1.

mod fields;
mod origin;
mod proxy;

pub(crate) use self::fields::no_upgrade;
use super::refusals::not_found;
use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint::{self, Endpoint};
use crate::http::framing;
use crate::http::head::Head;

/// What decides, beside the head, which origins may open a WebSocket.
#[derive(Debug)]
pub(crate) struct OriginPolicy<'a> {
    /// Whether the connection came in on a loopback address.
    pub(crate) local: bool,
    /// `--allow-origin`
    pub(crate) allow_origin: &'a [String],
}

/// Checks a handshake, in the order in which a client's author wants to know what is wrong. Returns the
/// endpoint that it asks for.
///
/// # Errors
/// Why it is not valid.
pub(crate) fn check(head: &Head, policy: &OriginPolicy) -> Result<Endpoint, Diagnosis> {
    framing::check(head)?;
    let endpoint = endpoint::at(&head.path).ok_or_else(|| not_found(head))?;
    origin::check(head, policy)?;
    fields::check(head, policy)?;
    Ok(endpoint)
}

#[cfg(test)]
mod tests;

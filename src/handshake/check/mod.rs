//! Whether a request head is a valid handshake: RFC 6455, section 4.2.1.

mod fields;
mod host;
mod origin;
mod proxy;

pub(crate) use self::fields::no_upgrade;
pub(crate) use self::host::check as check_host;
use super::refusals::not_found;
use crate::config::{AllowedOrigin, HostName};
use crate::http::diagnosis::Diagnosis;
use crate::http::endpoint::{self, Endpoint};
use crate::http::framing;
use crate::http::head::Head;
use crate::http::origin::Origin;
use crate::net::address::Host;

/// What decides, beside the head, which hosts and origins are accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessPolicy<'a> {
    /// Whether the connection came in on a loopback address or a Unix socket.
    pub(crate) local: bool,
    /// The other end of the connection.
    pub(crate) peer: Host,
    /// Whether the peer is a trusted proxy, and the request names the proxy's client.
    pub(crate) is_forwarded: bool,
    /// `--allow-host`
    pub(crate) allow_host: &'a [HostName],
    /// `--allow-origin`
    pub(crate) allow_origin: &'a [AllowedOrigin],
}

#[cfg(any(test, feature = "_fuzzing"))]
impl AccessPolicy<'_> {
    /// That of a request from the network, without any option.
    pub(crate) const OF_NETWORK: AccessPolicy<'static> = AccessPolicy {
        local: false,
        peer: Host::Unix,
        is_forwarded: false,
        allow_host: &[],
        allow_origin: &[],
    };
}

/// Checks a handshake, in the order in which a client's author wants to know what is wrong. Returns the
/// endpoint that it asks for.
///
/// # Errors
/// Why it is not valid.
pub(crate) fn check(head: &Head, policy: &AccessPolicy) -> Result<Endpoint, Diagnosis> {
    framing::check(head)?;
    let origin = Origin::of(head);
    // Browsers send an origin with every handshake, so that one without it is not a page's.
    if origin != Origin::Program {
        origin::check_form(head, &origin, policy)?;
        host::check(head, policy)?;
    }
    let endpoint = endpoint::at(&head.path).ok_or_else(|| not_found(head))?;
    origin::check(head, &origin, policy)?;
    fields::check(head, policy)?;
    Ok(endpoint)
}

#[cfg(test)]
mod tests;

//! The client's side, for the server's own probe.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection, StreamOwned};

use super::acceptor::provider;
use super::any::AnyCertificate;

/// Speaks TLS over `stream` to a server on this machine that is ours. The certificate is not
/// verified: it names other hosts, and the probe asks only whether the server lives.
///
/// # Errors
/// No random numbers.
pub(crate) fn probe_client<S: Read + Write>(
    stream: S,
) -> io::Result<StreamOwned<ClientConnection, S>> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider())))
        .with_no_client_auth();
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Whether a probe's error is the server's [`REFUSAL`](super::REFUSAL).
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(rustls::Error::AlertReceived(AlertDescription::InternalError)))
}

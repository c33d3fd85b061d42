//! TLS by rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, InvalidMessage, ProtocolVersion,
    RootCertStore, Stream,
};
use wsecho::{AnyCertificate, timestamp};

use crate::check::options::CheckOptions;
use crate::check::reach::DeadlineStream;
use crate::check::report::{shortened, visible};

/// A session of TLS on a wire.
#[derive(Debug)]
pub(crate) struct Tls(Box<ClientConnection>);

impl Tls {
    /// Makes the handshake. Returns what was agreed on, in words.
    ///
    /// # Errors
    /// Why there is no session, in words.
    pub(crate) fn start(
        wire: &mut DeadlineStream,
        options: &CheckOptions,
    ) -> Result<(String, Tls), String> {
        let host = &options.target.host;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| format!("{host} is no name that a certificate could have"))?;
        let config = Arc::new(config(options)?);
        let mut connection =
            ClientConnection::new(config, name).map_err(|error| error.to_string())?;
        while connection.is_handshaking() {
            connection.complete_io(wire).map_err(|error| why(&error, host))?;
        }
        let trust = if options.insecure { "not verified (--insecure)" } else { "verified" };
        let found = format!("{}, certificate {trust}", agreement(&connection));
        Ok((found, Tls(Box::new(connection))))
    }

    pub(crate) fn read(&mut self, wire: &mut DeadlineStream, buf: &mut [u8]) -> io::Result<usize> {
        match Stream::new(&mut *self.0, wire).read(buf) {
            // A server that ends the connection without ending the session. A WebSocket has an end of
            // its own, so that nothing can be cut off unnoticed.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    pub(crate) fn write(&mut self, wire: &mut DeadlineStream, buf: &[u8]) -> io::Result<usize> {
        Stream::new(&mut *self.0, wire).write(buf)
    }

    pub(crate) fn flush(&mut self, wire: &mut DeadlineStream) -> io::Result<()> {
        Stream::new(&mut *self.0, wire).flush()
    }
}

fn config(options: &CheckOptions) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if options.insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider())))
    } else {
        builder.with_root_certificates(authorities(options.ca.as_deref())?)
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Whom to trust: those in a file, or else those that the machine trusts.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let certificates = match file {
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("--ca {}: {error}", file.display()))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut authorities = RootCertStore::empty();
    // A machine's list may have some that are too old for rustls.
    authorities.add_parsable_certificates(certificates);
    match (authorities.is_empty(), file) {
        (false, _) => Ok(authorities),
        (true, Some(file)) => Err(format!("there is no certificate in --ca {}", file.display())),
        (true, None) => {
            Err("this machine has no list of certificate authorities; --ca FILE is one".to_owned())
        }
    }
}

fn agreement(connection: &ClientConnection) -> String {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS 1.3",
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    // rustls has a name of its own for those of TLS 1.3.
    format!("{version}, {}", suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1))
}

/// Why a handshake failed, in words.
fn why(error: &io::Error, host: &str) -> String {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(error) => why_not(error, host),
        None => match error.kind() {
            ErrorKind::TimedOut => "no answer in time; is it TLS that this port speaks?".to_owned(),
            ErrorKind::UnexpectedEof => {
                "the connection was closed in the middle of the handshake".to_owned()
            }
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                "the connection was reset in the middle of the handshake".to_owned()
            }
            _ => error.to_string(),
        },
    }
}

fn why_not(error: &Error, host: &str) -> String {
    let day =
        |time: UnixTime| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match error {
        Error::InvalidCertificate(problem) => match problem {
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("its certificate expired at {}", day(*not_after))
            }
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "its certificate is not valid before {}; is the clock of this machine right?",
                day(*not_before)
            ),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("its certificate is not for {host}, but for {}", names(presented))
            }
            CertificateError::UnknownIssuer => "its certificate is not from an authority that is \
                 trusted here; --ca FILE names another, --insecure asks for none"
                .to_owned(),
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "its certificate is one for an authority and not for a server; \
                 openssl req -x509 makes it right with -addext basicConstraints=critical,CA:FALSE"
                    .to_owned()
            }
            other => visible(&format!("its certificate is not accepted: {other}")),
        },
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what answers on this port is no TLS; try ws://".to_owned()
        }
        Error::AlertReceived(alert) => format!("the server refuses with the alert {alert:?}"),
        other => visible(&other.to_string()),
    }
}

/// Names as rustls presents them: `DnsName("example.com")`.
fn names(presented: &[String]) -> String {
    let name = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(text).trim_matches('"').to_owned()
    };
    let names: Vec<_> = presented.iter().map(name).collect();
    if names.is_empty() { "no name at all".to_owned() } else { shortened(&names.join(", ")) }
}

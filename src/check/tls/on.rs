//! TLS with rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::timestamp;
use crate::net::tls::{ALPN, AnyCertificate, provider, version_and_cipher_suite};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, InvalidMessage, RootCertStore, Stream,
};

use crate::check::connect::DeadlineStream;
use crate::check::options::CheckOptions;
use crate::check::report::{shortened, visible};

/// The TLS session of a connection.
#[derive(Debug)]
pub(crate) struct Tls(Box<ClientConnection>);

impl Tls {
    /// Makes the handshake. Also returns a description of what was negotiated.
    ///
    /// # Errors
    /// Describes why the handshake failed.
    pub(crate) fn start(
        tcp: &mut DeadlineStream,
        options: &CheckOptions,
    ) -> Result<(String, Tls), String> {
        let host = &options.target.host;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| format!("{host} is not a name that a certificate can contain"))?;
        let config = Arc::new(config(options)?);
        let mut connection =
            ClientConnection::new(config, name).map_err(|error| error.to_string())?;
        while connection.is_handshaking() {
            connection.complete_io(tcp).map_err(|error| describe(&error, host))?;
        }
        let trust = if options.insecure { "not verified (--insecure)" } else { "verified" };
        let (version, cipher_suite) = version_and_cipher_suite(&connection).unwrap_or_default();
        let detail = format!("{version}, {cipher_suite}, certificate {trust}");
        Ok((detail, Tls(Box::new(connection))))
    }

    pub(crate) fn read(&mut self, tcp: &mut DeadlineStream, buf: &mut [u8]) -> io::Result<usize> {
        match Stream::new(&mut *self.0, tcp).read(buf) {
            // The server closed the connection without close_notify. The closing handshake of
            // WebSocket already detects truncation.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    pub(crate) fn write(&mut self, tcp: &mut DeadlineStream, buf: &[u8]) -> io::Result<usize> {
        Stream::new(&mut *self.0, tcp).write(buf)
    }

    pub(crate) fn flush(&mut self, tcp: &mut DeadlineStream) -> io::Result<()> {
        Stream::new(&mut *self.0, tcp).flush()
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
        builder.with_root_certificates(root_certificates(options.ca.as_deref())?)
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// Loads the certificate authorities to trust from `file`, or from the system's store if it is
/// `None`.
fn root_certificates(file: Option<&Path>) -> Result<RootCertStore, String> {
    let certificates = match file {
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("--ca {}: {error}", file.display()))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    // The system's store may contain certificates that are too old for rustls.
    roots.add_parsable_certificates(certificates);
    match (roots.is_empty(), file) {
        (false, _) => Ok(roots),
        (true, Some(file)) => Err(format!("--ca {} contains no certificate", file.display())),
        (true, None) => {
            Err("this system has no store of certificate authorities; use --ca FILE".to_owned())
        }
    }
}

/// Describes why the handshake failed.
fn describe(error: &io::Error, host: &str) -> String {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(error) => describe_tls(error, host),
        None => match error.kind() {
            ErrorKind::TimedOut => "no answer in time; does this port speak TLS?".to_owned(),
            ErrorKind::UnexpectedEof => "the connection was closed during the handshake".to_owned(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                "the connection was reset during the handshake".to_owned()
            }
            _ => error.to_string(),
        },
    }
}

fn describe_tls(error: &Error, host: &str) -> String {
    let date =
        |time: UnixTime| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match error {
        Error::InvalidCertificate(problem) => match problem {
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("the certificate expired at {}", date(*not_after))
            }
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "the certificate is not valid before {}; is the clock of this machine right?",
                date(*not_before)
            ),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("the certificate is not valid for {host}, only for {}", names(presented))
            }
            CertificateError::UnknownIssuer => "the issuer of the certificate is not trusted; \
                 trust another one with --ca FILE, or skip verification with --insecure"
                .to_owned(),
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "the certificate is for an authority and not for a server; \
                 with openssl req -x509, add -addext basicConstraints=critical,CA:FALSE"
                    .to_owned()
            }
            other => visible(&format!("the certificate is not accepted: {other}")),
        },
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "this port does not speak TLS; try ws://".to_owned()
        }
        Error::AlertReceived(alert) => format!("the server sent the alert {alert:?}"),
        other => visible(&other.to_string()),
    }
}

/// Formats the names in a certificate, which rustls presents as `DnsName("example.com")`.
fn names(presented: &[String]) -> String {
    let name = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(text).trim_matches('"').to_owned()
    };
    let names: Vec<_> = presented.iter().map(name).collect();
    if names.is_empty() { "no name".to_owned() } else { shortened(&names.join(", ")) }
}

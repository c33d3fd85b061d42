//! The client's side of one TLS session, by rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Stream};

use super::certificate::Certificate;
use super::faults;
use super::files;
use super::verifier::Verifier;
use crate::check::connection_options::ConnectionOptions;
use crate::check::report::{Finding, shortened};
use crate::check::stream::DeadlineStream;
use crate::check::verdict::Verdict;
use crate::net::tls::{provider, version_and_cipher_suite};

/// The TLS session of a connection.
#[derive(Debug)]
pub(crate) struct Tls(Box<ClientConnection>);

impl Tls {
    /// Makes the handshake. Also returns what was negotiated.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub(crate) fn start(
        tcp: &mut DeadlineStream,
        options: &ConnectionOptions,
        alpn: &[String],
    ) -> Result<(Finding, Tls), Verdict> {
        let host = &options.target.host;
        let name = ServerName::try_from(host.clone()).map_err(|_| {
            Verdict::new(
                format!("{host} is not a name that a certificate can contain."),
                "Use a name of letters, digits, hyphens and dots, or an IP address.",
            )
        })?;
        let verifier = Arc::new(verifier(options)?);
        let config = Arc::new(config(options, alpn, Arc::clone(&verifier))?);
        let mut connection = ClientConnection::new(config, name).map_err(|error| bug(&error))?;
        while connection.is_handshaking() {
            connection
                .complete_io(tcp)
                .map_err(|error| faults::describe(&error, verifier.presented(), &options.target))?;
        }
        let certificate = verifier.presented().and_then(|presented| presented.certificate.as_ref());
        let finding = Finding {
            detail: negotiated(&connection, certificate, options),
            certificate_expiry: certificate.map(|certificate| certificate.not_after.as_secs()),
            ..Finding::default()
        };
        Ok((finding, Tls(Box::new(connection))))
    }

    /// Whether TLS is spoken at the other end, with whatever certificate.
    pub(crate) fn is_spoken(tcp: &mut DeadlineStream, options: &ConnectionOptions) -> bool {
        let Ok(name) = ServerName::try_from(options.target.host.clone()) else { return false };
        let config = config(options, &[], Arc::new(Verifier::insecure()));
        let Ok(mut connection) = config
            .and_then(|config| ClientConnection::new(config.into(), name).map_err(|e| bug(&e)))
        else {
            return false;
        };
        loop {
            match connection.complete_io(tcp) {
                Ok(_) if connection.is_handshaking() => {}
                Ok(_) => return true,
                Err(error) => return faults::is_alert(&error),
            }
        }
    }

    pub(crate) fn alpn(&self) -> Option<String> {
        self.0.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
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

    /// Sends a close_notify.
    pub(crate) fn finish(&mut self, tcp: &mut DeadlineStream) -> io::Result<()> {
        self.0.send_close_notify();
        self.flush(tcp)
    }

    pub(crate) fn flush(&mut self, tcp: &mut DeadlineStream) -> io::Result<()> {
        Stream::new(&mut *self.0, tcp).flush()
    }
}

fn verifier(options: &ConnectionOptions) -> Result<Verifier, Verdict> {
    if options.tls.insecure {
        return Ok(Verifier::insecure());
    }
    let own = match &options.tls.ca {
        Some(file) => files::certificates(file, "--ca")?,
        None => vec![],
    };
    Verifier::trusting(files::authorities(&own)?, own).map_err(|error| bug(&error))
}

fn config(
    options: &ConnectionOptions,
    alpn: &[String],
    verifier: Arc<Verifier>,
) -> Result<ClientConfig, Verdict> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| bug(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match files::client_certificate(options)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            Verdict::new(
                format!("The certificate of --cert cannot be used: {error}."),
                "Give the key that belongs to it with --key FILE.",
            )
        })?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.clone().into_bytes()).collect();
    Ok(config)
}

/// An error that the options cannot cause.
fn bug(error: &impl ToString) -> Verdict {
    Verdict::new(error.to_string(), "This is a fault of wsecho; please report it.")
}

/// Describes what was negotiated, and the server's certificate.
fn negotiated(
    connection: &ClientConnection,
    certificate: Option<&Certificate>,
    options: &ConnectionOptions,
) -> String {
    let (version, cipher_suite) = version_and_cipher_suite(connection).unwrap_or_default();
    let alpn = match connection.alpn_protocol() {
        Some(protocol) => format!("ALPN {}", String::from_utf8_lossy(protocol)),
        None => "no ALPN".to_owned(),
    };
    let certificate = certificate.map_or_else(String::new, described);
    let trust = if options.tls.insecure { "not verified (--insecure)" } else { "verified" };
    format!("{version}, {cipher_suite}, {alpn}, certificate{certificate} {trust}")
}

fn described(certificate: &Certificate) -> String {
    let issuer = shortened(&certificate.issuer);
    let days = certificate.days_left(SystemTime::now());
    let unit = if days == 1 { "day" } else { "days" };
    let names =
        if certificate.has_names { "" } else { ", without subjectAltName, which browsers refuse" };
    format!(" from {issuer}, {days} {unit} left{names},")
}

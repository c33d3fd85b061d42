//! Whom a check trusts: as curl does, the authorities and the very certificates of `--ca`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::Certificate;
use crate::net::tls::{AnyCertificate, provider};

/// Verifies a server's certificate, and keeps what it has presented.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` with `--insecure`.
    trust: Option<Trust>,
    /// Checks that the server has the key of its certificate.
    signatures: AnyCertificate,
    presented: OnceLock<Presented>,
}

#[derive(Debug)]
struct Trust {
    authorities: Arc<WebPkiServerVerifier>,
    /// The certificates of `--ca`; empty without that option.
    own: Vec<CertificateDer<'static>>,
}

/// What a server has presented.
#[derive(Debug)]
pub(super) struct Presented {
    /// `None` if it is malformed.
    pub(super) certificate: Option<Certificate>,
    /// Whether it came with the certificate of its issuer.
    pub(super) has_intermediates: bool,
}

impl Verifier {
    pub(super) fn insecure() -> Verifier {
        Verifier::with(None)
    }

    /// Trusts `authorities`, and the certificates of `--ca` as they are.
    pub(super) fn trusting(
        authorities: RootCertStore,
        own: Vec<CertificateDer<'static>>,
    ) -> Result<Verifier, String> {
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider())
                .build()
                .map_err(|error| error.to_string())?;
        Ok(Verifier::with(Some(Trust { authorities, own })))
    }

    fn with(trust: Option<Trust>) -> Verifier {
        let signatures = AnyCertificate::new(provider());
        Verifier { trust, signatures, presented: OnceLock::new() }
    }

    pub(super) fn presented(&self) -> Option<&Presented> {
        self.presented.get()
    }
}

impl Trust {
    fn verify(
        &self,
        presented: &Presented,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified = if self.own.contains(der) {
            in_time(presented, now)
                .and_then(|()| verify_server_name(&ParsedCertificate::try_from(der)?, name))
        } else {
            let authorities = &self.authorities;
            authorities.verify_server_cert(der, intermediates, name, &[], now).map(drop)
        };
        match verified {
            Err(error) if is_name(&error) && self.accepts_common_name(presented, name) => Ok(()),
            verified => verified,
        }
    }

    /// Whether the name in a certificate without subjectAltName will do, as it does for curl.
    fn accepts_common_name(&self, presented: &Presented, name: &ServerName<'_>) -> bool {
        let is_it = |certificate: &Certificate| {
            !certificate.has_names && certificate.common_name.eq_ignore_ascii_case(&name.to_str())
        };
        !self.own.is_empty() && presented.certificate.as_ref().is_some_and(is_it)
    }
}

fn is_name(error: &Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(error, Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
}

fn in_time(presented: &Presented, now: UnixTime) -> Result<(), Error> {
    let Some(certificate) = &presented.certificate else {
        return Err(CertificateError::BadEncoding.into());
    };
    let unix = |time: Duration| UnixTime::since_unix_epoch(time);
    let (not_before, not_after) = (unix(certificate.not_before), unix(certificate.not_after));
    if now < not_before {
        Err(CertificateError::NotValidYetContext { time: now, not_before }.into())
    } else if now > not_after {
        Err(CertificateError::ExpiredContext { time: now, not_after }.into())
    } else {
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = self.presented.get_or_init(|| Presented {
            certificate: Certificate::parse(der),
            has_intermediates: !intermediates.is_empty(),
        });
        if let Some(trust) = &self.trust {
            trust.verify(presented, der, intermediates, name, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_verify_schemes()
    }
}

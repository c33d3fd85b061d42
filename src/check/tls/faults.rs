//! Why a TLS handshake fails, and what to do about it.

use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::certificate::{Certificate, date};
use super::verifier::Presented;
use crate::check::report::{shortened, visible};
use crate::check::url::Target;
use crate::check::verdict::Verdict;

/// Explains why the handshake failed.
pub(super) fn describe(
    error: &io::Error,
    presented: Option<&Presented>,
    target: &Target,
) -> Verdict {
    match tls(error) {
        Some(Error::InvalidCertificate(problem)) => certificate(problem, presented, target),
        Some(Error::AlertReceived(alert)) => alerted(*alert, target),
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Verdict::new(
            "This port does not speak TLS, and the URL begins with wss://.",
            format!("Use {}.", target.with_scheme("ws")),
        ),
        Some(other) => Verdict::new(
            format!("The TLS handshake fails: {}.", visible(&other.to_string())),
            "Look at the TLS settings of the server: TLS 1.2 or 1.3, with AES-GCM or ChaCha20.",
        ),
        None => ended(error, target),
    }
}

fn ended(error: &io::Error, target: &Target) -> Verdict {
    let host = &target.host;
    match error.kind() {
        ErrorKind::TimedOut => Verdict::new(
            "The TLS handshake is not answered in time.",
            format!(
                "Look whether this port speaks TLS; if it is plain HTTP, use {}.",
                target.with_scheme("ws")
            ),
        ),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            Verdict::new(
                "The server ends the connection during the TLS handshake.",
                format!(
                    "Look whether this port speaks TLS, and whether the proxy there has a site of the name \
                     {host} (SNI)."
                ),
            )
        }
        _ => Verdict::new(
            format!("The connection fails during the TLS handshake: {error}."),
            "Look at the network between here and the server.",
        ),
    }
}

/// Explains an alert that arrives after the handshake, as that for a missing client certificate does
/// in TLS 1.3; `None` for other errors.
pub(crate) fn refused_later(error: &io::Error) -> Option<Verdict> {
    match tls(error)? {
        Error::AlertReceived(alert) => Some(client_certificate(*alert).unwrap_or_else(|| {
            Verdict::new(
                format!("The server ends TLS with the alert {alert:?}."),
                "Look at the log of the server.",
            )
        })),
        _ => None,
    }
}

/// Whether the error is an alert, which only TLS has.
pub(super) fn is_alert(error: &io::Error) -> bool {
    matches!(tls(error), Some(Error::AlertReceived(_)))
}

fn tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn alerted(alert: AlertDescription, target: &Target) -> Verdict {
    let host = &target.host;
    match alert {
        AlertDescription::UnrecognisedName | AlertDescription::InternalError => Verdict::new(
            format!("The server has no certificate for {host} (alert {alert:?})."),
            "Use a name in the URL that the server has a site for (SNI), or add this one to it.",
        ),
        AlertDescription::ProtocolVersion => Verdict::new(
            "The server speaks neither TLS 1.2 nor TLS 1.3 (alert ProtocolVersion).",
            "Update the server: browsers refuse older versions, too.",
        ),
        AlertDescription::NoApplicationProtocol => Verdict::new(
            "The server does not speak HTTP/1.1 over TLS (alert NoApplicationProtocol).",
            "Add http/1.1 to its ALPN protocols: a WebSocket handshake is HTTP/1.1.",
        ),
        _ => client_certificate(alert).unwrap_or_else(|| {
            Verdict::new(
                format!("The server refuses the TLS handshake (alert {alert:?})."),
                "Look at the log of the server; it may want a client certificate: --cert FILE --key FILE.",
            )
        }),
    }
}

fn client_certificate(alert: AlertDescription) -> Option<Verdict> {
    let problem = match alert {
        AlertDescription::CertificateRequired => "The server wants a client certificate",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateExpired => {
            "The server does not accept the client certificate, or wants one"
        }
        _ => return None,
    };
    let fix = "Give one that its authority has issued: --cert FILE --key FILE.";
    Some(Verdict::new(format!("{problem} (alert {alert:?})."), fix))
}

fn certificate(
    problem: &CertificateError,
    presented: Option<&Presented>,
    target: &Target,
) -> Verdict {
    let host = &target.host;
    let on = |time: &UnixTime| date(Duration::from_secs(time.as_secs()));
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => Verdict::new(
            format!("The certificate expired on {}{}.", on(not_after), ago(presented)),
            "Renew it, and reload the server; if it is renewed already, the server still has the old file.",
        ),
        CertificateError::NotValidYetContext { not_before, .. } => Verdict::new(
            format!("The certificate is not valid before {}.", on(not_before)),
            "Set the clock of this machine, or of the one that issued the certificate.",
        ),
        CertificateError::NotValidForNameContext { presented: names, .. } => {
            wrong_name(host, names)
        }
        CertificateError::UnknownIssuer => unknown_issuer(presented, target),
        // What openssl req -x509 makes by default; it would be trusted if --ca named it.
        _ if is_self_signed(presented) => unknown_issuer(presented, target),
        other if other.to_string().contains("CaUsedAsEndEntity") => Verdict::new(
            "The certificate is one for an authority and not for a server.",
            "Trust it as it is with --ca FILE; or issue another (openssl req -x509: -addext \
             basicConstraints=critical,CA:FALSE).",
        ),
        other => Verdict::new(
            visible(&format!("The certificate is not accepted: {other}.")),
            "Issue another certificate: X.509 version 3, with ECDSA or RSA of 2048 bits and SHA-256.",
        ),
    }
}

fn is_self_signed(presented: Option<&Presented>) -> bool {
    certificate_of(presented).is_some_and(|certificate| certificate.is_self_signed)
}

fn certificate_of(presented: Option<&Presented>) -> Option<&Certificate> {
    presented?.certificate.as_ref()
}

fn ago(presented: Option<&Presented>) -> String {
    let days =
        certificate_of(presented).map(|certificate| -certificate.days_left(SystemTime::now()));
    days.filter(|days| *days > 0).map_or_else(String::new, |days| format!(", {days} days ago"))
}

fn wrong_name(host: &str, presented: &[String]) -> Verdict {
    if presented.is_empty() {
        return Verdict::new(
            format!(
                "The certificate has no names (subjectAltName), so it is not valid for {host}."
            ),
            format!(
                "Issue another, with {host} in it (openssl req: -addext subjectAltName={}).",
                alternative(host)
            ),
        );
    }
    Verdict::new(
        format!("The certificate is not valid for {host}, only for {}.", names(presented)),
        format!(
            "Use one of these names in the URL, or give the server a certificate for {host}; a server of \
             several sites presents its default one for a name (SNI) that it does not know."
        ),
    )
}

/// The host as openssl wants it in subjectAltName.
fn alternative(host: &str) -> String {
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!("{kind}:{host}")
}

/// Formats the names in a certificate, which rustls presents as `DnsName("example.com")`.
fn names(presented: &[String]) -> String {
    let name = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(text).trim_matches('"').to_owned()
    };
    shortened(&presented.iter().map(name).collect::<Vec<_>>().join(", "))
}

fn unknown_issuer(presented: Option<&Presented>, target: &Target) -> Verdict {
    let Some(Presented {
        certificate: Some(Certificate { issuer, is_self_signed, .. }),
        has_intermediates,
    }) = presented
    else {
        return Verdict::new(
            "The issuer of the certificate is not trusted.",
            "Trust another one with --ca FILE, or skip verification with --insecure.",
        );
    };
    let issuer = shortened(issuer);
    let Target { host, port, .. } = target;
    if *is_self_signed {
        let is_name = host.parse::<std::net::IpAddr>().is_err();
        let name = if is_name { format!(" -servername {host}") } else { String::new() };
        return Verdict::new(
            "The certificate is self-signed, and this machine does not trust it.",
            format!(
                "Trust it with --ca FILE (openssl s_client -connect {host}:{port}{name} </dev/null \
                 | openssl x509 >FILE), or skip verification with --insecure."
            ),
        );
    }
    if *has_intermediates {
        return Verdict::new(
            format!(
                "The issuer of the certificate, {issuer}, leads to no authority that this machine trusts."
            ),
            "Trust that authority with --ca FILE, or skip verification with --insecure.",
        );
    }
    Verdict::new(
        format!(
            "The issuer of the certificate, {issuer}, is not trusted, and the server sends no intermediate certificate."
        ),
        format!(
            "Let the server send the whole chain (nginx: ssl_certificate fullchain.pem); if {issuer} is an \
             authority of your own, trust it with --ca FILE."
        ),
    )
}

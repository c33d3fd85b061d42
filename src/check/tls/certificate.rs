//! What a certificate says about itself.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate as Parsed;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::name::Name;

use crate::config::timestamp;

/// The parts of a certificate that a check shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The issuer's common name, or its organization.
    pub(crate) issuer: String,
    /// Whether it is its own issuer.
    pub(crate) is_self_signed: bool,
    /// The subject's common name; empty without one.
    pub(crate) common_name: String,
    /// Whether it has names in subjectAltName, the only ones that browsers look at.
    pub(crate) has_names: bool,
    /// Since 1970.
    pub(crate) not_before: Duration,
    pub(crate) not_after: Duration,
}

impl Certificate {
    /// Parses a certificate; `None` if it is malformed.
    pub(crate) fn parse(der: &CertificateDer<'_>) -> Option<Certificate> {
        let parsed = Parsed::from_der(der).ok()?;
        let contents = parsed.tbs_certificate();
        let validity = contents.validity();
        let names = contents.get_extension::<SubjectAltName>().ok().flatten();
        Some(Certificate {
            issuer: shown(contents.issuer()),
            is_self_signed: contents.issuer() == contents.subject(),
            common_name: common_name(contents.subject()).unwrap_or_default(),
            has_names: names.is_some_and(|(_, names)| !names.0.is_empty()),
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
        })
    }

    /// The whole days until the certificate expires; negative afterwards.
    pub(crate) fn days_left(&self, now: SystemTime) -> i64 {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let days = |time: Duration| i64::try_from(time.as_secs() / 86400).unwrap_or(i64::MAX);
        match self.not_after.checked_sub(now) {
            Some(left) => days(left),
            None => -days(now.saturating_sub(self.not_after)) - 1,
        }
    }
}

/// The date of a time since 1970, in UTC.
pub(crate) fn date(since_1970: Duration) -> String {
    let text = timestamp(SystemTime::UNIX_EPOCH + since_1970);
    text.split('T').next().unwrap_or_default().to_owned()
}

fn shown(name: &Name) -> String {
    let organization = || Some(name.organization().ok()??.value().into_owned());
    common_name(name).or_else(organization).unwrap_or_else(|| name.to_string())
}

fn common_name(name: &Name) -> Option<String> {
    Some(name.common_name().ok()??.value().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn the_parts_that_a_check_shows_are_parsed() {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, "me");
        params.not_before = rcgen::date_time_ymd(1970, 1, 2);
        params.not_after = rcgen::date_time_ymd(1970, 1, 11);
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let certificate = Certificate::parse(der.der()).unwrap();
        let day = |day: u64| Duration::from_secs(day * 86400);
        let expected = Certificate {
            issuer: "me".to_owned(),
            is_self_signed: true,
            common_name: "me".to_owned(),
            has_names: true,
            not_before: day(1),
            not_after: day(10),
        };
        assert_eq!(certificate, expected);
        assert_eq!(date(certificate.not_after), "1970-01-11");
        for (now, left) in [(0, 10), (10, 0), (11, -2)] {
            let now = SystemTime::UNIX_EPOCH + day(now);
            assert_eq!(certificate.days_left(now), left);
        }
        assert_eq!(Certificate::parse(&CertificateDer::from(&b"x"[..])), None);
    }
}

//! The certificates and keys of `--ca`, `--cert` and `--key`, and those that the machine trusts.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::check::connection_options::ConnectionOptions;
use crate::check::verdict::Verdict;

/// Loads the certificates of a file. `option` names it in an error.
pub(super) fn certificates(
    file: &Path,
    option: &str,
) -> Result<Vec<CertificateDer<'static>>, Verdict> {
    let found: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let shown = file.display();
    match found {
        Ok(found) if found.is_empty() => Err(Verdict::new(
            format!("{option} {shown} contains no certificate."),
            "Give a file in PEM, with a line -----BEGIN CERTIFICATE-----.",
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(file, option, &error)),
    }
}

/// Loads the client's certificate and its key, which may be in the same file; `None` without
/// `--cert`.
pub(super) fn client_certificate(
    options: &ConnectionOptions,
) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, Verdict> {
    let Some(file) = &options.tls.cert else { return Ok(None) };
    let chain = certificates(file, "--cert")?;
    let (key_file, option) = match &options.tls.key {
        Some(key) => (key, "--key"),
        None => (file, "--cert"),
    };
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| match error {
        pem::Error::NoItemsFound => Verdict::new(
            format!("{option} {} contains no private key.", key_file.display()),
            "Give --key FILE, in PEM and not encrypted, with a line -----BEGIN PRIVATE KEY-----.",
        ),
        other => unreadable(key_file, option, &other),
    })?;
    Ok(Some((chain, key)))
}

fn unreadable(file: &Path, option: &str, error: &pem::Error) -> Verdict {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    Verdict::new(
        format!("{option} {}: {why}.", file.display()),
        "Give a file in PEM that this user may read.",
    )
}

/// The authorities to trust: those of `--ca`, else the machine's.
pub(super) fn authorities(own: &[CertificateDer<'static>]) -> Result<RootCertStore, Verdict> {
    let mut roots = RootCertStore::empty();
    if own.is_empty() {
        // The machine's store may contain certificates that are too old for rustls.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        roots.add_parsable_certificates(own.iter().cloned());
    }
    if roots.is_empty() {
        return Err(Verdict::new(
            "This system has no store of certificate authorities.",
            "Install one (Debian: apt-get install ca-certificates), or give --ca FILE.",
        ));
    }
    Ok(roots)
}

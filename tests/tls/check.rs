//! `wsecho check wss://…`: its reports on TLS servers and their certificates.

use std::fs;
use std::path::PathBuf;

use rcgen::CertificateParams;
use serde_json::Value;

use super::serving;
use crate::support::program::{Program, command};
use crate::support::tls::Files;

/// Runs `wsecho check` for `/echo` on the server's port. Returns exit code and stdout.
fn check(program: &Program, scheme: &str, host: &str, options: &[&str]) -> (i32, String) {
    let url = format!("{scheme}://{host}:{}/echo", program.address().port());
    let output = command(&["check", "--timeout", "20s", &url]).args(options).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_succeeds_over_tls() {
    let (program, files) = serving(|_| {});
    let authority = files.authority().display().to_string();
    for host in ["localhost", "127.0.0.1"] {
        let (code, report) = check(&program, "wss", host, &["--ca", &authority, "--count", "3"]);
        assert_eq!(code, 0, "{report}");
        for expected in [
            "ok     tls  ",
            "TLS 1.3, TLS_AES_256_GCM_SHA384, certificate verified",
            "ok     close",
            "1000 Normal Closure",
        ] {
            assert!(report.contains(expected), "{expected}: {report}");
        }
    }
    let (code, report) = check(&program, "wss", "localhost", &["--insecure", "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((code, &report["steps"][2]["step"]), (0, &"tls".into()));
    let detail = report["steps"][2]["detail"].as_str().unwrap();
    assert!(detail.ends_with("certificate not verified (--insecure)"), "{detail}");
}

/// A flaw in a certificate, the trusted authority's file, and the expected text in the report.
struct Flaw {
    make: fn(&mut CertificateParams),
    trusted: fn(&Files) -> PathBuf,
    said: &'static str,
}

const FLAWS: [Flaw; 5] = [
    Flaw {
        make: |params| params.not_after = rcgen::date_time_ymd(2000, 1, 2),
        trusted: Files::authority,
        said: "the certificate expired at 2000-01-02T",
    },
    Flaw {
        make: |params| params.not_before = rcgen::date_time_ymd(2100, 1, 2),
        trusted: Files::authority,
        said: "the certificate is not valid before 2100-01-02T",
    },
    Flaw {
        make: |params| drop(params.subject_alt_names.remove(0)),
        trusted: Files::authority,
        said: "the certificate is not valid for localhost, only for 127.0.0.1",
    },
    Flaw {
        make: |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        trusted: Files::authority,
        said: "for an authority and not for a server; with openssl req -x509",
    },
    Flaw {
        make: |_| {},
        trusted: Files::chain,
        said: "the issuer of the certificate is not trusted; trust another one with --ca FILE",
    },
];

#[test]
fn check_explains_an_invalid_certificate() {
    for Flaw { make, trusted, said } in FLAWS {
        let (program, files) = serving(make);
        let trusted = trusted(&files).display().to_string();
        let (code, report) = check(&program, "wss", "localhost", &["--ca", &trusted]);
        assert!(code == 9 && report.contains(said), "{said}: {code} {report}");
        assert_eq!(report.lines().count(), 3, "{report}");
        let (code, report) = check(&program, "wss", "localhost", &["--insecure"]);
        assert_eq!(code, 0, "{report}");
    }
}

#[test]
fn check_explains_the_wrong_scheme() {
    let (program, files) = serving(|_| {});
    let (code, report) = check(&program, "ws", "localhost", &[]);
    assert!(code == 5 && report.contains("This port speaks TLS"), "{code} {report}");
    let plain = Program::start(&[]);
    let (code, report) = check(&plain, "wss", "localhost", &["--insecure"]);
    assert!(code == 9 && report.contains("not speak TLS; try ws://"), "{code} {report}");
    for (ca, expected) in [("/nonexistent", "--ca /nonexistent: "), ("", "contains no certificate")]
    {
        let empty = files.folder().join("empty");
        fs::write(&empty, "").unwrap();
        let ca = if ca.is_empty() { empty.display().to_string() } else { ca.to_owned() };
        let (code, report) = check(&program, "wss", "localhost", &["--ca", &ca]);
        assert!(code == 9 && report.contains(expected), "{code} {report}");
    }
}

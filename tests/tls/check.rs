//! `wsecho check wss://…`: its reports on TLS servers and their certificates.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
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
            "TLS 1.3, TLS_AES_256_GCM_SHA384, ALPN http/1.1, certificate from wsecho's tests, ",
            " days left, verified",
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
    assert!(detail.ends_with(" days left, not verified (--insecure)"), "{detail}");
}

/// A flaw in a certificate, the trusted authority's file, and the expected text in the report.
struct Flaw {
    make: fn(&mut CertificateParams),
    trusted: fn(&Files) -> PathBuf,
    said: &'static str,
}

const FLAWS: [Flaw; 6] = [
    Flaw {
        make: |params| params.not_after = rcgen::date_time_ymd(2000, 1, 2),
        trusted: Files::authority,
        said: "The certificate expired on 2000-01-02, ",
    },
    Flaw {
        make: |params| params.not_before = rcgen::date_time_ymd(2100, 1, 2),
        trusted: Files::authority,
        said: "The certificate is not valid before 2100-01-02.",
    },
    Flaw {
        make: |params| drop(params.subject_alt_names.remove(0)),
        trusted: Files::authority,
        said: "The certificate is not valid for localhost, only for 127.0.0.1.",
    },
    Flaw {
        make: |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        trusted: Files::authority,
        said: "The certificate is one for an authority and not for a server.",
    },
    Flaw {
        make: |params| {
            params.subject_alt_names.clear();
            params.distinguished_name = rcgen::DistinguishedName::new();
        },
        trusted: Files::authority,
        said: "The certificate has no names (subjectAltName), so it is not valid for localhost.",
    },
    Flaw {
        make: |_| {},
        trusted: another_authority,
        said: "The issuer of the certificate, wsecho's tests, is not trusted, and the server sends no",
    },
];

#[test]
fn check_explains_an_invalid_certificate() {
    for Flaw { make, trusted, said } in FLAWS {
        let (program, files) = serving(make);
        let trusted = trusted(&files).display().to_string();
        let (code, report) = check(&program, "wss", "localhost", &["--ca", &trusted]);
        assert!(code == 9 && report.contains(said), "{said}: {code} {report}");
        assert_eq!(report.lines().count(), 5, "{report}");
        assert!(report.starts_with(&format!("problem: {said}")), "{report}");
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
    assert!(
        code == 9
            && report.contains(
                "does not speak TLS, and the URL begins with wss://.\nfix:     Use ws://localhost"
            ),
        "{code} {report}"
    );
    for (ca, expected) in [("/nonexistent", "--ca /nonexistent: "), ("", "contains no certificate")]
    {
        let empty = files.folder().join("empty");
        fs::write(&empty, "").unwrap();
        let ca = if ca.is_empty() { empty.display().to_string() } else { ca.to_owned() };
        let (code, report) = check(&program, "wss", "localhost", &["--ca", &ca]);
        assert!(code == 9 && report.contains(expected), "{code} {report}");
    }
}

/// Writes the certificate of an authority that has issued nothing.
fn another_authority(files: &Files) -> PathBuf {
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    written(files, &params)
}

/// Writes a self-signed certificate, and its key to `key.pem`.
fn written(files: &Files, params: &CertificateParams) -> PathBuf {
    let key = rcgen::KeyPair::generate().unwrap();
    let path = files.folder().join("self-signed.pem");
    fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(files.key(), key.serialize_pem()).unwrap();
    path
}

/// A server whose certificate is its own authority, as `openssl req -x509` makes it.
fn self_signed(names: Vec<String>) -> (Program, Files, String) {
    let files = Files::good();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    let path = written(&files, &params);
    fs::copy(&path, files.chain()).unwrap();
    let options = files.options();
    let program = Program::start(&options.each_ref().map(String::as_str));
    (program, files, path.display().to_string())
}

#[test]
fn check_trusts_the_servers_own_certificate_as_curl_does() {
    let (program, _files, path) = self_signed(vec!["localhost".to_owned()]);
    let (code, report) = check(&program, "wss", "localhost", &["--ca", &path]);
    assert_eq!(code, 0, "{report}");
    let (code, report) = check(&program, "wss", "127.0.0.1", &["--ca", &path]);
    assert!(
        code == 9 && report.contains("not valid for 127.0.0.1, only for localhost."),
        "{report}"
    );
    let other = Files::good();
    let other = another_authority(&other).display().to_string();
    let (code, report) = check(&program, "wss", "localhost", &["--ca", &other]);
    assert!(code == 9 && report.contains("The certificate is self-signed, and this"), "{report}");
    let (program, _files, path) = self_signed(vec![]);
    let (code, report) = check(&program, "wss", "localhost", &["--ca", &path]);
    assert!(
        code == 0 && report.contains("without subjectAltName, which browsers refuse"),
        "{report}"
    );
}

/// A server that wants a client certificate of this authority. Serves one connection, and answers
/// whatever is sent with 503. Returns its address.
fn wanting_a_client_certificate(server: &Files) -> std::net::SocketAddr {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.authority()).unwrap()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_file(server.chain()).unwrap()],
            PrivateKeyDer::from_pem_file(server.key()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let connection = rustls::ServerConnection::new(config.into()).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, listener.accept().unwrap().0);
        let mut request = [0; 1024];
        if stream.read(&mut request).is_ok() {
            stream.write_all(b"HTTP/1.1 503 Known\r\nContent-Length: 0\r\n\r\n").unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
        let _ = stream.read(&mut request); // until the client has read the alert, and leaves
    });
    address
}

#[test]
fn check_presents_a_client_certificate() {
    let server = Files::good();
    let client = Files::with(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let [ca, cert, key] =
        [server.authority(), client.chain(), client.key()].map(|path| path.display().to_string());
    let both = client.folder().join("both.pem");
    fs::write(&both, fs::read_to_string(&cert).unwrap() + &fs::read_to_string(&key).unwrap())
        .unwrap();
    let both = both.display().to_string();
    for (options, expected) in [
        (
            &[][..],
            "problem: The server wants a client certificate (alert CertificateRequired).\nfix:     Give",
        ),
        (&["--cert", &cert, "--key", &key], "503 Known"),
        (&["--cert", &both], "503 Known"),
        (&["--cert", &cert], "contains no private key."),
    ] {
        let url = format!("wss://localhost:{}/", wanting_a_client_certificate(&server).port());
        let output =
            command(&["check", "--timeout", "20s", "--ca", &ca, &url]).args(options).output();
        let report = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(report.contains(expected), "{options:?}: {report}");
    }
}

/// A server that chooses HTTP/2 if it is offered, and sends its SETTINGS. Serves so many connections.
/// Returns its address.
fn speaking_http2(
    files: &Files,
    settings: &'static [u8],
    connections: usize,
) -> std::net::SocketAddr {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(files.chain()).unwrap()],
            PrivateKeyDer::from_pem_file(files.key()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = std::sync::Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let config = std::sync::Arc::clone(&config);
            std::thread::spawn(move || {
                let connection = rustls::ServerConnection::new(config).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                let answer = match stream.conn.alpn_protocol() {
                    Some(b"h2") => settings,
                    _ => b"HTTP/1.1 503 One\r\nContent-Length: 0\r\n\r\n",
                };
                stream.write_all(answer).unwrap();
                let _ = stream.read(&mut request); // until the client leaves
            });
        }
    });
    address
}

#[test]
fn check_tells_what_a_server_makes_of_http2() {
    let files = Files::good();
    let ca = files.authority().display().to_string();
    let asked = |port: u16, alpn: &str| {
        let url = format!("wss://localhost:{port}/echo");
        let options = ["check", "--timeout", "20s", "--ca", &ca, "--alpn", alpn, &url];
        String::from_utf8(command(&options).output().unwrap().stdout).unwrap()
    };
    for (settings, expected) in [
        (&b"\0\0\x06\x04\0\0\0\0\0\0\x08\0\0\0\x01"[..], "h2, with extended CONNECT"),
        (b"\0\0\0\x04\0\0\0\0\0", "h2, without extended CONNECT"),
        (b"\0\0\0\x07\0\0\0\0\0", "h2, but no SETTINGS arrive"),
    ] {
        let report = asked(speaking_http2(&files, settings, 3).port(), "h2,http/1.1");
        assert!(report.contains("ok     alpn ") && report.contains(expected), "{report}");
        assert!(report.contains("ALPN http/1.1, certificate"), "{report}");
        assert!(report.contains("503 One"), "the handshake is HTTP/1.1: {report}");
    }
    let (program, _) = serving(|_| {});
    let own = asked(program.address().port(), "h2,http/1.1");
    assert!(own.contains("http/1.1: no client gets HTTP/2 here"), "{own}");
    let none = asked(program.address().port(), "none");
    assert!(none.contains("no ALPN, certificate") && none.contains("ok     close"), "{none}");
}

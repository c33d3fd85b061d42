//! `--www`: a folder whose files are served instead of the built-in page.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::client::{Raw, wait_for};
use crate::support::program::{Program, command};
use crate::support::server::TestServer;
use tungstenite::Message;

#[test]
fn the_folder_replaces_the_page_and_cannot_be_escaped() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    let www = folder.path().join("www");
    fs::create_dir(&www).unwrap();
    fs::write(www.join("index.html"), "<p>mine</p>").unwrap();
    fs::write(www.join("large.bin"), vec![b'x'; 300_000]).unwrap();
    fs::write(www.join(".env"), "secret").unwrap();
    symlink("../secret", www.join("out")).unwrap();
    let server = TestServer::with(|config| config.www = Some(www));

    let mut raw = server.raw();
    let index = raw.get("/");
    assert_eq!((index.status, index.body.as_str()), (200, "<p>mine</p>"));
    assert_eq!(index.get("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(raw.get("/large.bin").body.len(), 300_000);
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/out",
        "/.env",
        "/js/main.js",
    ] {
        assert_eq!(raw.get(path).status, 404, "{path}");
    }
    assert_eq!(raw.get("/healthz").status, 200);
    assert_eq!(server.open("/echo").ask("hello"), Message::text("hello"));
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    const LENGTH: u64 = 64 * 1024 * 1024; // more than the sockets buffer
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    let file = fs::File::create(&path).unwrap();
    file.set_len(LENGTH).unwrap();
    let server = TestServer::with(|config| config.www = Some(folder.path().to_owned()));

    let mut raw = server.raw();
    let request = "GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\nGET /info HTTP/1.1\r\nHost: h\r\n\r\n";
    let head = raw.send(request).response_to_head();
    assert_eq!(head.get("Content-Length"), Some(LENGTH.to_string().as_str()));
    file.set_len(LENGTH / 8).unwrap();
    let mut body = Vec::new();
    raw.0.read_to_end(&mut body).unwrap_or_default(); // a FIN or a RST
    assert!((body.len() as u64) < LENGTH, "the body is complete");
    assert!(body.iter().all(|byte| *byte == 0), "the next response is in the body");
}

#[test]
fn a_lack_of_descriptors_is_503_and_not_a_missing_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "<p>mine</p>").unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(command(&[]).get_program());
    limited.args(["--listen", "127.0.0.1:0", "--handshake-timeout", "1h"]);
    limited.args(["--keep-alive-timeout", "1h", "--www"]).arg(folder.path());
    let program = Program::spawn(&mut limited, 1);
    let mut page = program.raw();
    assert_eq!(page.get("/").status, 200);
    let silent: Vec<_> = (0..64).map(|_| Raw::connect(program.address())).collect();
    let response = wait_for(|| {
        let response = page.get("/");
        if response.status == 200 { Err("a descriptor is free".to_owned()) } else { Ok(response) }
    });
    assert_eq!((response.status, response.get("Retry-After")), (503, Some("5")));
    assert!(response.body.contains("LimitNOFILE"), "{}", response.body);
    drop(silent);
    wait_for(|| (page.get("/").status == 200).then_some(()).ok_or("still 503".to_owned()));
}

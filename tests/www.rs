//! `--www`: a folder whose files are served instead of the built-in page.

use std::fs;
use std::os::unix::fs::symlink;

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
    symlink("../secret", www.join("out")).unwrap();
    let server = TestServer::with(|config| config.www = Some(www));

    let mut raw = server.raw();
    let index = raw.get("/");
    assert_eq!((index.status, index.body.as_str()), (200, "<p>mine</p>"));
    assert_eq!(index.get("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(raw.get("/large.bin").body.len(), 300_000);
    for path in
        ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret", "/out", "/js/main.js"]
    {
        assert_eq!(raw.get(path).status, 404, "{path}");
    }
    assert_eq!(raw.get("/healthz").status, 200);
    assert_eq!(server.open("/echo").ask("hello"), Message::text("hello"));
}

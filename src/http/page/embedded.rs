//! Serves the page that is embedded in the binary, plain or gzipped, with its security policies.
//!
//! **Invariant:** A file and its gzipped form have different entity tags.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::content_type;
use crate::http::content_negotiation::{accepts_gzip, is_current};
use crate::http::head::Head;
use crate::http::response::Response;

/// The page may load its own files, and open a WebSocket to any server, as users test other servers
/// too. Where that fails, it requests the same URL over HTTP to find out whether anything answers. It runs no scripts but its own, creates none from markup (`require-trusted-types-for`), and
/// cannot be framed: another site could frame it to make a visitor press Send (clickjacking).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A hijacked page must not be able to ask a visitor for these powerful features. The page itself
/// needs only `clipboard-write`, to copy a message, which is allowed to it by default.
const PERMISSIONS_POLICY: &str = "camera=(), microphone=(), geolocation=(), clipboard-read=()";

/// Browsers revalidate the page's files on every load, mostly answered with 304. The files belong
/// together: after an update of the server, a new page must not load an old script from a cache.
/// An outdated icon does no harm, and browsers request it on every page.
fn cache_control(path: &str) -> &'static str {
    if path == "/favicon.svg" { "max-age=86400" } else { "no-cache" }
}

/// One embedded file, in both forms.
struct Asset {
    path: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
    /// The entity tag of the plain form, without quotes.
    tag: String,
}

/// Path and content of each file in www.
macro_rules! files {
    ($($name:literal)*) => {
        [$((concat!("/", $name), include_str!(concat!("../../../www/", $name)))),*]
    };
}

const FILES: [(&str, &str); 38] = files! {
    "index.html" "style.css" "kiosk.css" "favicon.svg" "js/main.js" "js/address.js" "js/box.js"
    "js/chat-events.js" "js/chat.js" "js/close-codes.js" "js/code.js" "js/compose.js"
    "js/compression.js" "js/connection.js" "js/duration.js" "js/failure-words.js" "js/failure.js"
    "js/faults.js" "js/files.js" "js/filter.js" "js/history.js" "js/http.js" "js/kiosk.js"
    "js/lists.js" "js/matching.js" "js/message-forms.js" "js/page.js" "js/plot.js" "js/recall.js"
    "js/repeat.js" "js/report-words.js" "js/report.js" "js/room.js"
    "js/row-tools.js" "js/saved.js" "js/snippets.js" "js/statistics.js" "js/words.js"
};

static ASSETS: LazyLock<Vec<Asset>> =
    LazyLock::new(|| FILES.into_iter().map(|(path, text)| Asset::new(path, text)).collect());

/// The file at this path, gzipped if the client accepts that; `None` if there is no such file.
pub(crate) fn get(path: &str, head: &Head) -> Option<Response> {
    let path = match path {
        "/" => "/index.html",
        "/index.html" => return None,
        path => path,
    };
    ASSETS.iter().find(|asset| asset.path == path).map(|asset| asset.respond(head))
}

impl Asset {
    fn new(path: &'static str, text: &'static str) -> Asset {
        let plain = text.as_bytes();
        Asset { path, plain, gzip: gzip(plain), tag: tag(plain) }
    }

    fn respond(&'static self, head: &Head) -> Response {
        let compressed = accepts_gzip(head);
        let (bytes, etag) = if compressed {
            (self.gzip.as_slice(), format!("\"{}-gzip\"", self.tag))
        } else {
            (self.plain, format!("\"{}\"", self.tag))
        };
        let mut response = Response::embedded(bytes, content_type(Path::new(self.path)))
            .with("Cache-Control", cache_control(self.path))
            .with("Vary", "Accept-Encoding")
            .with("ETag", etag.clone())
            .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            .with("Permissions-Policy", PERMISSIONS_POLICY)
            .with("Referrer-Policy", "no-referrer");
        if compressed {
            response = response.with("Content-Encoding", "gzip");
        }
        if is_current(head, &etag) { response.not_modified() } else { response }
    }
}

/// Compresses at the first request, which takes milliseconds and spares a build script.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to a Vec cannot fail")
}

/// An entity tag from a hash of the content. std's hasher with its fixed keys is enough: the bytes
/// are trusted, and if another version of std hashes differently, a browser just loads 24 KiB
/// again.
fn tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("www");
        let listed = |folder: &str| {
            let entries = std::fs::read_dir(www.join(folder)).unwrap().map(Result::unwrap);
            let files = entries.filter(|entry| entry.path().is_file());
            let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
            let names = files.map(name).filter(|name| name != "README.md");
            names.map(|name| format!("/{folder}{name}")).collect::<Vec<_>>()
        };
        let files: BTreeSet<_> = listed("").into_iter().chain(listed("js/")).collect();
        assert_eq!(files, FILES.iter().map(|(path, _)| (*path).to_owned()).collect());
    }
}

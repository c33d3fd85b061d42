//! Serves the page that is embedded in the binary, plain or gzipped, with its security policies.
//!
//! **Invariant:** A file and its gzipped form have different entity tags.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::http::content_negotiation::{accepts_gzip, is_current};
use crate::http::head::Head;
use crate::http::response::Response;

/// The page may load its own files, and open a WebSocket to any server, as users test other servers
/// too. It runs no scripts but its own, creates none from markup (`require-trusted-types-for`), and
/// cannot be framed: another site could frame it to make a visitor press Send (clickjacking).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A hijacked page must not be able to ask a visitor for these powerful features. The page itself
/// needs only `clipboard-write`, to copy a message, which is allowed to it by default.
const PERMISSIONS_POLICY: &str = "camera=(), microphone=(), geolocation=(), clipboard-read=()";

/// Browsers revalidate these files on every load, mostly answered with 304. The files belong
/// together: after an update of the server, a new page must not load an old script from a cache.
const REVALIDATE: &str = "no-cache";
/// An outdated icon does no harm, and browsers request it on every page.
const A_DAY: &str = "max-age=86400";

/// One embedded file, in both forms.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    cache_control: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
    /// The entity tag of the plain form, without quotes.
    tag: String,
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new(
            "/",
            "text/html; charset=utf-8",
            REVALIDATE,
            include_bytes!("../../../www/index.html"),
        ),
        Asset::new(
            "/client.js",
            "text/javascript; charset=utf-8",
            REVALIDATE,
            include_bytes!("../../../www/client.js"),
        ),
        Asset::new(
            "/style.css",
            "text/css; charset=utf-8",
            REVALIDATE,
            include_bytes!("../../../www/style.css"),
        ),
        Asset::new(
            "/favicon.svg",
            "image/svg+xml",
            A_DAY,
            include_bytes!("../../../www/favicon.svg"),
        ),
    ]
});

/// The file at this path, gzipped if the client accepts that; `None` if there is no such file.
pub(crate) fn get(path: &str, head: &Head) -> Option<Response> {
    ASSETS.iter().find(|asset| asset.path == path).map(|asset| asset.respond(head))
}

impl Asset {
    fn new(
        path: &'static str,
        content_type: &'static str,
        cache_control: &'static str,
        plain: &'static [u8],
    ) -> Asset {
        Asset { path, content_type, cache_control, plain, gzip: gzip(plain), tag: tag(plain) }
    }

    fn respond(&'static self, head: &Head) -> Response {
        let compressed = accepts_gzip(head);
        let (bytes, etag) = if compressed {
            (self.gzip.as_slice(), format!("\"{}-gzip\"", self.tag))
        } else {
            (self.plain, format!("\"{}\"", self.tag))
        };
        let mut response = Response::embedded(bytes, self.content_type)
            .with("Cache-Control", self.cache_control)
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
/// are trusted, and if another version of std hashes differently, a browser just loads 12 KiB
/// again.
fn tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

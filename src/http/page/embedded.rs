//! The page that the binary holds, plain and gzipped, and the rules that it lives by.
//!
//! What it is: four files, and the fields that keep the browser strict with them.
//! What it is not: a page of the user's own; those rules could break it.
//! Invariant: a file and its compressed form have different entity tags.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::http::content_negotiation::{accepts_gzip, is_current};
use crate::http::head::Head;
use crate::http::response::Response;

/// What the page may do: load its own files, and open any WebSocket, since testers test elsewhere.
/// No script but its own, none from markup (`require-trusted-types-for`), and no frame around it:
/// a page that shows this one as its own could have its visitor press Send.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Everything that asks for a permission is closed, but to copy a message.
const PERMISSIONS_POLICY: &str = "accelerometer=(), autoplay=(), camera=(), \
    clipboard-read=(), clipboard-write=(self), display-capture=(), encrypted-media=(), \
    fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), local-fonts=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()";

/// Asked for each time, answered with 304: the files belong together, and after an update of the
/// server a new page must not meet an old script.
const REVALIDATE: &str = "no-cache";
/// An old icon harms nobody, and browsers ask for it on every page.
const A_DAY: &str = "max-age=86400";

/// One file, ready to be sent.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    cache_control: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
    /// Of the plain form, without quotes.
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

/// The file of this path, in the form that the request asks for.
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

/// Milliseconds once, and no build script.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a Vec takes every byte")
}

/// Of the content. std's hasher with its fixed keys: nobody but us chooses the bytes, and should
/// another version of std hash differently, a browser loads 12 KiB again.
fn tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

//! Serves the browser page: the one embedded in the binary, or the files of `--www`. There are no
//! directory listings and no range requests.

mod embedded;
mod folder;

use std::io;
use std::path::Path;

use self::folder::Folder;
use crate::http::head::Head;
use crate::http::response::Response;

/// The source of the page.
#[derive(Debug)]
pub(crate) enum Site {
    Embedded,
    Folder(Folder),
}

/// Content types by file extension; all others are `application/octet-stream`.
const CONTENT_TYPES: [(&str, &str); 16] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("txt", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("webp", "image/webp"),
    ("ico", "image/vnd.microsoft.icon"),
    ("woff2", "font/woff2"),
    ("wasm", "application/wasm"),
    ("mp4", "video/mp4"),
    ("webmanifest", "application/manifest+json"),
];

impl Site {
    /// The embedded page, or `folder`.
    ///
    /// # Errors
    /// `folder` is not a readable directory.
    pub(crate) fn new(folder: Option<&Path>) -> io::Result<Site> {
        folder.map_or(Ok(Site::Embedded), |folder| Folder::new(folder).map(Site::Folder))
    }

    /// Returns the file, a 304 if the client's copy is current, or a 503 if it cannot be opened now; `None` if
    /// there is no such file.
    pub(crate) fn get(&self, path: &str, head: &Head) -> Option<Response> {
        match self {
            Site::Embedded => embedded::get(path, head),
            Site::Folder(folder) => folder.get(path, head),
        }
    }
}

fn content_type(file: &Path) -> &'static str {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    CONTENT_TYPES
        .iter()
        .find(|(listed, _)| listed.eq_ignore_ascii_case(extension))
        .map_or("application/octet-stream", |(_, content_type)| content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_follow_extensions() {
        assert_eq!(content_type(Path::new("a.HTML")), "text/html; charset=utf-8");
        assert_eq!(content_type(Path::new("a.b")), "application/octet-stream");
        assert_eq!(content_type(Path::new("html")), "application/octet-stream");
    }
}

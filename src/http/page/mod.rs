//! Serves the browser page: the one embedded in the binary, or the files of `--www`. There are no
//! directory listings and no range requests.
//!
//! **Invariant:** No request path leaves the folder, neither by `..` nor by a symbolic link.

mod embedded;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use percent_encoding::percent_decode_str;

use crate::http::content_negotiation::is_current;
use crate::http::head::Head;
use crate::http::response::Response;

/// The source of the page.
#[derive(Debug)]
pub(crate) enum Site {
    Embedded,
    /// The canonical path of a folder.
    Folder(PathBuf),
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
        let Some(folder) = folder else { return Ok(Site::Embedded) };
        std::fs::read_dir(folder)?;
        folder.canonicalize().map(Site::Folder)
    }

    /// Returns the file, or a 304 if the client's copy is current; `None` if there is no such file.
    pub(crate) fn get(&self, path: &str, head: &Head) -> Option<Response> {
        match self {
            Site::Embedded => embedded::get(path, head),
            Site::Folder(root) => from_folder(&resolve(root, path)?, head).ok(),
        }
    }
}

/// Serves a file of `--www` with the fields for revalidation only. Security policies are up to its
/// author; ours could break the page.
///
/// # Errors
/// The file cannot be opened, or its metadata cannot be read.
fn from_folder(path: &Path, head: &Head) -> io::Result<Response> {
    let file = File::open(path)?;
    let etag = etag(&file)?;
    let response = Response::file(file, content_type(path))?
        .with("Cache-Control", "no-cache")
        .with("ETag", etag.clone());
    Ok(if is_current(head, &etag) { response.not_modified() } else { response })
}

/// A weak entity tag from length and modification time: a file may change twice within the
/// resolution of its timestamp, and keep its length.
fn etag(file: &File) -> io::Result<String> {
    let metadata = file.metadata()?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("W/\"{:x}-{:x}\"", metadata.len(), modified.as_nanos()))
}

/// The regular file under `root` at the request path `path`, or `index.html` if that is a folder.
/// `None` if there is no such file, or it is outside of `root`.
fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    let mut file = root.to_owned();
    for segment in path.split('/') {
        let segment = percent_decode_str(segment).decode_utf8().ok()?;
        if segment == ".." || segment.contains(['/', '\\', '\0']) {
            return None;
        }
        file.push(&*segment);
    }
    if file.is_dir() {
        file.push("index.html");
    }
    // `canonicalize` resolves symbolic links, so the check covers links that lead out of `root`.
    let file = file.canonicalize().ok()?;
    (file.starts_with(root) && file.is_file()).then_some(file)
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
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_path_leaves_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let root = outside.path().join("www");
        fs::create_dir_all(root.join("sub")).unwrap();
        for name in ["index.html", "a b.txt", "sub/index.html", "..."] {
            fs::write(root.join(name), name).unwrap();
        }
        symlink("../secret", root.join("link-out")).unwrap();
        symlink("..", root.join("folder-out")).unwrap();
        symlink("index.html", root.join("link-in")).unwrap();
        let root = root.canonicalize().unwrap();

        for (path, expected) in [
            ("/", Some("index.html")),
            ("/index.html", Some("index.html")),
            ("/a%20b.txt", Some("a b.txt")),
            ("/sub", Some("sub/index.html")),
            ("/sub/", Some("sub/index.html")),
            ("/./sub//index.html", Some("sub/index.html")),
            ("/link-in", Some("index.html")),
            ("/...", Some("...")),
            ("/../secret", None),
            ("/sub/../index.html", None),
            ("/%2e%2e/secret", None),
            ("/.%2E/secret", None),
            ("/sub%2f..%2f..%2fsecret", None),
            ("/..%5csecret", None),
            ("/link-out", None),
            ("/folder-out/secret", None),
            ("/index.html%00.txt", None),
            ("/%ff", None),
            ("/missing", None),
            ("//etc/passwd", None),
            ("*", None),
        ] {
            assert_eq!(resolve(&root, path), expected.map(|name| root.join(name)), "{path}");
        }
    }

    #[test]
    fn content_types_follow_extensions() {
        assert_eq!(content_type(Path::new("a.HTML")), "text/html; charset=utf-8");
        assert_eq!(content_type(Path::new("a.b")), "application/octet-stream");
        assert_eq!(content_type(Path::new("html")), "application/octet-stream");
    }
}

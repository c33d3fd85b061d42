//! Serves the files of `--www`.
//!
//! **Invariants:** What is sent is a regular file beneath the folder, even if files and links are swapped
//! meanwhile: the kernel resolves the path beneath the folder's descriptor, and everything else is asked of
//! the descriptor that this gave. No open blocks.

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::Mode;
use percent_encoding::percent_decode_str;

use super::content_type;
use crate::config::tuning::RENAME_RETRIES;
use crate::http::content_negotiation::is_current;
use crate::http::head::Head;
use crate::http::response::Response;
use crate::http::unavailable::{Unavailable, diagnosis};

/// The folder of `--www`.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Canonical. It is opened for each request, because the folder may be replaced by another one.
    root: PathBuf,
}

impl Folder {
    /// # Errors
    /// `folder` is not a readable directory.
    pub(crate) fn new(folder: &Path) -> io::Result<Folder> {
        std::fs::read_dir(folder)?;
        Ok(Folder { root: folder.canonicalize()? })
    }

    /// Returns the file, a 304 if the client's copy is current, or a 503 if no descriptor is left; `None` if
    /// there is no such file. The only fields are those for revalidation: security policies are up to the
    /// author of the files, as ours could break them.
    pub(crate) fn get(&self, path: &str, head: &Head) -> Option<Response> {
        let path = relative(path)?;
        match self.open_file(&path).and_then(|(file, metadata, name)| {
            let etag = etag(&metadata)?;
            let response = Response::file(file, metadata.len(), content_type(Path::new(&*name)))?
                .with("Cache-Control", "no-cache")
                .with("ETag", etag.clone());
            Ok(if is_current(head, &etag) { response.not_modified() } else { response })
        }) {
            Ok(response) => Some(response),
            Err(error) if is_shortage(&error) => {
                Some(diagnosis(Unavailable::NoDescriptor, Some(head)).answer(head))
            }
            Err(_) => None,
        }
    }

    /// Opens the regular file at `path`, or `index.html` if that is a folder. Returns it with its path.
    fn open_file<'a>(&self, path: &'a str) -> io::Result<(File, Metadata, Cow<'a, str>)> {
        let root =
            open(&self.root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut name = Cow::from(path);
        let mut file = File::from(open_beneath(root.as_fd(), &name)?);
        let mut metadata = file.metadata()?;
        if metadata.is_dir() {
            name = format!("{path}/index.html").into();
            file = File::from(open_beneath(root.as_fd(), &name)?);
            metadata = file.metadata()?;
        }
        // A FIFO or a device; a socket cannot be opened.
        metadata.is_file().then_some((file, metadata, name)).ok_or(io::ErrorKind::NotFound.into())
    }
}

/// Opening a FIFO waits for a writer without `O_NONBLOCK`. Regular files ignore the flag.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Opens `path` beneath `root`. Symbolic links are followed unless they lead out of it.
fn open_beneath(root: BorrowedFd, path: &str) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(READ)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut opened = openat2(root, path, how);
    for _ in 0..RENAME_RETRIES {
        // Something was renamed while the kernel resolved a `..` of a link.
        if opened.as_ref().err() != Some(&Errno::EAGAIN) {
            break;
        }
        opened = openat2(root, path, how);
    }
    match opened {
        // Linux before 5.6, or a sandbox that does not know the system call.
        Err(Errno::ENOSYS | Errno::EPERM) => open_step_by_step(root, path),
        opened => opened,
    }
}

/// The same without openat2(2): opens one folder after the other, and follows no link.
fn open_step_by_step(root: BorrowedFd, path: &str) -> nix::Result<OwnedFd> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folder = root.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
    for step in folders.split('/').filter(|step| !step.is_empty()) {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        folder = openat(&folder, step, flags, Mode::empty())?;
    }
    let name = if name.is_empty() { "." } else { name };
    openat(&folder, name, READ | OFlag::O_NOFOLLOW, Mode::empty())
}

/// The path beneath the folder that a request path names; `None` if it is not allowed. Names that begin
/// with a dot are not: they are those of tools (`.git`, `.env`), or `..`.
fn relative(path: &str) -> Option<String> {
    let mut names = vec!["."];
    let decoded: Vec<_> = path
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
        .map(|segment| percent_decode_str(segment).decode_utf8().ok())
        .collect::<Option<_>>()?;
    for name in &decoded {
        if name.starts_with('.') || name.is_empty() || name.contains(['/', '\\', '\0']) {
            return None;
        }
        names.push(name);
    }
    // With a slash at its end, a path is that of a folder, and the kernel refuses a file.
    names.extend((path.ends_with('/') && !decoded.is_empty()).then_some(""));
    path.starts_with('/').then(|| names.join("/"))
}

/// A weak entity tag from length and modification time: a file may change twice within the
/// resolution of its timestamp, and keep its length.
fn etag(metadata: &Metadata) -> io::Result<String> {
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("W/\"{:x}-{:x}\"", metadata.len(), modified.as_nanos()))
}

/// Whether a file that may be there cannot be opened now.
fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// How a path beneath an open folder is opened.
    type Open = fn(BorrowedFd, &str) -> nix::Result<OwnedFd>;

    #[test]
    fn no_path_leaves_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let root = outside.path().join("www");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        for name in ["index.html", "a b.txt", "sub/index.html", "...", ".env", ".git/config"] {
            fs::write(root.join(name), name).unwrap();
        }
        symlink("../secret", root.join("link-out")).unwrap();
        symlink(outside.path().join("secret"), root.join("absolute-link-out")).unwrap();
        symlink("..", root.join("folder-out")).unwrap();
        symlink("sub/../index.html", root.join("link-in")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let folder = Folder::new(&root).unwrap();
        let served = |path: &str| {
            let path = relative(path)?;
            let (file, ..) = folder.open_file(&path).ok()?;
            Some(io::read_to_string(file).unwrap())
        };
        for (path, expected) in [
            ("/", Some("index.html")),
            ("/index.html", Some("index.html")),
            ("/a%20b.txt", Some("a b.txt")),
            ("/sub", Some("sub/index.html")),
            ("/sub/", Some("sub/index.html")),
            ("/./sub//index.html", Some("sub/index.html")),
            ("/link-in", Some("index.html")),
            ("/index.html/", None),
            ("/...", None),
            ("/.env", None),
            ("/%2eenv", None),
            ("/.git/config", None),
            ("/../secret", None),
            ("/sub/../index.html", None),
            ("/%2e%2e/secret", None),
            ("/.%2E/secret", None),
            ("/%2e", None),
            ("/sub%2f..%2f..%2fsecret", None),
            ("/..%5csecret", None),
            ("/link-out", None),
            ("/absolute-link-out", None),
            ("/folder-out/secret", None),
            ("/loop", None),
            ("/index.html%00.txt", None),
            ("/%ff", None),
            ("/missing", None),
            ("//etc/passwd", None),
            ("*", None),
        ] {
            assert_eq!(served(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_fifo_neither_blocks_nor_is_served() {
        let folder = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).unwrap();
        std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let folder = Folder::new(folder.path()).unwrap();
        for name in ["./fifo", "./socket"] {
            assert!(folder.open_file(name).is_err(), "{name}");
        }
    }

    #[test]
    fn without_openat2_no_link_is_followed() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("www");
        fs::create_dir_all(root.join("sub")).unwrap();
        for file in [outside.path().join("secret"), root.join("a"), root.join("sub/b")] {
            fs::write(file, "").unwrap();
        }
        symlink("a", root.join("link-in")).unwrap();
        symlink("../secret", root.join("link-out")).unwrap();
        symlink("..", root.join("folder-out")).unwrap();
        let folder = File::open(&root).unwrap();
        let opens = |open: Open, path: &str| open(folder.as_fd(), path).is_ok();
        for (path, expected, step_by_step) in [
            ("./a", true, true),
            ("./sub/b", true, true),
            (".", true, true),
            ("./sub/", true, true),
            ("./link-in", true, false),
            ("./link-out", false, false),
            ("./folder-out/secret", false, false),
            ("./missing", false, false),
        ] {
            assert_eq!(opens(open_beneath, path), expected, "{path}");
            assert_eq!(opens(open_step_by_step, path), step_by_step, "{path}");
        }
    }

    #[test]
    fn a_lack_of_descriptors_is_not_a_missing_file() {
        for (errno, expected) in
            [(Errno::EMFILE, true), (Errno::ENOENT, false), (Errno::EXDEV, false)]
        {
            assert_eq!(is_shortage(&errno.into()), expected, "{errno}");
        }
    }
}

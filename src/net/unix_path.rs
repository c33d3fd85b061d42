//! The path of a Unix socket that listens.
//!
//! Invariant: nothing is removed but a socket on which nobody listens, and at the end our own.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// A path that this process has bound; removed when it is dropped, if it is still ours by then.
#[derive(Debug)]
pub(crate) struct BoundPath {
    path: PathBuf,
    inode: (u64, u64),
}

impl BoundPath {
    /// `path`, right after it was bound.
    pub(crate) fn new(path: &Path) -> io::Result<BoundPath> {
        Ok(BoundPath { path: path.to_owned(), inode: inode(&fs::symlink_metadata(path)?) })
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| inode(&found) == self.inode) {
            // Where it fails, the next start finds that nobody listens there.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Makes `path` free: removes the socket that a dead process has left there.
///
/// # Errors
/// `AddrInUse` where somebody listens, `AlreadyExists` where there is no socket but something else.
pub(crate) fn free(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(_) => {}
    }
    let caller = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Who does not accept now has a full backlog, and lives.
    caller.set_nonblocking(true)?;
    match caller.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

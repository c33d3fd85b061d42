//! The path of a listening Unix socket: made free before the bind, removed at the end.
//!
//! **Invariant:** the only files removed are a stale socket, which no process listens on, and the
//! socket that this process has bound. Of several processes that start on a stale socket at one time, one
//! gets the path.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::tuning::{START_LOCK_POLL, START_LOCK_TIMEOUT};

/// A path that this process has bound. Dropping it removes the socket, unless the path holds
/// another file by then.
#[derive(Debug)]
pub(crate) struct BoundPath {
    path: PathBuf,
    inode: (u64, u64),
}

impl BoundPath {
    /// Remembers the inode at `path`; to be called right after the bind.
    pub(crate) fn new(path: &Path) -> io::Result<BoundPath> {
        Ok(BoundPath { path: path.to_owned(), inode: inode(&fs::symlink_metadata(path)?) })
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| inode(&found) == self.inode) {
            // If this fails, the next start removes the stale socket.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Locks the folder of `path` against other processes that start there, until the result is dropped. Without
/// the lock, one process could take the socket that another has just bound, and does not listen on yet, for a
/// stale one.
///
/// `None` if the folder cannot be read or the lock is not free in time: everyone who may read a folder can
/// lock it, and is not to prevent the start.
pub(crate) fn lock(path: &Path) -> Option<Flock<File>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut folder = File::open(folder.unwrap_or(Path::new("."))).ok()?;
    let deadline = Instant::now() + START_LOCK_TIMEOUT;
    loop {
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((unlocked, Errno::EWOULDBLOCK)) if Instant::now() < deadline => folder = unlocked,
            Err(_) => return None,
        }
        thread::sleep(START_LOCK_POLL);
    }
}

/// Makes `path` free to be bound: removes a stale socket that an earlier process left there.
///
/// # Errors
/// `AddrInUse` if a process listens there, `AlreadyExists` if the file is not a socket.
pub(crate) fn free(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(_) => {}
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // `WouldBlock` then means a full backlog, and so a listening process.
    client.set_nonblocking(true)?;
    match client.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

//! A memory cgroup, version 1 or 2.

use std::fs;
use std::path::{Path, PathBuf};

/// Removed when dropped; its processes have to be gone by then.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// `limit` is in bytes. `None` if the machine does not let this process make one.
    pub fn new(name: &str, limit: usize) -> Option<Cgroup> {
        let (root, limit_file) = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            ("/sys/fs/cgroup", "memory.max")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        };
        let path = Path::new(root).join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let group = Cgroup(path);
        fs::write(group.0.join(limit_file), limit.to_string()).ok()?;
        Some(group)
    }

    /// Moves a process into the group.
    pub fn add(&self, process: u32) {
        fs::write(self.0.join("cgroup.procs"), process.to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

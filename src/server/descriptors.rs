//! The limit of open descriptors: one for each connection.

use crate::config::Limits;
use crate::config::tuning::DESCRIPTORS_BESIDE;

/// Raises this process's soft limit to the hard one. Returns the limit now in force when it cannot
/// hold the connections that `limits` allows, with the number that would be needed.
///
/// A process-wide change: for a program's `main`, not for a library.
pub fn raise_descriptor_limit(limits: &Limits) -> Option<(u64, u64)> {
    let needed = (limits.max_connections.saturating_add(limits.reserve) as u64)
        .saturating_add(DESCRIPTORS_BESIDE);
    // It fails where a sandbox forbids the call; the accept loop copes with any limit.
    let limit = rlimit::increase_nofile_limit(u64::MAX).ok()?;
    (limit < needed).then_some((limit, needed))
}

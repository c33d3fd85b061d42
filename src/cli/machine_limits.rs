//! Compares the machine's limits with the connections that the configuration allows: a file
//! descriptor each, another one for a chat member's waker, and a few memory mappings.

use crate::config::Limits;

/// Memory mappings of a thread: its stack and its signal stack, with a guard page each.
const MAPPINGS_PER_THREAD: u64 = 4;
/// Memory mappings of the process without its threads: program, libraries, heap.
const MAPPINGS_BESIDE: u64 = 256;
/// Descriptors of the process without its connections: listeners, standard streams, files of `--www`.
const DESCRIPTORS_BESIDE: u64 = 32;

/// Raises the soft limit of open descriptors (`RLIMIT_NOFILE`) to the hard limit. Returns the limit
/// now in force and the number needed if `limits` allows more connections than that; else `None`.
///
/// This changes the whole process, so it is for the `main` of a program and not for a library.
pub(super) fn raise_descriptor_limit(limits: &Limits) -> Option<(u64, u64)> {
    let wakers = limits.max_connections as u64;
    let needed = connections(limits).saturating_add(wakers).saturating_add(DESCRIPTORS_BESIDE);
    // This fails if a sandbox forbids the call; the accept loop copes with any limit.
    let limit = rlimit::increase_nofile_limit(u64::MAX).ok()?;
    (limit < needed).then_some((limit, needed))
}

/// Compares the system's limit of memory mappings (`vm.max_map_count`) with the need of the threads
/// that `limits` allows. Returns the limit and the number needed if the limit is too low.
///
/// `None` also if the limit cannot be read: a connection for which no thread can be started then
/// gets a 503.
pub(super) fn mapping_shortage(limits: &Limits) -> Option<(u64, u64)> {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()?;
    shortage_of_mappings(limits, limit)
}

fn shortage_of_mappings(limits: &Limits, limit: u64) -> Option<(u64, u64)> {
    let threads = connections(limits);
    let needed = threads.saturating_mul(MAPPINGS_PER_THREAD).saturating_add(MAPPINGS_BESIDE);
    (limit < needed).then_some((limit, needed))
}

/// The most connections, and so threads, at one time.
fn connections(limits: &Limits) -> u64 {
    limits.max_connections.saturating_add(limits.reserve) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_map_count_suffices_for_sixteen_thousand_connections() {
        let shortage = |max_connections| {
            shortage_of_mappings(&Limits { max_connections, ..Limits::default() }, 65_530)
        };
        assert_eq!(shortage(16_000), None);
        assert_eq!(shortage(17_000), Some((65_530, 68_512)));
        assert!(shortage(usize::MAX).is_some());
    }
}

//! The limit of memory mappings: a few for each thread, and so for each connection.

use crate::config::Limits;
use crate::config::tuning::{MAPPINGS_BESIDE, MAPPINGS_PER_THREAD};

/// Compares the system's limit of mappings (`vm.max_map_count`) with what the connections that
/// `limits` allows would take. Returns the limit when it is too low, with the number needed.
///
/// None where the limit cannot be read: beyond it, a thread that cannot be made is a 503.
pub fn mapping_shortage(limits: &Limits) -> Option<(u64, u64)> {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()?;
    shortage(limits, limit)
}

fn shortage(limits: &Limits, limit: u64) -> Option<(u64, u64)> {
    let threads = limits.max_connections.saturating_add(limits.reserve) as u64;
    let needed = threads.saturating_mul(MAPPINGS_PER_THREAD).saturating_add(MAPPINGS_BESIDE);
    (limit < needed).then_some((limit, needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_has_room_for_sixteen_thousand_by_default() {
        let limits = |max_connections| Limits { max_connections, ..Limits::default() };
        assert_eq!(shortage(&limits(16_000), 65_530), None);
        assert_eq!(shortage(&limits(17_000), 65_530), Some((65_530, 68_512)));
        assert!(shortage(&limits(usize::MAX), 65_530).is_some());
    }
}

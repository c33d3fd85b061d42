//! Fuzz targets: properties that must hold for every input from a peer. There is one function for
//! each target in `tests/fuzz`; `cargo test` replays their seeds. The first bytes of an input
//! control how the rest arrives. Compiled only for tests and with the feature `_fuzzing`.
//!
//! **Invariant:** The targets are deterministic: an input passes or fails on every run and machine.

mod deflate;
mod diagnosis;
mod frames;
mod head;
mod memory;
mod peer;
mod session;

pub use deflate::deflate;
pub(crate) use diagnosis::assert_readable;
pub use head::head;
pub use memory::memory;
pub use session::session;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a target on all of its seeds.
    fn replay(target: &str, run: fn(&[u8])) {
        let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
        if !std::path::Path::new(tests).exists() {
            return; // the published crate is without them
        }
        let folder = format!("{tests}/fuzz/seeds/{target}");
        let mut seeds = 0;
        for file in std::fs::read_dir(&folder).expect(&folder) {
            let path = file.unwrap().path();
            println!("{}", path.display()); // shown if the test fails
            run(&std::fs::read(&path).unwrap());
            seeds += 1;
        }
        assert!(seeds >= 10, "{folder} has {seeds} seeds");
    }

    #[test]
    fn all_head_seeds_pass() {
        replay("head", head);
    }

    #[test]
    fn all_session_seeds_pass() {
        replay("session", session);
    }

    #[test]
    fn all_memory_seeds_pass() {
        replay("memory", memory);
    }

    #[test]
    fn all_deflate_seeds_pass() {
        replay("deflate", deflate);
    }
}

//! What must hold for every input, whatever a peer sends.
//!
//! What it is: one function for each of the fuzzer's targets (`tests/fuzz`), and the replay of their
//! seeds in `cargo test`. The first bytes of an input say how the rest arrives.
//! What it is not: part of the product; it is compiled for tests and with the feature `fuzzing`.
//! Invariant: pure; the same bytes hold or fail every time, on every machine.

mod deflate;
mod diagnosis;
mod frames;
mod head;
mod peer;
mod reply;
mod session;

pub use deflate::deflate;
pub(crate) use diagnosis::assert_readable;
pub use head::head;
pub use reply::reply;
pub use session::session;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a target over all of its seeds.
    fn replay(target: &str, run: fn(&[u8])) {
        let folder = format!("{}/tests/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut seeds = 0;
        for file in std::fs::read_dir(&folder).expect(&folder) {
            let path = file.unwrap().path();
            println!("{}", path.display()); // shown when it fails
            run(&std::fs::read(&path).unwrap());
            seeds += 1;
        }
        assert!(seeds >= 10, "{folder} has {seeds} seeds");
    }

    #[test]
    fn the_seeds_of_head_hold() {
        replay("head", head);
    }

    #[test]
    fn the_seeds_of_session_hold() {
        replay("session", session);
    }

    #[test]
    fn the_seeds_of_deflate_hold() {
        replay("deflate", deflate);
    }

    #[test]
    fn the_seeds_of_reply_hold() {
        replay("reply", reply);
    }
}

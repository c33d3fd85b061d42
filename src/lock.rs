//! Locks that a panic does not end.
//!
//! A panic ends one connection, and not the server: the other threads go on with the lock that the
//! panicking one held. That is sound, because each state behind a lock of this crate is consistent
//! after every statement that can panic.

use std::sync::{LockResult, PoisonError};

/// The guard of a lock, or of a wait on a condition variable, poisoned or not.
pub(crate) fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_lock_outlives_a_panic_of_its_holder() {
        let lock = Mutex::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            *unpoisoned(lock.lock()) = 2;
            let _guard = lock.lock();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err() && lock.is_poisoned());
        assert_eq!(*unpoisoned(lock.lock()), 2);
    }
}

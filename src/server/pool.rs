//! Threads that serve connections.
//!
//! What it is: a pool that grows with the work and shrinks when it is over; a finished thread
//! waits a while for another connection, which is cheaper than a new thread.
//! What it is not: a queue. A job is taken at once or given back: whoever waits behind a
//! connection that lasts a day is never served.
//! Invariants: there are no more threads than there may be jobs (admission counts those). After
//! [`ThreadPool::join`] no thread of the pool exists.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use crate::config::tuning::{POOL_IDLE, STACK};

/// Runs `serve` on each job, a job a thread.
pub(crate) struct ThreadPool<J>(Arc<PoolInner<J>>);

struct PoolInner<J> {
    serve: Box<dyn Fn(J) + Send + Sync>,
    max_threads: usize,
    state: Mutex<PoolState<J>>,
    /// A job was handed over, or the pool was closed.
    work: Condvar,
    /// A thread has retired.
    retired: Condvar,
}

struct PoolState<J> {
    /// Jobs handed to a thread that has not woken yet, or that is about to finish its last one.
    handed: VecDeque<J>,
    /// Threads without a job.
    free: usize,
    closed: bool,
    threads: HashMap<ThreadId, JoinHandle<()>>,
    /// The thread that retired last; the next one to retire joins it.
    retired: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> ThreadPool<J> {
    /// `max_threads` is the most jobs that the caller ever has at one time. A job counts as over
    /// when it is dropped, so a thread that has reached the limit is about to be free.
    pub(crate) fn new(
        max_threads: usize,
        serve: impl Fn(J) + Send + Sync + 'static,
    ) -> ThreadPool<J> {
        let state = PoolState {
            handed: VecDeque::new(),
            free: 0,
            closed: false,
            threads: HashMap::new(),
            retired: None,
        };
        ThreadPool(Arc::new(PoolInner {
            serve: Box::new(serve),
            max_threads,
            state: Mutex::new(state),
            work: Condvar::new(),
            retired: Condvar::new(),
        }))
    }

    /// Hands `job` to a free thread, or to a new one.
    ///
    /// # Errors
    /// The job, when no thread could be made.
    pub(crate) fn run(&self, job: J) -> Result<(), J> {
        let mut state = self.0.lock();
        state.handed.push_back(job);
        if state.free >= state.handed.len() || state.threads.len() >= self.0.max_threads {
            self.0.work.notify_one();
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("wsecho".to_owned()).stack_size(STACK);
        match thread.spawn(move || inner.work()) {
            Ok(handle) => {
                state.free += 1;
                state.threads.insert(handle.thread().id(), handle);
                Ok(())
            }
            Err(_) => match state.handed.pop_back() {
                Some(job) => Err(job),
                None => Ok(()),
            },
        }
    }

    /// Counts its threads, those without a job included; it keeps nothing of the pool.
    pub(crate) fn counter(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let inner = Arc::downgrade(&self.0);
        move || inner.upgrade().map_or(0, |inner| inner.lock().threads.len())
    }

    /// Waits until every job is done and every thread is gone.
    pub(crate) fn join(self) {
        let mut state = self.0.lock();
        state.closed = true;
        self.0.work.notify_all();
        while !state.threads.is_empty() {
            state = self.0.retired.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let last = state.retired.take();
        drop(state);
        join(last);
    }
}

impl<J> PoolInner<J> {
    /// A thread's life. A new thread counts as free from the moment that it is made.
    fn work(&self) {
        while let Some(job) = self.next() {
            // A panic has been reported by the panic hook; it ends this connection alone.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.serve)(job)));
            self.lock().free += 1;
        }
    }

    /// The next job; none when the pool is closed or nothing came for a while, and then the
    /// calling thread is no longer one of the pool's.
    fn next(&self) -> Option<J> {
        let is_idle = |state: &mut PoolState<J>| state.handed.is_empty() && !state.closed;
        let mut state = self
            .work
            .wait_timeout_while(self.lock(), POOL_IDLE, is_idle)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if let Some(job) = state.handed.pop_front() {
            state.free -= 1;
            return Some(job);
        }
        state.free -= 1;
        let own = state.threads.remove(&thread::current().id());
        let predecessor = std::mem::replace(&mut state.retired, own);
        self.retired.notify_all();
        drop(state);
        join(predecessor);
        None
    }

    fn lock(&self) -> MutexGuard<'_, PoolState<J>> {
        // Nothing panics while it holds the lock; a poisoned one would still be consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // Its panics were caught where they happened.
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_finished_thread_serves_the_next_job() {
        let (done, ids) = mpsc::channel();
        let pool = ThreadPool::new(8, move |()| done.send(thread::current().id()).unwrap());
        pool.run(()).unwrap();
        let first = ids.recv().unwrap();
        while pool.0.lock().free == 0 {
            thread::yield_now();
        }
        pool.run(()).unwrap();
        assert_eq!(ids.recv().unwrap(), first);
        pool.join();
    }

    #[test]
    fn jobs_run_side_by_side() {
        let meet = Arc::new(std::sync::Barrier::new(8));
        let at = Arc::clone(&meet);
        let pool = ThreadPool::new(8, move |()| {
            at.wait();
        });
        for _ in 0..8 {
            pool.run(()).unwrap();
        }
        pool.join(); // would wait for ever if one of the eight waited behind another
    }

    #[test]
    fn a_panic_ends_its_job_alone() {
        let (done, results) = mpsc::channel();
        let pool = ThreadPool::new(8, move |job: u8| {
            assert_ne!(job, 0, "this panic is part of the test");
            done.send(job).unwrap();
        });
        pool.run(0).unwrap();
        pool.run(1).unwrap();
        assert_eq!(results.recv(), Ok(1));
        pool.join();
    }

    #[test]
    fn join_leaves_no_thread_and_no_reference() {
        let pool = ThreadPool::new(8, |()| {});
        for _ in 0..4 {
            pool.run(()).unwrap();
        }
        let (inner, count) = (Arc::downgrade(&pool.0), pool.counter());
        assert!((1..=4).contains(&count()));
        pool.join();
        assert!(inner.upgrade().is_none());
        assert_eq!(count(), 0);
    }

    #[test]
    fn a_job_at_the_limit_is_taken_by_the_thread_that_finishes() {
        let (done, ids) = mpsc::channel();
        let pool = ThreadPool::new(1, move |()| done.send(thread::current().id()).unwrap());
        for _ in 0..100 {
            pool.run(()).unwrap();
        }
        let first = ids.recv().unwrap();
        assert!((1..100).all(|_| ids.recv().unwrap() == first));
        pool.join();
    }
}

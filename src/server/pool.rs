//! The thread pool that serves connections.
//!
//! The pool grows with the load and shrinks again: an idle thread waits for another connection for
//! [`Timeouts::pool_idle`](crate::Timeouts::pool_idle), which is cheaper than starting a thread. It
//! does not queue: a job is taken at once or given back, because a job behind a connection that lasts
//! a day would never be served.
//!
//! **Invariants:** there are never more threads than there may be jobs (admission limits those). After
//! [`ThreadPool::join`] no thread of the pool exists.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use crate::config::tuning::STACK;
use crate::connection::Continuation;
use crate::lock::unpoisoned;

/// Runs `serve` for each job, and then what it returns: the rest of the job, which starts on a stack
/// that is free again. One thread per job.
pub(crate) struct ThreadPool<J>(Arc<PoolInner<J>>);

struct PoolInner<J> {
    serve: Box<dyn Fn(J) -> Option<Continuation> + Send + Sync>,
    max_threads: usize,
    /// `Timeouts::pool_idle`.
    idle_timeout: Duration,
    state: Mutex<PoolState<J>>,
    /// Notified when a job is pending or the pool is closed.
    job_pending: Condvar,
    /// Notified when a thread has left the pool.
    thread_retired: Condvar,
}

struct PoolState<J> {
    /// Jobs whose thread has not woken up yet, or is about to finish its previous job.
    pending: VecDeque<J>,
    /// The number of threads without a job.
    idle: usize,
    closed: bool,
    threads: HashMap<ThreadId, JoinHandle<()>>,
    /// The thread that retired last. The next one to retire joins it.
    last_retired: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> ThreadPool<J> {
    /// Creates an empty pool. `max_threads` is the largest number of jobs that the caller ever has
    /// at one time. A job ends when it is dropped, so at the limit some thread is about to be idle.
    pub(crate) fn new(
        max_threads: usize,
        idle_timeout: Duration,
        serve: impl Fn(J) -> Option<Continuation> + Send + Sync + 'static,
    ) -> ThreadPool<J> {
        let state = PoolState {
            pending: VecDeque::new(),
            idle: 0,
            closed: false,
            threads: HashMap::new(),
            last_retired: None,
        };
        ThreadPool(Arc::new(PoolInner {
            serve: Box::new(serve),
            max_threads,
            idle_timeout,
            state: Mutex::new(state),
            job_pending: Condvar::new(),
            thread_retired: Condvar::new(),
        }))
    }

    /// Hands `job` to an idle thread, or to a new one.
    ///
    /// # Errors
    /// Returns the job if no thread could be started.
    pub(crate) fn run(&self, job: J) -> Result<(), J> {
        let mut state = self.0.lock();
        state.pending.push_back(job);
        if state.idle >= state.pending.len() || state.threads.len() >= self.0.max_threads {
            self.0.job_pending.notify_one();
            return Ok(());
        }
        let inner = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("wsecho".to_owned()).stack_size(STACK);
        match thread.spawn(move || inner.run_jobs()) {
            Ok(handle) => {
                state.idle += 1;
                state.threads.insert(handle.thread().id(), handle);
                Ok(())
            }
            Err(_) => match state.pending.pop_back() {
                Some(job) => Err(job),
                None => Ok(()),
            },
        }
    }

    /// Returns a function that counts the threads, idle ones included. It does not keep the pool
    /// alive.
    pub(crate) fn counter(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let inner = Arc::downgrade(&self.0);
        move || inner.upgrade().map_or(0, |inner| inner.lock().threads.len())
    }

    /// Closes the pool, and waits until every job is done and every thread has ended.
    pub(crate) fn join(self) {
        let mut state = self.0.lock();
        state.closed = true;
        self.0.job_pending.notify_all();
        while !state.threads.is_empty() {
            state = unpoisoned(self.0.thread_retired.wait(state));
        }
        let last = state.last_retired.take();
        drop(state);
        join(last);
    }
}

impl<J> PoolInner<J> {
    /// The main function of each thread. [`ThreadPool::run`] has counted the new thread as idle.
    fn run_jobs(&self) {
        while let Some(job) = self.next_job() {
            // The panic hook has reported a panic; it ends only this connection.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                if let Some(continuation) = (self.serve)(job) {
                    continuation();
                }
            }));
            self.lock().idle += 1;
        }
    }

    /// Waits for a job. `None` if the pool is closed, or if no job came for the idle time; the
    /// calling thread then no longer belongs to the pool.
    fn next_job(&self) -> Option<J> {
        let is_idle = |state: &mut PoolState<J>| state.pending.is_empty() && !state.closed;
        let waited = self.job_pending.wait_timeout_while(self.lock(), self.idle_timeout, is_idle);
        let mut state = unpoisoned(waited).0;
        if let Some(job) = state.pending.pop_front() {
            state.idle -= 1;
            return Some(job);
        }
        state.idle -= 1;
        let own = state.threads.remove(&thread::current().id());
        let predecessor = std::mem::replace(&mut state.last_retired, own);
        self.thread_retired.notify_all();
        drop(state);
        join(predecessor);
        None
    }

    fn lock(&self) -> MutexGuard<'_, PoolState<J>> {
        unpoisoned(self.state.lock())
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // `run_jobs` has caught all panics.
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    /// Longer than any of these tests takes.
    const IDLE: Duration = Duration::from_secs(60);

    #[test]
    fn a_finished_thread_serves_the_next_job() {
        let (done, ids) = mpsc::channel();
        let pool = ThreadPool::new(8, IDLE, move |()| {
            done.send(thread::current().id()).unwrap();
            None
        });
        pool.run(()).unwrap();
        let first = ids.recv().unwrap();
        let deadline = Instant::now() + IDLE;
        while pool.0.lock().idle == 0 {
            assert!(Instant::now() < deadline, "the thread is not idle again");
            thread::yield_now();
        }
        pool.run(()).unwrap();
        assert_eq!(ids.recv().unwrap(), first);
        pool.join();
    }

    #[test]
    fn a_thread_without_a_job_ends_after_the_idle_time() {
        let pool = ThreadPool::new(8, Duration::from_millis(1), |()| None);
        pool.run(()).unwrap();
        let (count, deadline) = (pool.counter(), Instant::now() + IDLE);
        while count() > 0 {
            assert!(Instant::now() < deadline, "the thread is still there");
            thread::yield_now();
        }
        pool.run(()).unwrap();
        pool.join();
    }

    #[test]
    fn jobs_run_concurrently() {
        let barrier = std::sync::Barrier::new(8);
        let pool = ThreadPool::new(8, IDLE, move |()| {
            barrier.wait();
            None
        });
        for _ in 0..8 {
            pool.run(()).unwrap();
        }
        pool.join(); // This would deadlock if one job were queued behind another.
    }

    #[test]
    fn a_panic_ends_only_its_own_job() {
        let (done, results) = mpsc::channel();
        let pool = ThreadPool::new(8, IDLE, move |job: u8| {
            assert_ne!(job, 0, "this panic is part of the test");
            done.send(job).unwrap();
            None
        });
        pool.run(0).unwrap();
        pool.run(1).unwrap();
        assert_eq!(results.recv(), Ok(1));
        pool.join();
    }

    #[test]
    fn join_leaves_no_thread_and_no_reference() {
        let pool = ThreadPool::new(8, IDLE, |()| None);
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
        let pool = ThreadPool::new(1, IDLE, move |()| {
            done.send(thread::current().id()).unwrap();
            None
        });
        for _ in 0..100 {
            pool.run(()).unwrap();
        }
        let first = ids.recv().unwrap();
        assert!((1..100).all(|_| ids.recv().unwrap() == first));
        pool.join();
    }

    #[test]
    fn a_continuation_runs_on_the_thread_of_its_job() {
        let (done, ids) = mpsc::channel();
        let pool = ThreadPool::new(8, IDLE, move |()| {
            let job = thread::current().id();
            let done = done.clone();
            Some(Box::new(move || done.send((job, thread::current().id())).unwrap()) as _)
        });
        pool.run(()).unwrap();
        let (job, continuation) = ids.recv().unwrap();
        assert_eq!(job, continuation);
        pool.join();
    }
}

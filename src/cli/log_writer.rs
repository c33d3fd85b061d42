//! The thread that writes log lines to stderr.
//!
//! **Invariant:** no other thread waits for stderr. If nobody reads it (a full pipe, a stuck log driver),
//! lines are lost, and their number is written once it takes lines again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::log_line::LineFormat;
use super::logging::lost_lines;

/// Lines that wait for stderr. 1024: a burst of as many lines as the rate limit lets pass; of 200 bytes
/// each.
const QUEUED_LINES: usize = 1024;
/// How long the end of the program waits for stderr to take the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two attempts to queue the request for that, while the queue is full.
const FLUSH_POLL: Duration = Duration::from_millis(5);

enum Entry {
    Line(Vec<u8>),
    /// All lines before it are written: send this.
    Flush(SyncSender<()>),
}

/// Where the logger writes: each call of `write` is one line, and returns at once.
#[derive(Clone)]
pub(super) struct LogQueue {
    entries: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

impl LogQueue {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be created.
    pub(super) fn start(format: LineFormat) -> io::Result<LogQueue> {
        let (entries, waiting) = sync_channel(QUEUED_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let queue = LogQueue { entries, lost: Arc::clone(&lost) };
        let thread = thread::Builder::new().name("wsecho-log".to_owned());
        thread.spawn(move || {
            write_entries(&waiting, &lost, format, &mut io::stderr());
        })?;
        Ok(queue)
    }

    /// Waits until stderr has taken all lines, but not longer than [`FLUSH_TIMEOUT`].
    pub(super) fn drain(&self) {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let (done, is_done) = sync_channel(1);
        let mut flush = Entry::Flush(done);
        while let Err(TrySendError::Full(unsent)) = self.entries.try_send(flush) {
            if Instant::now() >= deadline {
                return;
            }
            flush = unsent;
            thread::sleep(FLUSH_POLL);
        }
        let _ = is_done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.entries.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines until no logger is left. A line that cannot be written is lost, as there is no place to
/// report it.
fn write_entries(
    entries: &Receiver<Entry>,
    lost: &AtomicU64,
    format: LineFormat,
    out: &mut impl Write,
) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                let _ = out.write_all(&line);
            }
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                let _ = out.write_all(&lost_lines(count, format));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::log_line::Format;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_writer_that_is_stuck_loses_lines_and_counts_them() {
        let (mut out, reader) = UnixStream::pair().unwrap();
        let (entries, queued) = sync_channel(QUEUED_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let mut queue = LogQueue { entries, lost: Arc::clone(&lost) };
        let format = LineFormat::for_stderr(Format::Text);
        let writer = thread::spawn(move || write_entries(&queued, &lost, format, &mut out));
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let mut sent = 0;
        while queue.lost.load(Ordering::Relaxed) < 10 {
            queue.write_all(&line).unwrap();
            sent += 1;
        }
        drop(queue);
        let text = io::read_to_string(reader).unwrap();
        writer.join().unwrap();
        let (kept, counts): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('x'));
        let lost: usize = counts
            .iter()
            .map(|line| line.split_once("WARN  ").unwrap().1.split_once(' ').unwrap().0)
            .map(|count| count.parse::<usize>().unwrap())
            .sum();
        assert!(lost >= 10, "{counts:?}");
        assert_eq!(kept.len() + lost, sent);
    }
}

//! A wait for a Unix socket that a stop can end.
//!
//! What it is: a wait for two things, for what the peer sends and for the waker, which rings once.
//! What it is not: needed for TCP. There a stop shuts the read side down, of which the peer learns
//! nothing; on a Unix socket that would take the peer its sending side, and with it the last messages
//! and the answer to our Close.
//! Invariant: what has arrived is heard before the waker.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Stream;

/// One for a whole server. See the module.
#[derive(Debug)]
pub(crate) struct Waker {
    notifier: UnixStream,
    watcher: UnixStream,
}

impl Waker {
    /// # Errors
    /// No descriptors.
    pub(crate) fn new() -> io::Result<Waker> {
        let (notifier, watcher) = UnixStream::pair()?;
        Ok(Waker { notifier, watcher })
    }

    /// Ends every wait, and those to come.
    pub(crate) fn wake(&self) {
        // The watcher is the end of this stream; it cannot have ended before.
        let _ = self.notifier.shutdown(Shutdown::Write);
    }

    /// Waits for something to read, or for the end of `stream`.
    ///
    /// # Errors
    /// `WouldBlock` when the time is over, or the waker has rung.
    pub(crate) fn wait_for(&self, stream: &Stream, time: Option<Duration>) -> io::Result<()> {
        let mut waits =
            [stream.as_fd(), self.watcher.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut waits, time.map_or(PollTimeout::NONE, in_milliseconds))?;
        match waits[0].any() {
            Some(false) => Err(io::ErrorKind::WouldBlock.into()),
            Some(true) | None => Ok(()),
        }
    }
}

/// Never less: who wakes too early would look at the clock, and wait for a fraction again.
fn in_milliseconds(time: Duration) -> PollTimeout {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).ok().and_then(|ms| ms.try_into().ok()).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;

    fn pair() -> (Stream, UnixStream) {
        let (stream, peer) = UnixStream::pair().unwrap();
        (OwnedFd::from(stream).into(), peer)
    }

    #[test]
    fn what_has_arrived_is_heard_before_the_bell() {
        let (waker, (mut stream, mut peer)) = (Waker::new().unwrap(), pair());
        waker.wake();
        assert_eq!(waker.wait_for(&stream, None).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"x").unwrap();
        waker.wait_for(&stream, None).unwrap();
        assert_eq!(stream.read(&mut [0; 2]).unwrap(), 1);
        assert_eq!(waker.wait_for(&stream, None).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(peer);
        waker.wait_for(&stream, None).unwrap();
        assert_eq!(stream.read(&mut [0; 2]).unwrap(), 0);
    }

    #[test]
    fn a_wait_ends_with_the_bell_or_with_its_time() {
        let (waker, (stream, _peer)) = (Waker::new().unwrap(), pair());
        let wait = |time| waker.wait_for(&stream, time).unwrap_err().kind();
        assert_eq!(wait(Some(Duration::from_nanos(1))), io::ErrorKind::WouldBlock);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(None));
            waker.wake();
            assert_eq!(waiting.join().unwrap(), io::ErrorKind::WouldBlock);
        });
    }

    #[test]
    fn a_time_is_rounded_up() {
        for (time, milliseconds) in [
            (Duration::from_nanos(1), Some(1)),
            (Duration::from_micros(1001), Some(2)),
            (Duration::from_millis(5), Some(5)),
            (Duration::MAX, Some(i32::MAX.cast_unsigned())),
        ] {
            assert_eq!(in_milliseconds(time).as_millis(), milliseconds, "{time:?}");
        }
    }
}

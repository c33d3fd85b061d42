//! Wakes a thread that waits for its socket.
//!
//! No other thread can interrupt a blocking read. A thread that others have to reach (a chat
//! member, for events; an accept loop, until accepting is over; a connection on a Unix socket,
//! until the stop) therefore waits with poll(2) for its socket and for a [`Waker`], and reads once
//! the socket is readable. Every other session blocks in the read itself, which is one system call
//! a message.
//!
//! **Invariant:** a wake-up is never lost: a waker stays set until [`Waker::clear`].

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc::POLLRDHUP;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// An eventfd(2). See the module.
#[derive(Debug)]
pub(crate) struct Waker(EventFd);

impl Waker {
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn new() -> io::Result<Waker> {
        Ok(Waker(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?))
    }

    /// Ends every [`wait_readable`] on this waker, and those to come.
    pub(crate) fn wake(&self) {
        // It fails only when the counter is at its maximum, and then the waker is set.
        let _ = self.0.write(1);
    }

    /// Resets the waker.
    pub(crate) fn clear(&self) {
        // It fails only when the waker is not set.
        let _ = self.0.read();
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The source has bytes, a connection, or its end. A waker may be set, too.
    Readable,
    /// The stop is set.
    Stopping,
    /// The waker is set.
    Woken,
    TimedOut,
}

/// Waits until `source` can be read, `stop` or `waker` is set, or `timeout` is over.
///
/// # Errors
/// Those of poll(2): `Interrupted`, or no memory.
pub(crate) fn wait_readable(
    source: &impl AsFd,
    stop: &Waker,
    waker: Option<&Waker>,
    timeout: Option<Duration>,
) -> io::Result<Readiness> {
    let descriptors = [source.as_fd(), stop.0.as_fd(), waker.unwrap_or(stop).0.as_fd()];
    let mut waits = descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    poll(&mut waits, timeout.map_or(PollTimeout::NONE, in_milliseconds))?;
    Ok(match waits.map(|wait| wait.any() == Some(true)) {
        [true, ..] => Readiness::Readable,
        [false, true, _] => Readiness::Stopping,
        [false, false, true] => Readiness::Woken,
        [false, false, false] => Readiness::TimedOut,
    })
}

/// How a wait that reads nothing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HangUp {
    /// The stop is set.
    Stopping,
    /// The waker is set.
    Woken,
    /// The peer has ended its side of the stream (FIN), or the connection (RST).
    PeerLeft,
    TimedOut,
}

/// Waits until the peer of `source` is gone, `stop` or `waker` is set, or `timeout` is over. Bytes of the peer do
/// not end the wait.
///
/// # Errors
/// Those of poll(2): `Interrupted`, or no memory.
pub(super) fn wait_for_hang_up(
    source: &impl AsFd,
    stop: &Waker,
    waker: Option<&Waker>,
    timeout: Duration,
) -> io::Result<HangUp> {
    // nix does not name this flag. Of a result that has it, nix tells no more than that it is not zero.
    let peer_left = PollFlags::from_bits_retain(POLLRDHUP);
    let mut waits = [
        PollFd::new(stop.0.as_fd(), PollFlags::POLLIN),
        PollFd::new(waker.unwrap_or(stop).0.as_fd(), PollFlags::POLLIN),
        PollFd::new(source.as_fd(), peer_left),
    ];
    poll(&mut waits, in_milliseconds(timeout))?;
    Ok(match waits.map(|wait| wait.any() != Some(false)) {
        [true, ..] => HangUp::Stopping,
        [false, true, _] => HangUp::Woken,
        [false, false, true] => HangUp::PeerLeft,
        [false, false, false] => HangUp::TimedOut,
    })
}

/// Rounded up: a wait that ended a fraction early would be followed by another one.
fn in_milliseconds(time: Duration) -> PollTimeout {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).ok().and_then(|ms| ms.try_into().ok()).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn received_bytes_come_before_a_wake_up() {
        let (stop, waker) = (Waker::new().unwrap(), Waker::new().unwrap());
        let (mut stream, mut peer) = UnixStream::pair().unwrap();
        waker.wake();
        let wait = |stream: &UnixStream| wait_readable(stream, &stop, Some(&waker), None).unwrap();
        assert_eq!(wait(&stream), Readiness::Woken);
        peer.write_all(b"x").unwrap();
        assert_eq!(wait(&stream), Readiness::Readable);
        assert_eq!(stream.read(&mut [0; 2]).unwrap(), 1);
        assert_eq!(wait(&stream), Readiness::Woken, "it stays set");
        drop(peer);
        assert_eq!(wait(&stream), Readiness::Readable, "the end of the stream");
    }

    #[test]
    fn a_wait_ends_by_either_waker_or_by_its_timeout() {
        let (stop, waker) = (Waker::new().unwrap(), Waker::new().unwrap());
        let (stream, _peer) = UnixStream::pair().unwrap();
        let wait = |timeout| wait_readable(&stream, &stop, Some(&waker), timeout).unwrap();
        assert_eq!(wait(Some(Duration::from_nanos(1))), Readiness::TimedOut);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(None));
            waker.wake();
            assert_eq!(waiting.join().unwrap(), Readiness::Woken);
        });
        waker.clear();
        assert_eq!(wait(Some(Duration::ZERO)), Readiness::TimedOut);
        stop.wake();
        assert_eq!(wait(None), Readiness::Stopping);
    }

    #[test]
    fn a_wait_for_the_hang_up_ignores_bytes_and_ends_with_the_peer() {
        let stop = Waker::new().unwrap();
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"x").unwrap();
        let wait = |timeout| wait_for_hang_up(&stream, &stop, None, timeout).unwrap();
        assert_eq!(wait(Duration::from_millis(1)), HangUp::TimedOut);
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(wait(Duration::MAX), HangUp::PeerLeft);
        stop.wake();
        assert_eq!(wait(Duration::MAX), HangUp::Stopping);
    }

    #[test]
    fn timeouts_are_rounded_up_to_milliseconds() {
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

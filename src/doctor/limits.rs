//! The limits of `wsecho doctor`.

use std::time::Duration;

use bytesize::ByteSize;

/// The most bytes of a frame, and of a report, that are read.
pub(crate) const FRAME_MAX: usize = 64 * 1024 * 1024;
/// The most frames that are recorded of one connection, in some 4 MiB; later ones are not.
pub(crate) const FRAMES_MAX: usize = 100_000;
/// The most bytes of one read.
pub(crate) const READ_MAX: usize = 64 * 1024;
/// The shortest wait for something that may not come, such as a Pong, or the end of a lane at the server.
pub(crate) const ANSWER_TIMEOUT_MIN: Duration = Duration::from_millis(800);
/// The same at a second look, which is taken where something did not come: longer than a lost packet is late.
pub(crate) const SECOND_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The wait in times of connecting and making a handshake.
pub(crate) const ANSWER_TIMEOUT_FACTOR: u32 = 8;
/// The time between two looks at the report of a lane that has not ended there.
pub(crate) const END_POLL: Duration = Duration::from_millis(20);
/// The interval of the server's Pings, and the time after which it sends the message that ends them.
pub(crate) const PING_INTERVAL: Duration = Duration::from_millis(20);
pub(crate) const PING_TIME: Duration = Duration::from_millis(110);
/// The server's delay of a reply before which the client ends its sending side.
pub(crate) const HALF_CLOSE_DELAY: Duration = Duration::from_millis(150);
/// The size of the server's fragments: 256 bytes are seven of them.
pub(crate) const FRAGMENT: usize = 37;
/// The number of intervals of `--idle` at which a lane sends, and the longest of them: shorter than every known
/// idle timeout.
pub(crate) const IDLE_INTERVALS: u32 = 8;
pub(crate) const IDLE_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// The longest time of `--idle`, the longest that the server can be silent.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(3600);
/// The size at which the bisection of `--sizes` begins, and how near it comes to a limit.
pub(crate) const SIZE_MIN: usize = 1024;
pub(crate) const SIZE_STEP: usize = 64;
/// The bytes a second at which a large message still arrives in time, beside the timeout: those of a 1 Mbit/s line.
pub(crate) const SIZE_RATE: u32 = 128 * 1024;
/// The default of `--max`: the largest message that a wsecho takes by default.
pub(crate) const SIZE_MAX_DEFAULT: ByteSize = ByteSize::mib(1);
/// The interval of the messages of `--timing`, their number in each direction, and that of the round trips.
pub(crate) const TIMED_INTERVAL: Duration = Duration::from_millis(100);
pub(crate) const TIMED_MESSAGES: u32 = 12;
pub(crate) const ROUND_TRIPS: u32 = 100;
/// The delay from which messages that arrive together count as buffered.
pub(crate) const BUFFERED_SPREAD: Duration = Duration::from_millis(80);
/// The most bytes of a field or a message in a line.
pub(crate) const SHOWN_MAX: usize = 60;

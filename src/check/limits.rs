//! The limits of a check.

use std::time::Duration;

/// The default timeout of each step: long enough for a server on another continent, short enough
/// that six steps end before the 30 s that a container runtime allows.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest timeout that can be configured.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// The largest number of round trips; the time of each one is kept, in 16 bytes.
pub(crate) const COUNT_MAX: u32 = 1_000_000;
/// The number of addresses of one name that are tried. There would be no time for more.
pub(crate) const ADDRESSES_MAX: usize = 8;
/// The time that each further address gets once one is open: only its word in the report depends on it.
pub(crate) const OTHERS_TIMEOUT: Duration = Duration::from_millis(250);
/// The most bytes to read of a response's header section, and then of its body: as many as the
/// server accepts in a request head, and more than [`BODY_MAX`] even in chunks of one byte, which
/// take six.
pub(crate) const PART_MAX: usize = 16 * 1024;
/// The most fields in that header section; the same limit as the server's.
pub(crate) const FIELDS_MAX: usize = 100;
/// The most bytes to print of a refusal's body: enough for an explanation, not for a whole page.
pub(crate) const BODY_MAX: usize = 2 * 1024;
/// The most bytes of a server's own fix in the line of the report; all of it is printed below.
pub(crate) const FIX_MAX: usize = 120;
/// The number of bytes by which a received message may be larger than the one sent.
pub(crate) const REPLY_OVERHEAD: usize = 1024 * 1024;
/// The time that an echo may take once another message has arrived: a greeting comes before it, and an
/// answer that is no echo in its place.
pub(crate) const WAIT_AFTER_OTHER: Duration = Duration::from_millis(500);
/// The number of times that the message for compression repeats its words: about 1 KiB.
pub(crate) const COMPRESSIBLE_WORDS: usize = 80;
/// The session's read buffer; tungstenite fills it with zeros before each read.
pub(crate) const READ_BUFFER: usize = 16 * 1024;
/// The most characters of a message or a field to print.
pub(crate) const QUOTE_MAX: usize = 80;
/// The most messages to print that are not the expected one.
pub(crate) const OTHERS_SHOWN: usize = 3;

//! Every number of a check, named once.

use std::time::Duration;

/// For each step. Long enough for a server at the other end of the world, short enough that six
/// steps are over before a container runtime's 30 s.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest [`TIMEOUT`] that can be asked for.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// Round trips in one check; each one's time is kept, 16 bytes.
pub(crate) const COUNT_MAX: u32 = 1_000_000;
/// Addresses of one name that are tried; the rest would have no time left.
pub(crate) const ADDRESSES_MAX: usize = 8;
/// What is read of a response's header section, and then of its body, in bytes: what the server
/// takes of a request, and more than [`BODY_MAX`] even in chunks of one byte, which take six.
pub(crate) const PART_MAX: usize = 16 * 1024;
/// Fields in that header section, as the server's own limit.
pub(crate) const FIELDS_MAX: usize = 100;
/// What is kept of a refusal's body, in bytes: an explanation, not the whole page around it.
pub(crate) const BODY_MAX: usize = 2 * 1024;
/// What a reply may have beside the message, and any other message, in bytes.
pub(crate) const REPLY_ROOM: usize = 1024 * 1024;
/// One read of the session; tungstenite fills it with zeros each time.
pub(crate) const READ_BUFFER: usize = 16 * 1024;
/// Characters of a message or a field that are shown.
pub(crate) const QUOTE_MAX: usize = 80;
/// Messages that are shown when none of them is the echo.
pub(crate) const OTHERS_SHOWN: usize = 3;

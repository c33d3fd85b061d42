//! Numbers that concern the machine, not the user.

use std::time::Duration;

/// Connections that wait in the kernel to be accepted. With std's 128 a burst waits seconds for
/// SYN retransmission.
pub(crate) const LISTEN_BACKLOG: i32 = 4096;
/// How long a start on a Unix path waits for another process that starts in the same folder. Default 1 s: a
/// bind takes microseconds. Beyond it the start goes on without the lock.
pub(crate) const START_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two attempts to get that lock.
pub(crate) const START_LOCK_POLL: Duration = Duration::from_millis(2);
/// Ended sessions that are kept for [`Running::ended_session`](crate::Running::ended_session). Default
/// 1024: more than a test opens; of 200 bytes each.
pub(crate) const ENDED_SESSIONS: usize = 1024;
/// First and longest pause after a failed accept: long enough not to spin while no descriptor is
/// left, short enough to go on soon after one is free.
pub(crate) const ACCEPT_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(5), Duration::from_millis(500));
/// Between two log lines about the same recurring error.
pub(crate) const LOG_EVERY: Duration = Duration::from_secs(5);
/// Bytes that a refused peer may still send before the connection closes. Closing with unread bytes
/// resets the connection, and the reset could overtake the refusal. More than a client sends before
/// it reads, little enough to bound the work.
pub(crate) const LINGER_BYTES: usize = 16 * 1024 * 1024;
/// Size of a read whose bytes are discarded.
pub(crate) const LINGER_READ: usize = 4096;
/// How long a refused peer is read after the refusal.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
/// Rejected connections held open at one time, so that they can read why; the oldest is closed
/// first. Small compared with a descriptor limit of 256.
pub(crate) const REFUSED_HELD: usize = 32;
/// How often a path of `--www` is resolved again because something was renamed meanwhile. Beyond it: 503.
pub(crate) const RENAME_RETRIES: usize = 16;
/// Interval at which the rejector reads rejected peers.
pub(crate) const REFUSED_POLL: Duration = Duration::from_millis(20);
/// How long a connection that is kept alive, or whose request head is not complete, keeps its slot while
/// all slots are in use: longer than the pause between two requests of a page, or two packets of one
/// head. After it the connection is closed to make room for the next one.
pub(crate) const IDLE_KEPT: Duration = Duration::from_secs(1);
/// Refused handshakes of all clients that are kept for `/refusals`. Default 64, of some 2 KiB each: the page
/// asks within a second, in which only an attack causes as many. Beyond it the oldest is dropped.
pub(crate) const REFUSALS_KEPT: usize = 64;
/// Characters of a path that are kept with a refused handshake; the rest is cut off.
pub(crate) const REFUSAL_PATH: usize = 256;
/// `Retry-After` of a 503, in seconds.
pub(crate) const RETRY_AFTER_SECS: u32 = 5;
/// Characters of a field's value, or of a request target, that an answer repeats: with the field's
/// name, one line of a terminal.
pub(crate) const SHOWN_VALUE: usize = 64;
/// Characters of an option's value that a fix names: with the option, one line of a terminal. Beyond it: a
/// placeholder.
pub(crate) const SHOWN_ARGUMENT: usize = 70;
/// Characters of a request in the middle of a sentence.
pub(crate) const SHOWN_BRIEFLY: usize = 32;
/// Lines of one repeated field that an answer repeats.
pub(crate) const SHOWN_FIELDS: usize = 4;
/// Bytes of a malformed request that an answer repeats; each is shown as up to four characters.
pub(crate) const SHOWN_BYTES: usize = 16;
/// Bytes in a second that a frame has to bring while a Ping waits for its answer behind it, on average over
/// `--ping-timeout`: less than the slowest network that carries a browser. Beyond it: Close 1008.
pub(crate) const FRAME_RATE_MIN: u64 = 256;
/// One read of a request head.
pub(crate) const HEAD_READ: usize = 4096;
/// Read buffer of a session. tungstenite fills all of it with zeros before each read, so this much
/// is resident for every session. Larger messages are read ahead.
pub(crate) const SESSION_READ_BUFFER: usize = 384;
/// Memory of a message, in bytes, that a session takes without asking: most messages are much smaller.
pub(crate) const MESSAGE_FREE: usize = 16 * 1024;
/// A message in fragments asks for memory in steps of this many bytes.
pub(crate) const MESSAGE_STEP: usize = 64 * 1024;
/// The largest read buffer for the second and further fragments of a large message. tungstenite fills it with
/// zeros before each read, and each read is a system call.
pub(crate) const MESSAGE_READ_BUFFER: usize = 256 * 1024;
/// The largest read between large messages.
pub(crate) const FRAMES_READ: usize = 4096;
/// Size of a read while a peer sends more at a time than the session's read buffer holds. Large
/// messages are read with a buffer of their own.
pub(crate) const READ_AHEAD: usize = 16 * 1024;
/// Size of a file with a certificate chain or a key, in bytes. Default 1 MiB: hundreds of certificates.
/// Beyond it: an error at the start; at a reload, the certificate in use stays.
#[cfg(feature = "tls")]
pub(crate) const PEM_MAX: u64 = 1024 * 1024;
/// Plaintext that is encrypted at a time: the size of a TLS record.
#[cfg(feature = "tls")]
pub(crate) const TLS_PIECE: usize = 16 * 1024;
/// Bytes of replies that are collected before they are sent, while the next read does not block.
pub(crate) const WRITE_BUFFER: usize = 16 * 1024;
/// Messages of fewer bytes are not compressed: their packet would hardly be smaller, and compressing
/// costs more than sending it.
pub(crate) const DEFLATE_MIN: usize = 128;
/// Longest fragment of an inflated message: so much is inflated between two checks of the limits.
pub(crate) const DEFLATE_CHUNK: usize = 4096;
/// Deflaters (370 KiB) and inflaters (46 KiB) that are kept for later messages: as many as are in use
/// at one time on most machines.
pub(crate) const DEFLATE_KEPT: usize = 8;
/// Deflaters in use at one time without context takeover: 24 MiB at most, and more than processors work at
/// one time. Beyond it, messages are sent uncompressed.
pub(crate) const DEFLATERS_MAX: usize = 64;
/// Sessions with context takeover, each with its own deflater and inflater: 26 MiB at most. Beyond
/// it, context takeover is not negotiated.
pub(crate) const DEFLATE_TAKEOVERS: usize = 64;
/// While stopping: interval at which a session looks for the peer's Close. A read cannot wait for
/// it, because the stop has shut the read side down.
pub(crate) const STOP_POLL: Duration = Duration::from_millis(2);
/// While stopping: time for a new connection to send its request, and so to get the 503.
pub(crate) const STOP_REQUEST: Duration = Duration::from_secs(1);
/// While stopping: how long a peer that never pauses still gets replies before the Close.
pub(crate) const STOP_REPLIES: Duration = Duration::from_millis(250);
/// Threads of the admin listener that answer, and so requests answered there at one time: a scrape, a
/// probe, a person, and one to spare. Beyond it: the oldest connection without a request is closed; if
/// there is none, further connections wait.
pub(crate) const ADMIN_THREADS: usize = 4;
/// Bounds of the latency histograms: an echo takes tens of microseconds; everything over a second
/// is in the last bucket.
pub(crate) const LATENCY_BUCKETS: [Duration; 16] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
/// Stack of a connection's thread. Measured with the fuzzer's seeds, Autobahn and every page
/// request: 20 KiB at most, and 312 KiB without optimization. A small stack also needs one page of
/// page tables less.
pub(crate) const STACK: usize = if cfg!(debug_assertions) { 1024 * 1024 } else { 128 * 1024 };

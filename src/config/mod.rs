//! Every choice and every number of a server, named once.
//!
//! What it is: validated values with unit, default, reason, and what a client sees at the limit.
//! What it is not: the command line (that is the binary's `cli`), or anything that acts.
//! Invariant: no other room of the crate writes a limit or a timeout as a literal.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

mod clock;
mod listen;
mod network;
mod template;

pub use clock::{Clock, LONG_TIME, timestamp};
pub use listen::{Listen, ListenError};
pub use network::{Network, NetworkError};
pub use template::{TUTORIAL_REPLY, Template, TemplateError};

/// What a [`Server`](crate::Server) is to do.
///
/// ```
/// use wsecho::Config;
///
/// let config = Config {
///     listen: vec![([127, 0, 0, 1], 0).into()], // port 0: any free port
///     ..Config::default()
/// };
/// assert_eq!(config.limits.max_message_size, 1024 * 1024);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses and paths to listen on. Default: `127.0.0.1:8080`, because an echo server that nobody
    /// asked for should not be on the network.
    pub listen: Vec<Listen>,
    /// Where the operator asks for metrics and for the list of sessions, which names clients: a
    /// loopback address or a Unix socket. Default: nowhere.
    pub admin: Option<Listen>,
    /// What the TCP listeners speak TLS with; Unix sockets and [`admin`](Self::admin) never do, as their
    /// clients are on this machine. Default: none, and so no TLS. It needs the crate's feature `tls`.
    pub tls: Option<Certificate>,
    /// The tutorial endpoints' reply. Default: `You sent: {message} at {time}`.
    pub reply: Template,
    /// The time in that reply. Default: local time as `3:04:05 PM`.
    pub clock: Clock,
    /// A folder whose files are served instead of the embedded page. Default: none.
    pub www: Option<PathBuf>,
    /// Origins that may open a WebSocket beside the page's own: `https://example.com`, `null`, or
    /// `*` for all. Default: none. Without it: no Origin, the same host and port as `Host`, and
    /// loopback origins on a loopback address.
    pub allow_origin: Vec<String>,
    /// Proxies whose word on who their client is counts, in the log and for
    /// [`Limits::max_connections_per_ip`]. Default: none, because `Forwarded` and
    /// `X-Forwarded-For` can be sent by anybody.
    pub trusted_proxies: Vec<Network>,
    /// Whether a query on `/ws` and `/echo` may order faults, delays and ends. Default: yes, that is
    /// what the server is for; where it only echoes, it can be off.
    pub faults: bool,
    /// Whether permessage-deflate is agreed on where it is offered, but in `/chat`. Default: yes,
    /// because without context takeover a session that waits holds nothing for it.
    pub compression: bool,
    /// Characters of a text, or bytes of a binary message, that are logged. Default: none, because
    /// messages are nobody else's business.
    pub log_payload: Option<usize>,
    /// Sizes and counts.
    pub limits: Limits,
    /// Durations.
    pub timeouts: Timeouts,
    /// Sizes and counts of `/chat`.
    pub chat: ChatLimits,
}

/// The files of a certificate, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The server's own certificate first, then those up to the authority's.
    pub chain: PathBuf,
    /// The private key of the first of them, not encrypted.
    pub key: PathBuf,
}

/// Default port of [`Config::listen`].
pub const DEFAULT_PORT: u16 = 8080;

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: vec![(Ipv4Addr::LOCALHOST, DEFAULT_PORT).into()],
            admin: None,
            tls: None,
            reply: Template::default(),
            clock: Clock::default(),
            www: None,
            allow_origin: Vec::new(),
            trusted_proxies: Vec::new(),
            faults: true,
            compression: true,
            log_payload: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            chat: ChatLimits::default(),
        }
    }
}

/// Sizes in bytes, and counts, of `/chat`.
#[derive(Debug, Clone)]
pub struct ChatLimits {
    /// Rooms at one time. Default 100, so that names out of a hat do not fill the memory. Beyond it:
    /// Close 1013.
    pub rooms: usize,
    /// Members of a room. Default 1000. Beyond it: Close 1013.
    pub members: usize,
    /// Message in bytes. Default 4 KiB, because each one goes to every member. Beyond it: Close 1009.
    pub message_size: usize,
    /// Messages that a member may send in a second. Default 20: faster than a person types. Beyond
    /// it: Close 1008.
    pub rate: u32,
    /// Messages that may wait for a member who reads slowly. Default 256: what a room says while a
    /// phone changes its network. Beyond it: Close 1013.
    pub outbox: usize,
}

impl Default for ChatLimits {
    fn default() -> Self {
        ChatLimits { rooms: 100, members: 1000, message_size: 4096, rate: 20, outbox: 256 }
    }
}

/// Sizes in bytes, and counts.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Request head in bytes. Default 16 KiB: browsers with large cookies stay under 8.
    /// Beyond it: 431, close.
    pub max_head_size: usize,
    /// Header fields in a request head. Default 100, as much as any browser or proxy chain sends.
    /// Beyond it: 431, close.
    pub max_headers: usize,
    /// Requests answered on one connection. Default 1000, so that no client keeps a thread for
    /// ever by asking for the page. At the limit: the response says `Connection: close`.
    pub max_requests: usize,
    /// WebSocket sessions at one time. Default 1024. Beyond it: 503 with `Retry-After`.
    pub max_connections: usize,
    /// Connections on top of [`max_connections`](Self::max_connections), so that the page and
    /// `/healthz` answer while every session place is taken. Default 64. Beyond it: 503.
    pub reserve: usize,
    /// Connections from one IP address, whatever they do; behind a trusted proxy, requests and
    /// sessions of one client. The peers on a Unix socket have none, and are not counted. Default: no
    /// limit, because a proxy that is not known as one is one address. Beyond it: 503 with
    /// `Retry-After`.
    pub max_connections_per_ip: Option<usize>,
    /// WebSocket message in bytes, whole or in fragments. Default 1 MiB; see
    /// [`MAX_MESSAGE_SIZE_CEILING`]. Beyond it: Close 1009.
    pub max_message_size: usize,
}

/// The largest [`Limits::max_message_size`] that makes sense, in bytes: 1 GiB. Address space for a
/// frame is reserved when its header arrives, and a reservation that fails ends the process.
pub const MAX_MESSAGE_SIZE_CEILING: usize = 1 << 30;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_head_size: 16 * 1024,
            max_headers: 100,
            max_requests: 1000,
            max_connections: 1024,
            reserve: 64,
            max_connections_per_ip: None,
            max_message_size: 1024 * 1024,
        }
    }
}

/// Durations. `None` means: no such limit.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From the first wait for a request to the last byte of its head. Default 5 s: one deadline
    /// for the whole head, so that a byte a second does not hold a thread. Beyond it: 408, close.
    pub handshake: Duration,
    /// Wait for the next request on a kept-alive connection. Default 10 s. Beyond it: close.
    pub keep_alive: Duration,
    /// Silence after which the server sends a Ping. Default 30 s, half of the 60 s after which
    /// common proxies drop a quiet connection.
    pub ping_interval: Option<Duration>,
    /// Wait for any frame after that Ping. Default 20 s. Beyond it: dropped, as a dead peer
    /// cannot read a Close.
    pub ping: Duration,
    /// A write during which the peer accepts no byte. Default 10 s. Beyond it: dropped.
    pub write: Duration,
    /// From our Close to the peer's. Default 5 s. Beyond it: dropped.
    pub close: Duration,
    /// A session without a data message. Default: no limit. Beyond it: Close 1001.
    pub idle: Option<Duration>,
    /// A session as a whole. Default: no limit. Beyond it: Close 1001.
    pub max_duration: Option<Duration>,
    /// From the stop to the end. Default 8 s, under the 10 s that container runtimes wait before
    /// they kill. Beyond it: what is left is dropped.
    pub grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            handshake: Duration::from_secs(5),
            keep_alive: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(30)),
            ping: Duration::from_secs(20),
            write: Duration::from_secs(10),
            close: Duration::from_secs(5),
            idle: None,
            max_duration: None,
            grace: Duration::from_secs(8),
        }
    }
}

/// What control by query is clamped to.
pub(crate) mod control {
    use std::time::Duration;

    /// A wait before a reply or a handshake: beyond the patience of the clients that are tested.
    pub(crate) const DELAY_MAX: Duration = Duration::from_secs(60);
    /// A session that does not read: long enough to fill every buffer between.
    pub(crate) const READ_OFF_MAX: Duration = Duration::from_secs(60);
    /// Between two Pings or pushes by order: a hundred a second cost little.
    pub(crate) const TIMER_MIN: Duration = Duration::from_millis(10);
    /// See [`TIMER_MIN`]; more is not to be told from none.
    pub(crate) const TIMER_MAX: Duration = Duration::from_secs(3600);
    /// Messages before an end by order.
    pub(crate) const AFTER_MAX: u64 = 1_000_000;
}

/// What the query of `/chat` is limited to.
pub(crate) mod chat {
    /// Name of a room, or of a member, in characters: what a list on a phone has room for.
    pub(crate) const NAME_MAX: usize = 32;
    /// Messages that greet a newcomer.
    pub(crate) const HISTORY: usize = 20;
    /// Pongs and other answers to a member itself that may wait; then it is not read on, as who is in
    /// no room is not. Without it, Pings that nobody reads the Pongs of would fill the memory.
    pub(crate) const OWN_WAITING: usize = 64;
}

/// Numbers that are the machine's business, not the user's.
pub(crate) mod tuning {
    use std::time::Duration;

    /// Connections that wait in the kernel to be accepted. std's 128 makes a burst wait seconds
    /// for SYN retransmission.
    pub(crate) const LISTEN_BACKLOG: i32 = 4096;
    /// How long a finished thread waits for another connection: longer than a page load takes,
    /// short enough that a burst's threads do not stay.
    pub(crate) const POOL_IDLE: Duration = Duration::from_secs(5);
    /// First and longest pause after a failed accept: long enough not to spin while descriptors
    /// are out, short enough to be back at once when one is free.
    pub(crate) const ACCEPT_BACKOFF: (Duration, Duration) =
        (Duration::from_millis(5), Duration::from_millis(500));
    /// Between two log lines about one recurring trouble.
    pub(crate) const LOG_EVERY: Duration = Duration::from_secs(5);
    /// What a refused peer may still send before it is cut off, so that it can read the refusal:
    /// more than a client sends before it looks, little enough to bound the work.
    pub(crate) const LINGER_BYTES: usize = 16 * 1024 * 1024;
    /// How long a refused peer is listened to after the refusal.
    pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
    /// Refused connections held open at one time, so that they can read why; the oldest goes
    /// first. Small beside a descriptor limit of 256.
    pub(crate) const REFUSED_HELD: usize = 32;
    /// Between two looks at what refused peers sent.
    pub(crate) const REFUSED_POLL: Duration = Duration::from_millis(20);
    /// `Retry-After` of a 503, in seconds.
    pub(crate) const RETRY_AFTER_SECS: u32 = 5;
    /// Characters of a field's value, or of a request target, that an answer repeats: with the
    /// field's name a line of a terminal.
    pub(crate) const SHOWN_VALUE: usize = 64;
    /// The same in the middle of a sentence.
    pub(crate) const SHOWN_BRIEFLY: usize = 32;
    /// Lines of one repeated field that an answer repeats.
    pub(crate) const SHOWN_FIELDS: usize = 4;
    /// Bytes of what was no request that an answer repeats; one byte is four characters.
    pub(crate) const SHOWN_BYTES: usize = 16;
    /// One read of a request head.
    pub(crate) const HEAD_READ: usize = 4096;
    /// tungstenite fills all of its read buffer with zeros before each read, so this much of
    /// every session is resident.
    pub(crate) const SESSION_READ_BUFFER: usize = 512;
    /// One read while a peer sends more at a time than the session's read buffer holds: 64 KiB in
    /// pieces of 4 KiB would cost 16 system calls.
    pub(crate) const READ_AHEAD: usize = 64 * 1024;
    /// What is encrypted, or read to be decrypted, at a time: a record's worth.
    pub(crate) const TLS_PIECE: usize = 16 * 1024;
    /// Replies collected before they are written although the next read would not block yet.
    pub(crate) const WRITE_BUFFER: usize = 16 * 1024;
    /// Messages of fewer bytes are not compressed: their packet would hardly be smaller, and it costs
    /// more than to send it.
    pub(crate) const DEFLATE_MIN: usize = 128;
    /// The longest fragment of an inflated message: so much is inflated between two looks at the
    /// limits.
    pub(crate) const DEFLATE_CHUNK: usize = 4096;
    /// Deflaters (370 KiB) and inflaters (46 KiB) that are kept for the next message: as many as are
    /// in use at one time on most machines.
    pub(crate) const DEFLATE_KEPT: usize = 8;
    /// Sessions with context takeover, which have their own: 26 MiB at most. Beyond it: none is
    /// agreed on.
    pub(crate) const DEFLATE_TAKEOVERS: usize = 64;
    /// While stopping: between two looks for the peer's Close. Its arrival cannot be waited for,
    /// since the read side is shut down.
    pub(crate) const STOP_POLL: Duration = Duration::from_millis(2);
    /// While stopping: how long who has just connected may take to ask, and so to hear of the stop.
    pub(crate) const STOP_REQUEST: Duration = Duration::from_secs(1);
    /// While stopping: how long a peer that never pauses is still answered before it is told.
    pub(crate) const STOP_REPLIES: Duration = Duration::from_millis(250);
    /// Threads of the operator's door, and so requests answered there at one time: a scrape, a probe,
    /// somebody who looks, and one to spare.
    pub(crate) const ADMIN_THREADS: usize = 4;
    /// Bounds of the latencies that are counted: an echo takes tens of microseconds, and what takes a
    /// second is counted as more.
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
    /// request: 20 KiB at most, and 312 KiB without optimization. Small stacks spare the kernel a
    /// page of page tables each.
    pub(crate) const STACK: usize = if cfg!(debug_assertions) { 1024 * 1024 } else { 128 * 1024 };
    /// Memory mappings of a thread: its stack and its signal stack, with a guard page each.
    pub(crate) const MAPPINGS_PER_THREAD: u64 = 4;
    /// Mappings beside the threads': program, libraries, heap.
    pub(crate) const MAPPINGS_BESIDE: u64 = 256;
    /// Descriptors beside the connections: listeners, standard streams, files of `--www`.
    pub(crate) const DESCRIPTORS_BESIDE: u64 = 32;
}

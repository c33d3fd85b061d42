//! Sizes, counts and durations, each with its unit, its default, the reason for it, and what a client
//! gets beyond it.

use std::time::Duration;

/// Sizes in bytes, and counts, of `/chat`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChatLimits {
    /// Rooms at one time. Default 100, so that invented names cannot fill the memory. Beyond it:
    /// Close 1013.
    pub rooms: usize,
    /// Members of a room. Default 1000. Beyond it: Close 1013.
    pub members: usize,
    /// Size of a message in bytes. Default 4 KiB, because each one goes to every member. Beyond it:
    /// Close 1009.
    pub message_size: usize,
    /// Messages of a member per second, on average and in one burst. Default 20: faster than a
    /// person types. Beyond it: Close 1008. Also clients that join a room in place of members that left,
    /// as each of them is announced to all. Beyond it: Close 1013.
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
#[non_exhaustive]
pub struct Limits {
    /// Request head in bytes. Default 16 KiB: browsers with large cookies stay under 8.
    /// Beyond it: 431, close.
    pub max_head_size: usize,
    /// Header fields in a request head. Default 100, as much as any browser or proxy chain sends.
    /// Beyond it: 431, close.
    pub max_headers: usize,
    /// Requests on one connection. Default 1000, so that no client keeps a thread for ever by
    /// requesting the page. At the limit: the response says `Connection: close`.
    pub max_requests: usize,
    /// WebSocket sessions at one time. Default 1024. Beyond it: 503 with `Retry-After`.
    pub max_connections: usize,
    /// Connections on top of [`max_connections`](Self::max_connections), so that the page and
    /// `/healthz` answer while every session slot is taken. Default 64. Beyond it: the oldest connection
    /// without a request is closed to make room; if there is none, 503.
    pub reserve: usize,
    /// Connections of any kind from one IPv4 address, or from one /64 network of IPv6, whose addresses a
    /// client can choose; behind a trusted proxy, requests and sessions of one client. Peers on a Unix
    /// socket have no address and are not counted. Default: no limit, because all clients of an unknown
    /// proxy share its address. Beyond it: 503 with `Retry-After`.
    pub max_connections_per_ip: Option<usize>,
    /// Size of a WebSocket message in bytes, whole or in fragments. Default 1 MiB; see
    /// [`MAX_MESSAGE_SIZE_CEILING`]. Beyond it: Close 1009.
    pub max_message_size: usize,
    /// Memory in bytes that the large messages of all sessions take together, in and out: with their
    /// replies, compression, and the events of `/chat` that wait. Default 256 MiB: 256 messages of 1 MiB at
    /// one time, and a quarter of the 1 GiB that the unit in `scripts/systemd` allows. Beyond it a session
    /// waits, and its bytes stay in the kernel; after [`Timeouts::write`]: Close 1013. If it is less than
    /// [`max_message_size`](Self::max_message_size), that counts.
    ///
    /// A server with the default limits takes at most about 500 MiB: this memory; 1,088 connections with
    /// 110 KiB each (16.5 for an idle session, 16 for a message that is not counted, 32 of buffers, 46
    /// to inflate); 50 MiB for deflaters; and what the allocator keeps.
    pub message_memory: usize,
}

/// The largest accepted [`Limits::max_message_size`], in bytes: 1 GiB. tungstenite reserves the whole
/// length of a frame when its header arrives, and a failed allocation ends the process.
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
            message_memory: 256 * 1024 * 1024,
        }
    }
}

/// Durations, each [`TIMEOUT_CEILING`] at most. `None` means no limit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// Deadline for a whole request head, so that a client that sends a byte a second cannot hold a
    /// thread. Default 5 s. Beyond it: 408 (none if nothing has arrived), close.
    pub handshake: Duration,
    /// Wait for the next request on a kept-alive connection. Default 10 s. Beyond it: close.
    pub keep_alive: Duration,
    /// Silence after which the server sends a Ping. Default 30 s, half of the 60 s after which
    /// common proxies drop a quiet connection.
    pub ping_interval: Option<Duration>,
    /// Wait for any frame after that Ping, or for bytes of a long one. Default 20 s. Beyond it the
    /// connection is dropped, as a dead peer cannot read a Close.
    pub ping: Duration,
    /// A write during which the peer accepts no byte. Default 10 s. Beyond it the connection is
    /// dropped.
    pub write: Duration,
    /// From our Close to the peer's. Default 5 s. Beyond it the connection is dropped.
    pub close: Duration,
    /// A session without a data message. Default: no limit. Beyond it: Close 1001.
    pub idle: Option<Duration>,
    /// A session as a whole. Default: no limit. Beyond it: Close 1001.
    pub max_duration: Option<Duration>,
    /// Grace period from the stop to the end. Default 8 s, less than the 10 s that container runtimes
    /// wait before they kill. Beyond it the remaining connections are dropped.
    pub grace: Duration,
    /// How long a finished thread waits for another connection. Default 5 s: longer than a page load
    /// takes, short enough that a burst's threads do not stay. Beyond it the thread ends.
    pub pool_idle: Duration,
}

/// The longest duration in [`Timeouts`]: ten years. A server panics if it adds a duration to the time of
/// now and the sum is not an `Instant`.
pub const TIMEOUT_CEILING: Duration = Duration::from_secs(10 * 31_557_600);

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
            pool_idle: Duration::from_secs(5),
        }
    }
}

/// Limits of the query parameters that inject faults and delays.
pub(crate) mod faults {
    use std::time::Duration;

    /// Wait before a reply or a handshake: longer than the timeouts of the clients under test.
    pub(crate) const DELAY_MAX: Duration = Duration::from_secs(60);
    /// Time without reading: long enough to fill every buffer on the way.
    pub(crate) const READ_OFF_MAX: Duration = Duration::from_secs(60);
    /// Time in which a session neither reads, writes nor pings: longer than the idle timeouts of proxies.
    pub(crate) const BLACKHOLE_MAX: Duration = Duration::from_secs(3600);
    /// Shortest interval of Pings or pushes: a hundred a second cost little.
    pub(crate) const TIMER_MIN: Duration = Duration::from_millis(10);
    /// Longest interval of the same: beyond an hour a client cannot tell it from never.
    pub(crate) const TIMER_MAX: Duration = Duration::from_secs(3600);
    /// Fragments of one reply: each costs a frame in this server and in the client. A query that asks for
    /// more gets a 400; a longer message of the client gets larger fragments.
    pub(crate) const FRAGMENTS_MAX: usize = 65_536;
    /// Bytes of messages that a session sends per second if `size=`, `push=` or `fragment=` is set: 32 MiB
    /// keep a fast network busy, and cost a processor some 20 ms. Beyond it the next message waits.
    pub(crate) const BYTES_PER_SECOND: u32 = 32 * 1024 * 1024;
    /// The same in frames: a message of the most fragments a second.
    pub(crate) const FRAMES_PER_SECOND: u32 = 65_536;
    /// Messages before the session ends, or before a malformed frame.
    pub(crate) const AFTER_MAX: u64 = 1_000_000;
}

/// Limits of a chat that no option sets.
pub(crate) mod chat {
    /// Name of a room, or of a member, in characters: as many as a list on a phone can show.
    pub(crate) const NAME_MAX: usize = 32;
    /// Earlier messages that a new member gets.
    pub(crate) const HISTORY: usize = 20;
    /// Bytes of events that wait for one member, beyond the greeting: 256 KiB are 64 of the largest
    /// messages, and at most 250 MiB with 1000 members that do not read. A frame that waits for
    /// several members of a room exists once.
    pub(crate) const OUTBOX_BYTES: usize = 256 * 1024;
    /// Frames in one vectored write; the kernel takes 1024 at most.
    pub(crate) const FRAMES_PER_WRITE: usize = 64;
}

/// Limits of the reports on sessions (`/echo?report=TOKEN`).
pub(crate) mod reports {
    use std::ops::RangeInclusive;
    use std::time::Duration;

    /// Reports at one time: 4 MiB of message memory at most. Beyond it the oldest report of a session that has
    /// ended is removed; if all go on, the next handshake with a token gets a 503.
    pub(crate) const REPORTS_MAX: usize = 64;
    /// Bytes of one report: some 1,500 frames. Later frames are counted, and not recorded.
    pub(crate) const REPORT_BYTES: usize = 64 * 1024;
    /// The part of a report that its 101 takes, at most.
    pub(crate) const RESPONSE_BYTES: usize = 1024;
    /// How long a report is kept after its session: time to look at a failure, and to ask once more.
    pub(crate) const REPORT_KEPT: Duration = Duration::from_secs(5 * 60);
    /// Characters of a token: 22 of base64url carry 128 random bits, so that nobody finds a token by trying.
    pub(crate) const TOKEN_LENGTHS: RangeInclusive<usize> = 22..=64;
}

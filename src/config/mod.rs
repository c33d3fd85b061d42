//! Every choice and every number of a server, named once.
//!
//! **Invariants:** every limit and timeout of the server is a named number in [`limits`],
//! [`tuning`], [`faults`] or [`chat`]; the command line has some of its own. Types with a text form
//! are validated when they are parsed; [`Limits`], [`Timeouts`] and [`ChatLimits`] are taken as
//! they are.

use std::net::Ipv4Addr;
use std::path::PathBuf;

mod clock;
#[cfg(feature = "cli")]
pub(crate) mod duration;
mod host_name;
mod limits;
mod listen;
mod network;
mod origin;
mod template;
pub(crate) mod tuning;

pub use clock::{Clock, ClockError, LONG_TIME};
pub(crate) use clock::{micros, timestamp};
pub use host_name::{HostName, HostNameError};
pub(crate) use host_name::{host_and_port, without_root, without_zone};
pub use limits::{ChatLimits, Limits, MAX_MESSAGE_SIZE_CEILING, TIMEOUT_CEILING, Timeouts};
pub(crate) use limits::{chat, faults, reports};
pub use listen::{Listen, ListenError};
pub use network::{Network, NetworkError};
pub(crate) use origin::PageOrigin;
pub use origin::{AllowedOrigin, AllowedOriginError};
pub use template::{TUTORIAL_REPLY, Template, TemplateError};

/// The configuration of a [`Server`](crate::Server).
///
/// ```
/// use wsecho::Config;
///
/// let config = Config::on_free_port().with(|config| {
///     config.limits.max_message_size = 64 * 1024;
///     config.compression = false;
/// });
/// assert_eq!(config.limits.max_headers, 100);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Addresses and paths to listen on. Default: `127.0.0.1:8080`, so that an echo server is on the
    /// network only if somebody wants that.
    pub listen: Vec<Listen>,
    /// Address or path of the admin listener: metrics, readiness, and the list of sessions, which
    /// names clients. Meant for a loopback address or a Unix socket. Default: none.
    pub admin: Option<Listen>,
    /// Certificate with which all TCP listeners speak TLS. Unix sockets and [`admin`](Self::admin)
    /// never do, as their clients are on this machine. Default: none, so no TLS. Needs the crate's
    /// feature `tls`.
    pub tls: Option<Certificate>,
    /// Reply of the tutorial endpoints. Default: `You sent: {message} at {time}`.
    pub reply: Template,
    /// Format and zone of the time in that reply. Default: local time as `3:04:05 PM`.
    pub clock: Clock,
    /// Folder whose files are served instead of the embedded page. Default: none.
    pub www: Option<PathBuf>,
    /// Further origins that may open a WebSocket: `https://example.com`, `null`, or `*` for all.
    /// Default: none. Always allowed are requests without `Origin`, an `Origin` with the host and
    /// port of `Host`, and loopback origins on a loopback address.
    pub allow_origin: Vec<AllowedOrigin>,
    /// Further names under which browsers may address the server on a loopback address or a Unix
    /// socket. Default: none. Always accepted there are IP addresses, names without a dot or below
    /// `localhost`, and what a [trusted proxy](Self::trusted_proxies) forwards. Any other name gets a 421:
    /// it could be that of a page elsewhere (DNS rebinding).
    pub allow_host: Vec<HostName>,
    /// Proxies whose `Forwarded` or `X-Forwarded-For` is believed: its client is the one in the log
    /// and for [`Limits::max_connections_per_ip`]. Default: none, because any client can send these
    /// fields.
    pub trusted_proxies: Vec<Network>,
    /// Whether query parameters on `/ws` and `/echo` inject faults and delays. Default: yes, because
    /// clients are tested with them.
    pub faults: bool,
    /// Whether permessage-deflate (RFC 7692) is accepted if a client offers it, except in `/chat`.
    /// Default: yes, because without context takeover an idle session holds no memory for it.
    pub compression: bool,
    /// Characters of a text message, or bytes of a binary one, that are logged. Default: none,
    /// because messages are private.
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
    /// The server's certificate, followed by the intermediate ones.
    pub chain: PathBuf,
    /// The private key of the server's certificate, not encrypted.
    pub key: PathBuf,
}

/// Default port of [`Config::listen`].
pub const DEFAULT_PORT: u16 = 8080;

impl Config {
    /// The defaults, but on any free port of `127.0.0.1`.
    pub fn on_free_port() -> Config {
        Config::default().with(|config| config.listen = vec![(Ipv4Addr::LOCALHOST, 0).into()])
    }

    /// This configuration, changed by `change`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Config {
        change(&mut self);
        self
    }
}

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
            allow_host: Vec::new(),
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

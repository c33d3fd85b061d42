//! The command line: options as typed, turned into a [`Config`].
//!
//! What it is not: a default or a limit; those are the library's.

pub(crate) mod logging;
#[cfg(test)]
mod packaging;
#[cfg(feature = "tls")]
pub(crate) mod reload;
pub(crate) mod service;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use log::LevelFilter;
use wsecho::{
    Certificate, ChatLimits, Clock, Config, LONG_TIME, Limits, Listen, ListenError,
    MAX_MESSAGE_SIZE_CEILING, Network, TUTORIAL_REPLY, Template, Timeouts,
};

use self::logging::Format;
use crate::check;

/// Whether this build has no TLS. Its options are known even so, to say that.
const NO_TLS: bool = cfg!(not(feature = "tls"));

/// A WebSocket echo server and its browser page.
///
/// Open the printed address in a browser, or connect a client to /ws (answers `You sent: … at …`)
/// or /echo (answers with the same message). Every option can be given as a variable too.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, next_line_help = false, after_help = fault_parameters())]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Options {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Address and port to listen on, or unix:PATH[,mode=0660]; repeat it for more. Port 0 takes
    /// any free one. Without it, 127.0.0.1:8080, or 0.0.0.0:$PORT where the environment has PORT.
    /// Sockets that systemd passes come before both.
    #[arg(long, value_name = "ADDR", env = "WSECHO_LISTEN")]
    listen: Vec<Addresses>,

    /// Address and port, or unix:PATH, for the operator: /metrics (Prometheus), /sessions (JSON),
    /// /readyz, /healthz. It tells who is connected: bind it to loopback or to a Unix socket.
    #[arg(long, value_name = "ADDR", env = "WSECHO_ADMIN")]
    admin: Option<Listen>,

    /// Certificate (PEM, with those up to its authority) with which every TCP listener speaks TLS;
    /// Unix sockets stay as they are. SIGHUP reads it and its key again.
    #[arg(long, value_name = "FILE", env = "WSECHO_TLS_CERT", requires = "tls_key", hide = NO_TLS)]
    tls_cert: Option<PathBuf>,

    /// Its private key (PEM, not encrypted).
    #[arg(long, value_name = "FILE", env = "WSECHO_TLS_KEY", requires = "tls_cert", hide = NO_TLS)]
    tls_key: Option<PathBuf>,

    /// What /ws answers; {message} and {time} are filled in, a brace is written {{ or }}.
    #[arg(long, value_name = "TEMPLATE", env = "WSECHO_REPLY", default_value = TUTORIAL_REPLY)]
    reply: Template,

    /// The time in that answer, as a format description of the `time` crate.
    #[arg(long, value_name = "FORMAT", env = "WSECHO_TIME_FORMAT", default_value = LONG_TIME)]
    time_format: String,

    /// Show UTC instead of local time.
    #[arg(long, env = "WSECHO_UTC")]
    utc: bool,

    /// A folder of your own to serve instead of the page.
    #[arg(long, value_name = "DIR", env = "WSECHO_WWW")]
    www: Option<PathBuf>,

    /// An origin whose pages may connect, beside the page's own: https://example.com, null, or *
    /// for all; repeat it for more.
    #[arg(long, value_name = "ORIGIN", env = "WSECHO_ALLOW_ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<String>,

    /// A proxy, by IP or CIDR (or unix, for whoever connects on a Unix socket), whose `Forwarded` or
    /// `X-Forwarded-For` says who the client is, in the log and for --max-connections-per-ip; repeat
    /// it for more.
    #[arg(long, value_name = "CIDR", env = "WSECHO_TRUSTED_PROXY", value_delimiter = ',')]
    trusted_proxy: Vec<Network>,

    /// Read the query of /ws and /echo as no orders; see the end.
    #[arg(long, alias = "no-control", env = "WSECHO_NO_FAULTS")]
    no_faults: bool,

    /// Whether to compress messages where a client offers it (permessage-deflate).
    #[arg(
        long,
        value_name = "SWITCH",
        env = "WSECHO_COMPRESSION",
        value_enum,
        default_value = "on"
    )]
    compression: Switch,

    /// How log lines look.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "WSECHO_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: Format,

    /// Log each message, with so many of its characters or bytes.
    #[arg(long, value_name = "N", env = "WSECHO_LOG_PAYLOAD")]
    log_payload: Option<usize>,

    /// Say more: each request; twice, each message's type and size.
    #[arg(short, long, action = clap::ArgAction::Count, env = "WSECHO_VERBOSE")]
    verbose: u8,

    /// Say less: only what goes wrong.
    #[arg(short, long, conflicts_with = "verbose", env = "WSECHO_QUIET")]
    quiet: bool,

    #[command(flatten)]
    limits: LimitOptions,
}

/// What is done, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// What the program does beside serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a WebSocket server: connect, upgrade, echo, ping, close
    ///
    /// Checks any WebSocket server, and the proxies before it: each step with its time, and what
    /// the server says where one fails. A reply that holds the message is an echo.
    #[command(after_help = CHECK_EXIT_CODES)]
    Check(check::CheckOptions),
}

const CHECK_EXIT_CODES: &str = "Exit code: 0 when every step went well, 2 for bad usage, else \
    that of the first step that failed:\n  \
    3 resolve, 4 connect, 5 upgrade, 6 echo, 7 ping, 8 close, 9 TLS";

/// Every duration takes a unit (250ms, 5s, 2m, 1h); the optional ones are off at 0.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits (a duration takes a unit: 250ms, 5s, 2m, 1h)")]
struct LimitOptions {
    /// Largest message [at the limit: Close 1009].
    #[arg(long, value_name = "SIZE", env = "WSECHO_MAX_MESSAGE_SIZE", default_value_t = size(Limits::default().max_message_size))]
    max_message_size: ByteSize,

    /// WebSocket sessions at one time [503].
    #[arg(long, value_name = "N", env = "WSECHO_MAX_CONNECTIONS", default_value_t = Limits::default().max_connections)]
    max_connections: usize,

    /// Connections of any kind from one address, 0 for no limit [503].
    #[arg(long, value_name = "N", env = "WSECHO_MAX_CONNECTIONS_PER_IP", default_value_t = 0)]
    max_connections_per_ip: usize,

    /// For a whole request head [408].
    #[arg(long, value_name = "TIME", env = "WSECHO_HANDSHAKE_TIMEOUT", default_value_t = Timeouts::default().handshake.into())]
    handshake_timeout: humantime::Duration,

    /// Between two requests on a connection [closed].
    #[arg(long, value_name = "TIME", env = "WSECHO_KEEP_ALIVE_TIMEOUT", default_value_t = Timeouts::default().keep_alive.into())]
    keep_alive_timeout: humantime::Duration,

    /// Silence before the server sends a Ping, 0 for none.
    #[arg(long, value_name = "TIME", env = "WSECHO_PING_INTERVAL", default_value_t = optional(Timeouts::default().ping_interval))]
    ping_interval: humantime::Duration,

    /// Silence after a Ping [dropped].
    #[arg(long, value_name = "TIME", env = "WSECHO_PING_TIMEOUT", default_value_t = Timeouts::default().ping.into())]
    ping_timeout: humantime::Duration,

    /// While the peer takes no byte of a write [dropped].
    #[arg(long, value_name = "TIME", env = "WSECHO_WRITE_TIMEOUT", default_value_t = Timeouts::default().write.into())]
    write_timeout: humantime::Duration,

    /// From the server's Close to the peer's [dropped].
    #[arg(long, value_name = "TIME", env = "WSECHO_CLOSE_TIMEOUT", default_value_t = Timeouts::default().close.into())]
    close_timeout: humantime::Duration,

    /// For a session without a data message, 0 for no limit [Close 1001].
    #[arg(long, value_name = "TIME", env = "WSECHO_IDLE_TIMEOUT", default_value_t = optional(Timeouts::default().idle))]
    idle_timeout: humantime::Duration,

    /// For a session as a whole, 0 for no limit [Close 1001].
    #[arg(long, value_name = "TIME", env = "WSECHO_MAX_DURATION", default_value_t = optional(Timeouts::default().max_duration))]
    max_duration: humantime::Duration,

    /// Rooms of /chat at one time [Close 1013].
    #[arg(long, value_name = "N", env = "WSECHO_CHAT_ROOMS", default_value_t = ChatLimits::default().rooms)]
    chat_rooms: usize,

    /// Members of a room [Close 1013].
    #[arg(long, value_name = "N", env = "WSECHO_CHAT_MEMBERS", default_value_t = ChatLimits::default().members)]
    chat_members: usize,

    /// Largest message of a chat [Close 1009].
    #[arg(long, value_name = "SIZE", env = "WSECHO_CHAT_MESSAGE_SIZE", default_value_t = size(ChatLimits::default().message_size))]
    chat_message_size: ByteSize,

    /// Messages of a member in a second [Close 1008].
    #[arg(long, value_name = "N", env = "WSECHO_CHAT_RATE", default_value_t = ChatLimits::default().rate)]
    chat_rate: u32,

    /// Messages that may wait for a member who reads slowly [Close 1013].
    #[arg(long, value_name = "N", env = "WSECHO_CHAT_OUTBOX", default_value_t = ChatLimits::default().outbox)]
    chat_outbox: usize,

    /// From SIGTERM to the end [what is left is dropped].
    #[arg(long, value_name = "TIME", env = "WSECHO_GRACE_PERIOD", default_value_t = Timeouts::default().grace.into())]
    grace_period: humantime::Duration,
}

impl Options {
    /// What was typed; bad usage ends the program.
    pub(crate) fn typed() -> Options {
        let mut command = Options::command();
        // The variables are the server's. clap would read them before a subcommand, too.
        if std::env::args_os().nth(1).is_some_and(|first| first == "check") {
            command = command.mut_args(|option| option.env(None::<&str>));
        }
        let mut matches = command.get_matches();
        Options::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit())
    }

    /// How to log.
    pub(crate) fn format(&self) -> Format {
        self.log_format
    }

    /// How much to log.
    pub(crate) fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::Warn,
            (false, 0) => LevelFilter::Info,
            (false, 1) => LevelFilter::Debug,
            (false, _) => LevelFilter::Trace,
        }
    }

    /// The validated configuration.
    ///
    /// # Errors
    /// Bad usage, in words.
    pub(crate) fn into_config(self) -> Result<Config, clap::Error> {
        let clock = if self.utc { Clock::utc } else { Clock::local };
        let clock = clock(&self.time_format)
            .map_err(|error| usage(format!("--time-format {:?}: {error}", self.time_format)))?;
        let listen =
            listen_addresses(self.listen, std::env::var("PORT").ok().as_deref()).map_err(usage)?;
        let tls = self.tls_cert.zip(self.tls_key).map(|(chain, key)| Certificate { chain, key });
        let (limits, timeouts, chat) = self.limits.into_config()?;
        Ok(Config {
            listen,
            admin: self.admin,
            tls,
            reply: self.reply,
            clock,
            www: self.www,
            allow_origin: self.allow_origin,
            faults: !self.no_faults,
            compression: self.compression == Switch::On,
            log_payload: self.log_payload,
            trusted_proxies: self.trusted_proxy,
            limits,
            timeouts,
            chat,
        })
    }
}

impl LimitOptions {
    fn into_config(self) -> Result<(Limits, Timeouts, ChatLimits), clap::Error> {
        let max_message_size = usize::try_from(self.max_message_size.as_u64())
            .ok()
            .filter(|size| *size <= MAX_MESSAGE_SIZE_CEILING)
            .ok_or_else(|| {
                usage(format!("--max-message-size is {} at most", size(MAX_MESSAGE_SIZE_CEILING)))
            })?;
        let limits = Limits {
            max_connections: self.max_connections,
            max_connections_per_ip: Some(self.max_connections_per_ip).filter(|max| *max > 0),
            max_message_size,
            ..Limits::default()
        };
        let timeouts = Timeouts {
            handshake: positive("--handshake-timeout", self.handshake_timeout)?,
            keep_alive: positive("--keep-alive-timeout", self.keep_alive_timeout)?,
            ping_interval: unless_zero(self.ping_interval),
            ping: positive("--ping-timeout", self.ping_timeout)?,
            write: positive("--write-timeout", self.write_timeout)?,
            close: positive("--close-timeout", self.close_timeout)?,
            idle: unless_zero(self.idle_timeout),
            max_duration: unless_zero(self.max_duration),
            grace: self.grace_period.into(),
        };
        let chat = ChatLimits {
            rooms: self.chat_rooms,
            members: self.chat_members,
            // No message is larger than the other limit allows.
            message_size: usize::try_from(self.chat_message_size.as_u64())
                .unwrap_or(limits.max_message_size),
            rate: self.chat_rate,
            outbox: self.chat_outbox,
        };
        Ok((limits, timeouts, chat))
    }
}

/// The end of `--help`.
fn fault_parameters() -> String {
    format!(
        "Orders in the query of /ws and /echo, as in ws://127.0.0.1:8080/echo?delay=250ms:\n{}",
        wsecho::fault_help()
    )
}

/// A default size, as it is typed.
fn size(bytes: usize) -> ByteSize {
    ByteSize::b(bytes as u64)
}

/// A default that may be off.
fn optional(timeout: Option<Duration>) -> humantime::Duration {
    timeout.unwrap_or_default().into()
}

fn unless_zero(timeout: humantime::Duration) -> Option<Duration> {
    Some(*timeout).filter(|timeout| !timeout.is_zero())
}

fn positive(option: &str, timeout: humantime::Duration) -> Result<Duration, clap::Error> {
    unless_zero(timeout).ok_or_else(|| usage(format!("{option} must be more than 0")))
}

/// Bad usage: exit code 2.
fn usage(what: String) -> clap::Error {
    Options::command().error(ErrorKind::ValueValidation, what)
}

/// What `--listen` says, else what PORT says, else the library's default.
fn listen_addresses(listen: Vec<Addresses>, port: Option<&str>) -> Result<Vec<Listen>, String> {
    match port.filter(|port| !port.is_empty()) {
        _ if !listen.is_empty() => Ok(listen.into_iter().flat_map(|Addresses(all)| all).collect()),
        Some(port) => {
            let port = port.parse().map_err(|_| {
                format!("PORT={port:?} is not a port number; set --listen, or unset PORT")
            })?;
            Ok(vec![Listen::from((Ipv4Addr::UNSPECIFIED, port))])
        }
        None => Ok(Config::default().listen),
    }
}

/// What one `--listen` says. A comma stands before the next address, or before the mode of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Addresses(Vec<Listen>);

impl FromStr for Addresses {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Addresses, ListenError> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match parts.last_mut() {
                Some(path) if part.starts_with("mode=") => path.extend([",", part]),
                _ => parts.push(part.to_owned()),
            }
        }
        parts.iter().map(|part| part.parse()).collect::<Result<_, _>>().map(Addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen() {
        let address = |text: &str| text.parse::<Listen>().unwrap();
        let default = vec![address("127.0.0.1:8080")];
        assert_eq!(listen_addresses(vec![], None), Ok(default.clone()));
        assert_eq!(listen_addresses(vec![], Some("")), Ok(default), "an empty variable is none");
        assert_eq!(listen_addresses(vec![], Some("80")), Ok(vec![address("0.0.0.0:80")]));
        assert!(listen_addresses(vec![], Some("65536")).is_err());
        let given = ["localhost:1,unix:/a,mode=0660,[::1]:2", "unix:/b"];
        let given = given.map(|text| text.parse().unwrap()).to_vec();
        let expected = ["127.0.0.1:1", "unix:/a,mode=0660", "[::1]:2", "unix:/b"].map(address);
        assert_eq!(listen_addresses(given, Some("80")), Ok(expected.to_vec()));
    }

    #[test]
    fn options_are_consistent() {
        Options::command().debug_assert();
    }
}

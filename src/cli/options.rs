//! The command line: parses options and turns them into a [`Config`].
//!
//! Defaults and limits are defined in the library.

// The options' comments are what --help prints: plain text, not Markdown.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use log::LevelFilter;

use super::addresses::{Addresses, listen_addresses};
use super::environment::{is_unset, unknown, verbosity, with_variable, yes_or_no};
use super::log_line::Format;
use super::shorthand::{moved, positional};
use super::time_format::time_format;
use crate::check;
use crate::config::{
    self, AllowedOrigin, Certificate, ChatLimits, Clock, Config, HostName, LONG_TIME, Limits,
    Listen, MAX_MESSAGE_SIZE_CEILING, Network, TIMEOUT_CEILING, TUTORIAL_REPLY, Template, Timeouts,
};
use crate::doctor;
use crate::session::faults;

/// Whether this build has no TLS. It still parses the TLS options, hidden, for a better error.
const NO_TLS: bool = cfg!(not(feature = "tls"));

/// A WebSocket echo server with a browser page; `wsecho --help` lists all options.
///
/// Open the printed address in a browser, or connect a client to /ws (replies `You sent: … at …`)
/// or /echo (replies with the same message). Environment variables can set every option, too; a flag
/// with 1 or 0. An empty variable counts as unset.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, next_line_help = false, after_long_help = fault_parameters())]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Options {
    /// The subcommand; `None` to serve.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The same as --listen.
    #[arg(value_name = "ADDR", hide_short_help = true, value_parser = positional)]
    addresses: Vec<Addresses>,

    /// Address to listen on: IP:PORT, or unix:PATH[,mode=0660]; can be repeated. Port 0 means any free
    /// port; localhost:PORT means 127.0.0.1 and ::1, and so do PORT and :PORT. Default: 127.0.0.1:8080, or
    /// 0.0.0.0:$PORT if PORT is set. Sockets passed by systemd take precedence.
    #[arg(long, aliases = ["bind", "address"], value_name = "ADDR", env = "WSECHO_LISTEN")]
    listen: Vec<Addresses>,

    /// Port of the addresses to listen on. Hidden: --listen has it.
    #[arg(short, long, value_name = "PORT", hide = true)]
    port: Option<u16>,

    /// Host of the addresses to listen on. Hidden: --listen has it.
    #[arg(long, value_name = "HOST", hide = true)]
    host: Option<String>,

    /// Address and port, or unix:PATH, of the admin listener: /metrics (Prometheus), /sessions
    /// (JSON), /readyz, /healthz. It shows client addresses: use loopback or a Unix socket.
    #[arg(long, value_name = "ADDR", hide_short_help = true, env = "WSECHO_ADMIN")]
    admin: Option<Listen>,

    /// Certificate chain (PEM) for TLS on all TCP listeners; Unix sockets stay without TLS. SIGHUP
    /// reloads it and its key.
    #[arg(long, value_name = "FILE", env = "WSECHO_TLS_CERT", requires = "tls_key", hide = NO_TLS)]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM, not encrypted).
    #[arg(long, value_name = "FILE", env = "WSECHO_TLS_KEY", requires = "tls_cert", hide = NO_TLS)]
    tls_key: Option<PathBuf>,

    /// Reply of /ws, with the placeholders {message} and {time}; write a brace as {{ or }}.
    #[arg(long, value_name = "TEMPLATE", hide_short_help = true, env = "WSECHO_REPLY", default_value = TUTORIAL_REPLY)]
    reply: Template,

    /// Format of {time}, as a format description of the `time` crate.
    #[arg(long, value_name = "FORMAT", hide_short_help = true, env = "WSECHO_TIME_FORMAT", default_value = LONG_TIME, value_parser = time_format)]
    time_format: String,

    /// Show UTC instead of local time.
    #[arg(long, hide_short_help = true, env = "WSECHO_UTC", value_parser = yes_or_no)]
    utc: bool,

    /// Directory to serve instead of the built-in page.
    #[arg(long, value_name = "DIR", env = "WSECHO_WWW")]
    www: Option<PathBuf>,

    /// Origin whose pages may connect, in addition to the server's own: https://example.com, null,
    /// or * for all; can be repeated.
    #[arg(
        long,
        value_name = "ORIGIN",
        hide_short_help = true,
        env = "WSECHO_ALLOW_ORIGIN",
        value_delimiter = ','
    )]
    allow_origin: Vec<AllowedOrigin>,

    /// Further name under which browsers may address the server on a loopback address or a Unix socket,
    /// beside IP addresses, localhost and names without a dot [421]; * for all; can be repeated. Names that a trusted proxy
    /// forwards need no option.
    #[arg(
        long,
        value_name = "NAME",
        hide_short_help = true,
        env = "WSECHO_ALLOW_HOST",
        value_delimiter = ','
    )]
    allow_host: Vec<HostName>,

    /// Proxy (IP, CIDR, or unix for Unix sockets) whose `Forwarded` or `X-Forwarded-For` names the
    /// client, for the log and --max-connections-per-ip; can be repeated.
    #[arg(
        long,
        value_name = "CIDR",
        hide_short_help = true,
        env = "WSECHO_TRUSTED_PROXY",
        value_delimiter = ','
    )]
    trusted_proxy: Vec<Network>,

    /// Ignore the query parameters of /ws and /echo (listed below).
    #[arg(long, alias = "no-control", hide_short_help = true, env = "WSECHO_NO_FAULTS", value_parser = yes_or_no)]
    no_faults: bool,

    /// Compress messages if the client offers permessage-deflate.
    #[arg(
        long,
        value_name = "SWITCH",
        hide_short_help = true,
        env = "WSECHO_COMPRESSION",
        value_enum,
        default_value = "on"
    )]
    compression: Switch,

    /// Format of the log lines.
    #[arg(
        long,
        value_name = "FORMAT",
        hide_short_help = true,
        env = "WSECHO_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: Format,

    /// Log each message, with at most N characters (text) or bytes (binary) of it.
    #[arg(long, value_name = "N", hide_short_help = true, env = "WSECHO_LOG_PAYLOAD")]
    log_payload: Option<usize>,

    /// Also log each request; if repeated, the type and size of each message.
    #[arg(short, long, action = clap::ArgAction::Count, env = "WSECHO_VERBOSE", value_parser = verbosity)]
    verbose: u8,

    /// Log only warnings and errors.
    #[arg(short, long, conflicts_with = "verbose", env = "WSECHO_QUIET", value_parser = yes_or_no)]
    quiet: bool,

    #[command(flatten)]
    limits: LimitOptions,
}

/// The values of an option that is on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a WebSocket server: connect, upgrade, echo, ping, close
    ///
    /// Check any WebSocket server, and the proxies in front of it: print each step with its time.
    /// If one fails, the first two lines say what is wrong and what to do.
    #[command(after_help = CHECK_EXIT_CODES)]
    Check(check::CheckOptions),
    /// Compare both ends of a WebSocket, and say what lies between them
    ///
    /// Open WebSockets to a wsecho, behind the proxy in question, compare what this end has seen with what the
    /// server has, and print what the way does to a WebSocket, and which setting of the proxy that is. Against
    /// a server that is no wsecho: what one end shows, as `wsecho check` does.
    #[command(after_help = DOCTOR_EXIT_CODES)]
    Doctor(doctor::DoctorOptions),
}

const DOCTOR_EXIT_CODES: &str = "Exit code: 0 if nothing breaks clients, 1 if something does, 2 for bad \
    usage, else that of `wsecho check`, if the server cannot be reached or is no wsecho";

const CHECK_EXIT_CODES: &str = "Exit code: 0 if all steps succeed, 2 for bad usage, else that of \
    the first step that failed:\n  \
    3 resolve, 4 connect or proxy, 5 upgrade, 6 first or echo, 7 ping, 8 close, 9 TLS or ALPN,\n  \
    10 the server lives, and is full or shutting down (503 with Retry-After)";

/// Every duration takes a unit (250ms, 5s, 2m, 1h), and is [`TIMEOUT_CEILING`] at most. 0 disables an
/// optional limit.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits (a duration takes a unit: 250ms, 5s, 2m, 1h; 10y at most)")]
struct LimitOptions {
    /// Largest message [beyond the limit: Close 1009].
    #[arg(long, value_name = "SIZE", hide_short_help = true, env = "WSECHO_MAX_MESSAGE_SIZE", default_value_t = size(Limits::default().max_message_size), value_parser = max_message_size)]
    max_message_size: ByteSize,

    /// Memory for the large messages of all sessions together; a session waits for it [1013].
    #[arg(long, value_name = "SIZE", hide_short_help = true, env = "WSECHO_MESSAGE_MEMORY", default_value_t = size(Limits::default().message_memory))]
    message_memory: ByteSize,

    /// Concurrent WebSocket sessions [503].
    #[arg(long, value_name = "N", hide_short_help = true, env = "WSECHO_MAX_CONNECTIONS", default_value_t = Limits::default().max_connections)]
    max_connections: usize,

    /// Concurrent connections of an IPv4 address or an IPv6 network (/64), 0 for no limit [503].
    #[arg(
        long,
        value_name = "N",
        hide_short_help = true,
        env = "WSECHO_MAX_CONNECTIONS_PER_IP",
        default_value_t = 0
    )]
    max_connections_per_ip: usize,

    /// Time to receive a request head [408].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_HANDSHAKE_TIMEOUT", value_parser = positive, default_value_t = Timeouts::default().handshake.into())]
    handshake_timeout: humantime::Duration,

    /// Idle time between two requests [closed].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_KEEP_ALIVE_TIMEOUT", value_parser = positive, default_value_t = Timeouts::default().keep_alive.into())]
    keep_alive_timeout: humantime::Duration,

    /// Silence after which to send a Ping, 0 for never.
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_PING_INTERVAL", value_parser = duration, default_value_t = optional(Timeouts::default().ping_interval))]
    ping_interval: humantime::Duration,

    /// Silence after a Ping was sent [dropped].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_PING_TIMEOUT", value_parser = positive, default_value_t = Timeouts::default().ping.into())]
    ping_timeout: humantime::Duration,

    /// Time without progress of a write [dropped].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_WRITE_TIMEOUT", value_parser = positive, default_value_t = Timeouts::default().write.into())]
    write_timeout: humantime::Duration,

    /// Time to answer the server's Close [dropped].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_CLOSE_TIMEOUT", value_parser = positive, default_value_t = Timeouts::default().close.into())]
    close_timeout: humantime::Duration,

    /// Time without a data message, 0 for no limit [Close 1001].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_IDLE_TIMEOUT", value_parser = duration, default_value_t = optional(Timeouts::default().idle))]
    idle_timeout: humantime::Duration,

    /// Duration of a session, 0 for no limit [Close 1001].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_MAX_DURATION", value_parser = duration, default_value_t = optional(Timeouts::default().max_duration))]
    max_duration: humantime::Duration,

    /// Concurrent rooms of /chat [Close 1013].
    #[arg(long, value_name = "N", hide_short_help = true, env = "WSECHO_CHAT_ROOMS", default_value_t = ChatLimits::default().rooms)]
    chat_rooms: usize,

    /// Members of a room [Close 1013].
    #[arg(long, value_name = "N", hide_short_help = true, env = "WSECHO_CHAT_MEMBERS", default_value_t = ChatLimits::default().members)]
    chat_members: usize,

    /// Largest chat message [Close 1009].
    #[arg(long, value_name = "SIZE", hide_short_help = true, env = "WSECHO_CHAT_MESSAGE_SIZE", default_value_t = size(ChatLimits::default().message_size))]
    chat_message_size: ByteSize,

    /// Messages per member and second, and in one burst [Close 1008]; joins in place of members that
    /// left [1013].
    #[arg(long, value_name = "N", hide_short_help = true, env = "WSECHO_CHAT_RATE", default_value_t = ChatLimits::default().rate)]
    chat_rate: u32,

    /// Messages queued for a slow member [Close 1013].
    #[arg(long, value_name = "N", hide_short_help = true, env = "WSECHO_CHAT_OUTBOX", default_value_t = ChatLimits::default().outbox)]
    chat_outbox: usize,

    /// Time from SIGTERM to exit [remaining connections are dropped].
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_GRACE_PERIOD", value_parser = duration, default_value_t = Timeouts::default().grace.into())]
    grace_period: humantime::Duration,

    /// Time that a finished thread waits for another connection [the thread ends]. Hidden, because
    /// no client notices it; tests shorten it.
    #[arg(long, value_name = "TIME", hide_short_help = true, env = "WSECHO_POOL_IDLE", value_parser = duration, default_value_t = Timeouts::default().pool_idle.into(), hide = true)]
    pool_idle: humantime::Duration,
}

impl Options {
    /// Parses the command line and the environment. Exits the program on bad usage.
    pub(crate) fn typed() -> Options {
        // The environment variables are for the server only, but clap reads them with a subcommand,
        // too.
        let is_check = std::env::args_os().nth(1).is_some_and(|first| first == "check");
        let mut command = Options::command().mut_args(|option| {
            if is_check || is_unset(&option) { option.env(None::<&str>) } else { option }
        });
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        let mut matches = matches.unwrap_or_else(|error| with_variable(error, &command).exit());
        Options::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit())
    }

    /// Returns the format of log lines.
    pub(crate) fn format(&self) -> Format {
        self.log_format
    }

    /// Returns whether replies of `/ws` show local time.
    pub(crate) fn shows_local_time(&self) -> bool {
        !self.utc
    }

    /// Returns the log level.
    pub(crate) fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::Warn,
            (false, 0) => LevelFilter::Info,
            (false, 1) => LevelFilter::Debug,
            (false, _) => LevelFilter::Trace,
        }
    }

    /// Validates the options and converts them.
    ///
    /// # Errors
    /// An invalid value, as an error of bad usage.
    pub(crate) fn into_config(self) -> Result<Config, clap::Error> {
        let clock = if self.utc { Clock::utc } else { Clock::local };
        let clock = clock(&self.time_format).map_err(|error| usage(error.to_string()))?;
        let listen = if self.addresses.is_empty() { self.listen } else { self.addresses };
        let listen =
            listen_addresses(listen, std::env::var("PORT").ok().as_deref()).map_err(usage)?;
        let listen = moved(listen, self.host.as_deref(), self.port).map_err(usage)?;
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
            allow_host: self.allow_host,
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
        let (memory, message) = (self.message_memory, self.max_message_size);
        if memory < message {
            return Err(usage(format!(
                "--message-memory is {memory}, less than one message of --max-message-size, {message}: raise the first, or lower the second"
            )));
        }
        let limits = Limits {
            max_connections: self.max_connections,
            max_connections_per_ip: Some(self.max_connections_per_ip).filter(|max| *max > 0),
            max_message_size: usize::try_from(self.max_message_size.as_u64())
                .unwrap_or(MAX_MESSAGE_SIZE_CEILING),
            message_memory: usize::try_from(memory.as_u64()).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        let timeouts = Timeouts {
            handshake: self.handshake_timeout.into(),
            keep_alive: self.keep_alive_timeout.into(),
            ping_interval: unless_zero(self.ping_interval),
            ping: self.ping_timeout.into(),
            write: self.write_timeout.into(),
            close: self.close_timeout.into(),
            idle: unless_zero(self.idle_timeout),
            max_duration: unless_zero(self.max_duration),
            grace: self.grace_period.into(),
            pool_idle: self.pool_idle.into(),
        };
        let chat = ChatLimits {
            rooms: self.chat_rooms,
            members: self.chat_members,
            // `max_message_size` applies anyway.
            message_size: usize::try_from(self.chat_message_size.as_u64())
                .unwrap_or(limits.max_message_size),
            rate: self.chat_rate,
            outbox: self.chat_outbox,
        };
        Ok((limits, timeouts, chat))
    }
}

/// Warnings of environment variables that begin as those of wsecho do and are none.
pub(super) fn unknown_variables() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let warning = |(name, meant): (String, Option<&str>)| match meant {
        Some(meant) => {
            format!("{name} is no variable of wsecho and has no effect; is {meant} meant?")
        }
        None => {
            format!("{name} is no variable of wsecho and has no effect; wsecho --help lists them")
        }
    };
    unknown(names, &Options::command()).into_iter().map(warning).collect()
}

/// Formats the last section of `--help`.
fn fault_parameters() -> String {
    format!(
        "Fault injection: query parameters of /ws and /echo, \
         as in ws://127.0.0.1:8080/echo?delay=250ms:\n{}",
        faults::help()
    )
}

/// Converts a default for clap.
fn size(bytes: usize) -> ByteSize {
    ByteSize::b(bytes as u64)
}

/// Converts an optional default for clap; 0 if it is off.
fn optional(timeout: Option<Duration>) -> humantime::Duration {
    timeout.unwrap_or_default().into()
}

fn unless_zero(timeout: humantime::Duration) -> Option<Duration> {
    Some(*timeout).filter(|timeout| !timeout.is_zero())
}

fn max_message_size(text: &str) -> Result<ByteSize, String> {
    let most = size(MAX_MESSAGE_SIZE_CEILING);
    let size: ByteSize = text.parse()?;
    if size <= most { Ok(size) } else { Err(format!("a message is {most} at most")) }
}

fn duration(text: &str) -> Result<humantime::Duration, String> {
    config::duration::duration(text, TIMEOUT_CEILING)
}

fn positive(text: &str) -> Result<humantime::Duration, String> {
    config::duration::positive(text, TIMEOUT_CEILING)
}

/// Builds an error of bad usage, which has exit code 2.
fn usage(message: String) -> clap::Error {
    Options::command().error(ErrorKind::ValueValidation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_consistent() {
        Options::command().debug_assert();
    }
}

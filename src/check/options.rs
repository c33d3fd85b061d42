//! The options of `wsecho check`. Unlike the server's, they cannot be set by environment variables; the URL
//! without which it checks the server on this machine follows `PORT`.

// The options' comments are what --help prints: plain text, not Markdown.
#![allow(rustdoc::broken_intra_doc_links)]

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use regex_lite::Regex;

use crate::config::duration::positive;
use crate::config::{DEFAULT_PORT, MAX_MESSAGE_SIZE_CEILING};
use crate::http::fields::is_token;
use bytesize::ByteSize;

use super::limits::{COUNT_MAX, TIMEOUT, TIMEOUT_MAX};
use super::proxy::Proxy;
use super::url::Target;

/// The options of `wsecho check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckOptions {
    /// URL of the server: ws[s]://[USER:PASSWORD@]HOST[:PORT][/PATH][?QUERY], or unix:PATH[:/PATH].
    /// localhost:8080, :8080, example.com/ws and http:// are taken as what they mean. Without a URL: /echo
    /// of the server on this machine, on PORT from the environment or 8080.
    #[arg(value_name = "URL", default_value = own_server(), hide_default_value = true)]
    pub(crate) target: Target,

    /// Timeout of each step and of each round trip.
    #[arg(long, value_name = "TIME", default_value_t = TIMEOUT.into(), value_parser = timeout)]
    timeout: humantime::Duration,

    /// Exit with 0, not 10, if the server is full or shutting down (a 503 with Retry-After): for health checks,
    /// as a restart would only end its sessions.
    #[arg(long)]
    pub(crate) accept_full: bool,

    /// Subprotocol to offer; can be repeated.
    #[arg(long = "subprotocol", value_name = "NAME", value_parser = token)]
    pub(crate) subprotocols: Vec<String>,

    /// Do not offer permessage-deflate.
    #[arg(long)]
    pub(crate) no_compression: bool,

    /// Origin to send, as browsers do [default: none].
    #[arg(long, value_name = "ORIGIN", value_parser = value)]
    pub(crate) origin: Option<String>,

    /// Header field to send; can be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) fields: Vec<HeaderField>,

    /// Forward proxy to go through (CONNECT): http://[USER:PASSWORD@]HOST:PORT [default: HTTPS_PROXY
    /// for wss://, unless NO_PROXY lists the host].
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Proxy>,

    #[command(flatten)]
    pub(crate) messages: MessageOptions,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    pub(crate) tls: TlsOptions,

    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// The URL of the server that PORT places on this machine, as a container's health check needs it. It lives as
/// long as the program.
fn own_server() -> &'static str {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse::<u16>().ok());
    format!("ws://127.0.0.1:{}/echo", port.unwrap_or(DEFAULT_PORT)).leak()
}

/// What is sent in the session, and what is expected.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct MessageOptions {
    /// Number of round trips; from 2 on, print percentiles.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    pub(crate) count: u32,

    /// Size of each message [default: a short text].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) size: Option<usize>,

    /// Message to send instead.
    #[arg(long, value_name = "TEXT", conflicts_with = "size")]
    pub(crate) message: Option<String>,

    /// Text in the answer, or a regular expression that it matches [default: any answer].
    #[arg(long, value_name = "TEXT|REGEX")]
    pub(crate) expect: Option<Expected>,

    /// Send no message: connect, ping, close.
    #[arg(long, conflicts_with_all = ["message", "expect", "count", "size"])]
    pub(crate) no_echo: bool,

    /// Wait for a message before sending one; send none without --message.
    #[arg(long, conflicts_with = "no_echo")]
    pub(crate) first: bool,
}

/// For `wss://`.
#[cfg(feature = "tls")]
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Certificates (PEM) to trust instead of the system's: of authorities, or the server's own.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<std::path::PathBuf>,

    /// Client certificate (PEM), with its chain; its key may be in the same file.
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<std::path::PathBuf>,

    /// Private key of the client certificate (PEM, not encrypted).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<std::path::PathBuf>,

    /// Protocols to offer (ALPN), such as h2,http/1.1, or none. h2 is offered over a second connection,
    /// to look what the server makes of it; the handshake is HTTP/1.1.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = HTTP1)]
    alpn: Vec<String>,

    /// Do not verify the certificate.
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,
}

/// How the report is printed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Print one line of JSON instead of text.
    #[arg(long, group = "format")]
    pub(crate) json: bool,

    /// Print metrics for Prometheus (textfile collector), with the names of the blackbox exporter.
    #[arg(long, group = "format", conflicts_with = "repeat")]
    pub(crate) prometheus: bool,

    /// Print nothing but the problem and the fix.
    #[arg(short, long, group = "format")]
    pub(crate) quiet: bool,

    /// Check again and again, at this interval, and print a line each time.
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    repeat: Option<humantime::Duration>,
}

/// The protocols that ALPN names HTTP/1.1 and HTTP/2 over TLS.
#[cfg(feature = "tls")]
const HTTP1: &str = "http/1.1";
const HTTP2: &str = "h2";

impl CheckOptions {
    /// The protocols of `--alpn`.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "TLS has the option"))]
    pub(crate) fn alpn(&self) -> &[String] {
        #[cfg(feature = "tls")]
        return if self.tls.alpn == ["none"] { &[] } else { &self.tls.alpn };
        #[cfg(not(feature = "tls"))]
        &[]
    }

    /// The protocols of `--alpn` in which a handshake may be sent.
    pub(crate) fn http1_alpn(&self) -> Vec<String> {
        self.alpn().iter().filter(|name| *name != HTTP2).cloned().collect()
    }

    /// Whether to look what the server makes of HTTP/2.
    pub(crate) fn offers_http2(&self) -> bool {
        self.target.is_tls && self.alpn().iter().any(|name| name == HTTP2)
    }

    pub(crate) fn timeout(&self) -> Duration {
        *self.timeout
    }
}

impl OutputOptions {
    /// The interval of `--repeat`.
    pub(crate) fn repeat(&self) -> Option<Duration> {
        self.repeat.map(|interval| *interval)
    }
}

impl MessageOptions {
    /// Whether a message is sent.
    pub(crate) fn sends(&self) -> bool {
        !self.no_echo && (!self.first || self.message.is_some())
    }
}

/// What an answer has to contain or to match.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    text: String,
    /// `None` if the text is no valid expression.
    expression: Option<Regex>,
}

impl Expected {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, answer: &str) -> bool {
        let matches = |expression: &Regex| expression.is_match(answer);
        answer.contains(&self.text) || self.expression.as_ref().is_some_and(matches)
    }
}

impl FromStr for Expected {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Expected, Infallible> {
        Ok(Expected { text: text.to_owned(), expression: Regex::new(text).ok() })
    }
}

fn timeout(text: &str) -> Result<humantime::Duration, String> {
    positive(text, TIMEOUT_MAX)
}

fn size(text: &str) -> Result<usize, String> {
    let size: ByteSize = text.parse()?;
    usize::try_from(size.as_u64()).ok().filter(|size| *size <= MAX_MESSAGE_SIZE_CEILING).ok_or_else(
        || format!("a message may have {} at most", ByteSize::b(MAX_MESSAGE_SIZE_CEILING as u64)),
    )
}

/// Parses a token (RFC 9110, section 5.6.2): the name of a field or a subprotocol.
fn token(text: &str) -> Result<String, String> {
    if is_token(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not a token: use letters, digits and !#$%&'*+-.^_`|~"))
    }
}

fn value(text: &str) -> Result<String, String> {
    if text.chars().all(|c| matches!(c, ' '..='~')) {
        Ok(text.to_owned())
    } else {
        Err("the value of a header field must be printable ASCII".to_owned())
    }
}

/// A header field given by the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderField {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for HeaderField {
    type Err = String;

    fn from_str(text: &str) -> Result<HeaderField, String> {
        let (name, rest) =
            text.split_once(':').ok_or("expected NAME: VALUE, for example 'Host: example.com'")?;
        let lower = name.to_ascii_lowercase();
        if lower == "sec-websocket-protocol" {
            return Err("use --subprotocol to offer subprotocols".to_owned());
        }
        if ["connection", "upgrade"].contains(&lower.as_str())
            || lower.starts_with("sec-websocket-")
        {
            return Err(format!("{name} is set by the handshake and cannot be replaced"));
        }
        Ok(HeaderField { name: token(name)?, value: value(rest.trim())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_are_parsed_and_validated() {
        let field =
            |name: &str, value: &str| HeaderField { name: name.into(), value: value.into() };
        assert_eq!("Host:example.com".parse(), Ok(field("Host", "example.com")));
        assert_eq!("X-A:  b: c ".parse(), Ok(field("X-A", "b: c")));
        for (text, expected) in [
            ("Host", "NAME: VALUE"),
            ("A B: c", "not a token"),
            (": c", "not a token"),
            ("A: b\r\nC: d", "printable"),
            ("upgrade: h2c", "set by the handshake"),
            ("Sec-WebSocket-Extensions: x", "set by the handshake"),
            ("Sec-WebSocket-Protocol: x", "--subprotocol"),
        ] {
            let error = text.parse::<HeaderField>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_and_timeouts_are_limited() {
        assert_eq!(size("1KiB"), Ok(1024));
        assert!(size("2GiB").unwrap_err().contains("1.0 GiB"));
        assert!(timeout("1h").is_ok() && timeout("2h").is_err() && timeout("0s").is_err());
    }
}

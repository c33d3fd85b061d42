//! The command line of a check.
//!
//! What it is not: a server's option; no variable stands for any of these.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use wsecho::MAX_MESSAGE_SIZE_CEILING;

use super::limits::{COUNT_MAX, TIMEOUT, TIMEOUT_MAX};
use super::url::Target;

/// What is checked, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckOptions {
    #[cfg_attr(feature = "tls", doc = "The server: ws[s]://HOST[:PORT][/PATH][?QUERY].")]
    #[cfg_attr(not(feature = "tls"), doc = "The server: ws://HOST[:PORT][/PATH][?QUERY].")]
    #[arg(value_name = "URL")]
    pub(crate) target: Target,

    /// For each step, and for each round trip.
    #[arg(long, value_name = "TIME", default_value_t = TIMEOUT.into(), value_parser = timeout)]
    timeout: humantime::Duration,

    /// Round trips; from two on, their percentiles are shown.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    pub(crate) count: u32,

    /// Bytes in each message [default: a short text].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) size: Option<usize>,

    /// A subprotocol to offer; repeat it for more.
    #[arg(long = "subprotocol", value_name = "NAME", value_parser = token)]
    pub(crate) subprotocols: Vec<String>,

    /// The Origin that a page would have; programs send none.
    #[arg(long, value_name = "ORIGIN", value_parser = value)]
    pub(crate) origin: Option<String>,

    /// A header field of the request; repeat it for more.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(crate) fields: Vec<HeaderField>,

    /// The certificate authorities (PEM) to trust, in place of this machine's.
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<std::path::PathBuf>,

    /// Take any certificate.
    #[cfg(feature = "tls")]
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,

    /// One line of JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl CheckOptions {
    pub(crate) fn timeout(&self) -> Duration {
        *self.timeout
    }
}

fn timeout(text: &str) -> Result<humantime::Duration, String> {
    let timeout: humantime::Duration =
        text.parse().map_err(|error: humantime::DurationError| error.to_string())?;
    if timeout.is_zero() || *timeout > TIMEOUT_MAX {
        let most = humantime::format_duration(TIMEOUT_MAX);
        return Err(format!("a timeout is more than 0, and {most} at most"));
    }
    Ok(timeout)
}

fn size(text: &str) -> Result<usize, String> {
    let size: ByteSize = text.parse()?;
    usize::try_from(size.as_u64()).ok().filter(|size| *size <= MAX_MESSAGE_SIZE_CEILING).ok_or_else(
        || format!("a message is {} at most", ByteSize::b(MAX_MESSAGE_SIZE_CEILING as u64)),
    )
}

/// Names of fields and of subprotocols; RFC 9110, section 5.6.2.
fn token(text: &str) -> Result<String, String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if !text.is_empty() && text.chars().all(is_token) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no token: letters, digits and a few signs, no blank"))
    }
}

fn value(text: &str) -> Result<String, String> {
    if text.chars().all(|c| matches!(c, ' '..='~')) {
        Ok(text.to_owned())
    } else {
        Err("a header field holds printable ASCII".to_owned())
    }
}

/// A header field of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderField {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for HeaderField {
    type Err = String;

    fn from_str(text: &str) -> Result<HeaderField, String> {
        let (name, rest) =
            text.split_once(':').ok_or("a header field is NAME: VALUE, as 'Host: example.com'")?;
        let lower = name.to_ascii_lowercase();
        if lower == "sec-websocket-protocol" {
            return Err("subprotocols are offered by --subprotocol".to_owned());
        }
        if ["connection", "upgrade"].contains(&lower.as_str())
            || lower.starts_with("sec-websocket-")
        {
            return Err(format!("{name} is the handshake's own"));
        }
        Ok(HeaderField { name: token(name)?, value: value(rest.trim())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let field =
            |name: &str, value: &str| HeaderField { name: name.into(), value: value.into() };
        assert_eq!("Host:example.com".parse(), Ok(field("Host", "example.com")));
        assert_eq!("X-A:  b: c ".parse(), Ok(field("X-A", "b: c")));
        for (text, expected) in [
            ("Host", "NAME: VALUE"),
            ("A B: c", "no token"),
            (": c", "no token"),
            ("A: b\r\nC: d", "printable"),
            ("upgrade: h2c", "own"),
            ("Sec-WebSocket-Extensions: x", "own"),
            ("Sec-WebSocket-Protocol: x", "--subprotocol"),
        ] {
            let error = text.parse::<HeaderField>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_have_an_end() {
        assert_eq!(size("1KiB"), Ok(1024));
        assert!(size("2GiB").unwrap_err().contains("1.0 GiB"));
        assert!(timeout("1h").is_ok() && timeout("2h").is_err() && timeout("0s").is_err());
    }
}

//! Where to connect, and how: the options that `wsecho check` and `wsecho doctor` have in common.

// The options' comments are what --help prints: plain text, not Markdown.
#![allow(rustdoc::broken_intra_doc_links)]

use std::str::FromStr;
use std::time::Duration;

use crate::config::DEFAULT_PORT;
use crate::config::duration::positive;
use crate::http::fields::is_token;

use super::limits::{TIMEOUT, TIMEOUT_MAX};
use super::proxy::Proxy;
use super::url::Target;

/// Where to connect, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConnectionOptions {
    /// URL of the server: ws[s]://[USER:PASSWORD@]HOST[:PORT][/PATH][?QUERY], or unix:PATH[:/PATH].
    /// localhost:8080, :8080, example.com/ws and http:// are taken as what they mean. Without a URL: /echo
    /// of the server on this machine, on PORT from the environment or 8080.
    #[arg(value_name = "URL", default_value = own_server(), hide_default_value = true)]
    pub(crate) target: Target,

    /// Timeout of each step and of each round trip.
    #[arg(long, value_name = "TIME", default_value_t = TIMEOUT.into(), value_parser = timeout)]
    timeout: humantime::Duration,

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

    #[cfg(feature = "tls")]
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
}

/// The URL of the server that PORT places on this machine, as a container's health check needs it. It lives as
/// long as the program.
fn own_server() -> &'static str {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse::<u16>().ok());
    format!("ws://127.0.0.1:{}/echo", port.unwrap_or(DEFAULT_PORT)).leak()
}

/// For `wss://`.
#[cfg(feature = "tls")]
#[derive(Debug, Clone, clap::Args)]
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

/// The protocols that ALPN names HTTP/1.1 and HTTP/2 over TLS.
#[cfg(feature = "tls")]
const HTTP1: &str = "http/1.1";
const HTTP2: &str = "h2";

impl ConnectionOptions {
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

pub(super) fn timeout(text: &str) -> Result<humantime::Duration, String> {
    positive(text, TIMEOUT_MAX)
}

/// Parses a token (RFC 9110, section 5.6.2): the name of a field or a subprotocol.
pub(super) fn token(text: &str) -> Result<String, String> {
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
}

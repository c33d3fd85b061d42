//! Parses the `ws://` or `wss://` URL to check, and explains what is wrong with any other.

use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::{CONTROLS, utf8_percent_encode};
use tungstenite::http::Uri;

const FORM: &str = "expected ws://HOST[:PORT][/PATH][?QUERY], for example ws://127.0.0.1:8080/echo";

/// The default ports of `ws://` and `wss://` (RFC 6455, section 3).
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// A `ws://` or `wss://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// As given by the user.
    pub(crate) url: String,
    pub(crate) is_tls: bool,
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of the `Host` field.
    pub(crate) authority: String,
    /// Path and query, the request target.
    pub(crate) resource: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Target, String> {
        let is_tls = is_tls(url)?;
        if url.contains('#') {
            return Err("a WebSocket URL has no #fragment; write a # as %23".to_owned());
        }
        let uri: Uri = url.parse().map_err(|error| format!("{error}; {FORM}"))?;
        let authority = uri.authority().ok_or(FORM)?.as_str();
        if authority.contains('@') {
            return Err("a WebSocket URL has no user and password; \
                 use --header 'Authorization: Basic …' instead"
                .to_owned());
        }
        let host = uri.host().unwrap_or_default();
        let resource = uri.path_and_query().map_or("", |resource| resource.as_str());
        let slash = if resource.starts_with('/') { "" } else { "/" };
        Ok(Target {
            url: url.to_owned(),
            is_tls,
            host: without_brackets(host)?.to_owned(),
            port: port(&authority[host.len()..], DEFAULT_PORTS[usize::from(is_tls)])?,
            authority: authority.to_owned(),
            resource: format!("{slash}{}", utf8_percent_encode(resource, CONTROLS)),
        })
    }
}

impl Target {
    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.resource.split('?').next().unwrap_or_default()
    }

    /// The same URL with another scheme.
    pub(crate) fn with_scheme(&self, scheme: &str) -> String {
        format!("{scheme}://{}{}", self.authority, self.resource)
    }

    /// The URL of another path on the same server.
    pub(crate) fn with_path(&self, path: &str) -> String {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.authority)
    }
}

/// Whether the scheme is `wss`. `Err` for other schemes than `ws` and `wss`, and for `wss` in a
/// build without TLS.
fn is_tls(url: &str) -> Result<bool, String> {
    let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
    match scheme.to_ascii_lowercase().as_str() {
        "ws" => Ok(false),
        tls @ ("wss" | "https") if cfg!(not(feature = "tls")) => Err(format!(
            "this build has no TLS and cannot check {tls}:// URLs; \
             build one with: cargo build --release, \
             or check the ws:// port behind the TLS proxy"
        )),
        "wss" => Ok(true),
        "http" => Err(format!("a WebSocket URL starts with ws://; try ws://{rest}")),
        "https" => Err(format!("a WebSocket URL starts with wss://; try wss://{rest}")),
        other => Err(format!("{other}:// URLs cannot be checked; {FORM}")),
    }
}

fn without_brackets(host: &str) -> Result<&str, String> {
    let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) else {
        return if host.is_empty() {
            Err(format!("the URL has no host; {FORM}"))
        } else {
            Ok(host)
        };
    };
    match inner.parse::<Ipv6Addr>() {
        Ok(_) => Ok(inner),
        Err(_) => Err(format!("[{inner}] is not an IPv6 address, such as [::1]")),
    }
}

/// Parses the rest of the authority after the host: empty, `:`, or a port such as `:8080`.
fn port(after_host: &str, default: u16) -> Result<u16, String> {
    if matches!(after_host, "" | ":") {
        return Ok(default);
    }
    let port = after_host.strip_prefix(':').and_then(|port| port.parse().ok());
    port.filter(|port| *port > 0)
        .ok_or_else(|| format!("`{after_host}` is not a port, from :1 to :65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_into_their_components() {
        for (url, host, port, authority, resource) in [
            ("ws://example.com", "example.com", 80, "example.com", "/"),
            ("ws://example.com/", "example.com", 80, "example.com", "/"),
            ("WS://h:8080/a/b?c=d&e", "h", 8080, "h:8080", "/a/b?c=d&e"),
            ("ws://h?x", "h", 80, "h", "/?x"),
            ("ws://h:/x", "h", 80, "h:", "/x"),
            ("ws://127.0.0.1:1/", "127.0.0.1", 1, "127.0.0.1:1", "/"),
            ("ws://[::1]/x", "::1", 80, "[::1]", "/x"),
            ("ws://[2001:db8::1]:8080", "2001:db8::1", 8080, "[2001:db8::1]:8080", "/"),
            ("ws://h/caf\u{e9}?%20", "h", 80, "h", "/caf%C3%A9?%20"),
        ] {
            let expected = Target {
                url: url.to_owned(),
                is_tls: false,
                host: host.to_owned(),
                port,
                authority: authority.to_owned(),
                resource: resource.to_owned(),
            };
            assert_eq!(url.parse(), Ok(expected), "{url}");
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn wss_has_its_own_default_port() {
        for (url, expected) in [("wss://h/", 443), ("WSS://h:80", 80), ("wss://[::1]", 443)] {
            let target: Target = url.parse().unwrap();
            assert_eq!((target.is_tls, target.port), (true, expected), "{url}");
        }
        let error = "https://h:1/x".parse::<Target>().unwrap_err();
        assert!(error.contains("try wss://h:1/x"), "{error}");
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn a_build_without_tls_rejects_wss_urls() {
        for scheme in ["wss", "https"] {
            let error = format!("{scheme}://h/").parse::<Target>().unwrap_err();
            let expected = format!("this build has no TLS and cannot check {scheme}:// URLs");
            assert!(
                error.contains(&expected) && error.contains("cargo build --release"),
                "{error}"
            );
        }
    }

    #[test]
    fn invalid_urls_are_rejected_with_the_reason() {
        for (url, expected) in [
            ("http://h:80/x", "try ws://h:80/x"),
            ("ftp://h/", FORM),
            ("127.0.0.1:8080", FORM),
            ("", FORM),
            ("ws://", FORM),
            ("ws:///echo", FORM),
            ("ws://:80/", "no host"),
            ("ws://user:secret@h/", "--header"),
            ("ws://::1:80/", FORM),
            ("ws://[::g]/", "IPv6"),
            ("ws://[127.0.0.1]/", "IPv6"),
            ("ws://[::1]80/", "`80` is not a port"),
            ("ws://h:65536/", "`:65536` is not a port"),
            ("ws://h:0/", "`:0` is not a port"),
            ("ws://h:x/", "`:x` is not a port"),
            ("ws://h/#top", "%23"),
            ("ws://h/a b", FORM),
            ("ws://b\u{fc}cher.example/", FORM),
        ] {
            let error = url.parse::<Target>().unwrap_err();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}

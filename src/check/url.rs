//! What the typed address means: a `ws://` or `wss://` URL, or a Unix socket.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use data_encoding::BASE64;
use percent_encoding::{CONTROLS, percent_decode_str, utf8_percent_encode};
use tungstenite::http::Uri;

const FORM: &str = "expected ws[s]://HOST[:PORT][/PATH][?QUERY], for example ws://127.0.0.1:8080/echo, or unix:PATH";

/// The default ports of `ws://` and `wss://` (RFC 6455, section 3).
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The URL, with its scheme and without credentials; or `unix:PATH`, as it was typed.
    pub(crate) url: String,
    /// Whether that is not what was typed.
    pub(crate) is_guessed: bool,
    pub(crate) is_tls: bool,
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path of the Unix socket to connect to, in place of host and port.
    pub(crate) socket: Option<PathBuf>,
    /// The value of the `Host` field.
    pub(crate) authority: String,
    /// Path and query, the request target.
    pub(crate) resource: String,
    /// The value of the `Authorization` field, from `USER:PASSWORD@`.
    pub(crate) authorization: Option<String>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(typed: &str) -> Result<Target, String> {
        if let Some(socket) = typed.strip_prefix("unix:") {
            return unix(typed, socket);
        }
        let (is_tls, rest) = scheme(typed)?;
        if is_tls && cfg!(not(feature = "tls")) {
            return Err(
                "this build has no TLS and cannot check wss:// URLs; build one with: cargo \
                 build --release, or check the ws:// port behind the TLS proxy"
                    .to_owned(),
            );
        }
        if rest.contains('#') {
            return Err("a WebSocket URL has no #fragment; write a # as %23".to_owned());
        }
        let (credentials, rest) = credentials(rest);
        if !rest[..end_of_authority(&rest)].is_ascii() {
            return Err(
                "the name is not ASCII; write its xn-- form, which a browser shows when you \
                 copy the URL"
                    .to_owned(),
            );
        }
        let url = format!("{}://{rest}", if is_tls { "wss" } else { "ws" });
        let uri: Uri = url.parse().map_err(|error| format!("{error}; {FORM}"))?;
        let authority = uri.authority().ok_or(FORM)?.as_str();
        let host = uri.host().unwrap_or_default();
        let resource = uri.path_and_query().map_or("", |resource| resource.as_str());
        Ok(Target {
            is_guessed: credentials.is_none() && !url.eq_ignore_ascii_case(typed),
            is_tls,
            host: without_brackets(host)?.to_owned(),
            port: port(&authority[host.len()..], DEFAULT_PORTS[usize::from(is_tls)])?,
            socket: None,
            authority: authority.to_owned(),
            resource: with_slash(resource),
            authorization: credentials.map(basic),
            url,
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

/// Parses `PATH[:/RESOURCE]` after `unix:`.
fn unix(typed: &str, socket: &str) -> Result<Target, String> {
    let (path, resource) = match socket.split_once(":/") {
        Some((path, resource)) => (path, format!("/{resource}")),
        None => (socket, "/".to_owned()),
    };
    if path.is_empty() {
        return Err("expected unix:PATH, or unix:PATH:/echo for another path than /".to_owned());
    }
    Ok(Target {
        url: typed.to_owned(),
        is_guessed: false,
        is_tls: false,
        host: "localhost".to_owned(),
        port: 0,
        socket: Some(path.into()),
        authority: "localhost".to_owned(),
        resource: with_slash(&resource),
        authorization: None,
    })
}

/// Whether TLS is meant, and what follows the scheme.
fn scheme(typed: &str) -> Result<(bool, &str), String> {
    match typed.split_once("://") {
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => Ok((false, rest)),
            "wss" | "https" => Ok((true, rest)),
            other => Err(format!("{other}:// URLs cannot be checked; {FORM}")),
        },
        None if typed.is_empty() => Err(FORM.to_owned()),
        None => Ok((is_public(typed), typed)),
    }
}

/// Whether an address without a scheme is that of a site on the internet, which speak TLS: it has
/// the port 443, or none, and a name with a dot.
fn is_public(typed: &str) -> bool {
    let authority = &typed[..end_of_authority(typed)];
    match authority.rsplit_once(':') {
        Some((_, port)) => port == "443",
        None => authority.contains('.') && authority.parse::<IpAddr>().is_err(),
    }
}

fn end_of_authority(rest: &str) -> usize {
    rest.find(['/', '?']).unwrap_or(rest.len())
}

/// Splits `USER:PASSWORD@` off. `:PORT` and a mere port are completed to an address of this machine.
fn credentials(rest: &str) -> (Option<&str>, String) {
    let (authority, resource) = rest.split_at(end_of_authority(rest));
    let (credentials, authority) = match authority.rsplit_once('@') {
        Some((credentials, authority)) => (Some(credentials), authority),
        None => (None, authority),
    };
    let is_port = !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_digit());
    let has_port_alone =
        authority.len() > 1 && authority.starts_with(':') && !authority.starts_with("::");
    let host = match (is_port, has_port_alone) {
        (true, _) => "localhost:",
        (_, true) => "localhost",
        _ => "",
    };
    (credentials, format!("{host}{authority}{resource}"))
}

/// Formats the value of `Authorization` (RFC 7617).
fn basic(credentials: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(credentials).collect();
    format!("Basic {}", BASE64.encode(&decoded))
}

fn with_slash(resource: &str) -> String {
    let slash = if resource.starts_with('/') { "" } else { "/" };
    format!("{slash}{}", utf8_percent_encode(resource, CONTROLS))
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
                url: url.replace("WS:", "ws:"),
                is_guessed: false,
                is_tls: false,
                host: host.to_owned(),
                port,
                socket: None,
                authority: authority.to_owned(),
                resource: resource.to_owned(),
                authorization: None,
            };
            assert_eq!(url.parse(), Ok(expected), "{url}");
        }
    }

    #[test]
    fn addresses_are_taken_as_what_they_mean() {
        for (typed, url) in [
            ("localhost:8080", "ws://localhost:8080"),
            ("localhost/echo", "ws://localhost/echo"),
            (":8080", "ws://localhost:8080"),
            (":8080/ws?a:b", "ws://localhost:8080/ws?a:b"),
            ("8080", "ws://localhost:8080"),
            ("127.0.0.1", "ws://127.0.0.1"),
            ("[::1]:8080/", "ws://[::1]:8080/"),
            ("example.com:80/ws", "ws://example.com:80/ws"),
            ("http://h:1/x", "ws://h:1/x"),
        ] {
            let target: Target = typed.parse().unwrap();
            assert_eq!((target.url.as_str(), target.is_guessed), (url, true), "{typed}");
        }
    }

    #[test]
    fn a_user_becomes_a_field_and_is_not_shown() {
        let target: Target = "ws://ann:p%40ss@h:1/x".parse().unwrap();
        assert_eq!((target.url.as_str(), target.authority.as_str()), ("ws://h:1/x", "h:1"));
        assert_eq!(target.authorization.as_deref(), Some("Basic YW5uOnBAc3M="));
        assert!(!target.is_guessed);
    }

    #[test]
    fn a_unix_socket_may_have_a_path_on_the_server() {
        for (typed, socket, resource) in
            [("unix:/run/a.sock", "/run/a.sock", "/"), ("unix:a.sock:/echo?b", "a.sock", "/echo?b")]
        {
            let target: Target = typed.parse().unwrap();
            assert_eq!(target.socket, Some(socket.into()));
            assert_eq!(
                (target.resource.as_str(), target.authority.as_str()),
                (resource, "localhost")
            );
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn wss_has_its_own_default_port() {
        for (url, expected) in [
            ("wss://h/", 443),
            ("WSS://h:80", 80),
            ("wss://[::1]", 443),
            ("https://h", 443),
            ("example.com/ws", 443),
            ("h:443", 443),
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!((target.is_tls, target.port), (true, expected), "{url}");
        }
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn a_build_without_tls_rejects_wss_urls() {
        for scheme in ["wss", "https"] {
            let error = format!("{scheme}://h/").parse::<Target>().unwrap_err();
            assert!(
                error.contains("this build has no TLS and cannot check wss:// URLs"),
                "{error}"
            );
            assert!(error.contains("cargo build --release"), "{error}");
        }
    }

    #[test]
    fn invalid_urls_are_rejected_with_the_reason() {
        for (url, expected) in [
            ("ftp://h/", FORM),
            ("", FORM),
            ("ws://", FORM),
            ("ws:///echo", FORM),
            ("/echo", FORM),
            ("ws://::1:80/", FORM),
            ("ws://[::g]/", "IPv6"),
            ("ws://[127.0.0.1]/", "IPv6"),
            ("ws://[::1]80/", "`80` is not a port"),
            ("ws://h:65536/", "`:65536` is not a port"),
            ("ws://h:0/", "`:0` is not a port"),
            ("ws://h:x/", "`:x` is not a port"),
            ("ws://h/#top", "%23"),
            ("ws://h/a b", FORM),
            ("ws://b\u{fc}cher.example/", "xn--"),
            ("unix:", "unix:PATH"),
        ] {
            let error = url.parse::<Target>().unwrap_err();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}

//! A forward proxy on the way to the server: which one, and the tunnel through it (CONNECT, RFC 9110,
//! section 9.3.6).

use std::io::Write;
use std::net::IpAddr;
use std::str::FromStr;

use super::connection_options::ConnectionOptions;
use super::report::shortened;
use super::stream::CheckStream;
use super::upgrade::{UpgradeFailure, read_response};
use super::url::Target;
use super::verdict::Verdict;

/// A forward proxy that speaks plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Proxy, String> {
        const FORM: &str = "expected http://[USER:PASSWORD@]HOST:PORT";
        let url = match text.split_once("://") {
            Some(("http", _)) => text.to_owned(),
            None => format!("http://{text}"),
            Some(_) => return Err(format!("{FORM}: no other kind of proxy is supported")),
        };
        let target: Target = url.parse().map_err(|error: String| format!("{FORM}: {error}"))?;
        Ok(Proxy { host: target.host, port: target.port, authorization: target.authorization })
    }
}

impl Proxy {
    /// The proxy of `--proxy` or of the environment.
    ///
    /// # Errors
    /// As [`of_environment`](Proxy::of_environment).
    pub(crate) fn of(options: &ConnectionOptions) -> Result<Option<Proxy>, Verdict> {
        match &options.proxy {
            Some(proxy) => Ok(Some(proxy.clone())),
            None => Proxy::of_environment(&options.target, |name| std::env::var(name).ok()),
        }
    }

    /// The proxy of `HTTPS_PROXY` for `wss://`, unless `NO_PROXY` lists the host; `variable` reads an
    /// environment variable.
    ///
    /// # Errors
    /// The variable is no URL of a proxy.
    pub(crate) fn of_environment(
        target: &Target,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Proxy>, Verdict> {
        let either = |lower: &str| {
            variable(lower)
                .or_else(|| variable(&lower.to_ascii_uppercase()))
                .filter(|v| !v.is_empty())
        };
        let is_loopback = target.host == "localhost"
            || target.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let excluded = either("no_proxy").unwrap_or_default();
        if !target.is_tls || is_loopback || is_excluded(&target.host, &excluded) {
            return Ok(None);
        }
        let Some(proxy) = either("https_proxy") else { return Ok(None) };
        proxy.parse().map(Some).map_err(|error| {
            Verdict::new(
                format!("HTTPS_PROXY is not a proxy: {error}."),
                "Correct the variable, or unset it.",
            )
        })
    }

    /// Opens a tunnel to the target. Returns a description of the response.
    ///
    /// # Errors
    /// Why the proxy does not open it.
    pub(crate) fn open_tunnel(
        &self,
        stream: &mut CheckStream,
        options: &ConnectionOptions,
    ) -> Result<String, Verdict> {
        let place = place(&options.target);
        let authorization = self
            .authorization
            .as_ref()
            .map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
        let request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{authorization}\r\n");
        let _ = stream.write_all(request.as_bytes());
        let response =
            read_response(stream, &mut Vec::new(), options).map_err(|failure| match failure {
                UpgradeFailure::Answered(finding) => Verdict::new(
                    format!("The proxy does not answer in HTTP/1.1: {}.", finding.detail),
                    "Correct the address of the proxy; it has to speak plain HTTP to this client.",
                ),
                UpgradeFailure::Silent(_) => Verdict::new(
                    format!("The proxy does not answer to CONNECT {place}."),
                    "Look whether it is a forward proxy, and whether it reaches that server.",
                ),
            })?;
        let title = response.title();
        match response.status {
            200..=299 => Ok(title),
            407 => Err(Verdict::new(
                format!("The proxy wants other credentials ({title})."),
                "Give them: --proxy http://USER:PASSWORD@HOST:PORT.",
            )),
            502..=504 => Err(Verdict::new(
                format!("The proxy does not reach {} ({title}).", shortened(&place)),
                "Look whether it resolves this name, and whether a firewall is behind it.",
            )),
            _ => Err(Verdict::new(
                format!("The proxy does not open a tunnel to {} ({title}).", shortened(&place)),
                "Allow CONNECT to this host and port there (Squid: acl SSL_ports, http_access), or go \
                 past it (NO_PROXY).",
            )),
        }
    }
}

/// The host and the port to connect to.
fn place(target: &Target) -> String {
    let Target { host, port, .. } = target;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a list such as `localhost,.example.com` names the host or a domain of it.
fn is_excluded(host: &str, list: &str) -> bool {
    list.split(',').map(|entry| entry.trim().trim_start_matches('.')).any(|entry| {
        let is_domain = host.len() > entry.len()
            && host.to_ascii_lowercase().ends_with(&format!(".{}", entry.to_ascii_lowercase()));
        entry == "*" || !entry.is_empty() && (host.eq_ignore_ascii_case(entry) || is_domain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_urls_of_plain_http() {
        let proxy: Proxy = "http://ann:b@p.example:3128".parse().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("p.example", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic YW5uOmI="));
        assert_eq!("127.0.0.1:1".parse::<Proxy>().unwrap().port, 1);
        for text in ["socks5://h:1", "https://h:1", "http://h:x"] {
            assert!(text.parse::<Proxy>().unwrap_err().starts_with("expected http://"), "{text}");
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn the_environment_names_the_proxy_for_wss() {
        let chosen = |url: &str, variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
                Some((*value).to_owned())
            };
            Proxy::of_environment(&url.parse().unwrap(), variable)
                .map(|proxy| proxy.map(|p| p.host))
        };
        let proxy = ("HTTPS_PROXY", "http://p:1");
        let expected = Ok(Some("p".to_owned()));
        assert_eq!(chosen("wss://a.example/", &[proxy]), expected);
        assert_eq!(chosen("wss://a.example/", &[proxy, ("NO_PROXY", "b.example, x")]), expected);
        assert_eq!(chosen("wss://ab.example/", &[proxy, ("NO_PROXY", "b.example")]), expected);
        for excluded in ["a.example", ".example", "EXAMPLE", "x, *"] {
            assert_eq!(chosen("wss://a.example/", &[proxy, ("NO_PROXY", excluded)]), Ok(None));
        }
        for url in ["ws://a.example/", "wss://localhost/", "wss://127.0.0.1/", "wss://[::1]/"] {
            assert_eq!(chosen(url, &[proxy]), Ok(None), "{url}");
        }
        assert_eq!(chosen("wss://a.example/", &[("https_proxy", "")]), Ok(None));
        assert!(chosen("wss://a.example/", &[("https_proxy", "socks://x")]).is_err());
    }
}

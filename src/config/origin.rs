//! The origins of web pages (RFC 6454), as browsers send them and as `--allow-origin` names them.
//!
//! **Invariant:** The text form of an origin is the one that browsers send, and names it again if it is
//! parsed.

use std::fmt;
use std::str::FromStr;

use super::host_name::host_and_port;

/// An origin whose pages may connect: `https://example.com`, `null`, or `*` for all.
///
/// ```
/// use wsecho::AllowedOrigin;
///
/// let origin: AllowedOrigin = "HTTPS://Example.com:443/".parse()?;
/// assert_eq!(origin.to_string(), "https://example.com");
/// // Browsers send neither of these.
/// assert!("example.com".parse::<AllowedOrigin>().is_err());
/// assert!("https://example.com/app".parse::<AllowedOrigin>().is_err());
/// # Ok::<(), wsecho::AllowedOriginError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Any,
    Null,
    Page(PageOrigin),
}

/// Why a text is not an [`AllowedOrigin`], in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOriginError(&'static str);

/// An origin that is not `null`. Letter case, a default port and a slash at the end do not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageOrigin {
    pub(crate) scheme: String,
    /// An IPv6 address has no brackets; empty for `file://`.
    pub(crate) host: String,
    /// `None` for the default port of the scheme.
    pub(crate) port: Option<u16>,
}

impl AllowedOrigin {
    /// All origins.
    pub const ANY: AllowedOrigin = AllowedOrigin(Kind::Any);

    pub(crate) fn is_any(&self) -> bool {
        self.0 == Kind::Any
    }

    pub(crate) fn is_null(&self) -> bool {
        self.0 == Kind::Null
    }

    pub(crate) fn is_page(&self, page: &PageOrigin) -> bool {
        matches!(&self.0, Kind::Page(allowed) if allowed == page)
    }
}

impl PageOrigin {
    /// Parses `scheme://host:port`, with or without port. One slash at the end, which some clients send
    /// (`file:///`), is ignored. `None` if the text is anything else, which no browser sends.
    pub(crate) fn parse(text: &str) -> Option<PageOrigin> {
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = host_and_port(authority.strip_suffix('/').unwrap_or(authority))?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let origin = PageOrigin {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| Some(*port) != default_port(&scheme.to_ascii_lowercase())),
        };
        let has_host = !host.is_empty() || !origin.is_from_server() && port.is_none();
        (is_scheme && has_host).then_some(origin)
    }

    /// Whether the page comes from a server, and not from a file, an extension or an app.
    pub(crate) fn is_from_server(&self) -> bool {
        default_port(&self.scheme).is_some()
    }

    /// The port of the server; `None` if the page does not come from one.
    pub(crate) fn server_port(&self) -> Option<u16> {
        self.port.or_else(|| default_port(&self.scheme))
    }
}

/// The default port of a scheme in lower case; `None` for those that do not name a server.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

impl FromStr for AllowedOrigin {
    type Err = AllowedOriginError;

    fn from_str(text: &str) -> Result<AllowedOrigin, AllowedOriginError> {
        if text == "*" {
            return Ok(AllowedOrigin::ANY);
        }
        if text.eq_ignore_ascii_case("null") {
            return Ok(AllowedOrigin(Kind::Null));
        }
        let page = PageOrigin::parse(text).map(|page| AllowedOrigin(Kind::Page(page)));
        page.ok_or_else(|| AllowedOriginError(why_not(text)))
    }
}

/// Why no browser sends this text as an origin.
fn why_not(text: &str) -> &'static str {
    let Some((_, authority)) = text.split_once("://") else {
        return "an origin begins with its scheme: https://example.com (or null; or * for all)";
    };
    if text.contains('*') {
        return "there are no wildcards in an origin; repeat the option for each, or write * for all";
    }
    if authority.trim_end_matches('/').contains(['/', '?', '#']) {
        return "an origin ends after host and port: https://example.com";
    }
    if !authority.is_ascii() {
        return "browsers send a host in Punycode (xn--…); write it so";
    }
    "an origin is a scheme, a host and maybe a port: https://example.com, http://localhost:3000"
}

impl fmt::Display for PageOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PageOrigin { scheme, host, port } = self;
        write!(f, "{scheme}://")?;
        if host.contains(':') { write!(f, "[{host}]") } else { f.write_str(host) }?;
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Any => f.write_str("*"),
            Kind::Null => f.write_str("null"),
            Kind::Page(page) => page.fmt(f),
        }
    }
}

impl fmt::Display for AllowedOriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for AllowedOriginError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_parsed_into_the_form_of_browsers() {
        for (text, expected) in [
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.COM:443/", "https://example.com"),
            ("http://a:080", "http://a"),
            ("https://a:80", "https://a:80"),
            ("ws://a:80", "ws://a"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("file://", "file://"),
            ("file:///", "file://"),
            ("file://server", "file://server"),
            ("moz-extension://7a1b-4c/", "moz-extension://7a1b-4c"),
            ("app://.", "app://."),
            ("null", "null"),
            ("*", "*"),
        ] {
            let origin: AllowedOrigin = text.parse().unwrap();
            assert_eq!(origin.to_string(), expected);
            assert_eq!(expected.parse(), Ok(origin), "{expected}");
        }
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_an_error_that_says_why() {
        for (text, why) in [
            ("example.com", "scheme"),
            ("localhost:3000", "scheme"),
            ("", "scheme"),
            ("https://x/app", "ends after"),
            ("https://x//", "a scheme, a host"),
            ("https://x?a", "ends after"),
            ("https://*.example.com", "wildcards"),
            ("*://example.com", "wildcards"),
            ("https://b\u{fc}cher.example", "Punycode"),
            ("http://", "a scheme, a host"),
            ("http://:80", "a scheme, a host"),
            ("x://:80", "a scheme, a host"),
            ("://a", "a scheme, a host"),
            ("1://a", "a scheme, a host"),
            ("http://a@b", "a scheme, a host"),
            ("http://a:b", "a scheme, a host"),
            ("http://[::1", "a scheme, a host"),
        ] {
            let error = text.parse::<AllowedOrigin>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}

//! The origin check: which web pages may open a WebSocket here (RFC 6455, section 10.2).
//!
//! Browsers send `Origin` and do not let a page forge it. Without this check, any page on the web
//! could talk to a server on its visitor's own machine (cross-site WebSocket hijacking). It does
//! not protect from other programs, which can send any `Origin`.
//!
//! Allowed are: no `Origin` at all, or one without a scheme (not a browser); the server's own pages
//! (same host and port; the scheme is ignored, so that TLS may end at a proxy); loopback origins, if
//! the connection came in on a loopback address; and the origins given by `--allow-origin`.

use super::head::Head;
use super::host;
use crate::config::{AllowedOrigin, PageOrigin, host_and_port};

/// What a request says about the page that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No field, or a host without a scheme: a program (Tsung sends `127.0.0.1`, Tyrus `host:port`).
    Program,
    /// `null`: a page without an origin of its own.
    Null,
    Page(PageOrigin),
    /// Nothing that a browser sends; it may hide another host (`http://localhost:80@evil.example`).
    Malformed,
}

impl Origin {
    /// The origin of the page that sent this handshake.
    pub(crate) fn of(head: &Head) -> Origin {
        let mut values = head.fields.all("Origin");
        match (values.next(), values.next()) {
            (None, _) => Origin::Program,
            (Some(value), None) => Origin::parse(value),
            (Some(_), Some(_)) => Origin::Malformed,
        }
    }

    pub(crate) fn parse(value: &str) -> Origin {
        if value.eq_ignore_ascii_case("null") {
            return Origin::Null;
        }
        if let Some(page) = PageOrigin::parse(value) {
            return Origin::Page(page);
        }
        let is_host = host_and_port(value).is_some_and(|(host, _)| !host.is_empty());
        if is_host { Origin::Program } else { Origin::Malformed }
    }

    /// Whether a page of this origin may connect to the server of `host`, the value of `Host`. `local`:
    /// the connection came in on a loopback address; `allowed`: the values of `--allow-origin`.
    pub(crate) fn is_allowed(&self, host: &str, local: bool, allowed: &[AllowedOrigin]) -> bool {
        allowed.iter().any(AllowedOrigin::is_any)
            || match self {
                Origin::Program => true,
                Origin::Null => allowed.iter().any(AllowedOrigin::is_null),
                Origin::Page(page) => {
                    is_of(page, host)
                        || local && host::is_loopback_name(&page.host)
                        || allowed.iter().any(|allowed| allowed.is_page(page))
                }
                Origin::Malformed => false,
            }
    }
}

/// Whether a page comes from the server that `host` names. A `Host` without a port means the default port
/// of the page's scheme, because the scheme of the request is not known behind a proxy.
pub(crate) fn is_of(page: &PageOrigin, host: &str) -> bool {
    let (Some((name, port)), Some(page_port)) = (host_and_port(host), page.server_port()) else {
        return false;
    };
    let default = PageOrigin { port: None, ..page.clone() }.server_port();
    page.host.eq_ignore_ascii_case(name) && Some(page_port) == port.or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str, host: &str, local: bool, allowed: &[&str]) -> bool {
        let allowed: Vec<_> = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        Origin::parse(origin).is_allowed(host, local, &allowed)
    }

    #[test]
    fn programs_are_allowed() {
        assert!(Origin::Program.is_allowed("example.com", false, &[]));
        for origin in ["127.0.0.1", "h:8080", "other.example", "[::1]:80"] {
            assert!(check(origin, "example.com", false, &[]), "{origin}");
        }
    }

    #[test]
    fn same_origin_pages_are_allowed() {
        for (origin, host) in [
            ("http://example.com", "example.com"),
            ("http://example.com/", "example.com"),
            ("http://example.com", "EXAMPLE.com:80"),
            ("https://example.com", "example.com"),
            ("https://example.com", "example.com:443"),
            ("https://example.com:8443", "example.com:8443"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(check(origin, host, false, &[]), "{origin} {host}");
        }
    }

    #[test]
    fn other_origins_are_refused() {
        for (origin, host) in [
            ("http://evil.example", "example.com"),
            ("http://example.com:81", "example.com"),
            ("http://example.com", "example.com:443"),
            ("http://example.com.evil.example", "example.com"),
            ("http://localhost.evil.example", "127.0.0.1:8080"),
            ("http://127.0.0.1.evil.example", "127.0.0.1:8080"),
            ("http://notlocalhost", "127.0.0.1:8080"),
            ("chrome-extension://abc", "abc"),
            ("file://", ""),
            ("null", "example.com"),
            ("NULL", "null"),
        ] {
            assert!(!check(origin, host, true, &[]), "{origin} {host}");
        }
    }

    #[test]
    fn origins_that_no_browser_sends_are_malformed() {
        for origin in [
            "",
            "http://",
            "x://:1",
            "http://localhost:80@evil.example",
            "http://localhost@evil.example",
            "http://[::1].evil.example",
            "http://[::1",
            "http://localhost#.evil.example",
            "http://localhost/evil.example",
            "http://localhost%00.evil.example",
            "http://localhost, http://evil.example",
            "http://evil.example http://localhost",
            "http://127.0.0.1:80.",
            "localhost/",
            "null, null",
            ":80",
        ] {
            assert_eq!(Origin::parse(origin), Origin::Malformed, "{origin}");
            assert!(!check(origin, "localhost", true, &[]), "{origin}");
        }
    }

    #[test]
    fn loopback_origins_are_allowed_on_loopback_connections_only() {
        for origin in [
            "http://localhost:3000",
            "http://localhost.:3000",
            "http://app.localhost:5173",
            "http://127.0.0.1",
            "http://127.1.2.3:1",
            "http://[::1]:3",
            "http://[::ffff:127.0.0.1]",
            "capacitor://localhost",
        ] {
            assert!(check(origin, "127.0.0.1:8080", true, &[]), "{origin}");
            assert!(!check(origin, "192.0.2.1:8080", false, &[]), "{origin}");
        }
    }

    #[test]
    fn listed_origins_are_allowed() {
        assert!(check("null", "h", false, &["null"]));
        assert!(check("http://a.example", "h", false, &["https://b.example", "http://A.example/"]));
        assert!(check("file:///", "h", false, &["file://"]));
        assert!(check("any://thing@else", "h", false, &["*"]));
        assert!(!check("http://a.example:1", "h", false, &["http://a.example"]));
        assert!(!check("null", "h", false, &["http://a.example"]));
    }
}

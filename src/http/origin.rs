//! The origin check: which web pages may open a WebSocket here (RFC 6455, section 10.2).
//!
//! Browsers send `Origin` and do not let a page forge it. Without this check, any page on the web
//! could talk to a server on its visitor's own machine (cross-site WebSocket hijacking). It does
//! not protect from other programs, which can send any `Origin`.
//!
//! Allowed are: no `Origin` at all (not a browser); the server's own pages (same host and port; the
//! scheme is ignored, so that TLS may end at a proxy); loopback origins, if the connection came in
//! on a loopback address; and the origins given by `--allow-origin`.

/// Whether a page of this origin may connect. `local`: the connection came in on a loopback
/// address; `allowed`: the values of `--allow-origin`.
pub(crate) fn allows(origin: Option<&str>, host: &str, local: bool, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    let listed =
        |allow: &String| allow == "*" || allow.trim_end_matches('/').eq_ignore_ascii_case(origin);
    if allowed.iter().any(listed) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let same = |default_port| {
        without_port(authority, default_port).eq_ignore_ascii_case(without_port(host, default_port))
    };
    let same = match scheme {
        "https" | "wss" => same(":443"),
        _ => same(":80"),
    };
    same || local && is_loopback(authority)
}

fn without_port<'a>(authority: &'a str, default_port: &str) -> &'a str {
    authority.strip_suffix(default_port).unwrap_or(authority)
}

/// The host of an authority, without port; an IPv6 address without its brackets.
pub(crate) fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether the host of `authority` is `localhost` or a loopback address.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host(authority);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: &str, host: &str, local: bool, allowed: &[&str]) -> bool {
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        allows(Some(origin), host, local, &allowed)
    }

    #[test]
    fn requests_without_an_origin_are_allowed() {
        assert!(allows(None, "example.com", false, &[]));
    }

    #[test]
    fn same_origin_pages_are_allowed() {
        for (origin, host) in [
            ("http://example.com", "example.com"),
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
            ("http://example.com.evil.example", "example.com"),
            ("http://localhost.evil.example", "127.0.0.1:8080"),
            ("http://127.0.0.1.evil.example", "127.0.0.1:8080"),
            ("null", "example.com"),
            ("", "example.com"),
        ] {
            assert!(!check(origin, host, true, &[]), "{origin} {host}");
        }
    }

    #[test]
    fn loopback_origins_are_allowed_on_loopback_connections_only() {
        for origin in
            ["http://localhost:3000", "http://127.0.0.1", "http://127.1.2.3:1", "http://[::1]:3"]
        {
            assert!(check(origin, "127.0.0.1:8080", true, &[]), "{origin}");
            assert!(!check(origin, "192.0.2.1:8080", false, &[]), "{origin}");
        }
    }

    #[test]
    fn listed_origins_are_allowed() {
        assert!(check("null", "h", false, &["null"]));
        assert!(check("http://a.example", "h", false, &["https://b.example", "http://A.example/"]));
        assert!(check("anything", "h", false, &["*"]));
        assert!(!check("http://a.example:1", "h", false, &["http://a.example"]));
    }
}

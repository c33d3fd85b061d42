//! The forms in which other servers take an address: `8080`, `:8080`, `--host` and `--port`.

use std::borrow::Cow;
use std::net::IpAddr;

use super::addresses::Addresses;
use crate::config::{DEFAULT_PORT, Listen, ListenError};

/// Completes an address: a port is one of localhost, and an IP address has the default port.
pub(super) fn completed(text: &str) -> Cow<'_, str> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("localhost:{port}").into();
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return with_port(ip, DEFAULT_PORT).into();
    }
    match text.strip_prefix("*:") {
        Some(port) => format!("0.0.0.0:{port}").into(),
        None if text == "localhost" => format!("localhost:{DEFAULT_PORT}").into(),
        None => text.into(),
    }
}

fn with_port(ip: IpAddr, port: u16) -> String {
    std::net::SocketAddr::from((ip, port)).to_string()
}

/// Parses an address in place of a subcommand.
pub(super) fn positional(text: &str) -> Result<Addresses, String> {
    text.parse().map_err(|error: ListenError| {
        if text.contains([':', '.']) {
            error.to_string()
        } else {
            "neither an address, such as 8080 or 0.0.0.0:8080, nor the subcommand check".to_owned()
        }
    })
}

/// Replaces the host of the addresses by that of `--host`, and their port by that of `--port`.
///
/// # Errors
/// The host is none that can be listened on.
pub(super) fn moved(
    addresses: Vec<Listen>,
    host: Option<&str>,
    port: Option<u16>,
) -> Result<Vec<Listen>, String> {
    let Some(host) = host else {
        let Some(port) = port else { return Ok(addresses) };
        return Ok(addresses.into_iter().map(|address| at_port(address, port)).collect());
    };
    let first = addresses.iter().find_map(|address| match address {
        Listen::Tcp(address) => Some(address.port()),
        Listen::Unix { .. } => None,
    });
    let port = port.or(first).unwrap_or(DEFAULT_PORT);
    let address = match (host, host.trim_matches(['[', ']']).parse()) {
        (_, Ok(ip)) => with_port(ip, port),
        ("*", _) => format!("0.0.0.0:{port}"),
        ("localhost", _) => format!("localhost:{port}"),
        _ => {
            return Err(format!(
                "--host {host}: it takes an IP address of this machine, 0.0.0.0 for all of them, or localhost"
            ));
        }
    };
    let Addresses(all) = address.parse().map_err(|error: ListenError| error.to_string())?;
    Ok(all)
}

fn at_port(address: Listen, port: u16) -> Listen {
    match address {
        Listen::Tcp(address) => (address.ip(), port).into(),
        unix @ Listen::Unix { .. } => unix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_addresses_are_completed() {
        for (text, expected) in [
            ("8080", "localhost:8080"),
            (":8080", "localhost:8080"),
            ("localhost", "localhost:8080"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("::1", "[::1]:8080"),
            ("*:80", "0.0.0.0:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("example.com:80", "example.com:80"),
            ("unix:/a", "unix:/a"),
            ("", ""),
        ] {
            assert_eq!(completed(text), expected, "{text}");
        }
    }

    #[test]
    fn host_and_port_replace_those_of_the_addresses() {
        let listen = |texts: &[&str]| -> Vec<Listen> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (host, port, expected) in [
            (None, None, &["127.0.0.1:8080", "unix:/a"][..]),
            (None, Some(1), &["127.0.0.1:1", "unix:/a"]),
            (Some("0.0.0.0"), None, &["0.0.0.0:8080"]),
            (Some("*"), Some(1), &["0.0.0.0:1"]),
            (Some("[::]"), Some(1), &["[::]:1"]),
        ] {
            let moved = moved(listen(&["127.0.0.1:8080", "unix:/a"]), host, port);
            assert_eq!(moved, Ok(listen(expected)), "{host:?} {port:?}");
        }
        assert!(moved(vec![], Some("example.com"), None).unwrap_err().contains("IP address"));
    }

    #[test]
    fn a_word_is_neither_address_nor_subcommand() {
        assert!(positional("8080").is_ok());
        assert!(positional("serve").unwrap_err().contains("nor the subcommand check"));
        assert!(positional("example.com:80").unwrap_err().contains("an IP address and a port"));
    }
}

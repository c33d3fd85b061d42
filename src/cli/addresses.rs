//! Where the server listens, from `--listen` and `PORT`.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::str::FromStr;

use super::shorthand::completed;
use crate::config::{Config, Listen, ListenError};

/// Returns the addresses of `--listen`, else that of PORT, else the library's default.
pub(super) fn listen_addresses(
    listen: Vec<Addresses>,
    port: Option<&str>,
) -> Result<Vec<Listen>, String> {
    match port.filter(|port| !port.is_empty()) {
        _ if !listen.is_empty() => Ok(listen.into_iter().flat_map(|Addresses(all)| all).collect()),
        Some(port) => {
            let port = port.parse().map_err(|_| {
                format!("PORT={port:?} is not a port number; set --listen, or unset PORT")
            })?;
            Ok(vec![Listen::from((Ipv4Addr::UNSPECIFIED, port))])
        }
        None => Ok(Config::default().listen),
    }
}

/// The addresses of one `--listen` option. A comma precedes the next address, or the mode of a
/// path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses(pub(super) Vec<Listen>);

impl FromStr for Addresses {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Addresses, ListenError> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match parts.last_mut() {
                Some(path) if part.starts_with("mode=") => path.extend([",", part]),
                _ => parts.push(part.to_owned()),
            }
        }
        let mut all = Vec::new();
        for part in &parts {
            let part = completed(part);
            match part.parse()? {
                Listen::Tcp(at) if part.starts_with("localhost:") => {
                    all.extend(localhost(at.port()));
                }
                address => all.push(address),
            }
        }
        Ok(Addresses(all))
    }
}

/// Returns the addresses of `localhost`: the IPv4 one, and the IPv6 one on the same port if this machine has
/// it. Port 0 becomes a port that is free on both now.
fn localhost(port: u16) -> Vec<Listen> {
    let both = |port| vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    match (has_ipv6, port) {
        (true, 0) => free_port().map(both),
        (true, port) => Some(both(port)),
        (false, _) => None,
    }
    .unwrap_or_else(|| vec![(Ipv4Addr::LOCALHOST, port).into()])
}

/// A port that is free on both addresses. The system chooses from thousands, so that a few attempts suffice,
/// and hardly another process gets the same one before it is bound.
fn free_port() -> Option<u16> {
    const ATTEMPTS: usize = 16;
    (0..ATTEMPTS).find_map(|_| {
        let ipv4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let port = ipv4.local_addr().ok()?.port();
        TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok().map(|_| port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_precedes_port_and_port_the_default() {
        let address = |text: &str| text.parse::<Listen>().unwrap();
        let default = vec![address("127.0.0.1:8080")];
        assert_eq!(listen_addresses(vec![], None), Ok(default.clone()));
        assert_eq!(listen_addresses(vec![], Some("")), Ok(default), "an empty PORT is ignored");
        assert_eq!(listen_addresses(vec![], Some("80")), Ok(vec![address("0.0.0.0:80")]));
        assert!(listen_addresses(vec![], Some("65536")).is_err());
        let given = ["127.0.0.1:0,unix:/a,mode=0660,[::1]:2", "unix:/b"];
        let given = given.map(|text| text.parse().unwrap()).to_vec();
        let expected = ["127.0.0.1:0", "unix:/a,mode=0660", "[::1]:2", "unix:/b"].map(address);
        assert_eq!(listen_addresses(given, Some("80")), Ok(expected.to_vec()));
    }
}

//! Where the server listens, from `--listen` and `PORT`.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::str::FromStr;

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
pub(super) struct Addresses(Vec<Listen>);

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
            let address = part.parse()?;
            let is_localhost = part.starts_with("localhost:");
            all.push(address);
            all.extend(all.last().filter(|_| is_localhost).and_then(ipv6_localhost));
        }
        Ok(Addresses(all))
    }
}

/// Returns the other address of `localhost`, on the same port; `None` if this machine does not have it, or
/// any port will do.
fn ipv6_localhost(ipv4: &Listen) -> Option<Listen> {
    let Listen::Tcp(ipv4) = ipv4 else { return None };
    let exists = || TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    (ipv4.port() != 0 && exists()).then(|| (Ipv6Addr::LOCALHOST, ipv4.port()).into())
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
        let given = ["localhost:0,unix:/a,mode=0660,[::1]:2", "unix:/b"];
        let given = given.map(|text| text.parse().unwrap()).to_vec();
        let expected = ["127.0.0.1:0", "unix:/a,mode=0660", "[::1]:2", "unix:/b"].map(address);
        assert_eq!(listen_addresses(given, Some("80")), Ok(expected.to_vec()));
    }
}

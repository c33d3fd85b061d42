//! Determines the client's address behind trusted proxies, from `Forwarded` (RFC 7239) or
//! `X-Forwarded-For`. Each proxy appends the address that connected to it at the right end.
//!
//! **Invariants:** The list is read from right to left, as far as trusted proxies wrote it;
//! everything left of the chosen address is ignored, even if malformed. `Forwarded` and
//! `X-Forwarded-For` are never combined.

pub(crate) mod parse;

use std::fmt;

use serde::{Serialize, Serializer};

use self::parse::{ForwardedField, Remark};
use crate::config::Network;
use crate::http::head::Head;
use crate::net::address::{Address, Host};

/// The sender of a request. Its `Display` is the form of the log: `203.0.113.9 via 127.0.0.1:5000`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Client {
    /// The other end of the connection. Not serialized, as `/info` has it in a field of its own.
    #[serde(skip)]
    pub(crate) peer: Address,
    /// The client's address: the peer's own, or the one that a trusted proxy forwarded.
    pub(crate) address: Host,
    /// The client's port, if known.
    pub(crate) port: Option<u16>,
    /// The source of the address.
    pub(crate) source: Source,
    /// Why forwarded addresses in the request were ignored.
    pub(crate) remarks: Vec<Remark>,
}

/// The source of a client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Connection,
    ForwardedField(ForwardedField),
}

impl Client {
    /// The client of a connection without a proxy: the peer itself.
    pub(crate) fn of_connection(peer: Address) -> Client {
        Client {
            peer,
            address: peer.host(),
            port: peer.port(),
            source: Source::Connection,
            remarks: Vec::new(),
        }
    }

    /// Walks the elements of `field` from the last to the first, as long as the address that
    /// appended the element is a trusted proxy.
    fn follow(mut self, field: ForwardedField, head: &Head, trusted: &[Network]) -> Client {
        for node in field.nodes(head.fields.all(field.name())) {
            if !trusts(trusted, self.address) {
                break;
            }
            match node {
                Ok((address, port)) => {
                    (self.address, self.port) = (Host::Ip(address.to_canonical()), port);
                    self.source = Source::ForwardedField(field);
                }
                Err(remark) => {
                    self.remarks.push(remark);
                    break;
                }
            }
        }
        self
    }
}

/// Whether `host` is a trusted proxy.
pub(crate) fn trusts(trusted: &[Network], host: Host) -> bool {
    trusted.iter().any(|network| match host {
        Host::Ip(ip) => network.contains(ip),
        Host::Unix => *network == Network::UNIX,
    })
}

/// Whether the request has a field that names a proxy's client. A script cannot add one to a handshake.
pub(crate) fn is_forwarded(head: &Head) -> bool {
    [ForwardedField::Forwarded, ForwardedField::XForwardedFor].iter().any(|field| has(head, *field))
}

fn has(head: &Head, field: ForwardedField) -> bool {
    head.fields.all(field.name()).any(|line| !line.is_empty())
}

/// Determines the client that sent the request `head` over a connection from `peer`.
pub(crate) fn resolve(peer: Address, trusted: &[Network], head: &Head) -> Client {
    let mut client = Client::of_connection(peer);
    let (forwarded, x_forwarded_for) =
        (has(head, ForwardedField::Forwarded), has(head, ForwardedField::XForwardedFor));
    if !trusts(trusted, client.address) {
        client.remarks.extend((forwarded || x_forwarded_for).then_some(Remark::NotTrusted));
        return client;
    }
    if !forwarded && !x_forwarded_for {
        client.remarks.push(Remark::Nothing);
    }
    if forwarded && x_forwarded_for {
        client.remarks.push(Remark::Both);
    }
    let field = if forwarded { ForwardedField::Forwarded } else { ForwardedField::XForwardedFor };
    client.follow(field, head, trusted)
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            Source::Connection => self.peer.fmt(f),
            Source::ForwardedField(_) => write!(f, "{} via {}", self.address, self.peer),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Connection => "the connection itself",
            Source::ForwardedField(field) => field.name(),
        })
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::head::parse;

    const TRUSTED: [&str; 2] = ["127.0.0.0/8", "2001:db8:99::/48"];

    fn resolved(peer: &str, fields: &str) -> Client {
        let head = format!("GET / HTTP/1.1\n{fields}\n\n").replace('\n', "\r\n");
        let head = parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0;
        let trusted = TRUSTED.map(|network| network.parse().unwrap());
        let peer = peer.parse().map_or(Address::Unix, Address::Ip);
        resolve(peer, &trusted, &head)
    }

    /// Address, port and remarks of a client behind a proxy on this machine.
    fn forwarded(fields: &str) -> (String, Option<u16>, Vec<String>) {
        let client = resolved("127.0.0.1:5000", fields);
        let remarks = client.remarks.iter().map(|remark| format!("{remark:?}")).collect();
        (client.address.to_string(), client.port, remarks)
    }

    #[test]
    fn address_and_port_are_read_from_one_element() {
        for (fields, address, port) in [
            ("X-Forwarded-For: 203.0.113.9", "203.0.113.9", None),
            ("x-forwarded-for: 203.0.113.9:4711", "203.0.113.9", Some(4711)),
            ("X-Forwarded-For: 2001:db8::1", "2001:db8::1", None),
            ("X-Forwarded-For: [2001:db8::1]", "2001:db8::1", None),
            ("X-Forwarded-For: [2001:db8::1]:4711", "2001:db8::1", Some(4711)),
            ("X-Forwarded-For: ::ffff:203.0.113.9", "203.0.113.9", None),
            ("X-Forwarded-For: ,, 203.0.113.9 ,", "203.0.113.9", None),
            ("Forwarded: for=203.0.113.9", "203.0.113.9", None),
            ("forwarded: FOR=203.0.113.9", "203.0.113.9", None),
            ("Forwarded: for=\"203.0.113.9:4711\"", "203.0.113.9", Some(4711)),
            ("Forwarded: for=\"203.0.113.9:_port\"", "203.0.113.9", None),
            ("Forwarded: for=\"[2001:db8::1]\"", "2001:db8::1", None),
            ("Forwarded: For=\"[2001:DB8::1]:4711\"", "2001:db8::1", Some(4711)),
            ("Forwarded: for=\"[2001:db8\\::1]:47\\11\"", "2001:db8::1", Some(4711)),
            ("Forwarded: for=\"[::ffff:203.0.113.9]\"", "203.0.113.9", None),
            ("Forwarded: proto=https;for=203.0.113.9;by=_p", "203.0.113.9", None),
            ("Forwarded: ; For=203.0.113.9 ; host=\"a;for=1.1.1.1,b\"", "203.0.113.9", None),
            ("Forwarded: for=203.0.113.9;x=\"\\\",for=1.1.1.1\\\\\"", "203.0.113.9", None),
            ("Forwarded: for=203.0.113.9;host=h:80", "203.0.113.9", None),
        ] {
            assert_eq!(forwarded(fields), (address.to_owned(), port, vec![]), "{fields}");
        }
    }

    #[test]
    fn trusted_proxies_are_skipped_from_right_to_left() {
        for (fields, address) in [
            ("X-Forwarded-For: 1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("X-Forwarded-For: 1.1.1.1, 203.0.113.9, 127.0.0.2", "203.0.113.9"),
            ("X-Forwarded-For: 203.0.113.9, 2001:db8:99::5, ::ffff:127.0.0.2", "203.0.113.9"),
            ("X-Forwarded-For: 127.0.0.3, 127.0.0.2", "127.0.0.3"),
            ("X-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 203.0.113.9", "203.0.113.9"),
            ("X-Forwarded-For: 203.0.113.9\nA: b\nX-Forwarded-For: 127.0.0.2", "203.0.113.9"),
            ("Forwarded: for=1.1.1.1,for=203.0.113.9", "203.0.113.9"),
            ("Forwarded: for=203.0.113.9 , by=b;for=127.0.0.2", "203.0.113.9"),
            ("Forwarded: for=203.0.113.9\nForwarded: for=\"[2001:db8:99::5]:1\"", "203.0.113.9"),
            // Anything left of the client's address is ignored.
            ("X-Forwarded-For: unknown, ], 203.0.113.9", "203.0.113.9"),
            ("Forwarded: for=\", for=203.0.113.9", "203.0.113.9"),
            ("Forwarded: for=\"x, for=\"203.0.113.9:80\"", "203.0.113.9"),
            ("Forwarded: for=\"x\\, for=\"203.0.113.9\"", "203.0.113.9"),
            ("Forwarded: for=\"\nForwarded: for=203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(forwarded(fields).0, address, "{fields}");
            assert_eq!(forwarded(fields).2, [""; 0], "{fields}");
        }
    }

    #[test]
    fn unusable_forwarded_entry_stops_at_the_last_trusted_proxy() {
        for (fields, address, remark) in [
            ("A: b", "127.0.0.1", "Nothing"),
            ("X-Forwarded-For:", "127.0.0.1", "Nothing"),
            ("X-Forwarded-For: unknown", "127.0.0.1", "Unknown"),
            ("X-Forwarded-For: 1.1.1.1, Unknown, 127.0.0.2", "127.0.0.2", "Unknown"),
            ("X-Forwarded-For: 1.1.1.1, x, 127.0.0.2", "127.0.0.2", "Malformed(\"x\")"),
            ("X-Forwarded-For: 1.1.1", "127.0.0.1", "Malformed(\"1.1.1\")"),
            ("X-Forwarded-For: 1.1.1.01", "127.0.0.1", "Malformed(\"1.1.1.01\")"),
            ("X-Forwarded-For: 1.1.1.1:+8", "127.0.0.1", "Malformed(\"1.1.1.1:+8\")"),
            ("X-Forwarded-For: 1.1.1.1:", "127.0.0.1", "Malformed(\"1.1.1.1:\")"),
            ("X-Forwarded-For: 1.1.1.1:65536", "127.0.0.1", "Malformed(\"1.1.1.1:65536\")"),
            ("X-Forwarded-For: [1.1.1.1]", "127.0.0.1", "Malformed(\"[1.1.1.1]\")"),
            ("X-Forwarded-For: [::1]1", "127.0.0.1", "Malformed(\"[::1]1\")"),
            ("X-Forwarded-For: \"1.1.1.1\"", "127.0.0.1", "Malformed(\"\\\"1.1.1.1\\\"\")"),
            ("X-Forwarded-For: for=1.1.1.1", "127.0.0.1", "Malformed(\"for=1.1.1.1\")"),
            ("Forwarded: for=unknown", "127.0.0.1", "Unknown"),
            ("Forwarded: for=\"unknown:80\"", "127.0.0.1", "Unknown"),
            (
                "Forwarded: for=1.1.1.1,for=_hidden,for=127.0.0.2",
                "127.0.0.2",
                "Obfuscated(\"_hidden\")",
            ),
            ("Forwarded: for=\"_SEVKISEK:_1\"", "127.0.0.1", "Obfuscated(\"_SEVKISEK\")"),
            ("Forwarded: for=_", "127.0.0.1", "Malformed(\"_\")"),
            ("Forwarded: for=\"_<b>\"", "127.0.0.1", "Malformed(\"_<b>\")"),
            ("Forwarded: for=1.1.1.1, proto=https", "127.0.0.1", "Unnamed"),
            ("Forwarded: 1.1.1.1", "127.0.0.1", "Malformed(\"1.1.1.1\")"),
            ("Forwarded: for=", "127.0.0.1", "Malformed(\"\")"),
            ("Forwarded: for=2001:db8::1", "127.0.0.1", "Malformed(\"for=2001:db8::1\")"),
            ("Forwarded: for=\"2001:db8::1\"", "127.0.0.1", "Malformed(\"2001:db8::1\")"),
            (
                "Forwarded: for=1.1.1.1;for=2.2.2.2",
                "127.0.0.1",
                "Malformed(\"for=1.1.1.1;for=2.2.2.2\")",
            ),
            ("Forwarded: for=\"1.1.1.1\"x", "127.0.0.1", "Malformed(\"for=\\\"1.1.1.1\\\"x\")"),
            ("Forwarded: for=1.1.1.1\"", "127.0.0.1", "Malformed(\"for=1.1.1.1\\\"\")"),
            ("Forwarded: for= 1.1.1.1", "127.0.0.1", "Malformed(\"for= 1.1.1.1\")"),
        ] {
            let (found, _, remarks) = forwarded(fields);
            assert_eq!(
                (found.as_str(), &remarks[..]),
                (address, &[remark.to_owned()][..]),
                "{fields}"
            );
        }
    }

    #[test]
    fn forwarded_and_x_forwarded_for_are_not_combined() {
        let both = "X-Forwarded-For: 1.1.1.1\nForwarded: ";
        assert_eq!(
            forwarded(&format!("{both}for=203.0.113.9")),
            ("203.0.113.9".to_owned(), None, vec!["Both".to_owned()])
        );
        let (address, port, remarks) = forwarded(&format!("{both}for=unknown"));
        assert_eq!((address.as_str(), port), ("127.0.0.1", Some(5000)));
        assert_eq!(remarks, ["Both", "Unknown"]);
    }

    #[test]
    fn forwarded_fields_of_untrusted_peers_are_ignored() {
        for (peer, address) in [
            ("203.0.113.7:5000", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:5000", "203.0.113.7"),
            ("[2001:db8::7]:5000", "2001:db8::7"),
        ] {
            let without = resolved(peer, "A: b");
            assert_eq!((without.address.to_string().as_str(), without.port), (address, Some(5000)));
            assert_eq!(without.remarks, []);
            for fields in ["X-Forwarded-For: 1.1.1.1", "Forwarded: for=1.1.1.1", "Forwarded: ]"] {
                let with = resolved(peer, fields);
                assert_eq!(with, Client { remarks: vec![Remark::NotTrusted], ..without.clone() });
            }
        }
    }

    #[test]
    fn a_trusted_peer_may_be_an_ipv4_mapped_address() {
        let client = resolved("[::ffff:127.0.0.1]:5000", "X-Forwarded-For: 203.0.113.9");
        assert_eq!(client.to_string(), "203.0.113.9 via [::ffff:127.0.0.1]:5000");
        assert_eq!(resolved("[::ffff:127.0.0.1]:5000", "A: b").address.to_string(), "127.0.0.1");
    }

    #[test]
    fn unix_peers_are_trusted_by_the_network_unix_only() {
        let head = b"GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.0.0.1\r\n\r\n";
        let head = parse(head, &Limits::default()).unwrap().unwrap().0;
        for (trusted, client, port, remarks) in [
            (&["unix", "10.0.0.0/8"][..], "203.0.113.9 via unix", None, 0),
            (&["unix"], "10.0.0.1 via unix", None, 0),
            (&["0.0.0.0/0", "::/0"], "unix", None, 1),
        ] {
            let networks: Vec<_> = trusted.iter().map(|name| name.parse().unwrap()).collect();
            let resolved = resolve(Address::Unix, &networks, &head);
            assert_eq!((resolved.to_string().as_str(), resolved.port), (client, port));
            assert_eq!(resolved.remarks.len(), remarks, "{trusted:?}");
        }
        let over_tcp = resolve(Address::Ip(([10, 0, 0, 2], 1).into()), &[Network::UNIX], &head);
        assert_eq!(over_tcp.to_string(), "10.0.0.2:1");
    }

    #[test]
    fn clients_are_shown_in_log_and_json() {
        let fields = "X-Forwarded-For: 1.1.1.1\nForwarded: for=\"203.0.113.9:4711\"";
        let client = resolved("127.0.0.1:5000", fields);
        assert_eq!(client.to_string(), "203.0.113.9 via 127.0.0.1:5000");
        assert_eq!(
            serde_json::to_value(client).unwrap(),
            serde_json::json!({
                "address": "203.0.113.9", "port": 4711, "source": "Forwarded",
                "remarks": ["X-Forwarded-For is ignored beside Forwarded"],
            })
        );
        let client = resolved("203.0.113.7:5000", fields);
        assert_eq!(client.to_string(), "203.0.113.7:5000");
        assert_eq!(client.source.to_string(), "the connection itself");
    }

    /// Tries 10,000 texts of the parser's special characters, the same ones in each run.
    #[test]
    fn the_last_element_counts_after_any_client_supplied_text() {
        const PIECES: [&str; 20] = [
            "\"",
            "\\",
            ",",
            ";",
            "=",
            ":",
            "[",
            "]",
            " ",
            "_",
            "for",
            "For=",
            "unknown",
            "127.0.0.1",
            "1.1.1.1",
            "::1",
            "80",
            "\u{fffd}",
            "x",
            "for=\"",
        ];
        let trusted = TRUSTED.map(|network| network.parse().unwrap());
        let peer = Address::Ip("127.0.0.1:5000".parse().unwrap());
        let mut head = parse(b"GET / HTTP/1.1\r\n\r\n", &Limits::default()).unwrap().unwrap().0;
        let mut random: u64 = 0x2545_f491_4f6c_dd1d;
        for _ in 0..10_000 {
            let mut text = String::new();
            for _ in 0..random % 12 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(PIECES[(random >> 33) as usize % PIECES.len()]);
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 1;
            for (name, element) in [
                ("Forwarded", "for=203.0.113.9"),
                ("Forwarded", "by=b;for=\"203.0.113.9:1\";x=\"\\\",\""),
                ("X-Forwarded-For", "203.0.113.9"),
            ] {
                head.fields.0 = vec![(name.to_owned(), format!("{text}, {element}"))];
                let appended = resolve(peer, &trusted, &head);
                head.fields.0 =
                    vec![(name.to_owned(), text.clone()), (name.to_owned(), element.to_owned())];
                for client in [appended, resolve(peer, &trusted, &head)] {
                    assert_eq!(client.address.to_string(), "203.0.113.9", "{text}, {element}");
                    assert_eq!(client.remarks, [], "{text}, {element}");
                }
                head.fields.0.pop();
                resolve(peer, &trusted, &head); // does not panic
            }
        }
    }
}

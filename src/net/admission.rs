//! Admission control: a slot for each connection and session, held through a permit.
//!
//! Slots are counted per server and, if `max_connections_per_ip` is set, per address. The caller
//! that gets [`LimitReached`] sends the refusal. While all connection slots are in use, an idle
//! connection loses its slot to the next one; see [`idle`](super::idle).
//!
//! **Invariant:** dropping a permit frees its slot, however the connection ends; but not a slot that the
//! connection has lost.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Instant;

use super::Stream;
use super::address::Host;
use super::idle::{Idle, IdleConnections, IdleKey};
use crate::config::Limits;
use crate::lock::unpoisoned;

/// The slots of one server.
///
/// `freed` is notified whenever a connection or session slot becomes free.
#[derive(Debug)]
pub(crate) struct Admission {
    max_connections: usize,
    max_sessions: usize,
    max_per_ip: Option<usize>,
    counts: Mutex<SlotCounts>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct SlotCounts {
    connections: usize,
    sessions: usize,
    idle: IdleConnections,
    /// By [`client_network`]; stays empty without a limit per address.
    by_ip: HashMap<IpAddr, usize>,
}

/// The limit that left no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// `max_connections` plus the reserve.
    Connections,
    /// `max_connections`.
    Sessions,
    /// `max_connections_per_ip`.
    Address,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitReached::Connections => "all connection slots are in use (--max-connections)",
            LimitReached::Sessions => "all session slots are in use (--max-connections)",
            LimitReached::Address => "this address is at its limit (--max-connections-per-ip)",
        })
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Admission> {
        // `--max-connections` is named after connections, and limits sessions.
        Arc::new(Admission {
            max_connections: limits.max_connections.saturating_add(limits.reserve),
            max_sessions: limits.max_connections,
            max_per_ip: limits.max_connections_per_ip,
            counts: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Slots for connections alone.
    pub(crate) fn without_sessions(max_connections: usize) -> Arc<Admission> {
        Admission::new(&Limits {
            max_connections: 0,
            reserve: max_connections,
            max_connections_per_ip: None,
            ..Limits::default()
        })
    }

    /// Checks whether another connection would get its slot, and then a session slot; takes neither.
    pub(crate) fn has_session_left(&self) -> Result<(), LimitReached> {
        let counts = self.lock();
        if counts.sessions >= self.max_sessions {
            return Err(LimitReached::Sessions);
        }
        let is_full = counts.connections >= self.max_connections;
        if is_full && !counts.idle.has_room(Instant::now()) {
            return Err(LimitReached::Connections);
        }
        Ok(())
    }

    /// Returns the number of open connections.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    /// Returns the largest number of connections at one time.
    pub(crate) fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// Takes a connection slot for `host`. `host` is `None` for a trusted proxy: the limit per
    /// address then applies to each of its clients, see [`ConnectionPermit::client`].
    pub(crate) fn connect(
        self: &Arc<Self>,
        host: Option<Host>,
    ) -> Result<ConnectionPermit, LimitReached> {
        let address = host.map_or(Ok(None), |host| self.address(host))?;
        let mut counts = self.lock();
        if counts.connections < self.max_connections {
            counts.connections += 1;
        } else if !counts.idle.make_room(Instant::now()) {
            drop(counts); // Dropping `address` takes the lock, too.
            return Err(LimitReached::Connections);
        }
        Ok(ConnectionPermit { admission: Arc::clone(self), slot: Slot::Held, _address: address })
    }

    /// Takes one of the slots of `host`. `Ok(None)` if there is no limit per address, or for a Unix
    /// socket: its peers are indistinguishable, and the mode of its path restricts them.
    fn address(self: &Arc<Self>, host: Host) -> Result<Option<AddressPermit>, LimitReached> {
        let (Some(max), Host::Ip(ip)) = (self.max_per_ip, host) else { return Ok(None) };
        let ip = client_network(ip);
        let mut counts = self.lock();
        let of_ip = counts.by_ip.entry(ip).or_default();
        if *of_ip >= max {
            return Err(LimitReached::Address);
        }
        *of_ip += 1;
        Ok(Some(AddressPermit { admission: Arc::clone(self), ip }))
    }

    /// Waits until no session is left, or until `deadline`. Returns the number of sessions left.
    pub(crate) fn wait_for_sessions(&self, deadline: Instant) -> usize {
        self.wait_until_none(deadline, |counts| counts.sessions)
    }

    /// Waits until no connection is left, or until `deadline`. Returns the number of connections
    /// left.
    pub(crate) fn wait_for_connections(&self, deadline: Instant) -> usize {
        self.wait_until_none(deadline, |counts| counts.connections)
    }

    fn wait_until_none(&self, deadline: Instant, count: impl Fn(&SlotCounts) -> usize) -> usize {
        let mut counts = self.lock();
        loop {
            let left = count(&counts);
            let remaining = deadline.saturating_duration_since(Instant::now());
            if left == 0 || remaining.is_zero() {
                return left;
            }
            counts = unpoisoned(self.freed.wait_timeout(counts, remaining)).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotCounts> {
        unpoisoned(self.counts.lock())
    }
}

/// The addresses that count as one: an IPv4 address, or the /64 network of an IPv6 address, as a client
/// can choose among all addresses of its network.
fn client_network(ip: IpAddr) -> IpAddr {
    /// The first 64 of 128 bits.
    const NETWORK: u128 = !0 << 64;
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & NETWORK).into(),
    }
}

/// Holds a connection slot, and the slot of the peer's address if there is one.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<Admission>,
    slot: Slot,
    _address: Option<AddressPermit>,
}

/// The slot of a connection.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Held,
    /// Held until another connection needs it.
    Idle(IdleKey),
    /// Another connection has it.
    Lost,
}

impl ConnectionPermit {
    /// From now on the connection, with this stream, may lose its slot.
    pub(crate) fn set_idle(&mut self, idle: Idle, stream: Weak<Stream>) {
        if matches!(self.slot, Slot::Idle((now, _)) if now == idle) || !self.set_busy() {
            return;
        }
        let key = self.admission.lock().idle.insert(idle, stream, Instant::now());
        self.slot = Slot::Idle(key);
    }

    /// From now on the connection keeps its slot. Returns whether it still has it: a connection without
    /// a slot has to end.
    pub(crate) fn set_busy(&mut self) -> bool {
        if let Slot::Idle(key) = self.slot {
            let is_held = self.admission.lock().idle.remove(key);
            self.slot = if is_held { Slot::Held } else { Slot::Lost };
        }
        matches!(self.slot, Slot::Held)
    }

    /// Whether no other connection has got the slot.
    pub(crate) fn has_slot(&self) -> bool {
        match self.slot {
            Slot::Held => true,
            Slot::Idle(key) => self.admission.lock().idle.contains(key),
            Slot::Lost => false,
        }
    }

    /// Takes an address slot for `host`, a client of the trusted proxy that this connection comes
    /// from. `Ok(None)` if there is no limit per address.
    pub(crate) fn client(&self, host: Host) -> Result<Option<AddressPermit>, LimitReached> {
        self.admission.address(host)
    }

    /// Takes a session slot for this connection.
    pub(crate) fn session(&self) -> Result<SessionPermit, LimitReached> {
        let mut counts = self.admission.lock();
        if counts.sessions >= self.admission.max_sessions {
            return Err(LimitReached::Sessions);
        }
        counts.sessions += 1;
        Ok(SessionPermit(Arc::clone(&self.admission)))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if !self.set_busy() {
            return;
        }
        self.admission.lock().connections -= 1;
        self.admission.freed.notify_all();
    }
}

/// Holds a slot of an address.
#[derive(Debug)]
pub(crate) struct AddressPermit {
    admission: Arc<Admission>,
    ip: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        if let Some(of_ip) = counts.by_ip.get_mut(&self.ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                counts.by_ip.remove(&self.ip);
            }
        }
    }
}

/// Holds a session slot.
#[derive(Debug)]
pub(crate) struct SessionPermit(Arc<Admission>);

impl Drop for SessionPermit {
    fn drop(&mut self) {
        self.0.lock().sessions -= 1;
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const HERE: Host = Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const THERE: Host = Host::Ip(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));

    fn admission(max_connections: usize, reserve: usize, per_ip: Option<usize>) -> Arc<Admission> {
        Admission::new(&Limits {
            max_connections,
            reserve,
            max_connections_per_ip: per_ip,
            ..Limits::default()
        })
    }

    #[test]
    fn the_reserve_holds_connections_but_no_sessions() {
        let admission = admission(1, 2, None);
        let [first, second, third] = [HERE; 3].map(|ip| admission.connect(Some(ip)).unwrap());
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Connections);
        let session = first.session().unwrap();
        assert_eq!(second.session().unwrap_err(), LimitReached::Sessions);
        assert_eq!(admission.has_session_left(), Err(LimitReached::Sessions));
        drop(session);
        assert_eq!(admission.has_session_left(), Err(LimitReached::Connections));
        drop(third);
        assert_eq!(admission.has_session_left(), Ok(()));
        assert!(second.session().is_ok());
    }

    #[test]
    fn an_idle_connection_loses_its_slot_to_the_next_one() {
        let admission = admission(1, 0, None);
        let mut first = admission.connect(None).unwrap();
        first.set_idle(Idle::Silent, Weak::new());
        assert_eq!(admission.has_session_left(), Ok(()));
        let second = admission.connect(None).unwrap();
        assert!(!first.set_busy());
        drop(first);
        assert_eq!(admission.connections(), 1, "the slot of the second");
        assert_eq!(admission.connect(None).unwrap_err(), LimitReached::Connections);
        drop(second);
        let mut third = admission.connect(None).unwrap();
        third.set_idle(Idle::Silent, Weak::new());
        assert!(third.set_busy());
        assert_eq!(admission.connect(None).unwrap_err(), LimitReached::Connections);
        drop(third);
        assert_eq!(admission.connections(), 0);
    }

    #[test]
    fn an_address_has_its_own_limit_and_a_dropped_permit_frees_its_slot() {
        let admission = admission(8, 0, Some(1));
        let here = admission.connect(Some(HERE)).unwrap();
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Address);
        let _there = admission.connect(Some(THERE)).unwrap();
        drop(here);
        assert!(admission.connect(Some(HERE)).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let admission = admission(8, 0, Some(1));
        let host = |text: &str| Some(Host::Ip(text.parse().unwrap()));
        let _first = admission.connect(host("2001:db8:1:2::1")).unwrap();
        let same = admission.connect(host("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_eq!(same.unwrap_err(), LimitReached::Address);
        assert!(admission.connect(host("2001:db8:1:3::1")).is_ok());
    }

    #[test]
    fn addresses_without_connections_are_removed() {
        let admission = admission(8, 0, Some(8));
        drop(admission.connect(Some(HERE)).unwrap());
        assert!(admission.lock().by_ip.is_empty());
    }

    #[test]
    fn address_slots_of_a_proxy_belong_to_its_clients() {
        let admission = admission(8, 0, Some(1));
        let [first, second] = [(); 2].map(|()| admission.connect(None).unwrap());
        let here = first.client(HERE).unwrap();
        assert_eq!(second.client(HERE).unwrap_err(), LimitReached::Address);
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Address);
        let there = second.client(THERE).unwrap();
        drop(here);
        let here = second.client(HERE).unwrap();
        assert_eq!(first.client(HERE).unwrap_err(), LimitReached::Address);
        drop((first, second)); // The client's permit outlives the connection's.
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Address);
        drop((here, there));
        assert!(admission.lock().by_ip.is_empty());
    }

    #[test]
    fn unix_sockets_have_no_limit_per_address() {
        let admission = admission(8, 0, Some(1));
        let _permits = [(); 2].map(|()| admission.connect(Some(Host::Unix)).unwrap());
        assert!(admission.lock().by_ip.is_empty());
    }

    #[test]
    fn a_refused_connection_takes_no_slot_of_its_address() {
        let admission = admission(1, 0, Some(8));
        let _here = admission.connect(Some(HERE)).unwrap();
        assert_eq!(admission.connect(Some(THERE)).unwrap_err(), LimitReached::Connections);
        assert_eq!(admission.lock().by_ip.len(), 1);
    }

    #[test]
    fn waiting_ends_with_the_last_session_or_at_the_deadline() {
        let admission = admission(8, 0, None);
        let connection = admission.connect(Some(HERE)).unwrap();
        let session = connection.session().unwrap();
        assert_eq!(admission.wait_for_sessions(Instant::now()), 1);
        let dropping = std::thread::spawn(move || drop(session));
        assert_eq!(admission.wait_for_sessions(Instant::now() + Duration::from_secs(60)), 0);
        dropping.join().unwrap();
        assert_eq!(admission.wait_for_connections(Instant::now()), 1);
    }
}

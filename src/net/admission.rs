//! Who gets in: counted slots, handed out as permits.
//!
//! What it is: the count of connections, of sessions, and of what each address has.
//! What it is not: the refusal itself; whoever is told [`LimitReached`] gives it.
//! Invariant: a permit gives its slot back when it is dropped, however its connection ends.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::address::Host;
use crate::config::Limits;

/// The slots of one server.
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
    /// Kept only where there is a limit by address.
    by_ip: HashMap<IpAddr, usize>,
}

/// Which slots are all taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitReached {
    /// `max_connections` and the reserve.
    Connections,
    /// `max_connections`.
    Sessions,
    /// `max_connections_per_ip`.
    Address,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitReached::Connections => "every connection is taken (--max-connections)",
            LimitReached::Sessions => "every session is taken (--max-connections)",
            LimitReached::Address => {
                "this address has no connection left (--max-connections-per-ip)"
            }
        })
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Admission> {
        Arc::new(Admission {
            max_connections: limits.max_connections.saturating_add(limits.reserve),
            max_sessions: limits.max_connections,
            max_per_ip: limits.max_connections_per_ip,
            counts: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Whether there is a slot for another session; it is not taken.
    pub(crate) fn has_session_left(&self) -> Result<(), LimitReached> {
        if self.lock().sessions < self.max_sessions { Ok(()) } else { Err(LimitReached::Sessions) }
    }

    /// The connections that there are.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    /// The connections that there can be at one time.
    pub(crate) fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// A slot for a connection from `host`; none is a proxy, whose clients have
    /// [`client`](ConnectionPermit::client) slots instead.
    pub(crate) fn connect(
        self: &Arc<Self>,
        host: Option<Host>,
    ) -> Result<ConnectionPermit, LimitReached> {
        let address = host.map_or(Ok(None), |host| self.address(host))?;
        let mut counts = self.lock();
        if counts.connections >= self.max_connections {
            drop(counts); // the address gives its slot back
            return Err(LimitReached::Connections);
        }
        counts.connections += 1;
        Ok(ConnectionPermit { admission: Arc::clone(self), _address: address })
    }

    /// One of the slots that `host` has, where there is a limit to them. For a Unix socket there is
    /// none: its peers cannot be told from each other, and its mode says who they may be.
    fn address(self: &Arc<Self>, host: Host) -> Result<Option<AddressPermit>, LimitReached> {
        let (Some(max), Host::Ip(ip)) = (self.max_per_ip, host) else { return Ok(None) };
        let mut counts = self.lock();
        let of_ip = counts.by_ip.entry(ip).or_default();
        if *of_ip >= max {
            return Err(LimitReached::Address);
        }
        *of_ip += 1;
        Ok(Some(AddressPermit { admission: Arc::clone(self), ip }))
    }

    /// Waits until no session is left, or until `deadline`. Returns the sessions left.
    pub(crate) fn wait_for_sessions(&self, deadline: Instant) -> usize {
        self.wait_until_none(deadline, |counts| counts.sessions)
    }

    /// Waits until no connection is left, or until `deadline`. Returns the connections left.
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
            counts = self
                .freed
                .wait_timeout(counts, remaining)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's slot.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<Admission>,
    _address: Option<AddressPermit>,
}

impl ConnectionPermit {
    /// A slot for the client `host`, for whom this connection's proxy speaks.
    pub(crate) fn client(&self, host: Host) -> Result<Option<AddressPermit>, LimitReached> {
        self.admission.address(host)
    }

    /// A slot for this connection's session.
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
        self.admission.lock().connections -= 1;
        self.admission.freed.notify_all();
    }
}

/// An address's slot.
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

/// A session's slot.
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
    fn the_reserve_is_for_connections_and_not_for_sessions() {
        let admission = admission(1, 1, None);
        let [first, second] = [HERE, HERE].map(|ip| admission.connect(Some(ip)).unwrap());
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Connections);
        let session = first.session().unwrap();
        assert_eq!(second.session().unwrap_err(), LimitReached::Sessions);
        assert_eq!(admission.has_session_left(), Err(LimitReached::Sessions));
        drop(session);
        assert_eq!(admission.has_session_left(), Ok(()));
        assert!(second.session().is_ok());
    }

    #[test]
    fn an_address_has_its_own_limit_and_gets_its_places_back() {
        let admission = admission(8, 0, Some(1));
        let here = admission.connect(Some(HERE)).unwrap();
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Address);
        let _there = admission.connect(Some(THERE)).unwrap();
        drop(here);
        assert!(admission.connect(Some(HERE)).is_ok());
    }

    #[test]
    fn addresses_that_left_are_forgotten() {
        let admission = admission(8, 0, Some(8));
        drop(admission.connect(Some(HERE)).unwrap());
        assert!(admission.lock().by_ip.is_empty());
    }

    #[test]
    fn a_proxy_has_no_places_of_its_own_and_its_clients_have() {
        let admission = admission(8, 0, Some(1));
        let [first, second] = [(); 2].map(|()| admission.connect(None).unwrap());
        let here = first.client(HERE).unwrap();
        assert_eq!(second.client(HERE).unwrap_err(), LimitReached::Address);
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Address);
        let there = second.client(THERE).unwrap();
        drop(here);
        let here = second.client(HERE).unwrap();
        assert_eq!(first.client(HERE).unwrap_err(), LimitReached::Address);
        drop((first, second)); // a client's slot is its own, too
        assert_eq!(admission.connect(Some(HERE)).unwrap_err(), LimitReached::Address);
        drop((here, there));
        assert!(admission.lock().by_ip.is_empty());
    }

    #[test]
    fn a_unix_socket_is_no_address() {
        let admission = admission(8, 0, Some(1));
        let _places = [(); 2].map(|()| admission.connect(Some(Host::Unix)).unwrap());
        assert!(admission.lock().by_ip.is_empty());
    }

    #[test]
    fn who_is_refused_a_connection_keeps_no_place_of_its_address() {
        let admission = admission(1, 0, Some(8));
        let _here = admission.connect(Some(HERE)).unwrap();
        assert_eq!(admission.connect(Some(THERE)).unwrap_err(), LimitReached::Connections);
        assert_eq!(admission.lock().by_ip.len(), 1);
    }

    #[test]
    fn waiting_ends_with_the_last_session_or_with_the_deadline() {
        let admission = admission(8, 0, None);
        let connection = admission.connect(Some(HERE)).unwrap();
        let session = connection.session().unwrap();
        assert_eq!(admission.wait_for_sessions(Instant::now()), 1);
        let leaving = std::thread::spawn(move || drop(session));
        assert_eq!(admission.wait_for_sessions(Instant::now() + Duration::from_secs(60)), 0);
        leaving.join().unwrap();
        assert_eq!(admission.wait_for_connections(Instant::now()), 1);
    }
}

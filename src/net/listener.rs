//! Listening sockets, for TCP and on Unix paths: bound here, or inherited from the service manager.
//!
//! **Invariant:** the path of a bound Unix listener exists as long as the listener.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::Stream;
use super::address::Address;
use super::entrance::Entrance;
use super::unix_path::{self, BoundPath};
use super::waker::{Readiness, Waker, wait_readable};
use crate::config::Listen;
use crate::config::tuning::LISTEN_BACKLOG;

/// A listening socket, TCP or Unix.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The path to remove; `None` for TCP, and for an inherited Unix socket, whose path belongs to its
    /// owner. It is dropped before the socket: while that listens, no other process takes the path.
    _path: Option<BoundPath>,
    socket: Socket,
    address: SockAddr,
    /// Set if it is used; see [`Listener::entrance`].
    entrance: OnceLock<Arc<Entrance>>,
}

impl Listener {
    /// Binds a socket and listens.
    ///
    /// # Errors
    /// Those of the operating system (address in use, no permission, no such address), and those of
    /// [`unix_path::free`].
    pub(crate) fn bind(listen: &Listen) -> io::Result<Listener> {
        match listen {
            Listen::Tcp(address) => Listener::bind_tcp(*address),
            Listen::Unix { path, mode } => Listener::bind_unix(path, *mode),
        }
    }

    fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait until the connections of the last run have left TIME_WAIT.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // `[::]` and `0.0.0.0` can then be bound side by side, whatever the system's default.
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        Listener::listening(socket, None)
    }

    fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<Listener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let _lock = unix_path::lock(path);
        unix_path::free(path)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let bound = BoundPath::new(path)?;
        // No client can connect before `listen`, and so none before the mode is set.
        if let Some(mode) = mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Listener::listening(socket, Some(bound))
    }

    fn listening(socket: Socket, path: Option<BoundPath>) -> io::Result<Listener> {
        socket.listen(LISTEN_BACKLOG)?;
        Listener::new(socket, path)
    }

    /// Takes over an inherited listening socket, with the connections in its backlog.
    ///
    /// # Errors
    /// `InvalidInput` if the socket does not listen, or is not a stream socket.
    pub(crate) fn adopt(fd: OwnedFd) -> io::Result<Listener> {
        let socket = Socket::from(fd);
        if !socket.is_listener()? || socket.r#type()? != Type::STREAM {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"));
        }
        Listener::new(socket, None)
    }

    fn new(socket: Socket, path: Option<BoundPath>) -> io::Result<Listener> {
        let address = socket.local_addr()?;
        if !address.is_unix() {
            // Accepted sockets inherit the option, which saves a system call for each connection.
            socket.set_tcp_nodelay(true)?;
        }
        // An accept loop waits in poll(2); the accept that follows must not wait as well.
        socket.set_nonblocking(true)?;
        Ok(Listener { _path: path, socket, address, entrance: OnceLock::new() })
    }

    /// A way to the accept loop that needs no network. To be called before the loop starts.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn entrance(&self) -> io::Result<Arc<Entrance>> {
        let entrance = Arc::new(Entrance::new()?);
        Ok(Arc::clone(self.entrance.get_or_init(|| entrance)))
    }

    /// Waits for the next connection. Returns it with its peer; `None` once `stop` is set.
    ///
    /// # Errors
    /// Those of accept(2), some of which concern one connection only.
    pub(crate) fn accept(&self, stop: &Waker) -> io::Result<Option<(Stream, Address)>> {
        loop {
            // First, as accept(2) may fail for lack of descriptors again and again.
            if let Some(stream) = self.accept_by_entrance() {
                return Ok(Some((stream, Address::Unix)));
            }
            let waker = self.entrance.get().map(|entrance| entrance.waker());
            match (wait_readable(&self.socket, stop, waker, None)?, waker) {
                (Readiness::Stopping, _) => return Ok(None),
                (Readiness::Woken, Some(waker)) => {
                    waker.clear();
                    continue;
                }
                _ => {}
            }
            match self.socket.accept() {
                Ok((stream, peer)) => return Ok(Some((stream, Address::of(&peer)))),
                // Another thread, or another process with this listener, was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The connection that waits at the [entrance](Self::entrance). A socket that no longer listens serves
    /// nobody, so nor does the entrance.
    fn accept_by_entrance(&self) -> Option<Stream> {
        let stream = self.entrance.get()?.accept()?;
        self.socket.is_listener().is_ok_and(|listens| listens).then_some(stream)
    }

    pub(crate) fn is_unix(&self) -> bool {
        self.address.is_unix()
    }

    /// Returns the address that it listens on, with the actual port.
    pub(crate) fn address(&self) -> Listen {
        self.address
            .as_socket()
            .map_or_else(|| Listen::Unix { path: self.path(), mode: None }, Listen::Tcp)
    }

    /// Returns an address by which this machine can connect to it: loopback in place of an
    /// unspecified address.
    pub(crate) fn reachable(&self) -> SockAddr {
        self.address.as_socket().map_or_else(|| self.address.clone(), |at| reachable(at).into())
    }

    /// Returns the path of a Unix listener; an abstract name in systemd's notation, `@name`.
    fn path(&self) -> PathBuf {
        let name = |name| format!("@{}", String::from_utf8_lossy(name)).into();
        let path = self.address.as_pathname().map(Path::to_owned);
        path.or_else(|| self.address.as_abstract_namespace().map(name)).unwrap_or_default()
    }
}

/// Connects to `address`, within `timeout`.
pub(crate) fn connect(address: &SockAddr, timeout: Duration) -> io::Result<Stream> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.connect_timeout(address, timeout).map(|()| socket)
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn accepted_sockets_inherit_tcp_nodelay() {
        let listener = Listener::bind(&([127, 0, 0, 1], 0).into()).unwrap();
        let _peer = connect(&listener.reachable(), Duration::from_secs(20)).unwrap();
        let accepted = listener.accept(&Waker::new().unwrap()).unwrap().unwrap();
        assert!(accepted.0.tcp_nodelay().unwrap());
    }

    #[test]
    fn of_several_starts_on_a_stale_path_one_listens() {
        const STARTS: usize = 4;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        for _ in 0..50 {
            drop(UnixListener::bind(&path).unwrap()); // leaves what a dead process leaves
            let together = Barrier::new(STARTS);
            let start = || {
                together.wait();
                Listener::bind_unix(&path, None)
            };
            let started: Vec<_> = thread::scope(|scope| {
                let starts = [(); STARTS].map(|()| scope.spawn(start));
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            let (listening, refused): (Vec<_>, Vec<_>) =
                started.into_iter().partition(Result::is_ok);
            assert_eq!(listening.len(), 1);
            for error in refused {
                assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AddrInUse);
            }
            connect(&SockAddr::unix(&path).unwrap(), Duration::from_secs(20)).unwrap();
        }
    }
}

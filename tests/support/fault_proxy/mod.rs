//! A proxy on loopback, between a test's client and its server, that commits exactly one fault, or none.
//! Blocking, with one thread per direction of a connection.
//!
//! **Invariant:** what the fault does not concern passes unchanged, and at once: bytes, FIN, RST. The
//! faults concern WebSocket handshakes and sessions; other HTTP requests pass.

mod connection;
mod fault;
mod filter;
mod frame;
mod head;
mod inbox;
mod pump;

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use socket2::SockRef;

use connection::Connection;
pub use fault::{Close, Counts, Ending, Fault, HeadFault, Size, Way};
pub use frame::Frame;

/// Stopped and joined when dropped, which ends its connections.
pub struct FaultProxy {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    listener: TcpListener,
    upstream: SocketAddr,
    fault: Fault,
    is_stopping: AtomicBool,
    /// Those that were accepted. Weak, as a socket sends its RST when its last owner is dropped.
    connections: Mutex<Vec<Weak<Connection>>>,
}

impl FaultProxy {
    /// Starts a proxy on a free port, before the server at `upstream`.
    pub fn start(upstream: SocketAddr, fault: Fault) -> FaultProxy {
        let shared = Arc::new(Shared {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            upstream,
            fault,
            is_stopping: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let acceptor = Arc::clone(&shared);
        let acceptor = thread::spawn(move || acceptor.accept());
        FaultProxy { shared, acceptor: Some(acceptor) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.shared.listener.local_addr().unwrap()
    }

    /// Returns its URL, without a path.
    pub fn url(&self) -> String {
        format!("ws://{}", self.addr())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.stop();
        let _ = self.acceptor.take().unwrap().join();
    }
}

impl Shared {
    /// Serves connections until the stop.
    fn accept(&self) {
        thread::scope(|scope| {
            while let Ok((client, _)) = self.listener.accept()
                && !self.is_stopping.load(Ordering::SeqCst)
            {
                // Without a server, the client's connection is closed.
                let Ok(server) = TcpStream::connect(self.upstream) else { continue };
                let connection = Arc::new(Connection::new(client, server, self.fault));
                self.register(&connection);
                scope.spawn(move || connection.run());
            }
        });
    }

    fn register(&self, connection: &Arc<Connection>) {
        let mut connections = self.connections.lock().unwrap();
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(connection));
        drop(connections);
        if self.is_stopping.load(Ordering::SeqCst) {
            connection.stop();
        }
    }

    fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        // Ends a waiting `accept`.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().filter_map(Weak::upgrade).for_each(|connection| connection.stop());
    }
}

//! A server in the test's process, on a free port; stopped and joined when dropped.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use wsecho::{Config, EndedSession, Running, Server};

use super::client::{Client, Raw, TIMEOUT};
use super::stream::Wire;
#[cfg(feature = "tls")]
use super::tls::Files;

/// Close timeout of a server whose client does not answer the Close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

pub struct TestServer {
    pub address: SocketAddr,
    wire: Wire,
    running: Running,
}

impl TestServer {
    /// Starts a server with the default configuration.
    pub fn start() -> TestServer {
        TestServer::with(|_| {})
    }

    /// Starts a server with the default configuration, modified by `change`.
    pub fn with(change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::over(Wire::Plain, change)
    }

    /// Like `with`, over `wire`.
    pub fn over(wire: Wire, change: impl FnOnce(&mut Config)) -> TestServer {
        let mut config = Config::on_free_port();
        #[cfg(feature = "tls")]
        let files = Files::good(); // read by `bind`
        #[cfg(feature = "tls")]
        if wire == Wire::Tls {
            config.tls = Some(files.certificate());
        }
        change(&mut config);
        let running = Server::bind(config).and_then(Server::spawn).unwrap();
        TestServer { address: running.addr(), wire, running }
    }

    /// Starts a server with the default configuration on `address`; port 0 takes any free port.
    pub fn at(address: SocketAddr) -> TestServer {
        TestServer::with(|config| config.listen = vec![address.into()])
    }

    /// Connects, without sending anything.
    pub fn raw(&self) -> Raw {
        Raw::connect_over(self.wire, self.address)
    }

    /// Like `raw`; `Err` if the TLS handshake fails.
    pub fn try_raw(&self) -> io::Result<Raw> {
        Raw::try_connect_over(self.wire, self.address)
    }

    /// Opens a WebSocket.
    pub fn open(&self, path: &str) -> Client {
        Client::open_over(self.wire, self.address, path)
    }

    /// Waits for the next session that ends, and returns what it did.
    pub fn ended_session(&self) -> EndedSession {
        self.running.ended_session(TIMEOUT).expect("no session has ended")
    }

    /// Asks the server to stop, and does not wait.
    pub fn stop(&self) {
        self.running.stopper().stop();
    }

    /// Waits until the server has ended. Does not stop it.
    pub fn join(self) {
        self.running.wait().unwrap();
    }
}

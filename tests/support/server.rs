//! A server in the test's process, on a free port; stopped and joined when dropped.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use wsecho::{Config, Error, Server, Stopper};

use super::client::{Client, Raw};
use super::stream::Wire;
#[cfg(feature = "tls")]
use super::tls::Files;

/// Close timeout of a server whose client does not answer the Close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

pub struct TestServer {
    pub address: SocketAddr,
    wire: Wire,
    pub stopper: Stopper,
    running: Option<JoinHandle<Result<(), Error>>>,
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
        let mut config = Config { listen: vec![([127, 0, 0, 1], 0).into()], ..Config::default() };
        #[cfg(feature = "tls")]
        let files = Files::good(); // read by `bind`
        #[cfg(feature = "tls")]
        if wire == Wire::Tls {
            config.tls = Some(files.certificate());
        }
        change(&mut config);
        let server = Server::bind(config).unwrap();
        TestServer {
            address: server.local_addrs()[0],
            wire,
            stopper: server.stopper(),
            running: Some(std::thread::spawn(|| server.run())),
        }
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

    /// Waits until the server has ended. Does not stop it; see `stopper`.
    pub fn join(&mut self) {
        if let Some(running) = self.running.take() {
            running.join().unwrap().unwrap();
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stopper.stop();
        if std::thread::panicking() {
            return; // a server that hangs must not hide the failure
        }
        self.join();
    }
}

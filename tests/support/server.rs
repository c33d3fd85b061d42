//! A server in this process, on a free port; stopped and joined when it is dropped.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use wsecho::{Config, Error, Server, Stopper};

use super::client::{Client, Raw};
use super::stream::Wire;
#[cfg(feature = "tls")]
use super::tls::Files;

pub struct TestServer {
    pub address: SocketAddr,
    wire: Wire,
    pub stopper: Stopper,
    running: Option<JoinHandle<Result<(), Error>>>,
}

impl TestServer {
    /// The default configuration.
    pub fn start() -> TestServer {
        TestServer::with(|_| {})
    }

    /// The default configuration, changed.
    pub fn with(change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::over(Wire::Plain, change)
    }

    /// The same on this wire.
    pub fn over(wire: Wire, change: impl FnOnce(&mut Config)) -> TestServer {
        let mut config = Config { listen: vec![([127, 0, 0, 1], 0).into()], ..Config::default() };
        #[cfg(feature = "tls")]
        let files = Files::good(); // read when it binds
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

    /// The default configuration, on this address; port 0 takes any free one.
    pub fn at(address: SocketAddr) -> TestServer {
        TestServer::with(|config| config.listen = vec![address.into()])
    }

    /// A connection on which nothing has been said yet.
    pub fn raw(&self) -> Raw {
        Raw::connect_over(self.wire, self.address)
    }

    /// The same, where the handshake of TLS may fail.
    pub fn try_raw(&self) -> io::Result<Raw> {
        Raw::try_connect_over(self.wire, self.address)
    }

    /// An open WebSocket.
    pub fn open(&self, path: &str) -> Client {
        Client::open_over(self.wire, self.address, path)
    }

    /// Waits until the server has ended by itself.
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
            return; // the failure is more interesting than a server that cannot end after it
        }
        self.join();
    }
}

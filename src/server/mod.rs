//! A server: bind, run, stop.
//!
//! **Invariant:** when [`Server::run`] has returned, no thread and no descriptor of the server is left.

mod acceptor;
pub(crate) mod admin;
mod error;
mod pool;
pub(crate) mod probe;
mod rejector;
mod running;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::thread;

use log::warn;
use tungstenite::handshake::client::generate_key;

use self::acceptor::Acceptor;
use self::admin::AdminServer;
pub use self::error::Error;
use self::pool::ThreadPool;
use self::probe::Probe;
pub use self::running::{Running, spawn};
use crate::chat::room::Rooms;
use crate::config::tuning::STACK;
use crate::config::{Config, Listen};
use crate::connection;
use crate::connection::context::Context;
use crate::connection::refusals::Refusals;
use crate::http::page::Site;
use crate::http::unavailable::{REASONS, Unavailable};
use crate::message_memory::MessageMemory;
use crate::metrics::Metrics;
use crate::net::admission::Admission;
use crate::net::listener::Listener;
use crate::net::shutdown::Stop;
use crate::net::tls::{CertificateError, TlsAcceptor};
use crate::report::Reports;

/// A server that listens, and serves once [`run`](Server::run) is called.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    pub(crate) admin: Option<Listener>,
    pub(crate) context: Arc<Context>,
}

/// Stops a [`Server`] from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Stop>);

impl Stopper {
    /// Asks the server to stop, and returns at once. Every session gets a Close 1001 and has
    /// [`Timeouts::grace`](crate::Timeouts::grace) to answer it; then [`Server::run`] returns.
    pub fn stop(&self) {
        self.0.request();
    }
}

/// Reloads the certificate of a [`Server`] from another thread.
#[derive(Debug, Clone)]
pub struct CertificateReloader(Arc<Context>);

impl CertificateReloader {
    /// Reads certificate and key again, for new connections. Existing ones go on.
    ///
    /// # Errors
    /// The files cannot be used. The certificate in use stays.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.0.tls.as_ref().map_or(Ok(()), TlsAcceptor::reload)
    }
}

impl Server {
    /// Listens on every address and path of `config`.
    ///
    /// # Errors
    /// An address, the certificate or the folder of the page cannot be used.
    pub fn bind(config: Config) -> Result<Server, Error> {
        let listeners = config
            .listen
            .iter()
            .map(|at| Listener::bind(at).map_err(|error| Error::Listen(at.clone(), error)))
            .collect::<Result<_, _>>()?;
        Server::with(listeners, config)
    }

    /// Serves existing listeners, TCP or Unix, instead of those that `config` names.
    ///
    /// # Errors
    /// A socket does not listen, or the certificate or the folder of the page cannot be used.
    pub fn from_listeners(listeners: Vec<OwnedFd>, config: Config) -> Result<Server, Error> {
        let listeners = listeners.into_iter().map(Listener::adopt).collect::<Result<_, _>>();
        Server::with(listeners.map_err(Error::Inherited)?, config)
    }

    fn with(listeners: Vec<Listener>, config: Config) -> Result<Server, Error> {
        let site = Site::new(config.www.as_deref())
            .map_err(|error| Error::Www(config.www.clone().unwrap_or_default(), error))?;
        let tls =
            config.tls.as_ref().map(TlsAcceptor::load).transpose().map_err(Error::Certificate)?;
        let admission = Admission::new(&config.limits);
        let memory = config.limits.message_memory.max(config.limits.max_message_size);
        let memory = MessageMemory::new(memory);
        let rooms = Arc::new(Rooms::new(config.chat.clone(), Arc::clone(&memory)));
        let admin = config.admin.as_ref().map(open_admin).transpose()?;
        let stop = Arc::new(Stop::new().map_err(Error::Descriptor)?);
        let context = Context {
            config,
            tls,
            site,
            stop,
            admission,
            rooms,
            deflate: Arc::default(),
            memory,
            reports: Reports::default(),
            sessions: AtomicU64::new(0),
            refusals: Refusals::default(),
            ended: OnceLock::new(),
            probe_key: generate_key(),
            metrics: admin
                .as_ref()
                .map(|_| Arc::new(Metrics::new(REASONS.map(Unavailable::label)))),
        };
        Ok(Server { listeners, admin, context: Arc::new(context) })
    }

    /// The addresses and paths it listens on, in the order of [`Config::listen`], with the real ports.
    pub fn listen_addrs(&self) -> Vec<Listen> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// The address or path of the admin listener, with the real port; `None` without one.
    pub fn admin_addr(&self) -> Option<Listen> {
        self.admin.as_ref().map(Listener::address)
    }

    /// The TCP addresses among [`listen_addrs`](Server::listen_addrs).
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let tcp = |listen| match listen {
            Listen::Tcp(address) => Some(address),
            Listen::Unix { .. } => None,
        };
        self.listen_addrs().into_iter().filter_map(tcp).collect()
    }

    /// A handle that stops this server.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.context.stop))
    }

    /// A handle that reloads this server's certificate; `None` without TLS.
    pub fn certificate_reloader(&self) -> Option<CertificateReloader> {
        self.context.tls.is_some().then(|| CertificateReloader(Arc::clone(&self.context)))
    }

    /// A client of this server's first listener, which proves that the server answers. `None` without a
    /// listener, or if no descriptor is left.
    pub fn probe(&self) -> Option<Probe> {
        let listener = self.listeners.first()?;
        let is_tls = self.context.tls.is_some() && !listener.is_unix();
        let (entrance, key) = (listener.entrance().ok()?, self.context.probe_key.clone());
        Some(Probe::new(listener.reachable(), entrance, key, is_tls))
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// A thread cannot be created, or no descriptor is left.
    pub fn run(self) -> Result<(), Error> {
        self.run_and_announce(|| {})
    }

    /// As [`run`](Server::run); calls `announce` once every thread that the server needs is there.
    pub(crate) fn run_and_announce(self, announce: impl FnOnce()) -> Result<(), Error> {
        let Server { listeners, admin, context } = self;
        let serving = Arc::clone(&context);
        let max_threads = context.admission.max_connections();
        let pool =
            ThreadPool::new(max_threads, context.config.timeouts.pool_idle, move |accepted| {
                connection::serve(accepted, &serving)
            });
        // It is dropped last, so that the operator sees how the sessions end.
        let admin = admin
            .zip(context.metrics.as_ref())
            .map(|(listener, metrics)| {
                AdminServer::start(listener, &context, metrics, pool.counter())
            })
            .transpose()
            .map_err(Error::Thread)?;
        let acceptor = Acceptor::new(pool, Arc::clone(&context)).map_err(Error::Thread)?;
        let started = thread::scope(|scope| {
            let started = listeners.iter().try_for_each(|listener| {
                let thread = thread::Builder::new().name("wsecho-accept".to_owned());
                thread.spawn_scoped(scope, || acceptor.accept(listener)).map(drop)
            });
            let started = started.and_then(|()| check_for_a_thread());
            if started.is_ok() {
                admin.iter().for_each(AdminServer::set_serving);
                announce();
                context.stop.wait();
                acceptor.drain(context.config.timeouts.grace);
            }
            acceptor.close();
            started
        });
        acceptor.join();
        started.map_err(Error::Thread)
    }
}

/// Starts a thread like those of connections, and lets it end.
///
/// # Errors
/// There is none to be had, so that no connection could be served.
fn check_for_a_thread() -> io::Result<()> {
    let thread = thread::Builder::new().stack_size(STACK).spawn(|| {})?;
    thread.join().map_err(|_| io::ErrorKind::Other.into())
}

fn open_admin(at: &Listen) -> Result<Listener, Error> {
    if matches!(at, Listen::Tcp(address) if !address.ip().is_loopback()) {
        warn!(
            "--admin {at} can be reached from other machines, and names the clients; use 127.0.0.1 or unix:PATH"
        );
    }
    Listener::bind(at).map_err(|error| Error::Admin(at.clone(), error))
}

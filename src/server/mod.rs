//! Bind, accept, and the end of it all.
//!
//! What it is: the listeners and their accept loops; each accepted socket is handed on at once.
//! What it is not: a conversation; no accept thread ever waits for a peer.
//! Invariants: an accept loop ends by [`Stopper::stop`] and by nothing else. When
//! [`Server::run`] has returned, no thread and no descriptor of the server is left.

pub(crate) mod admin;
mod log_throttle;
pub(crate) mod machine_limits;
mod pool;
pub(crate) mod probe;
mod rejector;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use tungstenite::handshake::client::generate_key;

use crate::chat::room::Rooms;
use crate::config::tuning::ACCEPT_BACKOFF;
use crate::config::{Config, Listen};
use crate::connection::context::Context;
use crate::connection::{self, Accepted};
use crate::http::forwarded;
use crate::http::page::Site;
use crate::http::response::Response;
use crate::http::unavailable::{self, REASONS, Unavailable};
use crate::metrics::Metrics;
use crate::net::Stream;
use crate::net::address::Address;
use crate::net::admission::Admission;
use crate::net::listener::Listener;
use crate::net::shutdown::Stop;
use crate::net::tls::{CertificateError, REFUSAL, TlsAcceptor};
use crate::server::admin::AdminServer;
use crate::server::log_throttle::Throttle;
use crate::server::pool::ThreadPool;
use crate::server::probe::Probe;
use crate::server::rejector::Rejector;

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
    /// Asks the server to stop, and returns at once. Every session is told with Close 1001 and has
    /// [`Timeouts::grace`](crate::Timeouts::grace) to answer; then [`Server::run`] returns.
    pub fn stop(&self) {
        self.0.request();
    }
}

/// Renews the certificate of a [`Server`] from another thread.
#[derive(Debug, Clone)]
pub struct CertificateReloader(Arc<Context>);

impl CertificateReloader {
    /// Reads certificate and key again, for the connections to come; those that there are go on.
    ///
    /// # Errors
    /// The files cannot be used; what was read before stays in use.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.0.tls.as_ref().map_or(Ok(()), TlsAcceptor::reload)
    }
}

/// Why a server cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An address or a path cannot be listened on.
    Listen(Listen, io::Error),
    /// The address or path for the operator cannot be listened on.
    Admin(Listen, io::Error),
    /// A socket that was handed over cannot be served.
    Inherited(io::Error),
    /// The certificate cannot be used.
    Certificate(CertificateError),
    /// The folder of the page cannot be read.
    Www(PathBuf, io::Error),
    /// No thread can be made.
    Thread(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Listen(listen, error) => {
                write!(f, "cannot listen on {listen}: {}", advice(listen, error, "--listen"))
            }
            Error::Admin(listen, error) => {
                write!(f, "cannot listen on {listen}: {}", advice(listen, error, "--admin"))
            }
            Error::Inherited(error) => write!(
                f,
                "cannot serve a socket that was handed over (LISTEN_FDS): {error}; it has to be a listening stream socket"
            ),
            Error::Certificate(error) => write!(f, "cannot speak TLS: {error}"),
            Error::Www(path, error) => {
                write!(f, "cannot serve the folder {}: {error}", path.display())
            }
            Error::Thread(error) => write!(f, "cannot make a thread: {error}"),
        }
    }
}

/// What to do about it, by the option that says where to listen.
fn advice(listen: &Listen, error: &io::Error, option: &str) -> String {
    match listen {
        Listen::Tcp(address) => tcp_advice(*address, error, option),
        Listen::Unix { .. } => unix_advice(error, option),
    }
}

fn tcp_advice(address: SocketAddr, error: &io::Error, option: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process has port {}; stop it, or choose another port with {option} (0 takes any free one)",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "port {} needs a privilege (CAP_NET_BIND_SERVICE); choose a port from 1024 up with {option}",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; 0.0.0.0 stands for all that it has".to_owned()
        }
        _ => error.to_string(),
    }
}

fn unix_advice(error: &io::Error, option: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process listens there; stop it, or choose another path with {option}")
        }
        io::ErrorKind::AlreadyExists => format!(
            "what is there is no socket, and was left alone; choose another path with {option}"
        ),
        io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this user may not write to the folder, or not connect to what is there".to_owned()
        }
        _ => error.to_string(),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Listen(_, error)
            | Error::Admin(_, error)
            | Error::Inherited(error)
            | Error::Www(_, error)
            | Error::Thread(error) => Some(error),
            Error::Certificate(error) => Some(error),
        }
    }
}

impl Server {
    /// Listens on every address and path of `config`.
    ///
    /// # Errors
    /// An address, the certificate or the folder of the page cannot be had; [`Error`] says what to do.
    pub fn bind(config: Config) -> Result<Server, Error> {
        let listeners = config
            .listen
            .iter()
            .map(|at| Listener::bind(at).map_err(|error| Error::Listen(at.clone(), error)))
            .collect::<Result<_, _>>()?;
        Server::with(listeners, config)
    }

    /// Serves listeners that somebody else has made, TCP or Unix, in place of those that `config`
    /// names.
    ///
    /// # Errors
    /// A socket that does not listen, or the folder of the page cannot be had.
    pub fn from_listeners(listeners: Vec<OwnedFd>, config: Config) -> Result<Server, Error> {
        let listeners = listeners.into_iter().map(Listener::adopt).collect::<Result<_, _>>();
        Server::with(listeners.map_err(Error::Inherited)?, config)
    }

    fn with(listeners: Vec<Listener>, config: Config) -> Result<Server, Error> {
        let site = Site::new(config.www.as_deref())
            .map_err(|error| Error::Www(config.www.clone().unwrap_or_default(), error))?;
        let tls =
            config.tls.as_ref().map(TlsAcceptor::load).transpose().map_err(Error::Certificate)?;
        let rooms = Arc::new(Rooms::new(config.chat.clone()));
        let admission = Admission::new(&config.limits);
        let admin = config.admin.as_ref().map(open_admin).transpose()?;
        let stop = match listeners.iter().find(|listener| listener.is_unix()) {
            Some(unix) => {
                Stop::with_waker().map_err(|error| Error::Listen(unix.address(), error))?
            }
            None => Stop::default(),
        };
        let context = Context {
            config,
            tls,
            site,
            stop: Arc::new(stop),
            admission,
            rooms,
            deflate: Arc::default(),
            sessions: AtomicU64::new(0),
            probe_key: generate_key(),
            metrics: admin
                .as_ref()
                .map(|_| Arc::new(Metrics::new(REASONS.map(Unavailable::label)))),
        };
        Ok(Server { listeners, admin, context: Arc::new(context) })
    }

    /// Where it listens, in the order of [`Config::listen`], with the real ports.
    pub fn listening(&self) -> Vec<Listen> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// Where the operator is listened to, with the real port.
    pub fn admin(&self) -> Option<Listen> {
        self.admin.as_ref().map(Listener::address)
    }

    /// The addresses among [`listening`](Server::listening).
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let tcp = |listen| match listen {
            Listen::Tcp(address) => Some(address),
            Listen::Unix { .. } => None,
        };
        self.listening().into_iter().filter_map(tcp).collect()
    }

    /// A handle that stops this server.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.context.stop))
    }

    /// A handle that renews this server's certificate; none where TLS is not spoken.
    pub fn certificate_reloader(&self) -> Option<CertificateReloader> {
        self.context.tls.is_some().then(|| CertificateReloader(Arc::clone(&self.context)))
    }

    /// A client of this server's first listener, which proves that it lives.
    ///
    /// None where there is no listener.
    pub fn probe(&self) -> Option<Probe> {
        let listener = self.listeners.first()?;
        let is_tls = self.context.tls.is_some() && !listener.is_unix();
        Some(Probe::new(listener.reachable(), self.context.probe_key.clone(), is_tls))
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// The threads that accept cannot be made.
    pub fn run(self) -> Result<(), Error> {
        let Server { listeners, admin, context } = self;
        let serving = Arc::clone(&context);
        let pool = ThreadPool::new(context.admission.max_connections(), move |accepted| {
            connection::serve(accepted, &serving);
        });
        // Until the end of all others, so that they are seen to end.
        let admin = admin
            .zip(context.metrics.as_ref())
            .map(|(listener, metrics)| {
                AdminServer::start(listener, &context, metrics, pool.counter())
            })
            .transpose()
            .map_err(Error::Thread)?;
        let acceptor = Acceptor {
            pool,
            rejector: Rejector::start().map_err(Error::Thread)?,
            context: Arc::clone(&context),
            closed: AtomicBool::new(false),
        };
        let accepted = thread::scope(|scope| {
            let accepting = listeners.iter().try_for_each(|listener| {
                let name = thread::Builder::new().name("wsecho-accept".to_owned());
                name.spawn_scoped(scope, || acceptor.accept(listener)).map(drop)
            });
            if accepting.is_ok() {
                admin.iter().for_each(AdminServer::set_serving);
                context.stop.wait();
                acceptor.drain(context.config.timeouts.grace, &listeners);
            }
            acceptor.close(&listeners);
            accepting
        });
        acceptor.pool.join();
        accepted.map_err(Error::Thread)
    }
}

/// What stands between the listeners and the connections.
struct Acceptor {
    pool: ThreadPool<Accepted>,
    rejector: Rejector,
    context: Arc<Context>,
    /// Whether accepting is over. It goes on while sessions part, so that a health check is told
    /// about the stop.
    closed: AtomicBool,
}

impl Acceptor {
    /// Accepts until the acceptor are closed.
    fn accept(&self, listener: &Listener) {
        let (shortest, longest) = ACCEPT_BACKOFF;
        let (mut pause, mut errors, mut refusals) =
            (shortest, Throttle::default(), Throttle::default());
        while !self.closed.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((stream, peer)) => {
                    pause = shortest;
                    self.admit(stream, peer, &mut refusals);
                }
                Err(error) if concerns_one_peer(&error) => {
                    debug!("a connection was lost before it was accepted: {error}");
                }
                Err(_) if self.closed.load(Ordering::SeqCst) => {}
                Err(error) => {
                    if let Some(metrics) = &self.context.metrics {
                        metrics.accept_failed();
                    }
                    if let Some(more) = errors.pass(Instant::now()) {
                        warn!(
                            "cannot accept connections, trying again: {error} ({more} such errors since the last line)"
                        );
                    }
                    self.pause(pause);
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    /// Gives a connection its place and its thread, or its refusal.
    fn admit(&self, stream: Stream, peer: Address, refusals: &mut Throttle) {
        let is_proxy = forwarded::trusts(&self.context.config.trusted_proxies, peer.host());
        let (stream, why) = match self.context.admission.connect((!is_proxy).then(|| peer.host())) {
            Ok(permit) => match self.pool.run(Accepted { stream, peer, permit }) {
                Ok(()) => return,
                Err(back) => (back.stream, Unavailable::NoThread),
            },
            Err(full) => (stream, Unavailable::LimitReached(full)),
        };
        if let Some(more) = refusals.pass(Instant::now()) {
            warn!("{peer}: refused: {why} ({more} more since the last line)");
        }
        if let Some(metrics) = &self.context.metrics {
            metrics.refused(why.label());
        }
        let response = match self.context.tls_for(peer) {
            // A handshake would take a thread; so it cannot be told in words.
            Some(_) => REFUSAL.to_vec(),
            None => rendered(unavailable::unavailable(why, None).unasked()),
        };
        self.rejector.reject(stream, response);
    }

    /// Waits before the next accept; not beyond a stop, and a little even then.
    fn pause(&self, pause: Duration) {
        if self.context.stop.wait_for(pause) {
            thread::sleep(ACCEPT_BACKOFF.0);
        }
    }

    /// Waits for the sessions to part, and for the requests in progress; drops what takes too long.
    fn drain(&self, grace: Duration, listeners: &[Listener]) {
        let deadline = Instant::now() + grace;
        let sessions = self.context.admission.wait_for_sessions(deadline);
        self.close(listeners);
        let connections = self.context.admission.wait_for_connections(deadline);
        if connections > 0 {
            warn!(
                "the grace period is over (--grace-period): {connections} connections are dropped, {sessions} of them sessions"
            );
            self.context.stop.cut();
        } else {
            info!("every connection has ended");
        }
    }

    /// Ends the accept loops.
    fn close(&self, listeners: &[Listener]) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        for listener in listeners {
            listener.wake(ACCEPT_BACKOFF.1);
        }
    }
}

fn open_admin(at: &Listen) -> Result<Listener, Error> {
    if matches!(at, Listen::Tcp(address) if !address.ip().is_loopback()) {
        warn!(
            "--admin {at} can be reached from other machines, and tells who is connected; 127.0.0.1 or unix:PATH cannot"
        );
    }
    Listener::bind(at).map_err(|error| Error::Admin(at.clone(), error))
}

/// Errors of an accepted connection that `accept` reports as its own; see accept(2).
fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, PermissionDenied, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    )
}

fn rendered(response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    response.write(&mut bytes, false, false).expect("a Vec takes every byte");
    bytes
}

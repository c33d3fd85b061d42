//! The operator's state: metrics, the sessions that are on, and how the server is.
//!
//! What it is: a listener of its own, and a few threads that answer one request a connection.
//! What it is not: a way to change anything. Nor a state for everybody, as it names the clients.
//! Invariants: it answers while all other places are taken, and until the last session has parted.
//! When an [`AdminServer`] has been dropped, its threads and connections are gone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use log::debug;

use crate::config::Config;
use crate::config::tuning::{ACCEPT_BACKOFF, ADMIN_THREADS, LINGER_TIME, STACK};
use crate::connection::context::Context;
use crate::http::framing;
use crate::http::head::Head;
use crate::http::origin;
use crate::http::response::Response;
use crate::http::unavailable::{self, Unavailable, state};
use crate::metrics::{Gauges, Metrics};
use crate::net::Stream;
use crate::net::address::Address;
use crate::net::lingering_close::linger;
use crate::net::listener::Listener;
use crate::net::shutdown::Stop;
use crate::net::socket::Socket;
use crate::net::transport::{ReadTimeout, Transport};

/// What whoever asked for something else is shown.
const PLACES: &str = "\
/metrics   counters, gauges and latencies, as Prometheus reads them
/sessions  the WebSocket sessions that are on, in JSON
/readyz    200 while there is a place for another session
/healthz   200 while serving
";

/// A state that is open; when it is dropped, it is shut.
pub(crate) struct AdminServer {
    state: Arc<AdminState>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
struct AdminState {
    listener: Listener,
    context: Arc<Context>,
    metrics: Arc<Metrics>,
    /// How many threads serve the others.
    count_threads: Box<dyn Fn() -> usize + Send + Sync>,
    /// Whether the server accepts connections.
    is_serving: AtomicBool,
    /// This state's own: it is shut after the server has stopped.
    stop: Arc<Stop>,
}

impl AdminServer {
    /// # Errors
    /// No thread could be made.
    pub(crate) fn start(
        listener: Listener,
        context: &Arc<Context>,
        metrics: &Arc<Metrics>,
        count_threads: impl Fn() -> usize + Send + Sync + 'static,
    ) -> io::Result<AdminServer> {
        let state = Arc::new(AdminState {
            listener,
            context: Arc::clone(context),
            metrics: Arc::clone(metrics),
            count_threads: Box::new(count_threads),
            is_serving: AtomicBool::new(false),
            stop: Arc::new(Stop::new()?),
        });
        let mut admin = AdminServer { state, threads: Vec::new() };
        for _ in 0..ADMIN_THREADS {
            let state = Arc::clone(&admin.state);
            let thread = thread::Builder::new().name("wsecho-admin".to_owned()).stack_size(STACK);
            admin.threads.push(thread.spawn(move || state.attend())?);
        }
        Ok(admin)
    }

    /// From now on the server accepts connections, and may be ready.
    pub(crate) fn set_serving(&self) {
        self.state.is_serving.store(true, Ordering::SeqCst);
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        // In this order: who accepts a connection after the cut sees that the stop was requested.
        self.state.stop.request();
        self.state.stop.cut();
        for thread in self.threads.drain(..) {
            // Its panics were caught where they happened.
            let _ = thread.join();
        }
    }
}

impl AdminState {
    /// A thread's life: one connection after another.
    fn attend(&self) {
        loop {
            match self.listener.accept(self.stop.waker()) {
                Ok(None) => return,
                Ok(Some((stream, peer))) => {
                    // A panic was reported by the panic hook; it ends this connection alone.
                    let served = catch_unwind(AssertUnwindSafe(|| self.serve(stream, peer)));
                    if let Ok(Err(error)) = served {
                        debug!("{peer}: the admin connection was lost: {error}");
                    }
                }
                Err(error) => {
                    debug!("cannot accept admin connections, trying again: {error}");
                    self.stop.wait_for(ACCEPT_BACKOFF.1);
                }
            }
        }
    }

    /// One request, one response.
    fn serve(&self, stream: Stream, peer: Address) -> io::Result<()> {
        let Config { limits, timeouts, .. } = &self.context.config;
        let local = Address::of_our_end(&stream);
        let mut socket = Socket::new(stream, peer, None, &self.stop, timeouts.write)?;
        if self.stop.requested() {
            return Ok(());
        }
        socket.set_read_timeout(ReadTimeout::deadline(Instant::now() + timeouts.handshake));
        let mut buffer = Vec::new();
        let (response, head_only) = match Head::read(&mut socket, &mut buffer, limits) {
            Ok(head) => (self.answer(&head, local), head.method == "HEAD"),
            Err(error) => match unavailable::no_request(&error, &buffer) {
                Some(diagnosis) => (diagnosis.unasked(), false),
                None => return Ok(()),
            },
        };
        debug!("{peer}: to the operator: {}", response.status);
        response.write(&mut socket, head_only, false)?;
        linger(&mut socket, LINGER_TIME);
        Ok(())
    }

    fn answer(&self, head: &Head, local: Option<Address>) -> Response {
        if let Err(why) = framing::check(head) {
            return why.answer(head);
        }
        if !matches!(head.method.as_str(), "GET" | "HEAD") {
            return Response::text(405, "Ask by GET or HEAD.\n").with("Allow", "GET, HEAD");
        }
        if is_misled(head, local) {
            return Response::text(
                421,
                "This state answers to localhost and 127.0.0.1 alone; by another name a web page could have sent you.\n",
            );
        }
        match head.path.as_str() {
            "/metrics" => Response::metrics(self.metrics.text(&self.gauges())),
            "/sessions" => self.sessions(),
            "/readyz" => state("ready\n", self.readiness(), head),
            "/healthz" => state("ok\n", self.context.health(), head),
            _ => Response::text(404, format!("The operator finds here:\n{PLACES}")),
        }
    }

    fn gauges(&self) -> Gauges {
        let admission = &self.context.admission;
        Gauges {
            connections: admission.connections(),
            max_sessions: self.context.config.limits.max_connections,
            threads: (self.count_threads)(),
        }
    }

    fn sessions(&self) -> Response {
        let (live, now) = (self.metrics.sessions.open(), Instant::now());
        let lines: Vec<_> = live.iter().map(|session| session.row(now)).collect();
        Response::json(200, &lines, true)
    }

    fn readiness(&self) -> Result<(), Unavailable> {
        if self.is_serving.load(Ordering::SeqCst) {
            self.context.readiness()
        } else {
            Err(Unavailable::Starting)
        }
    }
}

/// Whether a name that is not this machine's led to its loopback address. So does a page that has a
/// browser here read for it (DNS rebinding).
fn is_misled(head: &Head, local: Option<Address>) -> bool {
    let on_loopback = matches!(local, Some(Address::Ip(at)) if at.ip().is_loopback());
    on_loopback && head.get("Host").is_some_and(|host| !origin::is_loopback(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;
    use std::io::{Read, Write};

    #[test]
    fn before_the_server_accepts_it_is_not_ready() {
        let here = ([127, 0, 0, 1], 0);
        let config =
            Config { listen: vec![here.into()], admin: Some(here.into()), ..Config::default() };
        let Server { admin, context, .. } = Server::bind(config).unwrap();
        let listener = admin.unwrap();
        let address = listener.reachable().as_socket().unwrap();
        let metrics = context.metrics.as_ref().unwrap();
        let admin = AdminServer::start(listener, &context, metrics, || 0).unwrap();
        let status = || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer[..13].to_owned()
        };
        assert_eq!(status(), "HTTP/1.1 503 ");
        admin.set_serving();
        assert_eq!(status(), "HTTP/1.1 200 ");
    }
}

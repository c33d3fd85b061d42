//! The admin listener: metrics, open sessions, readiness and health.
//!
//! It has a socket and a few threads of its own. One accepts, and the others answer one request per
//! connection; while all of them are in use, the oldest connection that has sent no request makes room.
//! All of it is read-only. It is separate from the public listeners because `/sessions` shows the
//! clients' addresses.
//!
//! **Invariants:** it answers while all other slots are in use, and until the last session has
//! ended. When an [`AdminServer`] has been dropped, its threads and connections are gone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use log::debug;

use crate::config::Config;
use crate::config::tuning::{ACCEPT_BACKOFF, ADMIN_THREADS, LINGER_TIME, STACK};
use crate::connection::Accepted;
use crate::connection::context::Context;
use crate::http::framing;
use crate::http::head::Head;
use crate::http::host;
use crate::http::no_request;
use crate::http::response::Response;
use crate::http::unavailable::{Unavailable, state};
use crate::lock::unpoisoned;
use crate::metrics::{Gauges, Metrics};
use crate::net::address::Address;
use crate::net::admission::{Admission, ConnectionPermit};
use crate::net::idle::Idle;
use crate::net::lingering_close::linger_while;
use crate::net::listener::Listener;
use crate::net::shutdown::Stop;
use crate::net::socket::Socket;
use crate::net::transport::{ReadTimeout, Transport};

/// The paths that are served, for the body of a 404.
const ROUTES: &str = "\
/metrics   counters, gauges and latencies in Prometheus's text format
/sessions  the open WebSocket sessions in JSON
/readyz    200 while another session can be accepted
/healthz   200 until shutdown begins
";

/// A running admin listener. Dropping it stops its threads and closes its connections.
pub(crate) struct AdminServer {
    state: Arc<AdminState>,
    threads: Vec<JoinHandle<()>>,
}

/// State that the admin threads share.
struct AdminState {
    listener: Listener,
    context: Arc<Context>,
    metrics: Arc<Metrics>,
    /// Counts the threads of the public server's pool.
    count_threads: Box<dyn Fn() -> usize + Send + Sync>,
    /// Whether the public listeners accept connections.
    is_serving: AtomicBool,
    /// Separate from the server's, because the admin listener stops after the server.
    stop: Arc<Stop>,
    /// As many slots as threads that answer.
    admission: Arc<Admission>,
}

impl AdminServer {
    /// Starts to serve `listener`. `/readyz` is 503 until [`set_serving`](Self::set_serving).
    ///
    /// # Errors
    /// A thread could not be started.
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
            admission: Admission::without_sessions(ADMIN_THREADS),
        });
        let mut admin = AdminServer { state, threads: Vec::new() };
        let (sender, receiver) = sync_channel(ADMIN_THREADS);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..ADMIN_THREADS {
            let accepted = Arc::clone(&receiver);
            admin.spawn(move |state| state.answer_loop(&accepted))?;
        }
        admin.spawn(move |state| state.accept_loop(&sender))?;
        Ok(admin)
    }

    fn spawn(&mut self, run: impl FnOnce(&AdminState) + Send + 'static) -> io::Result<()> {
        let state = Arc::clone(&self.state);
        let thread = thread::Builder::new().name("wsecho-admin".to_owned()).stack_size(STACK);
        self.threads.push(thread.spawn(move || run(&state))?);
        Ok(())
    }

    /// Records that the public listeners accept connections, so that `/readyz` may return 200.
    pub(crate) fn set_serving(&self) {
        self.state.is_serving.store(true, Ordering::SeqCst);
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        // The order matters: a thread that accepts a connection after the cut must see the request.
        self.state.stop.request();
        self.state.stop.cut();
        for thread in self.threads.drain(..) {
            // `answer_loop` has caught all panics.
            let _ = thread.join();
        }
    }
}

impl AdminState {
    /// Accepts connections, and gives each its slot. Dropping `threads` ends the other threads.
    fn accept_loop(&self, threads: &SyncSender<Accepted>) {
        loop {
            match self.listener.accept(self.stop.waker()) {
                Ok(None) => return,
                Ok(Some((stream, peer))) => {
                    let Some(permit) = self.wait_for_slot() else { return };
                    // There is room for as many as have a slot.
                    let _ = threads.send(Accepted { stream, peer, permit });
                }
                Err(error) => {
                    debug!("cannot accept admin connections, trying again: {error}");
                    self.stop.wait_for(ACCEPT_BACKOFF.1);
                }
            }
        }
    }

    /// Waits while every thread is answering. `None` at the stop.
    fn wait_for_slot(&self) -> Option<ConnectionPermit> {
        loop {
            match self.admission.connect(None) {
                Ok(permit) => return Some(permit),
                Err(_) if self.stop.wait_for(ACCEPT_BACKOFF.0) => return None,
                Err(_) => {}
            }
        }
    }

    /// Serves one connection after the other, until the accept loop has ended.
    fn answer_loop(&self, accepted: &Mutex<Receiver<Accepted>>) {
        loop {
            let Ok(next) = unpoisoned(accepted.lock()).recv() else { return };
            let peer = next.peer;
            // The panic hook has reported a panic; it ends only this connection.
            let served = catch_unwind(AssertUnwindSafe(|| self.serve(next)));
            if let Ok(Err(error)) = served {
                debug!("{peer}: admin connection failed: {error}");
            }
        }
    }

    /// Reads one request, sends the response, and closes the connection.
    fn serve(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { stream, peer, mut permit } = accepted;
        let Config { limits, timeouts, .. } = &self.context.config;
        let local = Address::of_our_end(&stream);
        let mut socket = Socket::new(stream, peer, None, &self.stop, timeouts.write)?;
        if self.stop.requested() {
            return Ok(());
        }
        socket.set_read_timeout(ReadTimeout::deadline(Instant::now() + timeouts.handshake));
        let mut buffer = Vec::new();
        permit.set_idle(Idle::Silent, socket.handle());
        let head = Head::read(&mut socket, &mut buffer, limits);
        if !permit.set_busy() {
            return Ok(()); // another connection has the slot
        }
        let (response, head_only) = match head {
            Ok(head) => (self.answer(&head, local), head.method == "HEAD"),
            Err(error) => match no_request::diagnosis(&error, &buffer, false) {
                Some(diagnosis) => (diagnosis.without_request(), false),
                None => return Ok(()),
            },
        };
        debug!("{peer}: admin request: {}", response.status);
        response.write(&mut socket, head_only, None)?;
        permit.set_idle(Idle::Answered, socket.handle());
        linger_while(&mut socket, LINGER_TIME, || permit.has_slot());
        Ok(())
    }

    fn answer(&self, head: &Head, local: Option<Address>) -> Response {
        if let Err(why) = framing::check(head) {
            return why.answer(head);
        }
        if !matches!(head.method.as_str(), "GET" | "HEAD") {
            return Response::text(405, "Use GET or HEAD.\n").with("Allow", "GET, HEAD");
        }
        if may_be_rebound(head, local) {
            return Response::text(
                421,
                "The admin listener accepts only `Host: localhost` or a loopback address (protection against DNS rebinding).\n",
            );
        }
        match head.path.as_str() {
            "/metrics" => Response::metrics(self.metrics.text(&self.gauges())),
            "/sessions" => self.sessions(),
            "/readyz" => state(Response::text(200, "ready\n"), self.readiness(), head),
            "/healthz" => state(Response::text(200, "ok\n"), self.context.health(), head),
            _ => Response::text(404, format!("The admin listener serves:\n{ROUTES}")),
        }
    }

    fn gauges(&self) -> Gauges {
        let Context { admission, memory, .. } = &*self.context;
        Gauges {
            connections: admission.connections(),
            max_sessions: self.context.config.limits.max_connections,
            threads: (self.count_threads)(),
            message_memory: memory.used(),
            message_memory_limit: memory.limit(),
            message_memory_waiting: memory.waiting(),
        }
    }

    fn sessions(&self) -> Response {
        let (open, now) = (self.metrics.sessions.open(), Instant::now());
        let rows: Vec<_> = open.iter().map(|session| session.row(now)).collect();
        Response::json(200, &rows, true)
    }

    fn readiness(&self) -> Result<(), Unavailable> {
        if self.is_serving.load(Ordering::SeqCst) {
            self.context.readiness()
        } else {
            Err(Unavailable::Starting)
        }
    }
}

/// Whether a connection to a loopback address has a `Host` that does not name one. A web page that
/// resolves its own name to 127.0.0.1 (DNS rebinding) makes a local browser send such requests.
fn may_be_rebound(head: &Head, local: Option<Address>) -> bool {
    let on_loopback = matches!(local, Some(Address::Ip(at)) if at.ip().is_loopback());
    on_loopback && head.fields.get("Host").is_some_and(|value| !host::is_loopback(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;
    use std::io::{Read, Write};

    #[test]
    fn readyz_is_503_until_the_server_accepts() {
        let loopback = ([127, 0, 0, 1], 0);
        let (listen, admin) = (vec![loopback.into()], Some(loopback.into()));
        let config = Config { listen, admin, ..Config::default() };
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

//! What the server does at the end of a session: it frees the slots, counts the statistics, writes the
//! log line, and then frees the connection's slot.
//!
//! **Invariant:** every session has one log line, at its end. Sessions of the server's own probe have it
//! with `-v` only, as there is one every few seconds for years.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{Level, log};

use super::context::Context;
use super::ended_session::EndedSession;
use crate::http::forwarded::Client;
use crate::metrics::registry::{Registration, SessionStats};
use crate::net::admission::{AddressPermit, ConnectionPermit, SessionPermit};
use crate::report::{EndOfSession, OpenReport};
use crate::session::SessionOutcome;
use crate::session::end::SessionEnd;

/// What the server keeps of a session while it lasts. See the module.
pub(super) struct SessionLog {
    pub(super) number: u64,
    pub(super) path: String,
    pub(super) client: Client,
    /// The name that the client gave its screen.
    pub(super) screen: Option<String>,
    /// Whether it is a session of the server's own probe.
    pub(super) is_own: bool,
    pub(super) started: Instant,
    /// `None` without an admin listener.
    pub(super) registration: Option<Registration>,
    /// `None` unless the client asked for one.
    pub(super) report: Option<OpenReport>,
    pub(super) permits: (ConnectionPermit, Option<AddressPermit>, SessionPermit),
}

impl SessionLog {
    /// What the session publishes; `None` without an admin listener.
    pub(super) fn stats(&self) -> Option<Arc<SessionStats>> {
        self.registration.as_ref().map(|registration| Arc::clone(registration.stats()))
    }

    /// Frees the slots before it logs, because writing the line may take time. The connection's slot
    /// stands for this thread, so it is freed last.
    pub(super) fn finish(self, outcome: &SessionOutcome, server: &Context) {
        let SessionLog {
            number,
            path,
            client,
            screen,
            is_own,
            started,
            registration,
            report,
            permits,
        } = self;
        if let Some(report) = report {
            report.end(end_in_report(&outcome.end));
        }
        if let Some(mut registration) = registration {
            registration.set_end(outcome.end.labels());
        }
        let (_connection, client_permit, session_permit) = permits;
        drop((client_permit, session_permit));
        let level = if is_own { Level::Debug } else { Level::Info };
        log_end(level, number, &client, screen.as_deref(), &path, outcome, started.elapsed());
        if !is_own {
            server.report(|| EndedSession::new(path, outcome));
        }
    }
}

#[cold]
fn end_in_report(end: &SessionEnd) -> EndOfSession {
    let text = end.to_string();
    let SessionEnd { by, how, code, reason, limit } = end;
    EndOfSession { by, how, code: *code, reason: reason.clone(), limit, text }
}

/// The one log line of a session, with its parts for programs.
fn log_end(
    level: Level,
    number: u64,
    client: &Client,
    screen: Option<&str>,
    path: &str,
    outcome: &SessionOutcome,
    lasted: Duration,
) {
    let SessionOutcome { end, received, sent, on_wire, round_trip } = outcome;
    let SessionEnd { by, how, code, reason, limit } = end;
    let ping = round_trip.map_or(String::new(), |ping| format!(", ping {:.1} ms", millis(ping)));
    let called = screen.map_or(String::new(), |name| format!(" screen {name:?}"));
    let on_the_wire =
        |bytes: Option<u64>| bytes.map_or(String::new(), |n| format!(", {n} on the wire"));
    let wire_in = on_wire.map(|on_wire| on_wire.received);
    let wire_out = on_wire.map(|on_wire| on_wire.sent);
    log!(
        level,
        session = number,
        client:% = client.address,
        peer:% = client.peer,
        screen,
        path,
        by,
        how,
        code,
        reason = reason.as_str(),
        limit,
        messages_in = received.messages,
        bytes_in = received.bytes,
        wire_in,
        messages_out = sent.messages,
        bytes_out = sent.bytes,
        wire_out,
        seconds = lasted.as_secs_f64(),
        ping_ms = round_trip.map(millis);
        "session {number} {client}{called} {}: {end}; in {} ({} bytes{}), out {} ({} bytes{}), {:.3} s{ping}",
        path.escape_debug(),
        received.messages,
        received.bytes,
        on_the_wire(wire_in),
        sent.messages,
        sent.bytes,
        on_the_wire(wire_out),
        lasted.as_secs_f64(),
    );
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

//! The server's metrics, and the page with them that Prometheus scrapes. Without `--admin`, nothing
//! is counted.
//!
//! **Invariant:** Every label has a fixed, small set of values; nothing that a client sends becomes
//! one.

pub(crate) mod exposition;
pub(crate) mod histogram;
pub(crate) mod registry;
pub(crate) mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::exposition::Exposition;
use self::histogram::Histogram;
use self::registry::{SessionRegistry, Totals};

/// The statuses of invalid handshakes; the query parameter `status` can force them, too. All other
/// statuses are forced, and share the label value `other`.
const STATUSES: [(u16, &str); 7] = [
    (400, "400"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (413, "413"),
    (421, "421"),
    (426, "426"),
];
const OTHER_STATUS: &str = "other";

/// The metrics of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) sessions: Arc<SessionRegistry>,
    /// Time from the last byte of a handshake to its 101.
    pub(crate) upgrades: Histogram,
    /// Time from the arrival of messages to their replies.
    pub(crate) echoes: Arc<Histogram>,
    refused: LabeledCounts,
    handshakes_refused: LabeledCounts,
    accept_errors: AtomicU64,
}

/// Values at the time of a scrape that other modules maintain.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) connections: usize,
    pub(crate) max_sessions: usize,
    pub(crate) threads: usize,
    /// In bytes, like its limit.
    pub(crate) message_memory: usize,
    pub(crate) message_memory_limit: usize,
    /// Sessions that wait for it.
    pub(crate) message_memory_waiting: usize,
}

/// Counters by the value of one label. All values exist from the start, so that Prometheus can
/// compute a rate from 0.
#[derive(Debug)]
struct LabeledCounts(Vec<(&'static str, AtomicU64)>);

impl LabeledCounts {
    fn new(values: impl IntoIterator<Item = &'static str>) -> LabeledCounts {
        LabeledCounts(values.into_iter().map(|value| (value, AtomicU64::new(0))).collect())
    }

    fn add(&self, value: &'static str) {
        if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == value) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn all(&self) -> impl Iterator<Item = ([&'static str; 1], u64)> {
        self.0.iter().map(|(value, count)| ([*value], count.load(Ordering::Relaxed)))
    }
}

impl Metrics {
    /// `reasons`: the values of the label `reason` of `wsecho_refused_total`.
    pub(crate) fn new(reasons: impl IntoIterator<Item = &'static str>) -> Metrics {
        let statuses = STATUSES.into_iter().map(|(_, label)| label).chain([OTHER_STATUS]);
        Metrics {
            sessions: Arc::default(),
            upgrades: Histogram::default(),
            echoes: Arc::default(),
            refused: LabeledCounts::new(reasons),
            handshakes_refused: LabeledCounts::new(statuses),
            accept_errors: AtomicU64::new(0),
        }
    }

    /// Counts a connection or handshake refused for lack of capacity or at shutdown.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.add(reason);
    }

    /// Counts a handshake refused with this status, as invalid or by the query parameter `status`.
    pub(crate) fn handshake_refused(&self, status: u16) {
        let known = STATUSES.into_iter().find(|(known, _)| *known == status);
        self.handshakes_refused.add(known.map_or(OTHER_STATUS, |(_, label)| label));
    }

    /// Counts a failed accept(2).
    pub(crate) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// All metrics in the Prometheus text format.
    pub(crate) fn text(&self, now: &Gauges) -> String {
        let mut page = Exposition::default();
        let version = ("version", env!("CARGO_PKG_VERSION"));
        page.info("wsecho_build_info", "The version of the server.", version);
        add_sessions(&mut page, &self.sessions.totals(), now.max_sessions);
        page.counters(
            "wsecho_refused_total",
            "Connections and handshakes refused for lack of capacity or at shutdown.",
            ["reason"],
            self.refused.all(),
        );
        page.counters(
            "wsecho_handshakes_refused_total",
            "Handshakes refused as invalid or by the query parameter status; \
             other: further statuses that the parameter asked for.",
            ["status"],
            self.handshakes_refused.all(),
        );
        page.histogram(
            "wsecho_upgrade_duration_seconds",
            "Time from the last byte of a handshake to its 101 response.",
            &self.upgrades,
        );
        page.histogram(
            "wsecho_echo_duration_seconds",
            "Time from the arrival of messages to their replies; messages read together count once.",
            &self.echoes,
        );
        page.gauge("wsecho_connections", "Open connections.", now.connections);
        page.gauge(
            "wsecho_threads",
            "Threads that serve connections, including idle ones.",
            now.threads,
        );
        page.gauge(
            "wsecho_message_memory_bytes",
            "Memory that messages take beyond what is free for each session.",
            now.message_memory,
        );
        page.gauge(
            "wsecho_message_memory_limit_bytes",
            "The limit of wsecho_message_memory_bytes (--message-memory).",
            now.message_memory_limit,
        );
        page.gauge(
            "wsecho_message_memory_waiting",
            "Sessions that wait for message memory.",
            now.message_memory_waiting,
        );
        page.counter(
            "wsecho_accept_errors_total",
            "Failed calls of accept, for example for lack of file descriptors.",
            self.accept_errors.load(Ordering::Relaxed),
        );
        page.into_text()
    }
}

fn add_sessions(page: &mut Exposition, totals: &Totals, max: usize) {
    let Totals { open, opened, received, sent, ends } = totals;
    page.gauge("wsecho_sessions", "Open WebSocket sessions.", open);
    page.gauge("wsecho_sessions_max", "Limit of open WebSocket sessions (--max-connections).", max);
    page.counter("wsecho_sessions_total", "WebSocket sessions opened since the start.", *opened);
    page.counters(
        "wsecho_session_ends_total",
        "WebSocket sessions ended, by side, manner and WebSocket close code: \
         1000 (Normal Closure), 1001 (Going Away), ...; 3xxx and 4xxx stand for all codes of their \
         range; empty if no code was sent (1006 never occurs on the wire).",
        ["by", "how", "code"],
        ends.iter().copied(),
    );
    for (direction, tally) in [("received", received), ("sent", sent)] {
        let messages = format!("wsecho_messages_{direction}_total");
        page.counter(&messages, &format!("Data messages {direction}."), tally.messages);
        let bytes = format!("wsecho_message_{direction}_bytes_total");
        page.counter(&bytes, &format!("Payload bytes of data messages {direction}."), tally.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_metric() {
        let metrics = Metrics::new(["sessions", "stopping"]);
        metrics.refused("sessions");
        for status in [403, 418, 599] {
            metrics.handshake_refused(status);
        }
        metrics.accept_failed();
        let text = metrics.text(&Gauges {
            connections: 3,
            max_sessions: 9,
            threads: 4,
            message_memory: 5,
            message_memory_limit: 6,
            message_memory_waiting: 7,
        });
        for line in [
            "wsecho_sessions 0",
            "wsecho_sessions_max 9",
            "wsecho_messages_received_total 0",
            "wsecho_message_sent_bytes_total 0",
            "wsecho_refused_total{reason=\"sessions\"} 1",
            "wsecho_refused_total{reason=\"stopping\"} 0",
            "wsecho_handshakes_refused_total{status=\"400\"} 0",
            "wsecho_handshakes_refused_total{status=\"403\"} 1",
            "wsecho_handshakes_refused_total{status=\"other\"} 2",
            "wsecho_upgrade_duration_seconds_count 0",
            "wsecho_echo_duration_seconds_bucket{le=\"+Inf\"} 0",
            "wsecho_connections 3",
            "wsecho_threads 4",
            "wsecho_accept_errors_total 1",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in {text}");
        }
    }
}

//! What a server has done and is doing, in numbers.
//!
//! What it is: the counters, and the page that Prometheus reads.
//! What it is not: there where nobody asks (`--admin`); nor a room that knows the others, which count
//! here by themselves.
//! Invariant: the values of every label are few and ours; nothing that a client sends becomes one.

pub(crate) mod exposition;
pub(crate) mod histogram;
pub(crate) mod registry;
pub(crate) mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::exposition::Exposition;
use self::histogram::Histogram;
use self::registry::{SessionRegistry, Totals};

/// Statuses of handshakes that were wrong; all others are ordered by query, and one to the label.
const STATUSES: [(u16, &str); 6] =
    [(400, "400"), (403, "403"), (404, "404"), (405, "405"), (413, "413"), (426, "426")];
const OTHER_STATUS: &str = "other";

/// See the module.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) sessions: Arc<SessionRegistry>,
    /// From the arrival of a handshake's last byte to its 101.
    pub(crate) upgrades: Histogram,
    /// From the arrival of messages to their replies.
    pub(crate) echoes: Arc<Histogram>,
    refused: LabeledCounts,
    handshakes_refused: LabeledCounts,
    accept_errors: AtomicU64,
}

/// What is so at this moment, and is known elsewhere.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) connections: usize,
    pub(crate) max_sessions: usize,
    pub(crate) threads: usize,
}

/// LabeledCounts by the value of a label. All values are there from the start: a rate has to see them rise
/// from 0.
#[derive(Debug)]
struct LabeledCounts(Vec<(&'static str, AtomicU64)>);

impl LabeledCounts {
    fn of(labels: impl IntoIterator<Item = &'static str>) -> LabeledCounts {
        LabeledCounts(labels.into_iter().map(|label| (label, AtomicU64::new(0))).collect())
    }

    fn add(&self, label: &'static str) {
        if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == label) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn all(&self) -> impl Iterator<Item = ([&'static str; 1], u64)> {
        self.0.iter().map(|(label, count)| ([*label], count.load(Ordering::Relaxed)))
    }
}

impl Metrics {
    /// `reasons`: why there may be no place.
    pub(crate) fn new(reasons: impl IntoIterator<Item = &'static str>) -> Metrics {
        let statuses = STATUSES.into_iter().map(|(_, label)| label).chain([OTHER_STATUS]);
        Metrics {
            sessions: Arc::default(),
            upgrades: Histogram::default(),
            echoes: Arc::default(),
            refused: LabeledCounts::of(reasons),
            handshakes_refused: LabeledCounts::of(statuses),
            accept_errors: AtomicU64::new(0),
        }
    }

    /// There was no place.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.add(reason);
    }

    /// A handshake was wrong, or ordered to be.
    pub(crate) fn handshake_refused(&self, status: u16) {
        let known = STATUSES.into_iter().find(|(known, _)| *known == status);
        self.handshakes_refused.add(known.map_or(OTHER_STATUS, |(_, label)| label));
    }

    /// The operating system had no connection to give.
    pub(crate) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// The page.
    pub(crate) fn text(&self, now: &Gauges) -> String {
        let mut page = Exposition::default();
        let version = ("version", env!("CARGO_PKG_VERSION"));
        page.info("wsecho_build_info", "The version that runs.", version);
        add_sessions(&mut page, &self.sessions.totals(), now.max_sessions);
        page.counters(
            "wsecho_refused_total",
            "Connections and handshakes for which there was no place.",
            ["reason"],
            self.refused.all(),
        );
        page.counters(
            "wsecho_handshakes_refused_total",
            "Handshakes that were wrong, by the status of the answer.",
            ["status"],
            self.handshakes_refused.all(),
        );
        page.histogram(
            "wsecho_upgrade_duration_seconds",
            "From the last byte of a handshake to its 101.",
            &self.upgrades,
        );
        page.histogram(
            "wsecho_echo_duration_seconds",
            "From the arrival of messages to their replies; those that arrive together count once.",
            &self.echoes,
        );
        page.gauge("wsecho_connections", "Connections that are open.", now.connections);
        page.gauge("wsecho_threads", "Threads for connections, idle ones included.", now.threads);
        page.counter(
            "wsecho_accept_errors_total",
            "Connections that could not be accepted, as for want of descriptors.",
            self.accept_errors.load(Ordering::Relaxed),
        );
        page.into_text()
    }
}

fn add_sessions(page: &mut Exposition, totals: &Totals, max: usize) {
    let Totals { open, opened, received, answered, ends } = totals;
    page.gauge("wsecho_sessions", "WebSocket sessions that are open.", open);
    page.gauge("wsecho_sessions_max", "Sessions that there can be (--max-connections).", max);
    page.counter("wsecho_sessions_total", "WebSocket sessions so far.", *opened);
    page.counters(
        "wsecho_session_ends_total",
        "Sessions that have ended: by whom, how, and the code of the Close.",
        ["by", "how", "code"],
        ends.iter().copied(),
    );
    let both = [("received", "that arrived", received), ("sent", "that were sent", answered)];
    for (way, which, tally) in both {
        let messages = format!("wsecho_messages_{way}_total");
        page.counter(&messages, &format!("Data messages {which}."), tally.messages);
        let bytes = format!("wsecho_message_{way}_bytes_total");
        page.counter(&bytes, &format!("Payload of the data messages {which}."), tally.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_on_the_page() {
        let metrics = Metrics::new(["sessions", "stopping"]);
        metrics.refused("sessions");
        for status in [403, 418, 599] {
            metrics.handshake_refused(status);
        }
        metrics.accept_failed();
        let text = metrics.text(&Gauges { connections: 3, max_sessions: 9, threads: 4 });
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

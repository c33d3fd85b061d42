//! The 503: the server has no capacity, or is starting or shutting down.

use std::fmt;

use super::diagnosis::Diagnosis;
use super::excerpt::request_line;
use super::head::Head;
use super::response::Response;
use crate::config::tuning::RETRY_AFTER_SECS;
use crate::net::admission::LimitReached;

/// Why the server is temporarily unavailable (503).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// A limit on connections or sessions is reached.
    LimitReached(LimitReached),
    /// The operating system cannot create a thread.
    NoThread,
    /// The operating system cannot open a file.
    NoDescriptor,
    /// Sessions wait for message memory; only `/readyz` answers so.
    NoMemory,
    /// Shutting down.
    Stopping,
    /// Not accepting connections yet; only the admin listener answers so.
    Starting,
}

/// The status of every [`Unavailable`] response: 503 Service Unavailable.
pub(crate) const STATUS: u16 = 503;

/// The reasons for which a connection or a handshake may be refused.
pub(crate) const REASONS: [Unavailable; 5] = [
    Unavailable::LimitReached(LimitReached::Connections),
    Unavailable::LimitReached(LimitReached::Sessions),
    Unavailable::LimitReached(LimitReached::Address),
    Unavailable::NoThread,
    Unavailable::Stopping,
];

/// The 503 for this reason. `head` is `None` if no request was read.
pub(crate) fn diagnosis(why: Unavailable, head: Option<&Head>) -> Diagnosis {
    let (cause, fix) = why.explained();
    Diagnosis {
        status: STATUS,
        problem: format!("Unavailable: {why}; retry in {RETRY_AFTER_SECS} seconds.").into(),
        arrived: vec![head.map_or("a connection; no request was read".to_owned(), request_line)],
        cause: cause.into(),
        fix: fix.into(),
    }
}

/// The response to a question about the server's state: `good`, or a 503.
pub(crate) fn state(good: Response, state: Result<(), Unavailable>, head: &Head) -> Response {
    match state {
        Ok(()) => good,
        Err(why) => diagnosis(why, Some(head)).answer(head),
    }
}

impl Unavailable {
    /// The value of the label `reason` in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Unavailable::LimitReached(LimitReached::Connections) => "connections",
            Unavailable::LimitReached(LimitReached::Sessions) => "sessions",
            Unavailable::LimitReached(LimitReached::Address) => "address",
            Unavailable::NoThread => "thread",
            Unavailable::NoDescriptor => "descriptor",
            Unavailable::NoMemory => "memory",
            Unavailable::Stopping => "stopping",
            Unavailable::Starting => "starting",
        }
    }

    /// The usual cause, and the fix.
    fn explained(self) -> (&'static str, &'static str) {
        match self {
            Unavailable::LimitReached(LimitReached::Sessions | LimitReached::Connections) => (
                "More clients than the server is configured for; or clients that reconnect without\n\
                 closing their previous connections.",
                "Close unused WebSockets, or wait; the operator can raise --max-connections.",
            ),
            Unavailable::LimitReached(LimitReached::Address) => (
                "Several clients behind one address, such as those of a proxy or an office; or a client\n\
                 that reconnects without closing its previous connections.",
                "Close unused connections, or wait; the operator can raise --max-connections-per-ip.",
            ),
            Unavailable::NoThread => (
                "A limit on threads is reached (ulimit -u, TasksMax=, pids.max), or memory is exhausted.",
                "Wait; the operator can raise the limit, or lower --max-connections below it.",
            ),
            Unavailable::NoDescriptor => (
                "The limit on open files is reached (ulimit -n, LimitNOFILE=), or memory is exhausted.",
                "Wait; the operator can raise the limit, or lower --max-connections below it.",
            ),
            Unavailable::NoMemory => (
                "Many large messages at one time; or clients that send theirs slowly, or do not read the replies.",
                "Wait; the operator can raise --message-memory, or lower --max-message-size.",
            ),
            Unavailable::Stopping => (
                "The server is being stopped, for example to install a new version.",
                "Wait, and reconnect; a client should do so automatically, after a random delay.",
            ),
            Unavailable::Starting => {
                ("The server was started a moment ago.", "Wait, and try again.")
            }
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::LimitReached(full) => full.fmt(f),
            Unavailable::NoThread => f.write_str("no thread could be created"),
            Unavailable::NoDescriptor => f.write_str("no file can be opened"),
            Unavailable::NoMemory => f.write_str("sessions wait for message memory"),
            Unavailable::Stopping => f.write_str("the server is shutting down"),
            Unavailable::Starting => f.write_str("the server does not accept connections yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::assert_readable;

    #[test]
    fn every_503_says_when_to_retry() {
        let unlisted = [Unavailable::NoDescriptor, Unavailable::NoMemory, Unavailable::Starting];
        for why in REASONS.into_iter().chain(unlisted) {
            let diagnosis = diagnosis(why, None);
            assert_eq!(diagnosis.status, 503);
            let problem = format!("Unavailable: {why}; retry in 5 seconds.");
            assert_eq!(diagnosis.problem, problem);
            assert_readable(&diagnosis);
        }
    }
}

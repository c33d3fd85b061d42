//! What a session did, for the program that runs the server, such as a test.

use crate::session::SessionOutcome;

/// What a session did, as in its log line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedSession {
    /// The path of its handshake, without the query.
    pub path: String,
    /// Which side ended it: `client`, `server`, or `network` if neither did.
    pub by: &'static str,
    /// `close` with a Close; without one, `fin` or `rst` is how the client ended the connection, and
    /// `drop` says that the server did.
    pub how: &'static str,
    /// The code of the Close that ended the session; `None` if it had no code, or there was no Close.
    pub code: Option<u16>,
    /// The reason in that Close, or why there was none.
    pub reason: String,
    /// Data messages that the client sent.
    pub messages_received: u64,
    /// Their payload, in bytes.
    pub bytes_received: u64,
    /// Data messages that the server sent.
    pub messages_sent: u64,
    /// Their payload, in bytes.
    pub bytes_sent: u64,
}

impl EndedSession {
    pub(super) fn new(path: String, outcome: &SessionOutcome) -> EndedSession {
        let SessionOutcome { end, received, sent, .. } = outcome;
        EndedSession {
            path,
            by: end.by,
            how: end.how,
            code: end.code,
            reason: end.reason.clone(),
            messages_received: received.messages,
            bytes_received: received.bytes,
            messages_sent: sent.messages,
            bytes_sent: sent.bytes,
        }
    }
}

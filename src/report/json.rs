//! A report as JSON. src/session/faults/README.md explains its fields.

use std::time::Instant;

use serde::Serialize;

use super::message_head::MessageHead;
use super::{RecordedFrame, Recording, Report};
use crate::config::micros;
use crate::net::address::Address;

/// What the server saw of a session until now; its fields are serialized in this order.
#[derive(Debug, Serialize)]
pub(crate) struct SessionReport {
    request: MessageHead,
    response: MessageHead,
    peer: Address,
    /// Since the 101.
    age_us: u64,
    frames: Vec<FrameInReport>,
    frames_not_recorded: u64,
    /// `None` while the session goes on.
    end: Option<EndInReport>,
}

#[derive(Debug, Serialize)]
struct FrameInReport {
    at_us: u64,
    from: &'static str,
    opcode: u8,
    fin: bool,
    rsv: u8,
    masked: bool,
    length: u64,
    crc32: u32,
}

#[derive(Debug, Serialize)]
struct EndInReport {
    at_us: u64,
    #[serde(flatten)]
    end: EndOfSession,
}

/// How a session ended, in the words of its log line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EndOfSession {
    pub(crate) by: &'static str,
    pub(crate) how: &'static str,
    /// Of the Close; `None` if it had none, or there was no Close.
    pub(crate) code: Option<u16>,
    /// In the Close, or why there was none.
    pub(crate) reason: String,
    /// The option whose limit ended the session; empty if none did.
    pub(crate) limit: &'static str,
    /// The whole in one line.
    pub(crate) text: String,
}

impl EndOfSession {
    /// The connection ended before the 101 was sent.
    pub(super) fn before_the_session() -> EndOfSession {
        let reason = "the connection ended before the 101".to_owned();
        EndOfSession {
            by: "network",
            how: "drop",
            code: None,
            text: reason.clone(),
            reason,
            limit: "",
        }
    }
}

impl SessionReport {
    pub(crate) fn new(report: &Report) -> SessionReport {
        let recording = report.lock();
        let Recording { started, response, frames, not_recorded, end } = &*recording;
        SessionReport {
            request: report.request.clone(),
            response: response.clone(),
            peer: report.peer,
            age_us: micros(started.elapsed()),
            frames: frames.iter().map(|frame| FrameInReport::new(frame, *started)).collect(),
            frames_not_recorded: *not_recorded,
            end: end.as_ref().map(|(at, end)| EndInReport {
                at_us: micros(at.saturating_duration_since(*started)),
                end: end.clone(),
            }),
        }
    }
}

impl FrameInReport {
    fn new(recorded: &RecordedFrame, started: Instant) -> FrameInReport {
        let RecordedFrame { at, is_from_client, frame } = *recorded;
        FrameInReport {
            at_us: micros(at.saturating_duration_since(started)),
            from: if is_from_client { "client" } else { "server" },
            opcode: frame.opcode,
            fin: frame.fin,
            rsv: frame.rsv,
            masked: frame.masked,
            length: frame.length,
            crc32: frame.crc32,
        }
    }
}

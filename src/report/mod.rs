//! What the server saw of a session whose client asked for a report (`/echo?report=TOKEN`): both heads, the
//! frames both ways, and the end. The client compares this with what it saw itself.
//!
//! `frames` finds the frames, `recorder` notes them while the session lasts, `json` is the answer to
//! `/report?token=TOKEN`.
//!
//! **Invariants:** there are at most [`REPORTS_MAX`] reports, each of at most [`REPORT_BYTES`], which are charged
//! to the message memory. The report of a session that goes on is never removed.

pub(crate) mod frames;
mod json;
mod message_head;
mod recorder;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use self::frames::SeenFrame;
pub(crate) use self::json::{EndOfSession, SessionReport};
pub(crate) use self::message_head::MessageHead;
pub(crate) use self::recorder::{Recorded, Recorder};
use crate::config::reports::{
    REPORT_BYTES, REPORT_KEPT, REPORTS_MAX, RESPONSE_BYTES, TOKEN_LENGTHS,
};
use crate::http::head::Head;
use crate::lock::unpoisoned;
use crate::message_memory::{Charge, MessageMemory};
use crate::net::address::Address;

/// The reports of a server.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<VecDeque<Arc<Report>>>);

/// What the server saw of one session.
#[derive(Debug)]
pub(crate) struct Report {
    /// Known to the client alone.
    token: String,
    request: MessageHead,
    peer: Address,
    recording: Mutex<Recording>,
    /// How many frames there is room for beside the heads.
    frames_max: usize,
    _memory: Charge,
}

#[derive(Debug)]
struct Recording {
    /// When the 101 was written.
    started: Instant,
    /// The 101; empty before it was written.
    response: MessageHead,
    frames: Vec<RecordedFrame>,
    /// Frames for which there is no room.
    not_recorded: u64,
    end: Option<(Instant, EndOfSession)>,
}

#[derive(Debug, Clone, Copy)]
struct RecordedFrame {
    at: Instant,
    is_from_client: bool,
    frame: SeenFrame,
}

/// The report of a session that goes on. Dropping it ends the report.
#[derive(Debug)]
pub(crate) struct OpenReport(Arc<Report>);

/// Why a session gets no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportError {
    /// Another session has this token.
    TokenInUse,
    /// All reports belong to sessions that go on.
    TooMany,
    /// Messages take all of the message memory.
    NoMemory,
}

/// Whether `token` may name a report: characters of base64url, enough of them for 128 random bits.
pub(crate) fn is_token(token: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    TOKEN_LENGTHS.contains(&token.len()) && token.bytes().all(is_char)
}

impl Reports {
    /// Begins the report of a session. The oldest report of a session that has ended makes room for it.
    ///
    /// # Errors
    /// See [`ReportError`].
    pub(crate) fn begin(
        &self,
        token: &str,
        request: &Head,
        peer: Address,
        memory: &Arc<MessageMemory>,
    ) -> Result<OpenReport, ReportError> {
        let now = Instant::now();
        let mut reports = self.lock(now);
        if reports.iter().any(|report| report.token == token) {
            return Err(ReportError::TokenInUse);
        }
        if reports.len() == REPORTS_MAX {
            let ended = reports.iter().position(|report| report.ended().is_some());
            reports.remove(ended.ok_or(ReportError::TooMany)?);
        }
        let charge = memory.take(REPORT_BYTES).ok_or(ReportError::NoMemory)?;
        let report = Arc::new(Report::new(token, request, peer, now, charge));
        reports.push_back(Arc::clone(&report));
        Ok(OpenReport(report))
    }

    /// The report with this token; `None` if there is none, or its session ended long ago.
    pub(crate) fn find(&self, token: &str) -> Option<Arc<Report>> {
        self.lock(Instant::now()).iter().find(|report| report.token == token).cloned()
    }

    /// The reports that are kept at `now`.
    fn lock(&self, now: Instant) -> MutexGuard<'_, VecDeque<Arc<Report>>> {
        let mut reports = unpoisoned(self.0.lock());
        reports.retain(|report| {
            report.ended().is_none_or(|ended| now.saturating_duration_since(ended) < REPORT_KEPT)
        });
        reports
    }
}

impl Report {
    fn new(token: &str, request: &Head, peer: Address, started: Instant, memory: Charge) -> Report {
        let recording = Recording {
            started,
            response: MessageHead::default(),
            frames: Vec::new(),
            not_recorded: 0,
            end: None,
        };
        let request = MessageHead::of_request(request);
        let rest = request.bytes() + size_of::<Report>() + RESPONSE_BYTES;
        Report {
            token: token.to_owned(),
            request,
            peer,
            recording: Mutex::new(recording),
            frames_max: REPORT_BYTES.saturating_sub(rest) / size_of::<RecordedFrame>(),
            _memory: memory,
        }
    }

    fn ended(&self) -> Option<Instant> {
        self.lock().end.as_ref().map(|(at, _)| *at)
    }

    fn add(&self, frame: RecordedFrame) {
        let mut recording = self.lock();
        if recording.frames.len() < self.frames_max {
            recording.frames.push(frame);
        } else {
            recording.not_recorded += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        unpoisoned(self.recording.lock())
    }
}

impl OpenReport {
    /// Notes the 101. The times in the report count from here.
    #[cold]
    pub(crate) fn set_response(&self, response: &str) {
        let mut recording = self.0.lock();
        recording.started = Instant::now();
        recording.response = MessageHead::split(response);
    }

    /// The recorder of the session.
    pub(crate) fn recorder(&self) -> Box<Recorder> {
        Box::new(Recorder::new(Arc::clone(&self.0)))
    }

    /// Notes how the session ended.
    #[cold]
    pub(crate) fn end(self, end: EndOfSession) {
        self.0.lock().end = Some((Instant::now(), end));
    }
}

impl Drop for OpenReport {
    fn drop(&mut self) {
        let no_session = || (Instant::now(), EndOfSession::before_the_session());
        self.0.lock().end.get_or_insert_with(no_session);
    }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReportError::TokenInUse => "another session has this token for its report",
            ReportError::TooMany => "all reports belong to sessions that go on",
            ReportError::NoMemory => "messages take all of the server's message memory",
        })
    }
}

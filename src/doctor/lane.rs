//! One connection of the client: connects, makes the handshake, sends and receives frames, and records
//! all of it.
//!
//! **Invariant:** every wait has a deadline, and a received frame a maximum size.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use tungstenite::handshake::client::generate_key;

use super::limits::{
    ANSWER_TIMEOUT_FACTOR, FRAME_MAX, FRAMES_MAX, READ_MAX, SECOND_ANSWER_TIMEOUT,
};
use super::record::{Record, SeenClose, SeenEnd, Side, StreamEnd, WireFrame};
use crate::check::connect::{Route, RouteEnd};
use crate::check::connection_options::ConnectionOptions;
use crate::check::handshake::{ServerResponse, get};
use crate::check::stream::CheckStream;
use crate::check::upgrade::{UpgradeFailure, read_response};
use crate::config::micros;
use crate::frame::{CLOSE, FIN, Header, OPCODE, PING, PONG, mask, masked};
use crate::net::transport::append_zeroed;
use crate::report::MessageHead;

/// How lanes reach the server.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) connection: ConnectionOptions,
    pub(crate) route: Route,
    /// The shortest wait for something that may not come.
    pub(crate) answer_timeout: Duration,
}

/// Why a lane could not be opened.
#[derive(Debug)]
pub(crate) enum NotOpen {
    /// The server, or a proxy, answered with something else than a 101.
    Refused {
        response: Box<ServerResponse>,
        body: Vec<u8>,
        request: MessageHead,
    },
    Failed,
}

/// A frame that has arrived, and its payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Arrived {
    pub(crate) fn is_data(&self) -> bool {
        self.first & CLOSE == 0
    }

    /// Whether this is the last frame of a message.
    pub(crate) fn ends_message(&self) -> bool {
        self.first & FIN != 0 && self.is_data()
    }
}

impl Access {
    /// The same for a second look at what did not arrive.
    pub(crate) fn with_more_time(&self) -> Access {
        let (connection, route) = (self.connection.clone(), self.route.clone());
        Access { connection, route, answer_timeout: SECOND_ANSWER_TIMEOUT }
    }

    /// Connects, up to TLS. `None` if that fails.
    pub(crate) fn connect(&self) -> Option<CheckStream> {
        let mut stream = self.route.reopen(&self.connection)?;
        if self.connection.target.is_tls {
            stream.start_tls(&self.connection, &self.connection.http1_alpn()).ok()?;
        }
        Some(stream)
    }

    /// The options for another resource of the same server, beside the path of the URL.
    pub(crate) fn at(&self, name: &str, query: &str) -> ConnectionOptions {
        let mut connection = self.connection.clone();
        let path = connection.target.path();
        let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
        let own = connection.target.resource.split_once('?').map_or("", |(_, query)| query);
        let separator = if own.is_empty() { "" } else { "&" };
        connection.target.resource = format!("{folder}{name}?{query}{separator}{own}");
        connection
    }

    /// Whether a connection can be reset. A Unix socket cannot.
    pub(crate) fn has_resets(&self) -> bool {
        matches!(self.route.end, RouteEnd::Tcp(_))
    }

    /// The place that is connected to, for people.
    pub(crate) fn place(&self) -> String {
        match &self.route.end {
            RouteEnd::Tcp(address) => address.to_string(),
            RouteEnd::Unix(path) => path.display().to_string(),
        }
    }
}

/// Random characters for `report=`: 128 bits, as base64url without padding.
pub(crate) fn token() -> String {
    generate_key().trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn masking_key() -> [u8; 4] {
    let random = BASE64.decode(generate_key().as_bytes()).unwrap_or_default();
    random.first_chunk().copied().unwrap_or_default()
}

/// An open session. See the module.
#[derive(Debug)]
pub(crate) struct Lane {
    stream: CheckStream,
    pub(crate) record: Record,
    pub(crate) response: ServerResponse,
    /// Bytes of frames that are not complete.
    input: Vec<u8>,
    opened: Instant,
    /// The longest wait for something that may not come.
    pub(crate) answer_timeout: Duration,
    /// The Close that has arrived.
    closed: Option<SeenClose>,
    /// Whether Pings are answered.
    pub(crate) answers_pings: bool,
}

impl Lane {
    /// Makes a handshake at `/echo?QUERY` with these fields beside the usual ones.
    pub(crate) fn open(
        access: &Access,
        query: &str,
        fields: &[(&str, &str)],
    ) -> Result<Lane, NotOpen> {
        Lane::open_at(access, &access.at("echo", query), fields)
    }

    /// As [`open`](Lane::open), at the resource of these options.
    pub(crate) fn open_at(
        access: &Access,
        connection: &ConnectionOptions,
        fields: &[(&str, &str)],
    ) -> Result<Lane, NotOpen> {
        let began = Instant::now();
        let mut stream = access.connect().ok_or(NotOpen::Failed)?;
        let key = generate_key();
        let mut own = vec![("Connection", "Upgrade"), ("Upgrade", "websocket")];
        own.extend([("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", &key)]);
        own.extend_from_slice(fields);
        let request = get(connection, &own);
        stream.set_deadline(Instant::now() + connection.timeout());
        // A refusal may come before the request is read; it matters more than the failed write.
        let _ = stream.write_all(request.as_bytes());
        let mut input = Vec::new();
        let request = MessageHead::split(&request);
        let response = read_response(&mut stream, &mut input, connection)
            .map_err(|_: UpgradeFailure| NotOpen::Failed)?;
        if response.status != 101 {
            let response = Box::new(response);
            read_body(&mut stream, &response, &mut input);
            return Err(NotOpen::Refused { response, body: input, request });
        }
        let record = Record { request, response: response_head(&response), ..Record::default() };
        let opened = Instant::now();
        let answer_timeout = access
            .answer_timeout
            .max(began.elapsed() * ANSWER_TIMEOUT_FACTOR)
            .min(connection.timeout());
        let (closed, answers_pings) = (None, true);
        Ok(Lane { stream, record, response, input, opened, answer_timeout, closed, answers_pings })
    }

    /// Microseconds since the 101.
    pub(crate) fn now_us(&self) -> u64 {
        micros(self.opened.elapsed())
    }

    fn note(&mut self, from: Side, first: u8, payload: &[u8]) {
        if self.record.frames.len() >= FRAMES_MAX {
            self.record.lacks_frames = true;
            return;
        }
        let frame = WireFrame {
            at_us: self.now_us(),
            from,
            opcode: first & OPCODE,
            fin: first & FIN != 0,
            rsv: (first >> 4) & 7,
            length: payload.len() as u64,
            crc32: crc32fast::hash(payload),
        };
        self.record.frames.push(frame);
    }

    /// Sends frames in one write. What fails shows when the answer is read.
    pub(crate) fn send(&mut self, frames: &[(u8, &[u8])]) {
        let mut bytes = Vec::new();
        for (first, payload) in frames {
            self.note(Side::Client, *first, payload);
            bytes.extend(masked(*first, payload, masking_key()));
        }
        self.stream.set_deadline(Instant::now() + self.answer_timeout);
        let _ = self.stream.write_all(&bytes).and_then(|()| self.stream.flush());
    }

    /// Waits for a frame. `None` if none comes before the deadline, or the record has the end of the stream.
    pub(crate) fn receive_until(&mut self, deadline: Instant) -> Option<Arrived> {
        self.stream.set_deadline(deadline);
        loop {
            if let Some(arrived) = self.take_frame() {
                self.on_frame(&arrived);
                return Some(arrived);
            }
            if self.record.end.is_some() || self.input.len() > FRAME_MAX {
                return None;
            }
            match append_zeroed(&mut self.stream, &mut self.input, READ_MAX) {
                Ok(0) => self.on_end(StreamEnd::Fin),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::TimedOut => return None,
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        self.on_end(StreamEnd::Reset);
                    }
                    _ => self.on_end(StreamEnd::Other),
                },
            }
        }
    }

    fn take_frame(&mut self) -> Option<Arrived> {
        let header = Header::parse(&self.input)?;
        let end = header.size.checked_add(usize::try_from(header.length).ok()?)?;
        let mut payload = self.input.get(header.size..end)?.to_vec();
        if let Some(key) = header.key {
            mask(&mut payload, key);
        }
        self.input.drain(..end);
        Some(Arrived { first: header.first, payload })
    }

    fn on_frame(&mut self, arrived: &Arrived) {
        self.note(Side::Server, arrived.first, &arrived.payload);
        match arrived.first & OPCODE {
            PING if self.answers_pings => self.send(&[(FIN | PONG, &arrived.payload)]),
            CLOSE => {
                self.closed.get_or_insert_with(|| SeenClose::parse(&arrived.payload));
            }
            _ => {}
        }
    }

    fn on_end(&mut self, how: StreamEnd) {
        let close = self.closed.clone();
        let (at_us, text) = (self.now_us(), String::new());
        self.record.end = Some(SeenEnd { at_us, by: Side::Server, how, close, text });
    }

    /// The Close that has arrived.
    pub(crate) fn closed(&self) -> Option<&SeenClose> {
        self.closed.as_ref()
    }

    /// Receives until `is_it` is true of a frame, which is returned; `None` if it does not come.
    pub(crate) fn wait_for(&mut self, is_it: impl Fn(&Arrived) -> bool) -> Option<Arrived> {
        let deadline = Instant::now() + self.answer_timeout;
        loop {
            let arrived = self.receive_until(deadline)?;
            if is_it(&arrived) {
                return Some(arrived);
            }
        }
    }

    /// Waits for the end of a message, the echo of the last one: what was sent before has then been
    /// answered.
    pub(crate) fn wait_for_message(&mut self) -> bool {
        self.wait_for(Arrived::ends_message).is_some()
    }

    /// Waits for the end of the stream.
    pub(crate) fn wait_for_end(&mut self) {
        self.wait_for(|_| false);
    }

    /// Sends a Close, and waits for the end of the connection.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        if self.record.end.is_none() {
            let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
            self.send(&[(FIN | CLOSE, &payload)]);
            self.wait_for_end();
        }
    }

    /// The largest TCP segment that the client sends.
    pub(crate) fn segment_size(&self) -> Option<u32> {
        self.stream.segment_size()
    }

    /// Ends the sending side (FIN).
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.stream.finish()
    }

    /// Ends the connection with a reset. Returns what was recorded.
    pub(crate) fn reset(self) -> Record {
        let _ = self.stream.reset();
        self.record
    }
}

/// That of a response, without the version.
fn response_head(response: &ServerResponse) -> MessageHead {
    let line = format!("{} {}", response.status, response.reason);
    MessageHead { line, fields: response.fields.clone() }
}

/// Reads a body until it is complete, or too large.
pub(super) fn read_body(stream: &mut CheckStream, response: &ServerResponse, body: &mut Vec<u8>) {
    while body.len() < FRAME_MAX
        && !response.is_complete(body)
        && matches!(append_zeroed(stream, body, READ_MAX), Ok(1..))
    {}
}

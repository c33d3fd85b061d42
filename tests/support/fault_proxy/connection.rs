//! One connection through the proxy: its handshake, its two directions, and its end.
//!
//! **Invariant:** the sockets are owned here alone, so that they are closed when both directions have
//! ended; a socket that lingers for zero seconds then sends its RST.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::Control;

use super::fault::{Ending, Fault, Way};
use super::filter::Filter;
use super::frame::Frame;
use super::head::Head;
use super::inbox::Inbox;
use super::pump::Pump;
use crate::support::client::TIMEOUT;

const KEY: &str = "Sec-WebSocket-Key";
/// The key of [`Fault::ReplaceKey`].
const OTHER_KEY: &str = "cHJveHkncyBvd24ga2V5IQ==";

pub(super) struct Connection {
    client: End,
    server: End,
    fault: Fault,
    /// Set when the proxy has ended the connection: nothing is forwarded any more.
    is_cut: AtomicBool,
    times: Mutex<Times>,
}

struct Times {
    upgrade: Instant,
    traffic: Instant,
}

/// One end of the connection.
pub(super) struct End {
    pub(super) stream: TcpStream,
    /// Held while a frame is written, as both directions write to an end that gets answers.
    writing: Mutex<()>,
}

impl End {
    fn new(stream: TcpStream) -> End {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        End { stream, writing: Mutex::new(()) }
    }

    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap();
        (&self.stream).write_all(bytes)
    }

    pub(super) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Resets the connection as soon as it is closed, and ends the waiting read.
    fn reset(&self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        let _ = self.stream.shutdown(Shutdown::Read);
    }
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream, fault: Fault) -> Connection {
        let now = Instant::now();
        Connection {
            client: End::new(client),
            server: End::new(server),
            fault,
            is_cut: AtomicBool::new(false),
            times: Mutex::new(Times { upgrade: now, traffic: now }),
        }
    }

    pub(super) fn stop(&self) {
        for end in [&self.client, &self.server] {
            let _ = end.stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault
    }

    pub(super) fn receiver(&self, way: Way) -> &End {
        match way {
            Way::ToServer => &self.server,
            Way::ToClient => &self.client,
        }
    }

    pub(super) fn sender(&self, way: Way) -> &End {
        self.receiver(way.opposite())
    }

    pub(super) fn run(&self) {
        let mut requests = Inbox::new(&self.client.stream);
        let mut responses = Inbox::new(&self.server.stream);
        let Ok(is_session) = self.handshake(&mut requests, &mut responses) else { return };
        let filter = |way| is_session.then(|| Filter::new(way, self.fault));
        let pump = |way, inbox| Pump::new(self, way, inbox, filter(way)).run();
        std::thread::scope(|scope| {
            scope.spawn(|| pump(Way::ToServer, requests));
            pump(Way::ToClient, responses);
        });
    }

    /// Forwards request and response of a handshake. Returns whether a session follows in which the
    /// fault may be committed; other requests are left to the directions.
    fn handshake(&self, requests: &mut Inbox, responses: &mut Inbox) -> io::Result<bool> {
        if self.fault == Fault::None {
            return Ok(false);
        }
        let head = requests.head()?;
        let mut request = Head::parse(&head);
        let Some(key) = request.get(KEY).map(str::to_owned) else { return Ok(false) };
        requests.skip(head.len());
        if let Fault::Refuse(status) = self.fault {
            let refusal = format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n");
            self.client.send(refusal.as_bytes())?;
            return Ok(false);
        }
        match self.fault {
            Fault::Request(fault) => request.apply(fault),
            Fault::ReplaceKey { .. } => request.set(KEY, OTHER_KEY),
            _ => {}
        }
        self.server.send(&request.encode())?;

        let head = responses.head()?;
        responses.skip(head.len());
        let mut response = Head::parse(&head);
        match self.fault {
            Fault::Response(fault) => response.apply(fault),
            Fault::ReplaceKey { mends_accept: true } => {
                response.set("Sec-WebSocket-Accept", &derive_accept_key(key.as_bytes()));
            }
            Fault::LoseBehind101 => drop(responses.take_all()),
            _ => {}
        }
        let now = Instant::now();
        *self.times.lock().unwrap() = Times { upgrade: now, traffic: now };
        self.client.send(&response.encode())?;
        Ok(response.is_switching_protocols())
    }

    pub(super) fn note_traffic(&self, way: Way, frame: &Frame) {
        if let Fault::Silence(_, counts, _) = self.fault
            && counts.has(way, frame)
        {
            self.times.lock().unwrap().traffic = Instant::now();
        }
    }

    /// When the proxy ends the connection by itself, and how.
    pub(super) fn due(&self) -> Option<(Instant, Ending)> {
        let times = self.times.lock().unwrap();
        match self.fault {
            _ if self.is_cut() => None,
            Fault::Age(max, ending) => Some((times.upgrade + max, ending)),
            Fault::Silence(max, _, ending) => Some((times.traffic + max, ending)),
            _ => None,
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    /// Returns whether it was not cut before.
    fn cut(&self) -> bool {
        !self.is_cut.swap(true, Ordering::SeqCst)
    }

    /// Ends the connection towards both ends. What they still send is read and discarded.
    pub(super) fn end(&self, ending: Ending) {
        if !self.cut() {
            return;
        }
        let ends = [(&self.client, false), (&self.server, true)];
        match ending {
            Ending::Nothing => {}
            Ending::Fin => ends.iter().for_each(|(end, _)| end.finish()),
            Ending::Rst => ends.iter().for_each(|(end, _)| end.reset()),
            Ending::Close(code) => {
                for (end, is_masked) in ends {
                    let close = Frame::control(Control::Close, &code.to_be_bytes(), is_masked);
                    let _ = end.send(&close.encode());
                    end.finish();
                }
            }
        }
    }

    /// Resets the connection towards one end, once the direction that comes from the other end has
    /// ended.
    pub(super) fn reset(&self, end: &End) {
        if self.cut() {
            end.reset();
        }
    }
}

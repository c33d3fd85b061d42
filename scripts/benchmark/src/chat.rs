//! Measures a chat room in which one member sends, and a thousand receive: the latency from the
//! time at which a message was due to its arrival at each member, and the server's CPU per
//! delivery.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde_json::Value;

use crate::scenario::Figures;
use crate::server::Server;
use crate::wire;

const MEMBERS: usize = 1000;
/// Interval between two messages.
const PAUSE: Duration = Duration::from_millis(10);

struct Member {
    stream: TcpStream,
    /// The bytes of an incomplete frame.
    buffer: Vec<u8>,
    /// The number of the last message; `None` before the first one, as a member may join later than
    /// its 101.
    seq: Option<u64>,
}

impl Member {
    /// Reads available bytes, and calls `on_text` with the text of each message.
    fn read(&mut self, scratch: &mut [u8], mut on_text: impl FnMut(&str)) -> io::Result<()> {
        match self.stream.read(scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.buffer.extend_from_slice(&scratch[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut used = 0;
        while let Some((payload, length)) = wire::text_frame(&self.buffer[used..]) {
            let event: Value = serde_json::from_slice(payload)?;
            if event["type"] == "message" {
                let seq = event["seq"].as_u64().expect("a number");
                assert!(
                    self.seq.is_none_or(|last| last + 1 == seq),
                    "a gap or a duplicate: {event}"
                );
                self.seq = Some(seq);
                on_text(event["text"].as_str().expect("a text"));
            }
            used += length;
        }
        self.buffer.drain(..used);
        Ok(())
    }
}

struct Room {
    epoll: Epoll,
    members: Vec<Member>,
    scratch: Vec<u8>,
}

impl Room {
    /// Joins with all members; those that have joined receive the events meanwhile.
    fn fill(address: SocketAddr) -> io::Result<Room> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut room = Room { epoll, members: Vec::new(), scratch: vec![0; 64 * 1024] };
        for number in 0..MEMBERS {
            let stream = wire::open(address, &format!("/chat?room=bench&name=m{number}"))?;
            stream.set_nonblocking(true)?;
            room.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
            room.members.push(Member { stream, buffer: Vec::new(), seq: None });
            while room.receive(EpollTimeout::ZERO, |_| {})? > 0 {}
        }
        while room.receive(EpollTimeout::from(200u8), |_| {})? > 0 {}
        Ok(room)
    }

    /// Reads from the members that are ready within `timeout`. Returns their number.
    fn receive(
        &mut self,
        timeout: EpollTimeout,
        mut on_text: impl FnMut(&str),
    ) -> io::Result<usize> {
        let mut events = [EpollEvent::empty(); 256];
        let ready = self.epoll.wait(&mut events, timeout)?;
        for event in &events[..ready] {
            self.members[event.data() as usize].read(&mut self.scratch, &mut on_text)?;
        }
        Ok(ready)
    }
}

/// Sends a message every `PAUSE`, with the time at which it was due as its text, until `over`.
fn send(mut stream: &TcpStream, start: Instant, over: &AtomicBool) {
    let mut due = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        // The socket is nonblocking, but its send buffer has room for such a short message.
        stream.write_all(&wire::text(&format!("{:064}", due.as_nanos()))).expect("a short message");
        due += PAUSE;
    }
}

/// Measures one server in one round.
pub fn measure(server: &Server, duration: Duration) -> io::Result<Figures> {
    let mut room = Room::fill(server.address)?;
    let (start, over) = (Instant::now(), AtomicBool::new(false));
    let sender = room.members[0].stream.try_clone()?;
    std::thread::scope(|scope| {
        scope.spawn(|| send(&sender, start, &over));
        // Ends the sender even if receiving panics.
        let result = catch_unwind(AssertUnwindSafe(|| receive(&mut room, server, start, duration)));
        over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn receive(
    room: &mut Room,
    server: &Server,
    start: Instant,
    duration: Duration,
) -> io::Result<Figures> {
    let tenth = EpollTimeout::from(100u8);
    let warm_up = duration / 4;
    while start.elapsed() < warm_up {
        room.receive(tenth, |_| {})?;
    }
    let mut latency = Histogram::<u64>::new(3).expect("three digits");
    let before = server.usage();
    while start.elapsed() < warm_up + duration {
        room.receive(tenth, |text| {
            let due = text.parse::<u64>().expect("a time");
            latency
                .record((start.elapsed().as_nanos() as u64).saturating_sub(due))
                .expect("it grows");
        })?;
    }
    let after = server.usage();
    let cpu = after.cpu.saturating_sub(before.cpu);
    let quantile = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Figures {
        cost: cpu.as_secs_f64() * 1e6 / latency.len().max(1) as f64,
        per_second: latency.len() as f64 / duration.as_secs_f64(),
        latency_us: Some([quantile(0.5), quantile(0.99), quantile(0.999)]),
        usage: after,
    })
}

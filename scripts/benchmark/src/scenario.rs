//! The scenarios: echoes, visits, idle connections, and the start of a server.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::load;
use crate::server::{Server, Usage};
use crate::wire::{self, Dialect, Exchange, Payload};

/// One column of the table.
pub struct Scenario {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether server and load share one processor; otherwise figures for few connections vary.
    pub pinned: bool,
}

pub enum Kind {
    /// Connections, messages in flight on each, and what a message is.
    Echo(usize, usize, Payload),
    /// Connect, echo, close, one after another.
    Visits,
    /// Standing connections that do nothing.
    Idle(usize),
}

/// Every scenario, in the order of the table.
pub const ALL: [Scenario; 15] = [
    Scenario { name: "1 conn, pinned", kind: Kind::Echo(1, 1, SHORT), pinned: true },
    Scenario { name: "64 conns, pinned", kind: Kind::Echo(64, 1, SHORT), pinned: true },
    Scenario { name: "64 conns", kind: Kind::Echo(64, 1, SHORT), pinned: false },
    Scenario { name: "1000 conns, pinned", kind: Kind::Echo(1000, 1, SHORT), pinned: true },
    Scenario { name: "1000 conns", kind: Kind::Echo(1000, 1, SHORT), pinned: false },
    Scenario { name: "10 × 64, pinned", kind: Kind::Echo(10, 64, SHORT), pinned: true },
    Scenario { name: "10 × 64 in flight", kind: Kind::Echo(10, 64, SHORT), pinned: false },
    Scenario { name: "64 KiB, pinned", kind: Kind::Echo(4, 1, BINARY_64K), pinned: true },
    Scenario { name: "4 × 64 KiB", kind: Kind::Echo(4, 1, BINARY_64K), pinned: false },
    Scenario { name: "4 × 64 KiB text", kind: Kind::Echo(4, 1, TEXT_64K), pinned: false },
    Scenario { name: "1 MiB, pinned", kind: Kind::Echo(2, 1, BINARY_1M), pinned: true },
    Scenario { name: "2 × 1 MiB", kind: Kind::Echo(2, 1, BINARY_1M), pinned: false },
    Scenario { name: "visits, pinned", kind: Kind::Visits, pinned: true },
    Scenario { name: "connect, echo, close", kind: Kind::Visits, pinned: false },
    Scenario { name: "idle, 10,000", kind: Kind::Idle(10_000), pinned: false },
];

const SHORT: Payload = Payload { size: 64, is_text: false };
const BINARY_64K: Payload = Payload { size: 64 * 1024, is_text: false };
const TEXT_64K: Payload = Payload { size: 64 * 1024, is_text: true };
const BINARY_1M: Payload = Payload { size: 1024 * 1024 - 64, is_text: false };

/// The figures of one cell of the table in one round.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Server CPU per message or visit, in microseconds; for idle connections resident KiB each.
    pub cost: f64,
    pub per_second: f64,
    pub latency_us: Option<[f64; 3]>,
    pub usage: Usage,
}

/// Measures one scenario against one server.
pub fn measure(
    scenario: &Scenario,
    server: &Server,
    dialect: Dialect,
    duration: Duration,
) -> std::io::Result<Figures> {
    match scenario.kind {
        Kind::Echo(connections, in_flight, payload) => {
            echo(server, dialect, connections, in_flight, payload, duration)
        }
        Kind::Visits => visits(server, dialect, duration),
        Kind::Idle(connections) => idle(server, dialect, connections),
    }
}

fn echo(
    server: &Server,
    dialect: Dialect,
    connections: usize,
    in_flight: usize,
    payload: Payload,
    duration: Duration,
) -> std::io::Result<Figures> {
    let exchange = Exchange::new(payload, dialect);
    let streams = load::connect(server.address, dialect, connections)?;
    let mut usages = Vec::new();
    let times = (duration / 4, duration);
    let outcome = load::run(streams, &exchange, in_flight, times, || usages.push(server.usage()))?;
    let [before, after] = usages[..] else { panic!("measured twice") };
    let cpu = after.cpu.saturating_sub(before.cpu);
    let quantile = |quantile| outcome.latency.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Figures {
        cost: cpu.as_secs_f64() * 1e6 / outcome.messages.max(1) as f64,
        per_second: outcome.messages as f64 / outcome.seconds,
        latency_us: Some([quantile(0.5), quantile(0.99), quantile(0.999)]),
        usage: after,
    })
}

fn visits(server: &Server, dialect: Dialect, duration: Duration) -> std::io::Result<Figures> {
    let exchange = Exchange::new(SHORT, dialect);
    let visit_for = |address: SocketAddr, duration| -> std::io::Result<u64> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < duration {
            wire::visit(address, dialect, &exchange)?;
            count += 1;
        }
        Ok(count)
    };
    visit_for(server.address, duration / 4)?;
    let before = server.usage();
    let count = visit_for(server.address, duration)?;
    let after = server.usage();
    let cpu = after.cpu.saturating_sub(before.cpu);
    Ok(Figures {
        cost: cpu.as_secs_f64() * 1e6 / count.max(1) as f64,
        per_second: count as f64 / duration.as_secs_f64(),
        latency_us: None,
        usage: after,
    })
}

/// Returns the median time from the start of a program to its first echo, in milliseconds.
pub fn start(program: &Path, arguments: &[String]) -> std::io::Result<f64> {
    const STARTS: usize = 21;
    let exchange = Exchange::new(SHORT, Dialect::Echo);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let start = Instant::now();
        let server = Server::start(program, arguments, false);
        wire::visit(server.address, Dialect::Echo, &exchange)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[STARTS / 2])
}

fn idle(server: &Server, dialect: Dialect, connections: usize) -> std::io::Result<Figures> {
    let before = server.usage();
    let streams = load::connect(server.address, dialect, connections)?;
    let after = server.usage();
    drop(streams);
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    Ok(Figures {
        cost: grown as f64 / connections as f64,
        per_second: 0.0,
        latency_us: None,
        usage: after,
    })
}

//! Measures wsecho and its peers in rotation, in one run on one machine. `scripts/bench` builds and
//! starts it.
//!
//! The main figure is the server's CPU time per message, as counted by the kernel, because it
//! varies little between runs. Wall-clock figures are in the JSON.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

mod chat;
mod load;
mod report;
mod scenario;
mod server;
mod wire;

use wire::Dialect;

/// Measures wsecho and its peers, and prints a table.
#[derive(Parser)]
struct Options {
    /// The wsecho to measure.
    #[arg(long)]
    wsecho: PathBuf,
    /// The folder with the peers' binaries.
    #[arg(long)]
    peers: PathBuf,
    /// Where to write results.json and results.svg.
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds for each cell of the table in each round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only scenarios whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only servers whose name contains this, and raw TCP as the reference.
    #[arg(long, default_value = "")]
    server: String,
}

struct Peer {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    dialect: Dialect,
}

const WSECHO: [&str; 6] = [
    "--quiet",
    "--listen=127.0.0.1:0",
    "--max-connections=20000",
    "--max-message-size=2MiB",
    "--utc",
    "--time-format=noon",
];

/// Returns the selected servers that were built on this machine.
fn peers(options: &Options) -> Vec<Peer> {
    let peer = |name, program: &str, dialect| Peer {
        name,
        program: options.peers.join(program),
        arguments: Vec::new(),
        dialect,
    };
    let wsecho = |name, dialect| Peer {
        name,
        program: options.wsecho.clone(),
        arguments: WSECHO.map(str::to_owned).to_vec(),
        dialect,
    };
    let ws = Peer {
        name: "ws (Node.js)",
        program: options.peers.join("node/node"),
        arguments: vec![options.peers.join("node/ws.mjs").display().to_string()],
        dialect: Dialect::Echo,
    };
    let all = vec![
        peer("raw TCP threads", "raw", Dialect::Raw),
        wsecho("wsecho /echo", Dialect::Echo),
        wsecho("wsecho /ws", Dialect::Tutorial),
        peer("tungstenite, obvious", "obvious", Dialect::Echo),
        peer("tokio-tungstenite", "tokio_tungstenite", Dialect::Echo),
        peer("fastwebsockets", "fastwebsockets", Dialect::Echo),
        peer("gorilla (Go)", "gorilla", Dialect::Echo),
        ws,
        peer("uWebSockets (C++)", "uwebsockets", Dialect::Echo),
    ];
    let is_selected =
        |peer: &Peer| peer.dialect == Dialect::Raw || peer.name.contains(&options.server);
    all.into_iter().filter(|peer| is_selected(peer) && peer.program.exists()).collect()
}

/// Returns the selected servers that have a chat.
fn chat_servers(options: &Options) -> Vec<(&'static str, PathBuf, Vec<String>)> {
    let wsecho = WSECHO.iter().chain(&["--chat-rate=1000"]).map(|&argument| argument.to_owned());
    let all = vec![
        ("wsecho /chat", options.wsecho.clone(), wsecho.collect()),
        ("tokio-tungstenite, broadcast", options.peers.join("tokio_chat"), Vec::new()),
        ("gorilla (Go), prepared", options.peers.join("gorilla"), Vec::new()),
    ];
    let is_selected = |name: &str| "chat".contains(&options.only) && name.contains(&options.server);
    all.into_iter().filter(|(name, program, _)| is_selected(name) && program.exists()).collect()
}

/// Measures the chat servers in rotation.
fn chat(options: &Options, duration: Duration) -> report::Chat {
    let mut rows: Vec<_> =
        chat_servers(options).into_iter().map(|server| (server, Vec::new())).collect();
    pin(false);
    for round in 1..=options.rounds {
        for ((name, program, arguments), rounds) in &mut rows {
            eprint!("\rround {round}/{}: chat, {name}\x1b[K", options.rounds);
            let server = server::Server::start(program, arguments, false);
            match chat::measure(&server, duration) {
                Ok(figures) => rounds.push(figures),
                Err(error) => eprintln!("\n{name}, chat: {error}"),
            }
        }
    }
    eprintln!();
    let medians = rows.into_iter().map(|((name, ..), rounds)| (name, report::median(rounds)));
    report::Chat(medians.collect())
}

/// Pins this thread to the first processor, or unpins it.
fn pin(pinned: bool) {
    let mut set = CpuSet::new();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for processor in 0..if pinned { 1 } else { processors.max(2) } {
        let _ = set.set(processor);
    }
    let _ = sched_setaffinity(Pid::from_raw(0), &set);
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let peers = peers(&options);
    let duration = Duration::from_secs_f64(options.seconds);
    let mut rounds = vec![vec![Vec::new(); scenario::ALL.len()]; peers.len()];
    for round in 1..=options.rounds {
        for (column, scenario) in scenario::ALL.iter().enumerate() {
            if !scenario.name.contains(&options.only) {
                continue;
            }
            for (row, peer) in peers.iter().enumerate() {
                eprint!(
                    "\rround {round}/{}: {}, {}\x1b[K",
                    options.rounds, scenario.name, peer.name
                );
                pin(false);
                let server = server::Server::start(&peer.program, &peer.arguments, scenario.pinned);
                pin(scenario.pinned);
                match scenario::measure(scenario, &server, peer.dialect, duration) {
                    Ok(figures) => rounds[row][column].push(figures),
                    Err(error) => eprintln!("\n{}, {}: {error}", peer.name, scenario.name),
                }
            }
        }
    }
    let chat = chat(&options, duration);
    let cells =
        rounds.into_iter().map(|row| row.into_iter().map(report::median).collect()).collect();
    let report = report::Report { servers: peers.iter().map(|peer| peer.name).collect(), cells };
    print!("{}\n{}", report.markdown(), chat.markdown());
    println!(
        "\nwsecho: {:.1} ms from start to first echo; the binary has {:.2} MiB.",
        scenario::start(&options.wsecho, &WSECHO.map(str::to_owned))?,
        std::fs::metadata(&options.wsecho)?.len() as f64 / 1048576.0
    );
    let mut json = report.json();
    json["chat"] = chat.json();
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("results.json"), format!("{json:#}\n"))?;
    std::fs::write(options.out.join("results.svg"), report.svg())
}

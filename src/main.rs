//! The program: command line, log, signals, exit code.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{info, warn};
use wsecho::{Config, Error, Server, Stopper, mapping_shortage, raise_descriptor_limit};

mod check;
mod cli;
mod logging;

fn main() -> ExitCode {
    let mut options = cli::Options::typed();
    match options.command.take() {
        Some(cli::Command::Check(options)) => check::run(&options),
        None => serve(options),
    }
}

fn serve(options: cli::Options) -> ExitCode {
    logging::start(options.level(), options.format());
    let config = options.into_config().unwrap_or_else(|error| error.exit());
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsecho: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), Error> {
    if let Some((limit, needed)) = raise_descriptor_limit(&config.limits) {
        warn!(
            "--max-connections needs {needed} descriptors and the limit is {limit}; raise it (ulimit -n) or lower --max-connections"
        );
    }
    if let Some((limit, needed)) = mapping_shortage(&config.limits) {
        warn!(
            "--max-connections needs {needed} memory mappings and vm.max_map_count is {limit}; raise it (sysctl) or lower --max-connections"
        );
    }
    let server = Server::bind(config)?;
    stop_on_signals(server.stopper());
    announce(&server);
    server.run()
}

/// Prints where to connect, for people and for scripts; a closed stdout is no reason not to serve.
fn announce(server: &Server) {
    let mut out = std::io::stdout().lock();
    for address in server.local_addrs() {
        let _ = writeln!(out, "listening on http://{address}/");
    }
    let _ = out.flush();
}

/// The first SIGINT, SIGTERM or SIGHUP stops the server, a second one ends the process at once.
fn stop_on_signals(stopper: Stopper) {
    /// What a shell reports of a process that SIGINT ended.
    const INTERRUPTED: i32 = 130;
    let stopping = AtomicBool::new(false);
    let handler = move || {
        if stopping.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        info!("stopping; a second signal ends the process at once");
        stopper.stop();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        warn!("signals will end the process without a goodbye: {error}");
    }
}

//! The program: command line, log, signals, exit code.

mod addresses;
mod advice;
mod environment;
mod log_line;
mod log_writer;
mod logging;
mod machine_addresses;
mod machine_limits;
mod options;
#[cfg(test)]
mod packaging;
#[cfg(feature = "tls")]
mod reload;
mod service;
mod shorthand;
mod signals;
mod time_format;
mod time_zone;

use std::io::Write;
use std::process::ExitCode;

use log::warn;
use nix::sys::signal::SigSet;

use self::advice::advice;
use self::machine_limits::{raise_descriptor_limit, shortages};
use self::options::{Command, Options};
use self::service::ServiceManager;
use crate::check;
use crate::config::{Config, Listen};
use crate::doctor;
use crate::server::{Error, Server};

/// Runs the program `wsecho`.
pub fn main() -> ExitCode {
    signals::block_file_size_signal();
    let mut options = Options::typed();
    match options.command.take() {
        Some(Command::Check(options)) => check::run(&options),
        Some(Command::Doctor(options)) => doctor::run(&options),
        None => serve(options),
    }
}

fn serve(options: Options) -> ExitCode {
    let signals = signals::block_handled();
    logging::start(options.level(), options.format());
    if options.shows_local_time()
        && let Some(warning) = time_zone::warning()
    {
        warn!("{warning}");
    }
    for warning in options::unknown_variables() {
        warn!("{warning}");
    }
    let config = options.into_config().unwrap_or_else(|error| error.exit());
    let end = run(config, signals);
    log::logger().flush();
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let priority = if service::logs_to_journal() { "<3>" } else { "" };
            // The exit code tells it, too, if stderr is full.
            let _ = writeln!(std::io::stderr(), "{priority}wsecho: {}", advice(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config, signals: SigSet) -> Result<(), Error> {
    raise_descriptor_limit();
    for shortage in shortages(&config) {
        warn!("{shortage}");
    }
    let passed = service::listeners().map_err(Error::Inherited)?;
    let server = if passed.is_empty() {
        Server::bind(config)?
    } else {
        Server::from_listeners(passed, config)?
    };
    #[cfg(feature = "tls")]
    let signals = reload::on_hangup(&server, signals).map_err(Error::Thread)?;
    let manager = ServiceManager::from_environment();
    signals::stop_on(&signals, server.stopper(), manager.clone()).map_err(Error::Thread)?;
    let urls = ServedUrls::of(&server);
    if let Some(probe) = server.probe() {
        manager.clone().keep_watchdog(probe).map_err(Error::Thread)?;
    }
    server.run_and_announce(|| urls.announce(&manager))
}

/// Where the server can be reached, as URLs.
struct ServedUrls {
    listening: Vec<String>,
    admin: Option<String>,
    /// What stands for addresses such as 0.0.0.0, which nobody can type.
    reachable: Vec<String>,
}

impl ServedUrls {
    fn of(server: &Server) -> ServedUrls {
        let scheme = if server.certificate_reloader().is_some() { "https" } else { "http" };
        ServedUrls {
            reachable: server.listen_addrs().iter().flat_map(|at| reachable(at, scheme)).collect(),
            listening: server.listen_addrs().iter().map(|listen| url(listen, scheme)).collect(),
            admin: server.admin_addr().map(|admin| url(&admin, "http")),
        }
    }

    /// Tells them to people and scripts (stdout) and to the service manager. The server goes on if stdout
    /// is closed.
    fn announce(&self, manager: &ServiceManager) {
        let mut out = std::io::stdout().lock();
        for url in &self.listening {
            let _ = writeln!(out, "listening on {url}");
        }
        if let Some(url) = &self.admin {
            let _ = writeln!(out, "admin on {url}");
        }
        for url in &self.reachable {
            let _ = writeln!(out, "reachable at {url}");
        }
        let _ = out.flush();
        manager.ready(&format!("listening on {}", self.listening.join(", ")));
    }
}

/// The URLs with the machine's addresses, if the listener is on all of them.
fn reachable(listen: &Listen, scheme: &str) -> Vec<String> {
    match listen {
        Listen::Tcp(address) if address.ip().is_unspecified() => {
            let ips = machine_addresses::of_kind(address.ip()).into_iter();
            ips.map(|ip| url(&(ip, address.port()).into(), scheme)).collect()
        }
        _ => Vec::new(),
    }
}

fn url(listen: &Listen, scheme: &str) -> String {
    match listen {
        Listen::Tcp(address) => format!("{scheme}://{address}/"),
        Listen::Unix { .. } => listen.to_string(),
    }
}

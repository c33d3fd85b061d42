//! Runs a server as a child process, and reads its resource usage from `/proc`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

/// CPU time used so far, and current memory and threads of a process.
#[derive(Clone, Copy)]
pub struct Usage {
    pub cpu: Duration,
    pub resident_kib: u64,
    pub page_tables_kib: u64,
    pub threads: u64,
}

impl Server {
    /// Starts `program`, on only the first processor if `pinned`.
    pub fn start(program: &Path, arguments: &[String], pinned: bool) -> Server {
        let mut command = if pinned { Command::new("taskset") } else { Command::new(program) };
        if pinned {
            command.args(["--cpu-list", "0"]).arg(program);
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
        let address = line.trim().trim_start_matches("listening on http://").trim_end_matches('/');
        let address =
            address.parse().unwrap_or_else(|_| panic!("{} printed {line:?}", program.display()));
        Server { child, address }
    }

    pub fn usage(&self) -> Usage {
        let status = self.file("status");
        Usage {
            cpu: self.cpu(),
            resident_kib: number_after("VmRSS:", &status),
            page_tables_kib: number_after("VmPTE:", &status),
            threads: number_after("Threads:", &status),
        }
    }

    /// Returns user and system time of all threads, including those that have ended.
    fn cpu(&self) -> Duration {
        const TICKS_PER_SECOND: u64 = 100; // USER_HZ, the same on every Linux
        let stat = self.file("stat");
        // The name, in parentheses, may contain spaces; utime and stime are the 14th and 15th
        // field.
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))
            .expect("the server runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number_after(name: &str, status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

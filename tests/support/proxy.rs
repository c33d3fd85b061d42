//! Runs a real nginx or HAProxy as a child process, with its sample configuration from
//! `scripts/proxies`.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{Raw, TIMEOUT};
use super::port::own_address;
use super::program::tool;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Haproxy,
}

/// A sample configuration, adapted to the test before the proxy is started.
pub struct Sample {
    kind: Kind,
    text: String,
    address: SocketAddr,
}

/// A running proxy; killed when dropped.
pub struct Proxy {
    child: Child,
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Sample {
    /// Loads the sample with a free listen address and `backend` as its server; HAProxy's sample
    /// has two servers, both of which become `backend`.
    pub fn of(kind: Kind, backend: SocketAddr) -> Sample {
        Sample::before(kind, &backend.to_string())
    }

    /// Like `of`; `backend` is an address or, for nginx, a `unix:` path.
    pub fn before(kind: Kind, backend: &str) -> Sample {
        let name = match kind {
            Kind::Nginx => "nginx.conf",
            Kind::Haproxy => "haproxy.cfg",
        };
        let path = format!("{}/scripts/proxies/{name}", env!("CARGO_MANIFEST_DIR"));
        let address = own_address();
        let sample = Sample { kind, text: fs::read_to_string(path).unwrap(), address };
        match kind {
            Kind::Nginx => sample
                .with(" listen 80;", &format!(" listen {address};"))
                .with("    listen [::]:80;\n", "")
                .with("server 127.0.0.1:8080;", &format!("server {backend};")),
            Kind::Haproxy => sample
                .with("bind :80\n", &format!("bind {address}\n"))
                .with("    bind [::]:80 v6only\n", "")
                .with("server one 127.0.0.1:8080 ", &format!("server one {backend} "))
                .with("server two 127.0.0.1:8081 ", &format!("server two {backend} ")),
        }
    }

    /// Replaces `old`, which must occur exactly once, with `new`.
    pub fn with(mut self, old: &str, new: &str) -> Sample {
        assert_eq!(self.text.matches(old).count(), 1, "{old:?} in {}", self.text);
        self.text = self.text.replace(old, new);
        self
    }

    /// Starts the proxy, and waits until it serves the page.
    pub fn start(self) -> Proxy {
        let folder = tempfile::tempdir().unwrap();
        let sample = folder.path().join("sample");
        fs::write(&sample, &self.text).unwrap();
        let mut command = match self.kind {
            Kind::Nginx => nginx(&folder),
            Kind::Haproxy => {
                let mut haproxy = Command::new(tool("haproxy"));
                haproxy.arg("-db").arg("-f").arg(sample);
                haproxy
            }
        };
        let log = folder.path().join("log");
        let output =
            || Stdio::from(fs::File::options().append(true).create(true).open(&log).unwrap());
        command.stdin(Stdio::null()).stdout(output()).stderr(output());
        let child = command.spawn().expect("cannot run the proxy");
        let mut proxy = Proxy { child, address: self.address, _folder: folder };
        let deadline = Instant::now() + TIMEOUT;
        while !proxy.serves() {
            let is_over = proxy.child.try_wait().unwrap().is_some() || Instant::now() > deadline;
            assert!(!is_over, "{}", fs::read_to_string(log).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(10));
        }
        proxy
    }
}

impl Proxy {
    /// Returns whether the proxy listens and reaches its server.
    fn serves(&self) -> bool {
        std::net::TcpStream::connect(self.address).is_ok()
            && Raw::connect(self.address).get("/favicon.svg").status == 200
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command for nginx with the sample inside an `http` block, as in an installed nginx. It
/// runs as a single process without a master, so that killing it leaves no worker behind, and
/// writes only in `folder`.
fn nginx(folder: &TempDir) -> Command {
    const MAIN: &str = "daemon off; master_process off; error_log stderr; pid pid;
        events {}
        http {
            access_log off; client_body_temp_path body; proxy_temp_path proxy;
            fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            include sample;
        }";
    fs::write(folder.path().join("nginx.conf"), MAIN).unwrap();
    let mut nginx = Command::new(tool("nginx"));
    nginx.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    nginx
}

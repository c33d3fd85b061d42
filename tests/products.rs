//! `wsecho check` through real proxies, before servers of other projects: without the setting that
//! forwards upgrades it names the proxy and the setting, and with that setting it succeeds.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::client::wait_until;
use crate::support::program::{command, tool};
use crate::support::proxy::own_address;

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// A process that serves at an address; killed when dropped.
struct Serving {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a script of `tests/peers`, which prints its port.
fn peer(interpreter: &str, script: &str, (variable, path): (&str, &str), rest: &[&str]) -> Serving {
    let mut command = Command::new(interpreter);
    command.arg(Path::new(PEERS).join(script)).args(rest).env(variable, path);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let address = format!("127.0.0.1:{}", port.trim()).parse().unwrap();
    Serving { child, address, _folder: tempfile::tempdir().unwrap() }
}

fn node_ws() -> Serving {
    peer("node", "server.mjs", ("NODE_PATH", &tool("ws")), &[])
}

fn python_websockets() -> Serving {
    peer("python3", "server.py", ("PYTHONPATH", &tool("websockets")), &[])
}

/// A proxy, and the setting of its configuration that forwards upgrades.
struct Proxy {
    name: &'static str,
    /// Its arguments before the path of the configuration.
    arguments: &'static [&'static str],
    /// LISTEN is its own address, BACKEND that of the server, SETTING the place of the setting, and
    /// FOLDER a folder of its own.
    configuration: &'static str,
    broken: &'static str,
    mended: &'static str,
    /// Parts of the first two lines of the report on the broken one.
    problem: &'static str,
    fix: &'static str,
}

const PROXIES: [Proxy; 5] = [
    Proxy {
        name: "nginx",
        arguments: &["-e", "stderr", "-c"],
        configuration: "daemon off; master_process off; error_log stderr; pid FOLDER/pid; events {}
            http { access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b;
            fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
            server { listen LISTEN; location / { proxy_pass http://BACKEND; SETTING } } }",
        broken: "",
        mended: "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection \"upgrade\"; proxy_set_header Host $http_host;",
        problem: "nginx passes the handshake on without its upgrade",
        fix: "nginx, beside proxy_pass: proxy_http_version 1.1; proxy_set_header Upgrade",
    },
    Proxy {
        name: "apache2",
        arguments: &["-X", "-f"],
        configuration: "ServerRoot FOLDER\nServerName localhost\nListen LISTEN\nPidFile FOLDER/pid
            ErrorLog FOLDER/log\nDefaultRuntimeDir FOLDER\nMutex file:FOLDER default
            LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
            LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
            LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
            LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
            ProxyPass \"/\" \"http://BACKEND/\" SETTING\nProxyPreserveHost On\n",
        broken: "",
        mended: "upgrade=websocket",
        problem: "Apache passes the handshake on without its upgrade",
        fix: "upgrade=websocket",
    },
    Proxy {
        name: "caddy",
        arguments: &["run", "--adapter", "caddyfile", "--config"],
        configuration: "{\n admin off\n}
            http://LISTEN {\n reverse_proxy BACKEND {\n SETTING\n }\n}\n",
        broken: "header_up -Upgrade",
        mended: "",
        problem: "Caddy passes the handshake on without its upgrade",
        fix: "remove each `header_up` of Upgrade",
    },
    Proxy {
        name: "lighttpd",
        arguments: &["-D", "-f"],
        configuration:
            "server.document-root = \"FOLDER\"\nserver.bind = \"HOST\"\nserver.port = PORT
            server.modules = (\"mod_proxy\")\nSETTING
            proxy.server = (\"\" => ((\"host\" => \"127.0.0.1\", \"port\" => BACKPORT)))\n",
        broken: "",
        mended: "proxy.header = ( \"upgrade\" => \"enable\" )",
        problem: "lighttpd passes the handshake on without its upgrade",
        fix: "proxy.header = ( \"upgrade\" => \"enable\" )",
    },
    Proxy {
        name: "haproxy",
        arguments: &["-db", "-f"],
        configuration:
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s
            listen one\n bind LISTEN\n SETTING\n server s BACKEND\n",
        broken: "http-request del-header Upgrade",
        mended: "",
        problem: "A proxy passes the handshake on without its upgrade",
        fix: "HAProxy: no del-header Upgrade",
    },
];

impl Proxy {
    fn start(&self, backend: SocketAddr, setting: &str) -> Serving {
        let folder = tempfile::tempdir().unwrap();
        let address = own_address();
        let file = folder.path().join("configuration");
        let text = self.configuration.replace("SETTING", setting);
        let text = text.replace("BACKPORT", &backend.port().to_string());
        let text = text.replace("BACKEND", &backend.to_string());
        let text = text.replace("FOLDER", folder.path().to_str().unwrap());
        let text = text.replace("LISTEN", &address.to_string());
        let text = text.replace("HOST", &address.ip().to_string());
        fs::write(&file, text.replace("PORT", &address.port().to_string())).unwrap();
        let mut command = Command::new(tool(self.name));
        command.args(self.arguments).arg(&file).stdin(Stdio::null()).current_dir(folder.path());
        command.env("XDG_CONFIG_HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
        command
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("stderr")).unwrap());
        let mut child = command.spawn().unwrap();
        wait_until("it listens", || {
            TcpStream::connect(address).is_ok() || child.try_wait().unwrap().is_some()
        });
        let log = fs::read_to_string(folder.path().join("stderr")).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "{}: {log}", self.name);
        Serving { child, address, _folder: folder }
    }
}

/// Checks a server. Returns the exit code and the report.
fn check(server: &Serving, options: &[&str]) -> (i32, String) {
    let url = format!("ws://{}/", server.address);
    let output = command(&["check", &url]).args(options).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// Asserts that the first two lines name the problem and the fix.
fn assert_explained(report: &str, problem: &str, fix: &str) {
    let lines: Vec<_> = report.lines().collect();
    assert!(lines[0].starts_with("problem: ") && lines[0].contains(problem), "{report}");
    assert!(lines[1].starts_with("fix:     ") && lines[1].contains(fix), "{report}");
}

fn a_dropped_upgrade_is_explained_and_mended(name: &str) {
    let server = node_ws();
    let proxy = PROXIES.iter().find(|proxy| proxy.name == name).unwrap();
    let (code, report) = check(&proxy.start(server.address, proxy.broken), &[]);
    assert_eq!(code, 5, "{report}");
    assert_explained(&report, proxy.problem, proxy.fix);
    let (code, report) = check(&proxy.start(server.address, proxy.mended), &[]);
    assert_eq!(code, 0, "{report}");
}

#[test]
#[ignore = "needs nginx and Node.js' ws; scripts/test runs it"]
fn nginx_without_upgrade_is_explained() {
    a_dropped_upgrade_is_explained_and_mended("nginx");
}

#[test]
#[ignore = "needs Apache and Node.js' ws; scripts/test runs it"]
fn apache_without_upgrade_is_explained() {
    a_dropped_upgrade_is_explained_and_mended("apache2");
}

#[test]
#[ignore = "needs Caddy and Node.js' ws; scripts/test runs it"]
fn caddy_without_upgrade_is_explained() {
    a_dropped_upgrade_is_explained_and_mended("caddy");
}

#[test]
#[ignore = "needs lighttpd and Node.js' ws; scripts/test runs it"]
fn lighttpd_without_upgrade_is_explained() {
    a_dropped_upgrade_is_explained_and_mended("lighttpd");
}

#[test]
#[ignore = "needs HAProxy and Node.js' ws; scripts/test runs it"]
fn haproxy_without_upgrade_is_explained() {
    a_dropped_upgrade_is_explained_and_mended("haproxy");
}

#[test]
#[ignore = "needs proxies and Python's websockets; scripts/test runs it"]
fn a_server_that_names_itself_or_hangs_up_is_not_taken_for_the_fault() {
    let server = python_websockets();
    for (name, problem, fix) in [
        ("nginx", "nginx got no valid answer from the server behind it", "proxy_http_version 1.1;"),
        ("apache2", "A proxy passes the handshake on without its upgrade", "upgrade=websocket"),
        (
            "lighttpd",
            "A proxy passes the handshake on without its upgrade",
            "\"upgrade\" => \"enable\"",
        ),
    ] {
        let proxy = PROXIES.iter().find(|proxy| proxy.name == name).unwrap();
        let (code, report) = check(&proxy.start(server.address, proxy.broken), &[]);
        assert_eq!(code, 5, "{report}");
        assert_explained(&report, problem, fix);
    }
}

#[test]
#[ignore = "needs Node.js and its http-proxy; scripts/test runs it"]
fn http_proxy_that_never_answers_is_explained() {
    let server = node_ws();
    let port = server.address.port().to_string();
    let modules = tool("http-proxy");
    let proxy = |mode: &[&str]| {
        peer("node", "proxy.mjs", ("NODE_PATH", &modules), &[&[port.as_str()], mode].concat())
    };
    let (code, report) = check(&proxy(&[]), &["--timeout", "1s"]);
    assert_eq!(code, 5, "{report}");
    assert_explained(&report, "HTTP gets through (426 Upgrade Required), the upgrade", "ws: true");
    let (code, report) = check(&proxy(&["ws"]), &[]);
    assert_eq!(code, 0, "{report}");
}

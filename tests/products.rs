//! `wsecho check` through real proxies, before servers of other projects: without the setting that
//! forwards upgrades it names the proxy and the setting, and with that setting it succeeds.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::program::{command, timed, tool};
use crate::support::real_proxy::{self, Serving};

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// Starts a script of `tests/peers`, which prints its port.
fn peer(interpreter: &str, script: &str, (variable, path): (&str, &str), rest: &[&str]) -> Serving {
    let mut command = Command::new(interpreter);
    command.arg(Path::new(PEERS).join(script)).args(rest).env(variable, path);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut port = String::new();
    timed(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let address = format!("127.0.0.1:{}", port.trim()).parse().unwrap();
    Serving::new(child, address, tempfile::tempdir().unwrap())
}

fn node_ws() -> Serving {
    peer("node", "server.mjs", ("NODE_PATH", &tool("ws")), &[])
}

fn python_websockets() -> Serving {
    peer("python3", "server.py", ("PYTHONPATH", &tool("websockets")), &[])
}

/// A setting that forwards upgrades, and what is reported without it.
struct Case {
    proxy: &'static str,
    broken: &'static str,
    mended: &'static str,
    /// Parts of the first two lines of the report on the broken one.
    problem: &'static str,
    fix: &'static str,
}

const CASES: [Case; 5] = [
    Case {
        proxy: "nginx",
        broken: "",
        mended: "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection \"upgrade\"; proxy_set_header Host $http_host;",
        problem: "nginx passes the handshake on without its upgrade",
        fix: "nginx, beside proxy_pass: proxy_http_version 1.1; proxy_set_header Upgrade",
    },
    Case {
        proxy: "apache2",
        broken: "",
        mended: "upgrade=websocket",
        problem: "Apache passes the handshake on without its upgrade",
        fix: "upgrade=websocket",
    },
    Case {
        proxy: "caddy",
        broken: "header_up -Upgrade",
        mended: "",
        problem: "Caddy passes the handshake on without its upgrade",
        fix: "remove each `header_up` of Upgrade",
    },
    Case {
        proxy: "lighttpd",
        broken: "",
        mended: "proxy.header = ( \"upgrade\" => \"enable\" )",
        problem: "lighttpd passes the handshake on without its upgrade",
        fix: "proxy.header = ( \"upgrade\" => \"enable\" )",
    },
    Case {
        proxy: "haproxy",
        broken: "http-request del-header Upgrade",
        mended: "",
        problem: "A proxy passes the handshake on without its upgrade",
        fix: "HAProxy: no del-header Upgrade",
    },
];

fn case(proxy: &str) -> &'static Case {
    CASES.iter().find(|case| case.proxy == proxy).unwrap()
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
    let case = case(name);
    let (code, report) = check(&real_proxy::start(name, server.address, case.broken), &[]);
    assert_eq!(code, 5, "{report}");
    assert_explained(&report, case.problem, case.fix);
    let (code, report) = check(&real_proxy::start(name, server.address, case.mended), &[]);
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
        let proxy = real_proxy::start(name, server.address, case(name).broken);
        let (code, report) = check(&proxy, &[]);
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

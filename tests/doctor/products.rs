//! Real proxies: with a right configuration they alter nothing that matters, and each wrong setting is
//! named, with the setting that mends it.

use serde_json::Value;

use super::{json, side_by_side};
use crate::support::real_proxy;
use crate::support::server::TestServer;

/// A configuration of a proxy, and what is found through it.
struct Case {
    settings: String,
    options: &'static [&'static str],
    code: i32,
    /// The findings that are more than notes, with a part of what to do.
    findings: &'static [(&'static str, &'static str)],
}

impl Case {
    fn right(settings: &str) -> Case {
        let options = &["--sizes", "--timing", "--idle", "400ms"];
        Case { settings: settings.to_owned(), options, code: 0, findings: &[] }
    }

    /// A setting that breaks clients.
    fn wrong(settings: &str, findings: &'static [(&'static str, &'static str)]) -> Case {
        Case { settings: settings.to_owned(), options: &[], code: 1, findings }
    }

    /// A timeout of one second.
    fn idle(settings: &str, findings: &'static [(&'static str, &'static str)]) -> Case {
        Case { options: &["--idle", "2500ms"], ..Case::wrong(settings, findings) }
    }

    /// A setting that clients can live with.
    fn changed(settings: &str, findings: &'static [(&'static str, &'static str)]) -> Case {
        Case { code: 0, ..Case::wrong(settings, findings) }
    }
}

/// Whether it is known of this version of a proxy: lighttpd 1.4.69 does not forward a FIN that arrives together
/// with data.
fn is_known(proxy: &str, id: &Value) -> bool {
    proxy == "lighttpd" && id == "end_hidden"
}

/// Asserts what is found through each configuration of this proxy, which is named `product` if it is seen.
fn assert_found(proxy: &str, product: Option<&str>, cases: &[Case]) {
    side_by_side(cases, |case| case.assert_found(proxy, product));
}

impl Case {
    fn assert_found(&self, proxy: &str, product: Option<&str>) {
        let server = TestServer::start();
        let serving = real_proxy::start(proxy, server.address, &self.settings);
        let (code, report) = json(&format!("ws://{}/", serving.address), self.options);
        let context = format!("{proxy} {:?}: {report}", self.settings);
        let (known, findings): (Vec<_>, _) =
            list(&report, "findings").partition(|finding| is_known(proxy, &finding["id"]));
        let found: Vec<_> =
            findings.iter().filter(|finding| finding["severity"] != "note").collect();
        let ids: Vec<_> = found.iter().map(|finding| &finding["id"]).collect();
        let expected: Vec<_> = self.findings.iter().map(|(id, _)| id).collect();
        assert_eq!(ids, expected, "{context}");
        for (finding, (_, fix)) in found.iter().zip(self.findings) {
            assert!(finding["fix"].as_str().unwrap().contains(fix), "{context}");
        }
        assert!(code == self.code || !known.is_empty(), "{code}: {context}");
        let is_accepted = report["peer"] != "";
        let hop = list(&report, "hops").next();
        assert!(!is_accepted || hop.as_ref().and_then(Value::as_str) == product, "{context}");
    }
}

fn list(report: &Value, name: &str) -> impl Iterator<Item = Value> {
    report[name].as_array().unwrap().clone().into_iter()
}

#[test]
#[ignore = "needs nginx; scripts/test runs it"]
fn settings_of_nginx_are_named() {
    const UPGRADE: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection \"upgrade\";";
    let with = |rest: &str| format!("{UPGRADE} proxy_set_header Host $http_host; {rest}");
    assert_found(
        "nginx",
        Some("nginx"),
        &[
            Case::right(&with("")),
            Case::wrong(
                "",
                &[
                    ("upgrade_dropped", "proxy_set_header Upgrade"),
                    ("http_version_changed", "proxy_http_version 1.1;"),
                ],
            ),
            Case::wrong(
                UPGRADE,
                &[("host_changed", "nginx, beside proxy_pass: proxy_set_header Host")],
            ),
            Case::wrong(
                &with("proxy_hide_header Sec-WebSocket-Extensions;"),
                &[("compression_one_sided", "")],
            ),
            Case::wrong(
                &with("proxy_set_header Sec-WebSocket-Protocol \"\";"),
                &[("subprotocol_stripped", "")],
            ),
            Case::wrong(
                &with("rewrite ^/(.*)$ /app/$1 break;"),
                &[("path_changed", "nginx: no path in proxy_pass")],
            ),
            Case::changed(
                &with("proxy_set_header Sec-WebSocket-Extensions \"\";"),
                &[("extensions_stripped", "")],
            ),
            Case::idle(
                &with("proxy_read_timeout 1s;"),
                &[("idle_timeout", "nginx, beside proxy_pass: proxy_read_timeout")],
            ),
        ],
    );
}

#[test]
#[ignore = "needs HAProxy; scripts/test runs it"]
fn settings_of_haproxy_are_named() {
    // It leaves no trace of itself.
    assert_found(
        "haproxy",
        None,
        &[
            Case::right(""),
            Case::wrong(
                "http-request del-header Upgrade",
                &[("upgrade_dropped", "HAProxy: no del-header Upgrade")],
            ),
            Case::wrong(
                "http-request set-header Host backend",
                &[("host_changed", "Forward Host")],
            ),
            Case::wrong(
                "http-request set-path /app%[path]",
                &[("path_changed", "nginx: no path in proxy_pass")],
            ),
            Case::wrong(
                "http-request del-header Sec-WebSocket-Protocol",
                &[("subprotocol_stripped", "")],
            ),
            Case::wrong(
                "http-response del-header Sec-WebSocket-Extensions",
                &[("compression_one_sided", "")],
            ),
            Case::idle("timeout tunnel 1s", &[("idle_timeout", "timeout")]),
        ],
    );
}

#[test]
#[ignore = "needs Apache; scripts/test runs it"]
fn settings_of_apache_are_named() {
    const HEADERS: &str = "LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so\n";
    let with = |rest: &str| format!("upgrade=websocket\n{HEADERS}{rest}");
    assert_found(
        "apache2",
        Some("Apache"),
        &[
            Case::right(&with("")),
            Case::wrong("", &[("upgrade_dropped", "Apache, 2.4.47 or later")]),
            Case::wrong(
                &with("RequestHeader set Host backend"),
                &[("host_changed", "Apache, beside ProxyPass: ProxyPreserveHost On")],
            ),
            Case::wrong(
                &with("RequestHeader unset Sec-WebSocket-Protocol"),
                &[("subprotocol_stripped", "")],
            ),
            Case::changed(
                &with("RequestHeader unset Sec-WebSocket-Extensions"),
                &[("extensions_stripped", "")],
            ),
            Case::idle(&with("Timeout 1"), &[("idle_timeout", "Apache: ProxyTimeout")]),
            // It counts if it is longer.
            Case {
                options: &["--idle", "1600ms"],
                ..Case::right(&with("Timeout 1\nProxyTimeout 30"))
            },
        ],
    );
}

#[test]
#[ignore = "needs Caddy; scripts/test runs it"]
fn settings_of_caddy_are_named() {
    assert_found(
        "caddy",
        Some("Caddy"),
        &[
            Case::right(""),
            Case::wrong(
                "header_up -Upgrade",
                &[("upgrade_dropped", "Caddy: forwards upgrades by itself; remove each")],
            ),
            Case::wrong(
                "header_up Host backend",
                &[("host_changed", "Caddy, in reverse_proxy, without: header_up Host")],
            ),
            Case::wrong("header_up -Sec-Websocket-Protocol", &[("subprotocol_stripped", "")]),
            Case::changed("header_up -Sec-Websocket-Extensions", &[("extensions_stripped", "")]),
            Case::idle(
                "transport http {\n read_timeout 1s\n }",
                &[("idle_timeout", "Caddy, in reverse_proxy: transport http { read_timeout")],
            ),
        ],
    );
}

#[test]
#[ignore = "needs lighttpd; scripts/test runs it"]
fn settings_of_lighttpd_are_named() {
    const UPGRADE: &str = "proxy.header = ( \"upgrade\" => \"enable\" )";
    let idle = format!("{UPGRADE}\nserver.max-read-idle = 1\nserver.max-write-idle = 1");
    assert_found(
        "lighttpd",
        Some("lighttpd"),
        &[
            Case::right(UPGRADE),
            Case::wrong("", &[("upgrade_dropped", "lighttpd, beside proxy.server: ")]),
            // It looks at timeouts once a second.
            Case {
                options: &["--idle", "4s"],
                ..Case::wrong(&idle, &[("idle_timeout", "lighttpd: server.max-read-idle")])
            },
        ],
    );
}

//! Detects proxies by the fields that they add, and holds the settings of the usual ones. Any
//! client can send these fields, so they only affect the text of a diagnosis.

use crate::config::PageOrigin;
use crate::http::excerpt::fields;
use crate::http::forwarded;
use crate::http::head::Head;
use crate::http::origin;

/// Fields that proxies add to a request.
const FIELDS: [&str; 6] =
    ["Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"];

/// Whether the request seems to have come through a proxy.
pub(super) fn is_detected(head: &Head) -> bool {
    FIELDS.iter().any(|name| head.fields.get(name).is_some())
}

/// The lines of the fields that proxies added.
pub(super) fn traces(head: &Head) -> impl Iterator<Item = String> {
    FIELDS.iter().flat_map(|name| fields(head, name))
}

/// Whether a proxy names its client in the fields that `--trusted-proxy` reads.
pub(super) fn names_client(head: &Head) -> bool {
    forwarded::is_forwarded(head)
}

/// Whether a proxy forwards the host of `page` as the Host that the client sent.
pub(super) fn forwards_host(head: &Head, page: &PageOrigin) -> bool {
    let forwarded =
        head.fields.all("Forwarded").flat_map(|value| value.split([',', ';'])).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim_matches('"'))
        });
    head.fields.list("X-Forwarded-Host").chain(forwarded).any(|host| origin::is_of(page, host))
}

/// The settings with which proxies forward upgrades, and the Host that `Origin` is compared with.
pub(super) const FORWARD_UPGRADES: &str = r#"nginx, beside proxy_pass:
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header Host $http_host;
Apache 2.4.47 or later, mod_proxy_http (before: mod_proxy_wstunnel, and ws:// for http://):
    ProxyPass "/" "http://SERVER:PORT/" upgrade=websocket
    ProxyPreserveHost On
IIS: install the feature WebSocket Protocol; Application Request Routing needs it too.
HAProxy: `mode http` forwards upgrades by default; `timeout tunnel` closes idle sessions.
Others: use HTTP/1.1 to the server, and forward Upgrade and Connection."#;

/// The settings with which proxies forward the Host that the client sent.
pub(super) const KEEP_HOST: &str = "\
nginx, beside proxy_pass:
    proxy_set_header Host $http_host;
Apache:
    ProxyPreserveHost On
IIS: preserveHostHeader of Application Request Routing.
HAProxy: no `http-request set-header Host`.";

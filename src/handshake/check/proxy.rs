//! Proxies: by what they are noticed, and what to tell the usual ones.
//!
//! What it is not: a proof. Anybody can send these fields, so they only choose the words.

use crate::http::excerpt::fields;
use crate::http::head::Head;

/// Fields that proxies add to a request.
const FIELDS: [&str; 6] =
    ["Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"];

/// Whether the request seems to have come through one.
pub(super) fn is_noticed(head: &Head) -> bool {
    FIELDS.iter().any(|name| head.get(name).is_some())
}

/// What they wrote, as lines.
pub(super) fn traces(head: &Head) -> impl Iterator<Item = String> {
    FIELDS.iter().flat_map(|name| fields(head, name))
}

/// Whether a proxy says that the client asked for `authority`.
pub(super) fn was_asked_for(head: &Head, authority: &str) -> bool {
    let forwarded =
        head.all("Forwarded").flat_map(|value| value.split([',', ';'])).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim_matches('"'))
        });
    head.list("X-Forwarded-Host").chain(forwarded).any(|host| host.eq_ignore_ascii_case(authority))
}

/// How an upgrade gets through, and with it the Host that its page is compared with.
pub(super) const FORWARD_UPGRADES: &str = r#"nginx, beside proxy_pass:
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header Host $http_host;
Apache 2.4.47 or later, mod_proxy_http (before: mod_proxy_wstunnel, and ws:// for http://):
    ProxyPass "/" "http://SERVER:PORT/" upgrade=websocket
    ProxyPreserveHost On
IIS: install the feature WebSocket Protocol; Application Request Routing needs it too.
HAProxy: `mode http` forwards upgrades by itself; `timeout tunnel` ends sessions that are idle.
Any other: HTTP/1.1 to the server, with Upgrade and Connection sent on."#;

/// How the Host that the client asked for gets through.
pub(super) const KEEP_HOST: &str = "\
nginx, beside proxy_pass:
    proxy_set_header Host $http_host;
Apache:
    ProxyPreserveHost On
IIS: preserveHostHeader of Application Request Routing.
HAProxy: no `http-request set-header Host`.";

//! Detects proxies by the fields that they add. Any client can send these fields, so they only
//! affect the text of a diagnosis.

use crate::config::PageOrigin;
use crate::http::excerpt::fields;
use crate::http::forwarded;
use crate::http::head::Head;
use crate::http::origin;
use crate::products::{self, Product};

/// Fields that proxies add to a request.
const FIELDS: [&str; 7] = [
    "Via",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Real-IP",
];

/// Whether the request seems to have come through a proxy.
pub(super) fn is_detected(head: &Head) -> bool {
    FIELDS.iter().any(|name| head.fields.get(name).is_some()) || recognized(head).is_some()
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
pub(super) fn forward_upgrades(head: &Head) -> String {
    products::forward_upgrades(recognized(head))
}

/// The settings with which proxies forward the Host that the client sent.
pub(super) fn keep_host(head: &Head) -> String {
    products::keep_host(recognized(head))
}

fn recognized(head: &Head) -> Option<&'static Product> {
    products::recognized(|name| head.fields.get(name))
}

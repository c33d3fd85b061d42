//! Checks the header fields of the client's opening handshake (RFC 6455, section 4.2.1).

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};

use super::proxy;
use super::{AccessPolicy, origin};
use crate::http::diagnosis::Diagnosis;
use crate::http::excerpt::{brief, with_fields};
use crate::http::head::{Head, Version};

pub(super) use crate::http::diagnosis::WEBSOCKET_VERSION as VERSION;
/// 16 bytes in Base64.
const KEY_LENGTH: usize = 24;

/// Checks method, version and fields.
///
/// # Errors
/// The diagnosis of the first check that fails.
pub(super) fn check(head: &Head, policy: &AccessPolicy) -> Result<(), Diagnosis> {
    if head.method != "GET" {
        return Err(wrong_method(head));
    }
    if !head.fields.lists("Upgrade", "websocket") {
        return Err(no_upgrade(head, policy));
    }
    if head.version < Version::Http11 {
        return Err(old_http(head, 400));
    }
    if !head.fields.lists("Connection", "upgrade") {
        return Err(no_connection(head));
    }
    let mut versions = head.fields.all("Sec-WebSocket-Version");
    if (versions.next(), versions.next()) != (Some(VERSION), None) {
        return Err(bad_version(head));
    }
    let mut keys = head.fields.all("Sec-WebSocket-Key");
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key) => Ok(()),
        (Some(key), None) => Err(bad_key(head, key)),
        (None, _) => Err(no_key(head)),
        (Some(_), Some(_)) => Err(several_keys(head)),
    }
}

/// Whether the key is 16 bytes in Base64, which are 24 characters. The length is checked first, so
/// that an oversized key is not decoded.
fn is_key(key: &str) -> bool {
    let mut decoded = [0; KEY_LENGTH / 4 * 3];
    key.len() == KEY_LENGTH && BASE64.decode_mut(key.as_bytes(), &mut decoded) == Ok(16)
}

#[cold]
fn wrong_method(head: &Head) -> Diagnosis {
    Diagnosis {
        status: 405,
        problem: format!(
            "A WebSocket handshake is a GET request; this one is {}.",
            brief(&head.method)
        )
        .into(),
        arrived: with_fields(head, &["Upgrade"]),
        cause: "A client with a handwritten handshake, or a tool that was given another method."
            .into(),
        fix: "Send GET.".into(),
    }
}

/// The refusal of a request without `Upgrade: websocket` on a WebSocket path; the diagnosis depends
/// on what may have removed it.
#[cold]
pub(crate) fn no_upgrade(head: &Head, policy: &AccessPolicy) -> Diagnosis {
    let status = if head.attempts_websocket() { 400 } else { 426 };
    let is_websocket = head.fields.0.iter().any(|(name, _)| {
        name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("Sec-WebSocket-"))
    });
    if head.fields.get("Upgrade").is_some() {
        other_upgrade(head, status)
    } else if is_websocket && head.version < Version::Http11 {
        // A proxy that speaks HTTP/1.0 drops the upgrade whatever it is told about that.
        old_http(head, status)
    } else if is_websocket {
        dropped_upgrade(head, status)
    } else if origin::of_requesting_page(head).is_some_and(|page| !policy.allows(&page, head)) {
        other_page(head, status)
    } else if proxy::is_detected(head) || head.fields.lists("Connection", "upgrade") {
        proxied_plain_http(head, status)
    } else {
        plain_http(head, status)
    }
}

fn other_upgrade(head: &Head, status: u16) -> Diagnosis {
    Diagnosis {
        status,
        problem: "The request asks for an upgrade, but not to websocket.".into(),
        arrived: with_fields(head, &["Upgrade", "Connection"]),
        cause: "A client that asks for HTTP/2 without TLS (h2c), as `curl --http2` does, or a proxy that\n\
            replaced the field."
            .into(),
        fix: format!(
            "Send `Upgrade: websocket`. Through a proxy:\n{}",
            proxy::forward_upgrades(head)
        )
        .into(),
    }
}

fn dropped_upgrade(head: &Head, status: u16) -> Diagnosis {
    let mut arrived = with_fields(head, &["Upgrade", "Connection", "Sec-WebSocket-Key"]);
    arrived.extend(proxy::traces(head));
    Diagnosis {
        status,
        problem: "This is a WebSocket handshake without `Upgrade: websocket`; a proxy probably dropped it."
            .into(),
        arrived,
        cause: "Upgrade and Connection are hop-by-hop fields, so a proxy removes them unless it is set to\n\
            forward upgrades. Without a proxy: a client with a handwritten handshake."
            .into(),
        fix: proxy::forward_upgrades(head).into(),
    }
}

/// A plain GET by the script of a page whose handshakes would be refused for their origin. The
/// embedded page sends it after a failed handshake, as the browser hides the response to that.
fn other_page(head: &Head, status: u16) -> Diagnosis {
    let mut arrived = with_fields(head, &["Upgrade", "Referer", "Host"]);
    arrived.extend(proxy::traces(head));
    Diagnosis {
        status,
        problem: format!(
            "{} accepts WebSockets from pages of its host; this one is from another.",
            brief(&head.path)
        )
        .into(),
        arrived,
        cause: "If the page is this server's own, a proxy replaced Host, as nginx does unless it is set\n\
            to keep it; handshakes are then refused with 403."
            .into(),
        fix: format!(
            "{}\n\
             For a page of another site: the operator of this server can allow it with --allow-origin.",
            proxy::forward_upgrades(head)
        )
        .into(),
    }
}

fn proxied_plain_http(head: &Head, status: u16) -> Diagnosis {
    let mut arrived = with_fields(head, &["Upgrade", "Connection"]);
    arrived.extend(proxy::traces(head));
    Diagnosis {
        status,
        problem: format!(
            "{} speaks WebSocket, and this is plain HTTP that came through a proxy.",
            brief(&head.path)
        )
        .into(),
        arrived,
        cause: "If the client sent a WebSocket handshake, the proxy dropped the upgrade. If it did not\n\
            (an address bar, curl), nothing is wrong with the proxy."
            .into(),
        fix: format!(
            "Connect with ws:// or wss://. If the client already does:\n{}",
            proxy::forward_upgrades(head)
        )
        .into(),
    }
}

fn plain_http(head: &Head, status: u16) -> Diagnosis {
    Diagnosis {
        status,
        problem: format!("{} speaks WebSocket, and this is plain HTTP.", brief(&head.path)).into(),
        arrived: with_fields(head, &["Upgrade"]),
        cause: "An address bar or plain curl, which do not open WebSockets; or a proxy that dropped the\n\
            upgrade and leaves no trace in the request."
            .into(),
        fix: format!(
            "Open / in a browser, or connect with ws:// (websocat, wscat, `new WebSocket(…)`).\n\
             Through a proxy:\n{}",
            proxy::forward_upgrades(head)
        )
        .into(),
    }
}

#[cold]
fn old_http(head: &Head, status: u16) -> Diagnosis {
    let mut arrived = with_fields(head, &["Upgrade", "Connection", "Sec-WebSocket-Key"]);
    arrived.extend(proxy::traces(head));
    Diagnosis {
        status,
        problem: format!(
            "A WebSocket handshake needs HTTP/1.1; this request is {}.",
            head.version.name()
        )
        .into(),
        arrived,
        cause:
            "A proxy that speaks HTTP/1.0 to its servers: the default of older versions of nginx\n\
            (without proxy_http_version 1.1;), and Apache with force-proxy-request-1.0."
                .into(),
        fix: proxy::forward_upgrades(head).into(),
    }
}

#[cold]
fn no_connection(head: &Head) -> Diagnosis {
    let mut arrived = with_fields(head, &["Upgrade", "Connection"]);
    arrived.extend(proxy::traces(head));
    Diagnosis {
        status: 400,
        problem: "The request has `Upgrade: websocket` but no `Connection: Upgrade`.".into(),
        arrived,
        cause:
            "A proxy that forwards Upgrade, but replaces Connection: older versions of nginx send\n\
            `close` by default. Or a client with a handwritten handshake."
                .into(),
        fix: format!(
            "Send `Connection: Upgrade`. Through a proxy:\n{}",
            proxy::forward_upgrades(head)
        )
        .into(),
    }
}

#[cold]
fn bad_version(head: &Head) -> Diagnosis {
    let versions: Vec<_> = head.fields.all("Sec-WebSocket-Version").collect();
    let found = match versions[..] {
        [] => "it is missing".to_owned(),
        [version] => format!("it is `{}`", brief(version)),
        _ => format!("there are {}", versions.len()),
    };
    let is_hixie = head.fields.get("Sec-WebSocket-Key1").is_some();
    Diagnosis {
        status: 426,
        problem: format!("Sec-WebSocket-Version must be {VERSION}, once; {found}.").into(),
        arrived: with_fields(head, &["Sec-WebSocket-Version"]),
        cause: match versions[..] {
            _ if is_hixie => {
                "Sec-WebSocket-Key1: the client speaks a draft of 2010 (hixie-76, hybi-00)."
            }
            [] => {
                "A handwritten handshake; a proxy that forwards only the fields that it knows; or a client\n\
                 of 2010 (the hixie drafts), which had no such field."
            }
            [version] if is_draft(version) => {
                "The client speaks a draft older than RFC 6455: 0 is hixie-76, 4 to 8 are hybi drafts of\n\
                 2011."
            }
            [_] => "A client that lists several versions, or an invalid one. No version follows 13.",
            _ => "A client or a proxy that adds the field a second time.",
        }
        .into(),
        fix: format!("Send `Sec-WebSocket-Version: {VERSION}`; replace an old client by a newer one.")
            .into(),
    }
}

/// Whether the version is one of the drafts that were in use before RFC 6455.
fn is_draft(version: &str) -> bool {
    version.parse::<u8>().is_ok_and(|version| version <= 8)
}

const KEY_FIX: &str = "\
Send 16 random bytes in Base64, new ones for each connection, such as
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
`openssl rand -base64 16` generates a key.";

#[cold]
fn no_key(head: &Head) -> Diagnosis {
    let is_hixie = head.fields.get("Sec-WebSocket-Key1").is_some();
    Diagnosis {
        status: 400,
        problem: "The request has no Sec-WebSocket-Key.".into(),
        arrived: with_fields(head, &["Upgrade", "Sec-WebSocket-Key"]),
        cause: if is_hixie {
            "Sec-WebSocket-Key1: the client speaks a draft of 2010 (hixie-76, hybi-00)."
        } else {
            "A handwritten handshake, or a proxy that forwards only the fields that it knows."
        }
        .into(),
        fix: KEY_FIX.into(),
    }
}

#[cold]
fn several_keys(head: &Head) -> Diagnosis {
    let count = head.fields.all("Sec-WebSocket-Key").count();
    Diagnosis {
        status: 400,
        problem: format!("The request must have one Sec-WebSocket-Key; there are {count}.").into(),
        arrived: with_fields(head, &["Sec-WebSocket-Key"]),
        cause: "A client that sets the field although its library already does, or a proxy that adds its\n\
            own."
            .into(),
        fix: "Let only the client's WebSocket library set the field.".into(),
    }
}

#[cold]
fn bad_key(head: &Head, key: &str) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: format!("Sec-WebSocket-Key must be 16 bytes in Base64; it is {}.", contents(key))
            .into(),
        arrived: with_fields(head, &["Sec-WebSocket-Key"]),
        cause: "A handwritten handshake: a word as the key, hexadecimal instead of Base64, the padding\n\
            `==` missing, or a random number of another length."
            .into(),
        fix: KEY_FIX.into(),
    }
}

/// Describes an invalid key, to finish the sentence "it is …".
fn contents(key: &str) -> String {
    let is = |encoding: data_encoding::Encoding| encoding.decode(key.as_bytes()).ok();
    let bytes = |decoded: Vec<u8>| match decoded.len() {
        1 => "1 byte".to_owned(),
        length => format!("{length} bytes"),
    };
    if key.is_empty() {
        "empty".to_owned()
    } else if let Some(decoded) = is(BASE64) {
        bytes(decoded)
    } else if let Some(decoded) = is(BASE64_NOPAD) {
        format!("{} without padding", bytes(decoded))
    } else if let Some(decoded) = is(BASE64URL).or_else(|| is(BASE64URL_NOPAD)) {
        format!("{} in base64url", bytes(decoded))
    } else {
        format!("{} characters that are not Base64", key.chars().count())
    }
}

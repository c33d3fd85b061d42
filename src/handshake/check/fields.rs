//! The client's half of the opening handshake, RFC 6455, section 4.2.1.
//!
//! What it is: the looks, each with its words for what it finds.
//! What it is not: where the handshake goes, or where its page is from.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};

use super::is_websocket_meant;
use super::proxy::{self, FORWARD_UPGRADES};
use super::{OriginPolicy, origin};
use crate::http::diagnosis::Diagnosis;
use crate::http::excerpt::{brief, with_fields};
use crate::http::head::{Head, Version};

pub(super) use crate::http::diagnosis::WEBSOCKET_VERSION as VERSION;
/// 16 bytes in Base64.
const KEY_LENGTH: usize = 24;

/// The key of the handshake.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(head: &Head, policy: &OriginPolicy) -> Result<(), Diagnosis> {
    if head.method != "GET" {
        return Err(no_get(head));
    }
    if !head.lists("Upgrade", "websocket") {
        return Err(no_upgrade(head, policy));
    }
    if head.version < Version::Http11 {
        return Err(old_http(head));
    }
    if !head.lists("Connection", "upgrade") {
        return Err(no_connection(head));
    }
    let mut versions = head.all("Sec-WebSocket-Version");
    if (versions.next(), versions.next()) != (Some(VERSION), None) {
        return Err(bad_version(head));
    }
    let mut keys = head.all("Sec-WebSocket-Key");
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key) => Ok(()),
        (Some(key), None) => Err(bad_key(head, key)),
        (None, _) => Err(no_key(head)),
        (Some(_), Some(_)) => Err(many_keys(head)),
    }
}

/// 16 bytes make 24 characters; without that look, a key of a kilobyte would be decoded.
fn is_key(key: &str) -> bool {
    let mut decoded = [0; KEY_LENGTH / 4 * 3];
    key.len() == KEY_LENGTH && BASE64.decode_mut(key.as_bytes(), &mut decoded) == Ok(16)
}

#[cold]
fn no_get(head: &Head) -> Diagnosis {
    Diagnosis {
        status: 405,
        problem: format!(
            "A WebSocket handshake is a GET request; this one is {}.",
            brief(&head.method)
        )
        .into(),
        arrived: with_fields(head, &["Upgrade"]),
        cause:
            "A client that writes its handshake by hand, or a tool that was told another method."
                .into(),
        fix: "Send GET.".into(),
    }
}

/// Plain HTTP where WebSocket is spoken, in whichever way it came to that.
#[cold]
pub(crate) fn no_upgrade(head: &Head, policy: &OriginPolicy) -> Diagnosis {
    let status = if is_websocket_meant(head) { 400 } else { 426 };
    let is_websocket = head.fields.iter().any(|(name, _)| {
        name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("Sec-WebSocket-"))
    });
    if head.get("Upgrade").is_some() {
        other_upgrade(head, status)
    } else if is_websocket {
        dropped_upgrade(head, status)
    } else if origin::of_asking_page(head).is_some_and(|page| !policy.allows(page, head)) {
        other_page(head, status)
    } else if proxy::is_noticed(head) || head.lists("Connection", "upgrade") {
        proxied_plain_http(head, status)
    } else {
        plain_http(head, status)
    }
}

fn other_upgrade(head: &Head, status: u16) -> Diagnosis {
    Diagnosis {
        status,
        problem: "The request asks for an upgrade, but not for one to websocket.".into(),
        arrived: with_fields(head, &["Upgrade", "Connection"]),
        cause: "A client that tries HTTP/2 in the clear (h2c), as `curl --http2` does, or a proxy that\n\
            replaced the field."
            .into(),
        fix: format!("Send `Upgrade: websocket`. Through a proxy:\n{FORWARD_UPGRADES}").into(),
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
        cause: "Upgrade and Connection are for one hop only, so a proxy removes them unless it is told\n\
            to send them on. Without a proxy: a client that writes its handshake by hand."
            .into(),
        fix: FORWARD_UPGRADES.into(),
    }
}

/// Our own page asks so after a handshake that failed, and a browser does not let it say more.
fn other_page(head: &Head, status: u16) -> Diagnosis {
    let mut arrived = with_fields(head, &["Upgrade", "Referer", "Host"]);
    arrived.extend(proxy::traces(head));
    Diagnosis {
        status,
        problem: format!(
            "{} speaks WebSocket to pages of its own host; this one is of another.",
            brief(&head.path)
        )
        .into(),
        arrived,
        cause: "If the page is this server's own, the proxy before it wrote a Host of its own, as nginx\n\
            does unless it is told otherwise, and a handshake gets a 403 for it."
            .into(),
        fix: format!(
            "{FORWARD_UPGRADES}\n\
             For a page of another site: the operator of this server can allow it by --allow-origin."
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
        cause:
            "If a WebSocket was asked for, the proxy dropped the upgrade. If not (an address bar,\n\
            curl), nothing is wrong with the proxy."
                .into(),
        fix: format!("Connect with ws:// or wss://. If that is what was done:\n{FORWARD_UPGRADES}")
            .into(),
    }
}

fn plain_http(head: &Head, status: u16) -> Diagnosis {
    Diagnosis {
        status,
        problem: format!("{} speaks WebSocket, and this is plain HTTP.", brief(&head.path)).into(),
        arrived: with_fields(head, &["Upgrade"]),
        cause: "An address bar or a plain curl, which open no WebSocket; or a proxy that leaves no trace,\n\
            and dropped the upgrade."
            .into(),
        fix: format!(
            "Open / in a browser, or connect with ws:// (websocat, wscat, `new WebSocket(…)`).\n\
             Through a proxy:\n{FORWARD_UPGRADES}"
        )
        .into(),
    }
}

#[cold]
fn old_http(head: &Head) -> Diagnosis {
    let mut arrived = with_fields(head, &["Upgrade", "Connection"]);
    arrived.extend(proxy::traces(head));
    Diagnosis {
        status: 400,
        problem: format!("A WebSocket handshake needs HTTP/1.1; this request is {}.", head.version.name())
            .into(),
        arrived,
        cause: "A proxy that speaks HTTP/1.0 to its servers, as nginx for long did unless it was told\n\
            otherwise (proxy_http_version 1.1;), and Apache does with force-proxy-request-1.0."
            .into(),
        fix: FORWARD_UPGRADES.into(),
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
        cause: "A proxy that sends Upgrade on and writes a Connection of its own: nginx for long wrote\n\
            `close` unless it was told otherwise. Or a client that writes its handshake by hand."
            .into(),
        fix: format!("Send `Connection: Upgrade`. Through a proxy:\n{FORWARD_UPGRADES}").into(),
    }
}

#[cold]
fn bad_version(head: &Head) -> Diagnosis {
    let versions: Vec<_> = head.all("Sec-WebSocket-Version").collect();
    let what = match versions[..] {
        [] => "it is missing".to_owned(),
        [version] => format!("it is `{}`", brief(version)),
        _ => format!("there are {}", versions.len()),
    };
    let is_hixie = head.get("Sec-WebSocket-Key1").is_some();
    Diagnosis {
        status: 426,
        problem: format!("Sec-WebSocket-Version must be {VERSION}, once; {what}.").into(),
        arrived: with_fields(head, &["Sec-WebSocket-Version"]),
        cause: match versions[..] {
            _ if is_hixie => {
                "Sec-WebSocket-Key1: the client speaks a draft of 2010 (hixie-76, hybi-00)."
            }
            [] => {
                "A handshake written by hand; a proxy that sends on only the fields that it knows; or a\n\
                 client of 2010 (the hixie drafts), which had no such field."
            }
            [version] if is_draft(version) => {
                "The client speaks a draft from before RFC 6455: 0 is hixie-76, 4 to 8 are hybi drafts\n\
                 of 2011."
            }
            [_] => "A client that lists versions, or makes one up. There has been none after 13.",
            _ => "A client or a proxy that adds the field although it is there.",
        }
        .into(),
        fix: format!("Send `Sec-WebSocket-Version: {VERSION}`; from an old client, get a newer one.")
            .into(),
    }
}

/// Versions that were in use before there was a standard.
fn is_draft(version: &str) -> bool {
    version.parse::<u8>().is_ok_and(|version| version <= 8)
}

const MAKE_A_KEY: &str = "\
Send 16 random bytes in Base64, others each time, such as
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
which `openssl rand -base64 16` makes.";

#[cold]
fn no_key(head: &Head) -> Diagnosis {
    let is_hixie = head.get("Sec-WebSocket-Key1").is_some();
    Diagnosis {
        status: 400,
        problem: "The request has no Sec-WebSocket-Key.".into(),
        arrived: with_fields(head, &["Upgrade", "Sec-WebSocket-Key"]),
        cause: if is_hixie {
            "Sec-WebSocket-Key1: the client speaks a draft of 2010 (hixie-76, hybi-00)."
        } else {
            "A handshake written by hand, or a proxy that sends on only the fields that it knows."
        }
        .into(),
        fix: MAKE_A_KEY.into(),
    }
}

#[cold]
fn many_keys(head: &Head) -> Diagnosis {
    let count = head.all("Sec-WebSocket-Key").count();
    Diagnosis {
        status: 400,
        problem: format!("One Sec-WebSocket-Key is needed; there are {count}.").into(),
        arrived: with_fields(head, &["Sec-WebSocket-Key"]),
        cause: "A client that sets the field although its library does so already, or a proxy that adds\n\
            its own."
            .into(),
        fix: "Leave the field to the library, or to the client.".into(),
    }
}

#[cold]
fn bad_key(head: &Head, key: &str) -> Diagnosis {
    Diagnosis {
        status: 400,
        problem: format!("Sec-WebSocket-Key must be 16 bytes in Base64; it is {}.", contents(key))
            .into(),
        arrived: with_fields(head, &["Sec-WebSocket-Key"]),
        cause: "A handshake written by hand: a word for a key, hexadecimal for Base64, the padding `==`\n\
            cut off, or a random number of another length."
            .into(),
        fix: MAKE_A_KEY.into(),
    }
}

/// What a key is that is no key.
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
        format!("{} in the alphabet for URLs", bytes(decoded))
    } else {
        format!("{} characters that are no Base64", key.chars().count())
    }
}

//! The heads: what was sent of a request or a response, against what was received of it; and the hops that
//! they name.

use tungstenite::handshake::derive_accept_key;

use super::findings::Finding;
use super::limits::SHOWN_MAX;
use super::record::{Both, Record, Side};
use crate::http::excerpt::escaped;
use crate::http::fields::Fields;
use crate::products::{self, Product};
use crate::report::MessageHead;

/// The field that is sent twice, as proxies may merge its lines.
pub(crate) const TWICE: &str = "X-Wsecho-Doctor";
/// The subprotocols that are offered.
pub(crate) const SUBPROTOCOLS: &str = "doctor.wsecho, wsecho";

/// Fields with findings of their own.
const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";
const KEY: &str = "Sec-WebSocket-Key";
const ACCEPT: &str = "Sec-WebSocket-Accept";

/// Parts of the names of fields whose values are not shown.
const SECRETS: [&str; 8] = ["auth", "cookie", "token", "secret", "key", "jwt", "session", "oidc"];

/// Compares both heads of a session.
pub(crate) fn compare(both: &Both) -> Vec<Finding> {
    let (client, server) = (&both.client, &both.server);
    let mut findings = request_line(&client.request.line, &server.request.line);
    findings.extend(fields(Side::Client, &client.request, &server.request));
    findings.extend(fields(Side::Server, &server.response, &client.response));
    findings.extend(accept(client));
    findings
}

/// Compares `GET /path?query HTTP/1.1`.
pub(crate) fn request_line(sent: &str, received: &str) -> Vec<Finding> {
    let parts = |line: &str| -> [String; 2] {
        let mut words = line.split(' ').skip(1);
        [(); 2].map(|()| words.next().unwrap_or_default().to_owned())
    };
    let ([target, version], [seen_target, seen_version]) = (parts(sent), parts(received));
    let mut findings = Vec::new();
    if target != seen_target {
        let what = format!("{} is {} at the server", shown(&target), shown(&seen_target));
        findings.push(Finding::new("path_changed", Side::Client, what));
    }
    if version != seen_version {
        let what = format!("{version} is {} at the server", shown(&seen_version));
        findings.push(Finding::new("http_version_changed", Side::Client, what));
    }
    findings
}

fn fields(from: Side, sent: &MessageHead, received: &MessageHead) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in names(sent) {
        let values =
            |head: &MessageHead| head.fields.all(name).map(str::to_owned).collect::<Vec<_>>();
        findings.extend(field(from, name, &values(sent), &values(received)));
    }
    let added: Vec<_> =
        names(received).into_iter().filter(|name| sent.fields.get(name).is_none()).collect();
    let line = |name: &&str| {
        format!(
            "{}: {}",
            shown(name),
            shown_value(name, received.fields.get(name).unwrap_or_default())
        )
    };
    if !added.is_empty() {
        let what = format!("added: {}", added.iter().map(line).collect::<Vec<_>>().join("; "));
        findings.push(Finding::new("field_added", from, what));
    }
    let kept = |head: &MessageHead, other: &MessageHead| {
        let lower = names(head).into_iter().filter(|name| other.fields.get(name).is_some());
        lower.map(str::to_ascii_lowercase).collect::<Vec<_>>()
    };
    let is_known = findings.iter().any(|finding| finding.id == "fields_reordered");
    if !is_known && kept(sent, received) != kept(received, sent) {
        findings.push(Finding::new("fields_reordered", from, "fields have another order"));
    }
    let cased =
        |head: &MessageHead| head.fields.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let is_lower = |name: &String| name.bytes().all(|byte| !byte.is_ascii_uppercase());
    if cased(received).iter().all(is_lower) && !cased(sent).iter().all(is_lower) {
        let what = "the names of fields are in lower case, as HAProxy, Envoy and HTTP/2 write them";
        findings.push(Finding::new("field_rewritten", from, what));
    }
    findings
}

/// The names of the fields, each once.
fn names(head: &MessageHead) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &head.fields.0 {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    names
}

/// Compares the values of one field. The key's answer has [`accept`].
fn field(from: Side, name: &str, sent: &[String], received: &[String]) -> Option<Finding> {
    if sent == received || name.eq_ignore_ascii_case(ACCEPT) {
        return None;
    }
    let (before, after) = (sent.join(", "), received.join(", "));
    let sorted = |values: &[String]| {
        let mut values = values.to_vec();
        values.sort_unstable();
        values
    };
    let lists = |text: &str, wanted: &str| {
        text.split(',').filter(|part| part.trim().eq_ignore_ascii_case(wanted)).count()
    };
    // Each hop may have further options of its own (RFC 9110, section 7.6.1).
    let is_of_the_hop = name.eq_ignore_ascii_case("Connection") && lists(&after, "upgrade") > 0;
    let is_written_anew =
        is_of_the_hop || before.eq_ignore_ascii_case(&after) && !is_case_sensitive(name);
    let shown_name = shown(name);
    let (id, what) = if received.is_empty() {
        (removed(from, name), format!("{shown_name}: {} is removed", shown_value(name, &before)))
    } else if sorted(sent) == sorted(received) {
        ("fields_reordered", format!("the lines of {shown_name} have another order"))
    } else if before == after && sent.len() > received.len() {
        ("fields_merged", format!("{} lines of {shown_name} are one", sent.len()))
    } else if name.eq_ignore_ascii_case("Upgrade") && lists(&after, "websocket") > 1 {
        (
            "upgrade_repeated",
            format!("Upgrade: {} is {}", shown_value(name, &before), shown_value(name, &after)),
        )
    } else if is_written_anew {
        (
            "field_rewritten",
            format!(
                "{shown_name}: {} is {}",
                shown_value(name, &before),
                shown_value(name, &after)
            ),
        )
    } else {
        let id = changed(from, name, lists(&after, "websocket") + lists(&after, "upgrade") > 0);
        (
            id,
            format!(
                "{shown_name}: {} is {}",
                shown_value(name, &before),
                shown_value(name, &after)
            ),
        )
    };
    Some(Finding::new(id, from, what))
}

/// Whether two values that differ in letter case are different ones.
fn is_case_sensitive(name: &str) -> bool {
    [KEY, SUBPROTOCOL].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The kind of a finding on a field that is missing.
pub(crate) fn removed(from: Side, name: &str) -> &'static str {
    match changed(from, name, false) {
        "field_changed" | "key_replaced" => "field_removed",
        other => other,
    }
}

fn changed(from: Side, name: &str, upgrades: bool) -> &'static str {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    if (is("Upgrade") || is("Connection")) && !upgrades {
        "upgrade_dropped"
    } else if is("Host") {
        "host_changed"
    } else if is(KEY) {
        "key_replaced"
    } else if is(SUBPROTOCOL) {
        "subprotocol_stripped"
    } else if is(EXTENSIONS) && from == Side::Client {
        "extensions_stripped"
    } else if is(EXTENSIONS) {
        "compression_one_sided"
    } else {
        "field_changed"
    }
}

/// Whether the client's 101 answers the key of the client.
fn accept(client: &Record) -> Option<Finding> {
    let key = client.request.fields.get(KEY).unwrap_or_default();
    let expected = derive_accept_key(key.as_bytes());
    let accept = client.response.fields.get(ACCEPT).unwrap_or("missing");
    (accept != expected).then(|| {
        let what = format!("{ACCEPT} is {}, where the key needs {expected}", shown(accept));
        Finding::new("accept_wrong", Side::Server, what)
    })
}

/// The products that have left a trace in the request at the server, or in the response at the client, in
/// their order from the client.
pub(crate) fn hops(both: &Both) -> Vec<&'static Product> {
    let added = |sent: &MessageHead, received: &MessageHead| {
        let is_added = |(name, _): &&(String, String)| sent.fields.get(name).is_none();
        let fields = received.fields.0.iter().filter(is_added).cloned().collect();
        MessageHead { line: String::new(), fields: Fields(fields) }
    };
    let response = added(&both.server.response, &both.client.response);
    let request = added(&both.client.request, &both.server.request);
    let mut hops: Vec<&'static Product> = Vec::new();
    for head in [&response, &request] {
        if let Some(product) = products::recognized(|name| head.fields.get(name))
            && !hops.iter().any(|known| known.name == product.name)
        {
            hops.push(product);
        }
    }
    hops
}

/// The entries of `Via` in the request at the server, and in the response at the client.
pub(crate) fn via(both: &Both) -> Vec<String> {
    let entries = [&both.server.request, &both.client.response].into_iter().flat_map(|head| {
        head.fields.all("Via").flat_map(|value| value.split(',')).map(|entry| shown(entry.trim()))
    });
    let mut via: Vec<String> = entries.collect();
    via.dedup();
    via
}

/// The value of a field for a line; nothing of it if it may be a secret.
fn shown_value(name: &str, value: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let is_secret =
        !lower.starts_with("sec-websocket-") && SECRETS.iter().any(|part| lower.contains(part));
    if is_secret { "(not shown)".to_owned() } else { shown(value) }
}

pub(crate) fn shown(text: &str) -> String {
    escaped(text, SHOWN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /echo?a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX: 1\r\nX: 2\r\n\
        Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    const RESPONSE: &str = "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: a\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n";

    /// Both ends of a way that replaces parts of the request and of the response.
    fn both(request: (&str, &str), response: (&str, &str)) -> Both {
        let record = |request: &str, response: &str| Record {
            request: MessageHead::split(request),
            response: MessageHead::split(response),
            ..Record::default()
        };
        let change = |text: &str, (old, new): (&str, &str)| {
            assert!(text.contains(old), "{old}");
            text.replacen(old, new, 1)
        };
        Both {
            client: record(REQUEST, &change(RESPONSE, response)),
            server: record(&change(REQUEST, request), RESPONSE),
        }
    }

    fn ids(both: &Both) -> Vec<&'static str> {
        compare(both).iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn each_change_of_a_request_is_found_alone() {
        assert_eq!(ids(&both(("", ""), ("", ""))), Vec::<&str>::new());
        for (old, new, id) in [
            ("/echo?a", "/app/echo?a", "path_changed"),
            ("HTTP/1.1", "HTTP/1.0", "http_version_changed"),
            ("Host: h", "Host: backend", "host_changed"),
            ("Host: h\r\n", "", "host_changed"),
            ("Upgrade: websocket", "Upgrade: websocket, websocket", "upgrade_repeated"),
            ("Upgrade: websocket", "Upgrade: WebSocket", "field_rewritten"),
            ("Connection: Upgrade", "Connection: close", "upgrade_dropped"),
            ("Connection: Upgrade", "Connection: keep-alive, upgrade", "field_rewritten"),
            ("Sec-WebSocket-Key: d", "Sec-WebSocket-Key: D", "key_replaced"),
            ("X: 1\r\nX: 2", "X: 1, 2", "fields_merged"),
            ("X: 1\r\nX: 2\r\n", "", "field_removed"),
            ("X: 1", "X: 3", "field_changed"),
            ("X: 1\r\nX: 2", "X: 2\r\nX: 1", "fields_reordered"),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "field_removed"),
            (
                "Host: h\r\nConnection: Upgrade",
                "Connection: Upgrade\r\nHost: h",
                "fields_reordered",
            ),
            ("X: 1", "Via: 1.1 p\r\nX: 1", "field_added"),
            ("Sec-WebSocket-Protocol: a\r\n", "", "subprotocol_stripped"),
            ("Sec-WebSocket-Extensions: permessage-deflate\r\n", "", "extensions_stripped"),
        ] {
            assert_eq!(ids(&both((old, new), ("", ""))), [id], "{old} {new}");
        }
    }

    #[test]
    fn each_change_of_a_response_is_found_alone() {
        for (old, new, id) in [
            ("Upgrade: websocket", "Upgrade: WebSocket", "field_rewritten"),
            ("Upgrade: websocket\r\n", "", "upgrade_dropped"),
            ("s3pP", "S3pP", "accept_wrong"),
            ("Sec-WebSocket-Protocol: a\r\n", "", "subprotocol_stripped"),
            ("Sec-WebSocket-Extensions: permessage-deflate\r\n", "", "compression_one_sided"),
            ("Upgrade: w", "Server: nginx\r\nUpgrade: w", "field_added"),
        ] {
            assert_eq!(ids(&both(("", ""), (old, new))), [id], "{old} {new}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let both = both(("X: 1", "X-Auth-Token: abc\r\nX: 1"), ("", ""));
        let findings = compare(&both);
        assert_eq!(findings[0].what, "added: X-Auth-Token: (not shown)");
        assert_eq!(shown_value("Authorization", "Basic YWJj"), "(not shown)");
        assert_eq!(shown_value(KEY, "dGhl"), "dGhl");
    }

    #[test]
    fn hops_are_named_by_what_they_have_added() {
        let both = both(
            ("X: 1", "Via: 1.1 Caddy\r\nX: 1"),
            ("Upgrade: w", "Server: nginx/1\r\nUpgrade: w"),
        );
        let names: Vec<_> = hops(&both).iter().map(|product| product.name).collect();
        assert_eq!(names, ["nginx", "Caddy"]);
        assert_eq!(via(&both), ["1.1 Caddy"]);
    }
}

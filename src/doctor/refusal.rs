//! A refused handshake: what the diagnosis of a wsecho says about the way to it.

use super::findings::{Finding, Severity};
use super::heads::{removed, request_line, shown};
use super::record::Side;
use crate::check::connection_options::ConnectionOptions;
use crate::check::handshake::ServerResponse;
use crate::check::verdict;
use crate::report::MessageHead;

/// The findings from a refusal. `None` if it is not the diagnosis of a wsecho, or of one that has no reports, or is
/// full.
pub(crate) fn findings(
    request: &MessageHead,
    response: &ServerResponse,
    body: &[u8],
    options: &ConnectionOptions,
) -> Option<Vec<Finding>> {
    if response.is_full() {
        return None;
    }
    let text = response.text(body);
    let (_, rest) = text.split_once("\n\nWhat arrived:\n")?;
    let (arrived, _) = rest.split_once("\n\n")?;
    let verdict = verdict::refused(response, &text, options);
    let problem = verdict.problem.trim_end_matches('.').to_owned();
    if problem.contains("\"report\"") {
        return None;
    }
    let mut changes = changes(request, arrived);
    if changes.is_empty() {
        changes.push(("refused", problem));
    }
    // The server's fix is for its users; what was changed on the way has a better one.
    let is_servers = |id| !["path_changed", "host_changed"].contains(&id);
    let finding = |(id, what)| Finding {
        fix: if is_servers(id) { verdict.fix.clone() } else { String::new() },
        product: verdict.product.filter(|_| is_servers(id)),
        // Whatever it is elsewhere.
        severity: Severity::Breaks,
        ..Finding::new(id, Side::Client, what)
    };
    Some(changes.into_iter().map(finding).collect())
}

/// The kinds of findings that the lines of what arrived show, with descriptions.
fn changes(sent: &MessageHead, arrived: &str) -> Vec<(&'static str, String)> {
    let mut lines = arrived.lines().map(str::trim);
    let line = lines.next().unwrap_or_default();
    // The diagnosis shortens the query.
    let path = |line: &str| {
        let mut words = line.split(' ');
        let (method, target) = (words.next(), words.next().unwrap_or_default());
        let path = target.split('?').next().unwrap_or_default();
        let version = line.rsplit(' ').next().unwrap_or_default();
        format!("{} {path} {version}", method.unwrap_or_default())
    };
    let mut changes: Vec<_> = request_line(&path(&sent.line), &path(line))
        .into_iter()
        .map(|finding| (finding.id, finding.what))
        .collect();
    for line in lines {
        let missing = line.strip_prefix("(no ").and_then(|line| line.strip_suffix(')'));
        let lacks = |name: &str, token: &str| {
            line.strip_prefix(name).is_some_and(|value| !value.to_ascii_lowercase().contains(token))
        };
        let change = match missing {
            Some(name) => (removed(Side::Client, name), format!("{} is removed", shown(name))),
            None if lacks("Upgrade: ", "websocket") || lacks("Connection: ", "upgrade") => {
                ("upgrade_dropped", format!("{} arrives", shown(line)))
            }
            None => match line.strip_prefix("Host: ").zip(sent.fields.get("Host")) {
                Some((host, own)) if host != own => {
                    ("host_changed", format!("Host: {} is {}", shown(own), shown(host)))
                }
                _ => continue,
            },
        };
        match changes.iter_mut().find(|(id, _)| *id == change.0) {
            Some((_, what)) => *what = format!("{what}, {}", change.1),
            None => changes.push(change),
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_shows_what_was_lost() {
        let sent = MessageHead::split("GET /echo?report=x HTTP/1.1\r\nHost: h\r\n");
        for (arrived, expected) in [
            (
                "  GET /echo?report=… HTTP/1.0\n  (no Upgrade)\n  Connection: close",
                &[
                    ("http_version_changed", "HTTP/1.1 is HTTP/1.0 at the server"),
                    ("upgrade_dropped", "Upgrade is removed, Connection: close arrives"),
                ][..],
            ),
            ("  GET /app/echo HTTP/1.1", &[("path_changed", "/echo is /app/echo at the server")]),
            ("  GET /echo HTTP/1.1\n  (no Host)", &[("host_changed", "Host is removed")]),
            (
                "  GET /echo HTTP/1.1\n  (no Sec-WebSocket-Version)",
                &[("field_removed", "Sec-WebSocket-Version is removed")],
            ),
            (
                "  GET /echo HTTP/1.1\n  Host: backend\n  Origin: x",
                &[("host_changed", "Host: h is backend")],
            ),
            ("  GET /echo HTTP/1.1\n  Host: h\n  Upgrade: websocket", &[]),
        ] {
            let found = changes(&sent, arrived);
            let found: Vec<_> = found.iter().map(|(id, what)| (*id, what.as_str())).collect();
            assert_eq!(found, expected, "{arrived}");
        }
    }
}

//! A refused handshake: what the diagnosis of a wsecho says about the way to it.

use super::findings::{Finding, Severity};
use super::heads::{removed, request_line};
use super::record::{SeenHead, Side};
use crate::check::connection_options::ConnectionOptions;
use crate::check::handshake::ServerResponse;
use crate::check::verdict;

/// The findings from a refusal. `None` if it is not the diagnosis of a wsecho, or of one that has no reports.
pub(crate) fn findings(
    request: &SeenHead,
    response: &ServerResponse,
    body: &[u8],
    options: &ConnectionOptions,
) -> Option<Vec<Finding>> {
    let text = response.text(body);
    let (_, rest) = text.split_once("\n\nWhat arrived:\n")?;
    let (arrived, _) = rest.split_once("\n\n")?;
    let mut ids = ids(&request.line, arrived);
    if ids.is_empty() {
        ids.push("refused");
    }
    let verdict = verdict::refused(response, &text, options);
    if verdict.problem.contains("\"report\"") {
        return None;
    }
    let finding = |id| Finding {
        fix: verdict.fix.clone(),
        product: verdict.product,
        // Whatever it is elsewhere.
        severity: Severity::Breaks,
        ..Finding::new(id, Side::Client, verdict.problem.trim_end_matches('.'))
    };
    Some(ids.into_iter().map(finding).collect())
}

/// The kinds of findings that the lines of what arrived show.
fn ids(sent: &str, arrived: &str) -> Vec<&'static str> {
    let mut lines = arrived.lines().map(str::trim);
    let line = lines.next().unwrap_or_default();
    // The diagnosis shortens the query.
    let path = |line: &str| {
        let mut words = line.split(' ');
        let (method, target) = (words.next(), words.next().unwrap_or_default());
        let path = target.split('?').next().unwrap_or_default();
        format!(
            "{} {path} {}",
            method.unwrap_or_default(),
            line.rsplit(' ').next().unwrap_or_default()
        )
    };
    let mut ids: Vec<_> =
        request_line(&path(sent), &path(line)).iter().map(|finding| finding.id).collect();
    for line in lines {
        let missing = line.strip_prefix("(no ").and_then(|line| line.strip_suffix(')'));
        let drops = |name: &str, token: &str| {
            line.strip_prefix(name).is_some_and(|value| !value.to_ascii_lowercase().contains(token))
        };
        if let Some(name) = missing {
            ids.push(removed(Side::Client, name));
        } else if drops("Upgrade: ", "websocket") || drops("Connection: ", "upgrade") {
            ids.push("upgrade_dropped");
        }
    }
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_shows_what_was_lost() {
        const SENT: &str = "GET /echo?report=x HTTP/1.1";
        for (arrived, expected) in [
            (
                "  GET /echo?report=… HTTP/1.1\n  (no Upgrade)\n  Connection: close",
                &["upgrade_dropped"][..],
            ),
            ("  GET /echo HTTP/1.0\n  Upgrade: websocket", &["http_version_changed"]),
            ("  GET /app/echo HTTP/1.1", &["path_changed"]),
            ("  GET /echo HTTP/1.1\n  (no Host)", &["host_changed"]),
            ("  GET /echo HTTP/1.1\n  (no Sec-WebSocket-Version)", &["field_removed"]),
            ("  GET /echo HTTP/1.1\n  Upgrade: websocket", &[]),
        ] {
            assert_eq!(ids(SENT, arrived), expected, "{arrived}");
        }
    }
}

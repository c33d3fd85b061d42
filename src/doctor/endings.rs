//! Ends of sessions: a Close, an end of stream (FIN) and a reset (RST), from each side.

use super::findings::Finding;
use super::lane::{Access, Lane, NotOpen};
use super::limits::HALF_CLOSE_DELAY;
use super::record::{Both, Record, SeenClose, SeenEnd, Side, StreamEnd};
use crate::frame::{CLOSE, FIN, OPCODE, TEXT};

/// The code and the reason of each Close.
const CODE: u16 = 4001;
const REASON: &str = "bye";

/// How a session is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    Fin,
    Reset,
}

/// The client ends the session.
pub(crate) fn by_client(access: &Access, token: &str, ending: Ending) -> Result<Record, NotOpen> {
    let delay = if ending == Ending::Fin { HALF_CLOSE_DELAY.as_millis() } else { 0 };
    let mut lane = Lane::open(access, &format!("report={token}&delay={delay}ms"), &[])?;
    lane.send(&[(FIN | TEXT, b"before the end")]);
    match ending {
        Ending::Close => {
            lane.wait_for_message();
            lane.close(CODE, REASON);
        }
        Ending::Fin => {
            // The reply is to come after it.
            let _ = lane.finish();
            lane.wait_for_end();
        }
        Ending::Reset => {
            lane.wait_for_message();
            return Ok(lane.reset());
        }
    }
    Ok(lane.record)
}

/// The server ends the session, after a reply.
pub(crate) fn by_server(access: &Access, token: &str, ending: Ending) -> Result<Record, NotOpen> {
    let fault = match ending {
        Ending::Close => format!("close={CODE}&reason={REASON}"),
        Ending::Fin => "abort=fin".to_owned(),
        Ending::Reset => "abort=rst".to_owned(),
    };
    let mut lane = Lane::open(access, &format!("report={token}&after=1&{fault}"), &[])?;
    lane.send(&[(FIN | TEXT, b"before the end")]);
    lane.wait_for(|arrived| arrived.first & OPCODE == CLOSE);
    if lane.closed().is_some() && lane.record.end.is_none() {
        lane.close(CODE, "");
    }
    Ok(lane.record)
}

/// Compares how `by` ended the session with what the other end has seen.
pub(crate) fn compare(both: &Both, by: Side, ending: Ending) -> Vec<Finding> {
    if !has_come(both, by, ending) {
        return compare_cut(both);
    }
    let seen = both.at(by.other()).end.as_ref();
    let [name, other] = [by.name(), by.other().name()];
    let finding = |id, what: String| vec![Finding::new(id, by, what)];
    let close = seen.and_then(|end| end.close.as_ref());
    let how = seen.map(|end| end.how);
    match (ending, close, how) {
        (Ending::Close, Some(close), _) if is_ours(close) => Vec::new(),
        (Ending::Close, None, None) if has_close(both.at(by.other()), by) => {
            let what =
                format!("the {other} sees the Close of the {name}, and not the end after it");
            finding("end_hidden", what)
        }
        (Ending::Close, ..) => {
            let what = format!(
                "Close {CODE} \"{REASON}\" of the {name} is {} at the {other}",
                described(seen)
            );
            finding("close_code_lost", what)
        }
        (_, _, None) => finding(
            "end_hidden",
            format!("the {other} does not see that the {name} has ended the connection"),
        ),
        (_, Some(_), _) => {
            let what =
                format!("the {name} ended without a Close; the {other} sees {}", described(seen));
            finding("close_added", what)
        }
        (Ending::Fin, _, Some(StreamEnd::Reset)) => {
            finding("fin_became_reset", format!("a FIN of the {name} is a RST at the {other}"))
        }
        (Ending::Reset, _, Some(StreamEnd::Fin)) => {
            finding("reset_hidden", format!("a RST of the {name} is a FIN at the {other}"))
        }
        (Ending::Fin, ..) if by == Side::Client && both.client.data(Side::Server).is_empty() => {
            let what = "a reply that comes after a FIN of the client does not arrive";
            vec![Finding::new("half_close_lost", Side::Client, what)]
        }
        _ => Vec::new(),
    }
}

/// Whether it has come to the ending, which was not cut short on the way.
fn has_come(both: &Both, by: Side, ending: Ending) -> bool {
    match (by, &both.server.end) {
        (Side::Server, Some(end)) => end.by == Side::Server,
        (Side::Server, None) => has_close(&both.server, Side::Server),
        (Side::Client, _) => ending != Ending::Close || compare_cut(both).is_empty(),
    }
}

/// The findings of a session. If it was cut on the way, what did not arrive is a consequence of that.
pub(crate) fn with_cut(mut findings: Vec<Finding>, both: &Both) -> Vec<Finding> {
    let cut = compare_cut(both);
    if !cut.is_empty() {
        findings.retain(|finding| !finding.is_loss());
    }
    findings.extend(cut);
    findings
}

/// Whether the connection was ended on the way, before the client closed the session.
fn compare_cut(both: &Both) -> Vec<Finding> {
    let end = both.client.end.as_ref();
    // What the client sends behind the end is lost.
    let is_before = |at_us: u64| end.is_some_and(|end| at_us <= end.at_us);
    let mut closes = both.client.from(Side::Client).filter(|frame| frame.opcode == CLOSE);
    let has_closed = closes.any(|frame| is_before(frame.at_us));
    let at_server = both.server.end.as_ref();
    let is_servers = match (at_server, end.and_then(|end| end.close.as_ref())) {
        (Some(end), _) => end.by == Side::Server,
        // Its report may come too late.
        (None, close) => close.is_some(),
    };
    match end {
        Some(end) if !has_closed && !is_servers => {
            let what = format!(
                "a connection is ended after {} ms: {} at the client, {} at the server",
                end.at_us / 1000,
                described(Some(end)),
                described(at_server)
            );
            vec![Finding::between("connection_cut", what)]
        }
        _ => Vec::new(),
    }
}

/// Whether a Close of `from` has arrived.
fn has_close(record: &Record, from: Side) -> bool {
    record.from(from).any(|frame| frame.opcode == CLOSE)
}

fn is_ours(close: &SeenClose) -> bool {
    close.code == Some(CODE) && close.reason == REASON
}

/// What no end is called.
pub(crate) const NOT_SEEN: &str = "not seen";

/// What an end looks like, for the middle of a sentence.
pub(crate) fn described(end: Option<&SeenEnd>) -> String {
    let Some(end) = end else { return NOT_SEEN.to_owned() };
    match (&end.close, end.how) {
        (Some(SeenClose { code: Some(code), reason }), _) if reason.is_empty() => {
            format!("Close {code}")
        }
        (Some(SeenClose { code: Some(code), reason }), _) => {
            format!("Close {code} \"{}\"", super::heads::shown(reason))
        }
        (Some(_), _) => "a Close without a code".to_owned(),
        (None, StreamEnd::Fin) => "a FIN".to_owned(),
        (None, StreamEnd::Reset) => "a RST".to_owned(),
        (None, StreamEnd::Other) => "an end that is none of the other side".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ending::{Close, Fin, Reset};
    use Side::{Client, Server};

    fn end(how: StreamEnd, close: Option<(Option<u16>, &str)>) -> SeenEnd {
        let close = close.map(|(code, reason)| SeenClose { code, reason: reason.to_owned() });
        SeenEnd { at_us: 0, by: Server, how, close, text: String::new() }
    }

    #[test]
    fn each_end_arrives_as_it_was_sent_or_is_a_finding() {
        let fin = || Some(end(StreamEnd::Fin, None));
        let rst = || Some(end(StreamEnd::Reset, None));
        let bye = || Some(end(StreamEnd::Fin, Some((Some(4001), "bye"))));
        for (by, ending, seen, expected) in [
            (Server, Close, bye(), None),
            (Server, Close, Some(end(StreamEnd::Fin, Some((None, "")))), Some("close_code_lost")),
            (Client, Close, fin(), Some("close_code_lost")),
            (Client, Close, None, Some("close_code_lost")),
            (Server, Fin, fin(), None),
            (Server, Fin, rst(), Some("fin_became_reset")),
            (Server, Fin, None, Some("end_hidden")),
            (Server, Fin, bye(), Some("close_added")),
            (Client, Reset, rst(), None),
            (Client, Reset, fin(), Some("reset_hidden")),
            // The reply is missing in this record.
            (Client, Fin, fin(), Some("half_close_lost")),
        ] {
            let mut both = Both { client: Record::default(), server: Record::default() };
            match by {
                Server => {
                    both.client.end = seen;
                    both.server.end = Some(end(StreamEnd::Other, None));
                }
                Client => both.server.end = seen,
            }
            let found: Vec<_> = compare(&both, by, ending).iter().map(|it| it.id).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{by:?} {ending:?}");
        }
    }

    #[test]
    fn an_end_that_neither_side_has_begun_is_a_cut() {
        let fin = || Some(end(StreamEnd::Fin, None));
        let too_big = || Some(end(StreamEnd::Fin, Some((Some(1009), ""))));
        for (client, server, is_cut) in [
            (fin(), fin().map(|end| SeenEnd { by: Client, ..end }), true),
            (fin(), None, true),
            (too_big(), too_big().map(|end| SeenEnd { by: Client, ..end }), true),
            (too_big(), too_big(), false),
            // The report of the server may come too late.
            (too_big(), None, false),
            (None, None, false),
        ] {
            let mut both = Both { client: Record::default(), server: Record::default() };
            let context = format!("{client:?} {server:?}");
            (both.client.end, both.server.end) = (client, server);
            let lost = Finding::new("messages_lost", Client, "x");
            let found: Vec<_> = with_cut(vec![lost], &both).iter().map(|it| it.id).collect();
            let expected = if is_cut { "connection_cut" } else { "messages_lost" };
            assert_eq!(found, [expected], "{context}");
        }
    }

    #[test]
    fn an_ending_that_the_server_never_came_to_is_no_finding() {
        let both = Both { client: Record::default(), server: Record::default() };
        for ending in [Close, Fin, Reset] {
            assert_eq!(compare(&both, Server, ending), [], "{ending:?}");
        }
    }
}

//! What the server says it saw: fetches a report, and turns its JSON into a [`Record`].
//!
//! **Invariant:** what is missing or unknown in the JSON is no error, as client and server may be of
//! different versions.

use std::io::Write;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::lane::{Access, read_body};
use super::limits::{ANSWER_TIMEOUT_FACTOR, END_POLL};
use super::record::{Record, SeenClose, SeenEnd, Side, StreamEnd, WireFrame};
use crate::check::handshake::get;
use crate::check::upgrade::read_response;
use crate::http::fields::Fields;
use crate::report::MessageHead;

/// Asks for the report of a session, over a connection of its own. `None` if the server has none.
pub(crate) fn fetch(access: &Access, token: &str) -> Option<Record> {
    let mut stream = access.connect()?;
    let mut connection = access.at("report", &format!("token={token}"));
    // The report is not for pages of other origins.
    connection.origin = None;
    stream.set_deadline(Instant::now() + connection.timeout());
    let request = get(&connection, &[("Connection", "close")]);
    let _ = stream.write_all(request.as_bytes());
    let mut body = Vec::new();
    let response = read_response(&mut stream, &mut body, &connection).ok()?;
    if response.status != 200 {
        return None;
    }
    read_body(&mut stream, &response, &mut body);
    parse(&response.text(&body))
}

/// As [`fetch`], once the session has ended there too, or the answer timeout is over, which is longer on a slow way.
pub(crate) fn fetch_ended(access: &Access, token: &str) -> Option<Record> {
    let started = Instant::now();
    let mut record = fetch(access, token)?;
    let deadline = started + access.answer_timeout.max(started.elapsed() * ANSWER_TIMEOUT_FACTOR);
    loop {
        if record.end.is_some() || Instant::now() >= deadline {
            return Some(record);
        }
        thread::sleep(END_POLL);
        record = fetch(access, token)?;
    }
}

/// Parses the JSON of a report. `None` if it is none.
fn parse(text: &str) -> Option<Record> {
    let report: Value = serde_json::from_str(text).ok()?;
    let frames = report["frames"].as_array()?;
    let response = head(&report["response"]);
    // Without the version, which the client's parser does not keep.
    let line = response.line.split_once(' ').map_or("", |(_, rest)| rest).to_owned();
    Some(Record {
        request: head(&report["request"]),
        response: MessageHead { line, ..response },
        frames: frames.iter().map(frame).collect(),
        end: end(&report["end"]),
        peer: string(&report["peer"]),
        lacks_frames: report["frames_not_recorded"].as_u64().is_some_and(|count| count > 0),
    })
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn head(value: &Value) -> MessageHead {
    let field = |field: &Value| (string(&field[0]), string(&field[1]));
    let fields = value["fields"].as_array().into_iter().flatten().map(field).collect();
    MessageHead { line: string(&value["line"]), fields: Fields(fields) }
}

fn side(value: &Value) -> Side {
    if value == "client" { Side::Client } else { Side::Server }
}

fn frame(value: &Value) -> WireFrame {
    let small = |name: &str| {
        let number = value[name].as_u64().unwrap_or_default();
        u8::try_from(number).unwrap_or_default()
    };
    WireFrame {
        at_us: value["at_us"].as_u64().unwrap_or_default(),
        from: side(&value["from"]),
        opcode: small("opcode"),
        fin: value["fin"] == true,
        rsv: small("rsv"),
        length: value["length"].as_u64().unwrap_or_default(),
        crc32: value["crc32"].as_u64().and_then(|crc| crc.try_into().ok()).unwrap_or_default(),
    }
}

fn end(value: &Value) -> Option<SeenEnd> {
    let (by, word) = (side(&value["by"]), value["how"].as_str()?);
    let how = match word {
        // What the server ends is no end that has arrived there.
        _ if by == Side::Server => StreamEnd::Other,
        "fin" | "close" => StreamEnd::Fin,
        "rst" => StreamEnd::Reset,
        _ => StreamEnd::Other,
    };
    let close = (word == "close").then(|| SeenClose {
        code: value["code"].as_u64().and_then(|code| code.try_into().ok()),
        reason: string(&value["reason"]),
    });
    let at_us = value["at_us"].as_u64().unwrap_or_default();
    Some(SeenEnd { at_us, by, how, close, text: string(&value["text"]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_parsed_and_what_is_missing_is_no_error() {
        let record = parse(
            r#"{"request":{"line":"GET /echo HTTP/1.1","fields":[["Host","h"],["X",""]]},
            "response":{"line":"HTTP/1.1 101 Switching Protocols","fields":[]},
            "peer":"203.0.113.7:1","frames":[{"at_us":12,"from":"client","opcode":1,"fin":true,
            "rsv":4,"masked":true,"length":5,"crc32":907060870,"new":1}],
            "end":{"at_us":9,"by":"client","how":"close","code":4001,"reason":"bye","text":"t"}}"#,
        )
        .unwrap();
        assert_eq!(record.request.fields.get("host"), Some("h"));
        assert_eq!(record.response.line, "101 Switching Protocols");
        assert_eq!((record.frames[0].rsv, record.frames[0].crc32), (4, 907_060_870));
        let close = record.end.unwrap().close.unwrap();
        assert_eq!((close.code, close.reason.as_str()), (Some(4001), "bye"));
        let least = parse(r#"{"frames":[],"end":null}"#).unwrap();
        assert_eq!(least, Record::default());
        assert_eq!(parse("<html>"), None);
        assert_eq!(parse("{}"), None);
    }
}

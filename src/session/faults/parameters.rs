//! The query parameters for fault injection: one table, from which queries are parsed and
//! validated, and which [`help`] lists.
//!
//! **Invariant:** `help` lists every parameter that `parse` accepts, each with a valid example.

use std::fmt::Write;
use std::time::Duration;

use bytesize::ByteSize;
use form_urlencoded::parse as pairs;

use super::{CompressionChoice, Faults, ForcedEnd, FrameFaults, Malformation, Push, SessionFaults};
use crate::config::Limits;
use crate::config::faults::{
    AFTER_MAX, BLACKHOLE_MAX, DELAY_MAX, FRAGMENTS_MAX, TIMER_MAX, TIMER_MIN,
};
use crate::http::excerpt::brief;
use crate::http::visible_name::visible_name;
use crate::report::is_token;
use crate::session::close_codes::close_may_have;

/// One query parameter.
struct Parameter {
    name: &'static str,
    /// A valid value.
    example: &'static str,
    /// Describes the effect and the valid range, for users.
    effect: &'static str,
    /// Parses a value and stores it in the draft. `None` if the value is invalid.
    parse: fn(&mut ParameterDraft, &str, &Limits) -> Option<()>,
}

/// The parameters parsed so far, before they are checked for consistency.
#[derive(Default)]
struct ParameterDraft {
    faults: Faults,
    session: SessionFaults,
    frames: FrameFaults,
    close: Option<u16>,
    reason: Option<String>,
    abort: Option<ForcedEnd>,
    after: Option<u64>,
    push: Option<Duration>,
    count: Option<u64>,
}

const PARAMETERS: [Parameter; 22] = [
    Parameter {
        name: "delay",
        example: "250ms",
        effect: "wait before each reply, 60s at most",
        parse: |draft, value, _| {
            draft.session.delay = duration(value)?.min(DELAY_MAX);
            Some(())
        },
    },
    Parameter {
        name: "handshake-delay",
        example: "1s",
        effect: "wait before answering the handshake, 60s at most",
        parse: |draft, value, _| {
            draft.faults.handshake.delay = duration(value)?.min(DELAY_MAX);
            Some(())
        },
    },
    Parameter {
        name: "status",
        example: "503",
        effect: "refuse the handshake with this status, 200 to 599",
        parse: |draft, value, _| {
            draft.faults.handshake.status =
                Some(value.parse().ok().filter(|status| (200..600).contains(status))?);
            Some(())
        },
    },
    Parameter {
        name: "subprotocol",
        example: "chat",
        effect: "select this subprotocol if it was offered, and no other",
        parse: |draft, value, _| {
            draft.faults.handshake.subprotocol =
                Some(value.to_owned()).filter(|name| !name.is_empty());
            draft.faults.handshake.subprotocol.as_ref().map(drop)
        },
    },
    Parameter {
        name: "compression",
        example: "off",
        effect: "off: decline it; always: short replies, too; takeover: with context takeover",
        parse: |draft, value, _| {
            draft.faults.handshake.compression = Some(match value {
                "off" => CompressionChoice::Off,
                "always" => CompressionChoice::Always,
                "takeover" => CompressionChoice::Takeover,
                _ => return None,
            });
            Some(())
        },
    },
    Parameter {
        name: "close",
        example: "4001",
        effect: "send a Close with this code: 1000 to 1003, 1007 to 1014, 3000 to 4999",
        parse: |draft, value, _| {
            draft.close = Some(value.parse().ok().filter(|code| close_may_have(*code))?);
            Some(())
        },
    },
    Parameter {
        name: "reason",
        example: "bye",
        effect: "the reason in that Close, truncated to 123 bytes",
        parse: |draft, value, _| {
            draft.reason = Some(value.to_owned());
            Some(())
        },
    },
    Parameter {
        name: "abort",
        example: "rst",
        effect: "end the connection without a Close: rst or fin",
        parse: |draft, value, _| {
            draft.abort = Some(match value {
                "rst" => ForcedEnd::Reset,
                "fin" => ForcedEnd::Fin,
                _ => return None,
            });
            Some(())
        },
    },
    Parameter {
        name: "after",
        example: "3",
        effect: "answer this many messages before `close`, `abort` or `bad`; 0 by default",
        parse: |draft, value, _| {
            draft.after = Some(value.parse::<u64>().ok()?.min(AFTER_MAX));
            Some(())
        },
    },
    Parameter {
        name: "ping",
        example: "1s",
        effect: "send a Ping at this interval, 10ms to 1h",
        parse: |draft, value, _| {
            draft.session.ping = Some(duration(value)?.clamp(TIMER_MIN, TIMER_MAX));
            Some(())
        },
    },
    Parameter {
        name: "pong",
        example: "off",
        effect: "do not answer Pings",
        parse: |draft, value, _| {
            draft.frames.pong_off = true;
            (value == "off").then_some(())
        },
    },
    Parameter {
        name: "read",
        example: "off",
        effect: "stop reading, for 60s at most, so that the client's writes block",
        parse: |draft, value, _| {
            draft.session.read_off = true;
            (value == "off").then_some(())
        },
    },
    Parameter {
        name: "reply",
        example: "off",
        effect: "do not reply to messages",
        parse: |draft, value, _| {
            draft.session.reply_off = true;
            (value == "off").then_some(())
        },
    },
    Parameter {
        name: "blackhole",
        example: "30s",
        effect: "neither read, write nor ping for this time after the 101, 1h at most",
        parse: |draft, value, _| {
            draft.session.blackhole = duration(value)?.min(BLACKHOLE_MAX);
            Some(())
        },
    },
    Parameter {
        name: "greet",
        example: "hello",
        effect: "send this text first, together with the 101",
        parse: |draft, value, _| {
            draft.session.greeting = Some(value.to_owned());
            Some(())
        },
    },
    Parameter {
        name: "report",
        example: "0123456789abcdefABCDEF",
        effect: "record it for /report?token=…; 22 to 64 of A-Z a-z 0-9 _ -",
        parse: |draft, value, _| {
            draft.faults.report = Some(value.to_owned()).filter(|token| is_token(token));
            draft.faults.report.as_ref().map(drop)
        },
    },
    Parameter {
        name: "screen",
        example: "lobby-3",
        effect: "name the client in the log and /sessions; 1 to 32 visible characters",
        parse: |draft, value, _| {
            draft.faults.screen = visible_name(value).map(str::to_owned);
            draft.faults.screen.as_ref().map(drop)
        },
    },
    Parameter {
        name: "fragment",
        example: "16",
        effect: "send replies in fragments of this size (16, 1KiB), 65536 fragments at most",
        parse: |draft, value, _| {
            draft.frames.fragment = Some(size(value).filter(|size| *size > 0)?);
            Some(())
        },
    },
    Parameter {
        name: "size",
        example: "64KiB",
        effect: "reply with (or push) this many bytes instead, --max-message-size at most",
        parse: |draft, value, limits| {
            draft.session.size = Some(size(value)?.min(limits.max_message_size));
            Some(())
        },
    },
    Parameter {
        name: "push",
        example: "1s",
        effect: "push a message (JSON, or `size` bytes) at this interval, 10ms to 1h",
        parse: |draft, value, _| {
            draft.push = Some(duration(value)?.clamp(TIMER_MIN, TIMER_MAX));
            Some(())
        },
    },
    Parameter {
        name: "count",
        example: "10",
        effect: "number of pushes; 0 (the default): unlimited",
        parse: |draft, value, _| {
            draft.count = Some(value.parse().ok()?);
            Some(())
        },
    },
    Parameter {
        name: "bad",
        example: "utf8",
        effect: "malformed replies: utf8, rsv, opcode, mask, length; or handshake: accept",
        parse: |draft, value, _| {
            draft.frames.bad = Some(match value {
                "utf8" => Malformation::Utf8,
                "rsv" => Malformation::Rsv,
                "opcode" => Malformation::Opcode,
                "mask" => Malformation::Mask,
                "length" => Malformation::Length,
                "accept" => {
                    draft.faults.handshake.bad_accept = true;
                    return Some(());
                }
                _ => return None,
            });
            Some(())
        },
    },
];

/// Lists the query parameters for fault injection, one per line, with an example and the effect.
pub(crate) fn help() -> String {
    PARAMETERS.iter().fold(String::new(), |mut text, parameter| {
        let example = format!("{}={}", parameter.name, parameter.example);
        let _ = writeln!(text, "  {example:<18} {}", parameter.effect);
        text
    })
}

/// Lists the query parameters by their examples alone, several on a line.
pub(crate) fn examples() -> String {
    let example = |parameter: &Parameter| format!(" {}={}", parameter.name, parameter.example);
    let line = |some: &[Parameter]| format!(" {}\n", some.iter().map(example).collect::<String>());
    PARAMETERS.chunks(5).map(line).collect()
}

/// Parses a query. Values beyond their range are clamped.
///
/// # Errors
/// One sentence: what is wrong with the query.
#[cold]
pub(crate) fn parse(query: &str, limits: &Limits) -> Result<Faults, String> {
    let mut draft = ParameterDraft::default();
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in pairs(query.as_bytes()) {
        if name.is_empty() && value.is_empty() {
            continue;
        }
        let parameter = PARAMETERS
            .iter()
            .find(|parameter| parameter.name == name)
            .ok_or_else(|| unknown(&name))?;
        if seen.iter().any(|seen| *seen == name) {
            return Err(format!(
                "The query parameter {} is repeated; give it only once.",
                brief(&name)
            ));
        }
        seen.push(name.into_owned());
        (parameter.parse)(&mut draft, &value, limits).ok_or_else(|| invalid(parameter, &value))?;
    }
    draft.finish()
}

fn unknown(name: &str) -> String {
    format!("There is no query parameter \"{}\".", brief(name))
}

fn invalid(parameter: &Parameter, value: &str) -> String {
    let Parameter { name, example, .. } = parameter;
    format!("{name}=\"{}\" is not valid; a valid example is {name}={example}.", brief(value))
}

impl ParameterDraft {
    /// Combines parameters that depend on each other. `Err` if they are inconsistent.
    fn finish(self) -> Result<Faults, String> {
        let ParameterDraft {
            mut faults,
            mut session,
            frames,
            close,
            reason,
            abort,
            after,
            push,
            count,
        } = self;
        if let (Some(size), Some(fragment)) = (session.size, frames.fragment)
            && size.div_ceil(fragment) > FRAGMENTS_MAX
        {
            return Err(format!(
                "size={size} in fragments of {fragment} bytes is more than {FRAGMENTS_MAX} fragments a message."
            ));
        }
        session.push = match (push, count) {
            (None, Some(_)) => {
                return Err("count requires push, as in push=1s&count=10.".to_owned());
            }
            // `size` then applies to the pushes, and replies stay as they are.
            (Some(every), count) => {
                Some(Push { every, count: count.unwrap_or_default(), size: session.size.take() })
            }
            (None, None) => None,
        };
        session.end = match (close, abort, reason) {
            (Some(_), Some(_), _) => {
                return Err("close and abort exclude each other; give only one.".to_owned());
            }
            (None, _, Some(_)) => {
                return Err("reason requires close, as in close=4001&reason=bye.".to_owned());
            }
            (Some(code), None, reason) => Some(ForcedEnd::Close(code, reason.unwrap_or_default())),
            (None, abort, None) => abort,
        };
        if after.is_some() && session.end.is_none() && frames.bad.is_none() {
            return Err("after requires close, abort or bad, as in close=4001&after=3.".to_owned());
        }
        session.after = after.unwrap_or_default();
        if session.reply_off && session.after > 0 {
            return Err("after counts replies, and reply=off sends none; give only one.".to_owned());
        }
        session.frames = Some(frames).filter(|frames| *frames != FrameFaults::default());
        faults.session =
            Some(session).filter(|session| *session != SessionFaults::default()).map(Box::new);
        Ok(faults)
    }
}

fn duration(value: &str) -> Option<Duration> {
    humantime::parse_duration(value).ok()
}

fn size(value: &str) -> Option<usize> {
    usize::try_from(value.parse::<ByteSize>().ok()?.as_u64()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::chat::NAME_MAX;
    use crate::config::faults::READ_OFF_MAX;
    use crate::session::faults::HandshakeFaults;

    fn parsed(query: &str) -> Result<Faults, String> {
        parse(query, &Limits::default())
    }

    fn session(query: &str) -> SessionFaults {
        *parsed(query).unwrap().session.unwrap()
    }

    #[test]
    fn every_parameter_accepts_its_own_example() {
        for Parameter { name, example, .. } in &PARAMETERS {
            let required = match *name {
                "reason" | "after" => "close=1000&",
                "count" => "push=1s&",
                _ => "",
            };
            let faults = parsed(&format!("{required}{name}={example}")).unwrap();
            assert_ne!(faults, Faults::default(), "{name} has no effect");
        }
    }

    #[test]
    fn an_empty_query_injects_no_faults() {
        for query in ["", "&", "="] {
            assert_eq!(parsed(query), Ok(Faults::default()), "{query}");
        }
    }

    #[test]
    fn parameters_are_parsed() {
        assert_eq!(session("delay=1s").delay, Duration::from_secs(1));
        assert_eq!(session("ping=250ms").ping, Some(Duration::from_millis(250)));
        assert_eq!(session("size=2KiB").size, Some(2048));
        assert!(session("read=off").read_off && session("reply=off").reply_off);
        assert_eq!(session("blackhole=30s").blackhole, Duration::from_secs(30));
        assert_eq!(session("greet=a%20b").greeting.as_deref(), Some("a b"));
        assert_eq!(parsed("screen=+L%C3%BC+3").unwrap().screen.as_deref(), Some("Lü 3"));
        let token = "0123456789-_abcdefABCDEF";
        assert_eq!(parsed(&format!("report={token}")).unwrap().report.as_deref(), Some(token));
        let pushed = |query| session(query).push.unwrap();
        let (every, size) = (Duration::from_secs(1), Some(64));
        assert_eq!(pushed("push=1s&count=10&size=64"), Push { every, count: 10, size });
        assert_eq!(session("push=1s&size=64").size, None, "replies keep their size");
        assert_eq!(pushed("push=1s"), Push { every, count: 0, size: None });
        let close = session("close=4001&reason=a%20b+c&after=3");
        assert_eq!(close.end, Some(ForcedEnd::Close(4001, "a b c".to_owned())));
        assert_eq!(close.after, 3);
        assert_eq!(session("abort=rst").end, Some(ForcedEnd::Reset));
        assert_eq!(session("abort=fin").end, Some(ForcedEnd::Fin));
        let frames = session("fragment=16&pong=off&bad=mask&after=1").frames.unwrap();
        let expected =
            FrameFaults { pong_off: true, fragment: Some(16), bad: Some(Malformation::Mask) };
        assert_eq!(frames, expected);
        let handshake =
            parsed("status=404&handshake-delay=2s&subprotocol=x&bad=accept&compression=always")
                .unwrap();
        assert_eq!(handshake.session, None);
        let expected = HandshakeFaults {
            delay: Duration::from_secs(2),
            status: Some(404),
            subprotocol: Some("x".to_owned()),
            bad_accept: true,
            compression: Some(CompressionChoice::Always),
        };
        assert_eq!(handshake.handshake, expected);
    }

    #[test]
    fn the_most_fragments_are_accepted() {
        for query in ["size=65536&fragment=1", "size=1TiB&fragment=16", "size=0&fragment=1"] {
            assert!(parsed(query).is_ok(), "{query}");
        }
    }

    #[test]
    fn values_are_clamped() {
        assert_eq!(session("delay=100years").delay, DELAY_MAX);
        assert_eq!(parsed("handshake-delay=2min").unwrap().handshake.delay, DELAY_MAX);
        assert_eq!(session("blackhole=2h").blackhole, BLACKHOLE_MAX);
        assert_eq!(session("ping=1ns").ping, Some(TIMER_MIN));
        assert_eq!(session("ping=2h").ping, Some(TIMER_MAX));
        assert_eq!(session("push=1ms").push.unwrap().every, TIMER_MIN);
        assert_eq!(session("size=1TiB").size, Some(Limits::default().max_message_size));
        assert_eq!(session("close=1000&after=18446744073709551615").after, AFTER_MAX);
    }

    #[test]
    fn invalid_queries_are_rejected_with_a_valid_example() {
        for (query, words) in [
            ("delay=250", "delay=250ms"),
            ("delay", "delay=250ms"),
            ("delay=-1s", "delay=250ms"),
            ("status=101", "status=503"),
            ("status=600", "status=503"),
            ("close=1005", "close=4001"),
            ("close=999", "close=4001"),
            ("close=5000", "close=4001"),
            ("abort=now", "abort=rst"),
            ("pong=on", "pong=off"),
            ("read=", "read=off"),
            ("fragment=0", "fragment=16"),
            ("size=x", "size=64KiB"),
            ("subprotocol=", "subprotocol=chat"),
            ("compression=on", "compression=off"),
            ("bad=luck", "bad=utf8"),
            ("token=x", "no query parameter \"token\""),
            ("delay=1s&delay=1s", "delay is repeated"),
            ("close=1000&abort=fin", "exclude each other"),
            ("reason=bye", "close=4001&reason=bye"),
            ("reason=bye&abort=fin", "close=4001&reason=bye"),
            ("after=3", "close=4001&after=3"),
            ("count=3", "push=1s&count=10"),
            ("push=1s&count=-1", "count=10"),
            ("after=3&bad=accept", "close=4001&after=3"),
            ("reply=on", "reply=off"),
            ("close=1000&after=3&reply=off", "give only one"),
            ("blackhole=30", "blackhole=30s"),
            ("report=0123456789abcdefABCDE", "report=0123456789abcdefABCDEF"),
            ("report=0123456789abcdefABCDE+", "report=0123456789abcdefABCDEF"),
            ("screen=+", "screen=lobby-3"),
            ("screen=a%0ab", "screen=lobby-3"),
            ("size=65537&fragment=1", "more than 65536 fragments"),
            ("fragment=15&size=1MiB&push=1s", "more than 65536 fragments"),
        ] {
            let error = parsed(query).unwrap_err();
            assert!(error.contains(words), "{query}: {error}");
        }
    }

    #[test]
    fn effects_state_the_limits() {
        let effect = |name| PARAMETERS.iter().find(|p| p.name == name).unwrap().effect;
        let seconds = |duration: Duration| format!("{}s", duration.as_secs());
        assert!(effect("delay").contains(&seconds(DELAY_MAX)));
        assert!(effect("handshake-delay").contains(&seconds(DELAY_MAX)));
        assert!(effect("read").contains(&seconds(READ_OFF_MAX)));
        assert!(effect("fragment").contains(&format!("{FRAGMENTS_MAX} fragments at most")));
        assert!(effect("screen").contains(&format!("1 to {NAME_MAX} visible characters")));
        let readable = |duration| humantime::format_duration(duration).to_string();
        let range = format!("{} to {}", readable(TIMER_MIN), readable(TIMER_MAX));
        assert!(effect("ping").contains(&range) && effect("push").contains(&range));
        assert_eq!(help().lines().count(), PARAMETERS.len());
        // A refusal shows them with two spaces before each line.
        assert!(help().lines().all(|line| line.chars().count() < 98), "{}", help());
    }
}

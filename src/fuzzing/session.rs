//! Fuzzes a session: arbitrary frames from a client, in arbitrary pieces.

use std::time::{Duration, Instant};

use super::frames::{self, Frame};
use super::peer::{Peer, PeerBehavior, PeerOutput};
use crate::config::Clock;
use crate::config::Template;
use crate::config::{Config, Limits, Timeouts};
use crate::message_memory::MessageMemory;
use crate::session::end::SessionEnd;
use crate::session::reply::Reply;
use crate::session::{Session, SessionOutcome, SessionSetup};

/// A timeout that even a slow machine does not reach: a session that lasts this long hangs.
const NEVER: Duration = Duration::from_secs(10);
/// The longest frame header, and the text that `/ws` adds to a message.
const REPLY_OVERHEAD: usize = 10 + "You sent:  at noon".len();
/// The size of a Close with the longest reason.
const CLOSE_SIZE: usize = 2 + 125;

/// One session: its configuration and its input.
#[derive(Debug, Clone, Copy)]
struct SessionScene<'a> {
    input: &'a [u8],
    /// How many bytes of `input` arrived together with the handshake.
    early: usize,
    behavior: PeerBehavior,
    /// Whether the endpoint is `/ws` and not `/echo`.
    is_tutorial: bool,
    /// Whether a Ping is due at every read that finds nothing.
    pings: bool,
    /// Whether the idle timeout is zero.
    is_idle: bool,
    max_message_size: usize,
}

impl<'a> SessionScene<'a> {
    /// Parses six bytes of settings, and the input after them. `None` if there are fewer bytes.
    fn parse(bytes: &'a [u8]) -> Option<SessionScene<'a>> {
        let (&[flags, size, piece, early, stop_after, takes], input) = bytes.split_first_chunk()?;
        let stop_after = usize::from(stop_after);
        let mut early = usize::from(early).min(input.len());
        if stop_after > 0 {
            early = early.min(stop_after);
        }
        let has = |bit: u8| flags & bit != 0;
        Some(SessionScene {
            input,
            early,
            behavior: PeerBehavior { piece, pauses: has(2), stop_after, takes: takes.into() },
            is_tutorial: has(1),
            pings: has(4),
            is_idle: has(8),
            max_message_size: 1 << (size % 17),
        })
    }

    fn run(&self) -> (SessionOutcome, PeerOutput) {
        let config = Config {
            limits: Limits { max_message_size: self.max_message_size, ..Limits::default() },
            timeouts: Timeouts {
                ping_interval: self.pings.then_some(Duration::ZERO),
                ping: NEVER,
                idle: self.is_idle.then_some(Duration::ZERO),
                close: NEVER,
                ..Timeouts::default()
            },
            ..Config::default()
        };
        let reply = if self.is_tutorial {
            Reply::tutorial(Template::default(), Clock::utc("noon").unwrap())
        } else {
            Reply::Echo
        };
        let mut output = PeerOutput::default();
        let peer = Peer::new(self.input, self.early, self.behavior, &mut output);
        let started = Instant::now();
        let setup = SessionSetup {
            number: 1,
            early: self.input[..self.early].to_vec(),
            reply: Ok(reply),
            faults: None,
            recorder: None,
            deflate: None,
            memory: MessageMemory::new(usize::MAX),
            // As the reply to any other message, so that the checks hold for it, too.
            describe: if self.is_tutorial {
                Box::new(|_| "You sent: ?info at noon".to_owned())
            } else {
                Box::new(|_| "?info".to_owned())
            },
            stats: None,
        };
        let outcome = Session::new(peer, setup, &config).run();
        assert!(started.elapsed() < NEVER, "the session did not end in time");
        (outcome, output)
    }

    /// Computes the most bytes that the session may send for its input.
    fn output_limit(&self, messages: usize, pauses: usize) -> usize {
        let pings = if self.pings { 2 * pauses } else { 0 };
        // A reply of `/ws` may replace each invalid byte with U+FFFD, which takes three bytes. All
        // other replies are echoes, and a server's frame is shorter than a client's.
        let replies = if self.is_tutorial {
            3 * self.input.len() + messages * REPLY_OVERHEAD
        } else {
            self.input.len()
        };
        replies + pings + CLOSE_SIZE
    }
}

/// Runs a session on arbitrary input. It must end without a panic, write whole and valid frames
/// whose size is bounded by the input, answer every message, and send the Close that belongs to the
/// cause of its end.
///
/// # Panics
/// If one of these properties does not hold.
pub fn session(bytes: &[u8]) {
    let Some(scene) = SessionScene::parse(bytes) else { return };
    let (outcome, output) = scene.run();
    let (sent, cut) = frames::parse(&output.bytes);
    assert!(cut.is_empty() || output.refused, "a part of a frame");
    check_frames(&scene, &sent);
    check_counts(&scene, &outcome, &output, &sent);
    check_close(&outcome.end, output.refused, &sent);
    // Unless a pause causes a Ping or an end, the output must not depend on how the input is cut.
    if !scene.pings && !scene.is_idle {
        let behavior = PeerBehavior { piece: 0, pauses: false, ..scene.behavior };
        let (_, at_once) = SessionScene { early: 0, behavior, ..scene }.run();
        assert_eq!(output.bytes, at_once.bytes, "the output depends on how the input is cut");
    }
}

fn check_frames(scene: &SessionScene, sent: &[Frame]) {
    let limit = scene.max_message_size;
    for frame in sent {
        match frame {
            Frame::Text(text) if scene.is_tutorial => {
                assert!(text.starts_with("You sent: ") && text.ends_with(" at noon"), "{text:?}");
                assert!(text.len() <= 3 * limit + REPLY_OVERHEAD, "a reply over the limit");
            }
            Frame::Deflated(_) => panic!("a compressed frame without permessage-deflate"),
            Frame::Binary(_) if scene.is_tutorial => panic!("/ws replied with binary"),
            Frame::Text(text) => assert!(text.len() <= limit, "text over the limit"),
            Frame::Binary(bytes) => assert!(bytes.len() <= limit, "binary over the limit"),
            Frame::Ping => assert!(scene.pings, "a Ping that is not due"),
            Frame::Pong | Frame::Close(_) => {}
        }
    }
}

fn check_counts(
    scene: &SessionScene,
    outcome: &SessionOutcome,
    output: &PeerOutput,
    sent: &[Frame],
) {
    let replies = sent.iter().filter(|f| matches!(f, Frame::Text(_) | Frame::Binary(_))).count();
    let received = usize::try_from(outcome.received.messages).unwrap();
    assert_eq!(replies as u64, outcome.sent.messages, "the count of replies is wrong");
    if !output.refused {
        assert_eq!(outcome.received.messages, outcome.sent.messages, "a message without a reply");
    }
    let limit = scene.output_limit(received, output.pauses);
    assert!(output.bytes.len() <= limit, "{} bytes out, over {limit}", output.bytes.len());
}

/// Checks that there is one Close at most, as the last frame, and with the code of `end`.
fn check_close(end: &SessionEnd, refused: bool, sent: &[Frame]) {
    let closes = sent.iter().filter(|frame| matches!(frame, Frame::Close(_))).count();
    let code = match sent.last() {
        Some(Frame::Close(code)) => Some(*code),
        _ => None,
    };
    assert_eq!(closes, usize::from(code.is_some()), "a Close that is not the last frame");
    let expected = match (end.by, end.how) {
        ("client" | "server", "close") => Some(end.code),
        ("client", "fin") => None,
        ("server", "drop") if refused && end.limit == "--write-timeout" => None,
        _ => panic!("no input can cause this end: {end}"),
    };
    // A peer that does not read need not get a Close.
    if !refused || code.is_some() {
        assert_eq!(code, expected, "{end}");
    }
}

//! A session fed with anything.

use std::time::{Duration, Instant};

use super::frames::{self, Frame};
use super::peer::{Peer, PeerBehavior, PeerOutput};
use crate::config::Clock;
use crate::config::Template;
use crate::config::{Config, Limits, Timeouts};
use crate::session::end::SessionEnd;
use crate::session::reply::Reply;
use crate::session::{Session, SessionOutcome, SessionSetup};

/// Long enough that no machine is too slow; a session that lasts as long waits for nothing.
const NEVER: Duration = Duration::from_secs(10);
/// A frame's header and the tutorial's words around a message.
const REPLY_OVERHEAD: usize = 10 + "You sent:  at noon".len();
/// A Close with the longest reason.
const CLOSE_SIZE: usize = 2 + 125;

/// How one session is run.
#[derive(Debug, Clone, Copy)]
struct SessionScene<'a> {
    input: &'a [u8],
    /// Bytes that arrived together with the handshake.
    early: usize,
    manner: PeerBehavior,
    tutorial: bool,
    /// Every silence is due a Ping.
    pings: bool,
    /// Every session has been idle for too long.
    idle: bool,
    max_message_size: usize,
}

impl<'a> SessionScene<'a> {
    /// From six bytes and what the peer sends; none when there are not as many.
    fn parse(bytes: &'a [u8]) -> Option<SessionScene<'a>> {
        let (&[how, size, piece, early, stop_after, takes], input) = bytes.split_first_chunk()?;
        let stop_after = usize::from(stop_after);
        let mut early = usize::from(early).min(input.len());
        if stop_after > 0 {
            early = early.min(stop_after);
        }
        let is = |bit: u8| how & bit != 0;
        Some(SessionScene {
            input,
            early,
            manner: PeerBehavior { piece, pauses: is(2), stop_after, takes: takes.into() },
            tutorial: is(1),
            pings: is(4),
            idle: is(8),
            max_message_size: 1 << (size % 17),
        })
    }

    fn run(&self) -> (SessionOutcome, PeerOutput) {
        let config = Config {
            limits: Limits { max_message_size: self.max_message_size, ..Limits::default() },
            timeouts: Timeouts {
                ping_interval: self.pings.then_some(Duration::ZERO),
                ping: NEVER,
                idle: self.idle.then_some(Duration::ZERO),
                close: NEVER,
                ..Timeouts::default()
            },
            ..Config::default()
        };
        let reply = if self.tutorial {
            Reply::tutorial(Template::default(), Clock::utc("noon").unwrap())
        } else {
            Reply::Echo
        };
        let mut output = PeerOutput::default();
        let peer = Peer::new(self.input, self.early, self.manner, &mut output);
        let started = Instant::now();
        let setup = SessionSetup {
            number: 1,
            early: self.input[..self.early].to_vec(),
            reply: Ok(reply),
            faults: None,
            deflate: None,
            // Like an echo, so that no check needs an exception.
            describe: if self.tutorial {
                Box::new(|_| "You sent: ?info at noon".to_owned())
            } else {
                Box::new(|_| "?info".to_owned())
            },
            stats: None,
        };
        let outcome = Session::new(peer, setup, &config).run();
        assert!(started.elapsed() < NEVER, "a session without an end");
        (outcome, output)
    }

    /// The most that a peer may be sent for its input.
    fn output_limit(&self, messages: usize, pauses: usize) -> usize {
        let pings = if self.pings { 2 * pauses } else { 0 };
        // A reply to the tutorial may turn each bad byte into the three of U+FFFD. Everything else
        // is an echo, and a server's frame is shorter than a client's.
        let replies = if self.tutorial {
            3 * self.input.len() + messages * REPLY_OVERHEAD
        } else {
            self.input.len()
        };
        replies + pings + CLOSE_SIZE
    }
}

/// Whatever a peer sends, and however it arrives: the session ends, without a panic; it writes whole
/// and valid frames, bounded by what it was sent; every message is answered, and the goodbye is the
/// one that the cause demands.
///
/// # Panics
/// When that does not hold.
pub fn session(bytes: &[u8]) {
    let Some(scene) = SessionScene::parse(bytes) else { return };
    let (outcome, output) = scene.run();
    let sent = frames::parse(&output.bytes);
    check_frames(&scene, &sent);
    check_counts(&scene, &outcome, &output, &sent);
    check_close(&outcome.end, output.refused, &sent);
    // When nothing is due at a silence, it must not matter how the bytes are cut.
    if !scene.pings && !scene.idle {
        let manner = PeerBehavior { piece: 0, pauses: false, ..scene.manner };
        let (_, at_once) = SessionScene { early: 0, manner, ..scene }.run();
        assert_eq!(output.bytes, at_once.bytes, "pieces change the answer");
    }
}

fn check_frames(scene: &SessionScene, sent: &[Frame]) {
    let limit = scene.max_message_size;
    for frame in sent {
        match frame {
            Frame::Text(text) if scene.tutorial => {
                assert!(text.starts_with("You sent: ") && text.ends_with(" at noon"), "{text:?}");
                assert!(text.len() <= 3 * limit + REPLY_OVERHEAD, "a reply over the limit");
            }
            Frame::Deflated(_) => panic!("compressed, and nobody agreed on it"),
            Frame::Binary(_) if scene.tutorial => panic!("the tutorial answered with binary"),
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
    assert_eq!(replies as u64, outcome.sent.messages, "replies that nobody counted");
    if !output.refused {
        assert_eq!(outcome.received.messages, outcome.sent.messages, "a message without a reply");
    }
    let limit = scene.output_limit(received, output.pauses);
    assert!(output.bytes.len() <= limit, "{} bytes out, over {limit}", output.bytes.len());
}

/// One Close at most, with nothing after it, and with the code that the end demands.
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
        _ => panic!("nothing in the input leads to this end: {end}"),
    };
    // A peer that does not read cannot be told.
    if !refused || code.is_some() {
        assert_eq!(code, expected, "{end}");
    }
}

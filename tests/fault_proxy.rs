//! The fault proxy of the tests commits the fault that it is told to commit, and no other. In most tests
//! both ends are driven by the test; in some the server is a real one.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use tungstenite::Message;
use tungstenite::protocol::frame::coding::Control;

use crate::support::client::{
    Client, FIN_BINARY, FIN_CLOSE, FIN_PING, FIN_PONG, FIN_TEXT, Raw, frame, handshake, wait_until,
};
use crate::support::fault_proxy::{
    Close, Counts, Ending, Fault, FaultProxy, Frame, HeadFault, Size, Way,
};
use crate::support::server::TestServer;

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: soap\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// Replaces the timeouts of real proxies.
const SHORT: Duration = Duration::from_millis(50);

/// A client and a server, both driven by the test, with the proxy between them.
struct Ends {
    client: Raw,
    server: Raw,
    _proxy: FaultProxy,
}

impl Ends {
    fn connect(fault: Fault) -> Ends {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = FaultProxy::start(listener.local_addr().unwrap(), fault);
        let client = Raw::connect(proxy.addr());
        let stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        Ends { client, server: Raw::on(stream), _proxy: proxy }
    }

    /// Connects, and makes a handshake.
    fn open(fault: Fault) -> Ends {
        let mut ends = Ends::connect(fault);
        ends.client.send(handshake("/echo"));
        head(&mut ends.server);
        ends.server.send(RESPONSE);
        head(&mut ends.client);
        ends
    }

    /// Sends a frame in this direction, masked if it goes to the server.
    fn send(&mut self, way: Way, first: u8, payload: &[u8]) {
        match way {
            Way::ToServer => self.client.send(frame(first, payload)),
            Way::ToClient => self.server.send(unmasked(first, payload)),
        };
    }

    /// Reads the next frame that goes in this direction.
    fn receive(&mut self, way: Way) -> (u8, Vec<u8>) {
        match way {
            Way::ToServer => {
                let (first, frame) = masked_frame(&mut self.server);
                assert!(frame.header.mask.is_some());
                (first, frame.payload)
            }
            Way::ToClient => self.client.frame(),
        }
    }

    /// Reads what goes in this direction until its end; `Err` if that is a reset.
    fn rest(&mut self, way: Way) -> Result<Vec<u8>, ErrorKind> {
        let receiver = match way {
            Way::ToServer => &mut self.server,
            Way::ToClient => &mut self.client,
        };
        let mut rest = Vec::new();
        let end = receiver.0.read_to_end(&mut rest);
        end.map_err(|error| error.kind())?;
        Ok(rest)
    }

    /// Asserts how the proxy has ended the connection, at both ends.
    fn assert_ended(&mut self, ending: Ending) {
        let ways = [Way::ToClient, Way::ToServer];
        match ending {
            Ending::Fin => assert_eq!(ways.map(|way| self.rest(way)), [Ok(vec![]), Ok(vec![])]),
            Ending::Rst => {
                assert_eq!(
                    ways.map(|way| self.rest(way)),
                    [const { Err(ErrorKind::ConnectionReset) }; 2]
                );
            }
            Ending::Close(code) => {
                let close = (FIN_CLOSE, code.to_be_bytes().to_vec());
                for way in ways {
                    assert_eq!(self.receive(way), close);
                    assert_eq!(self.rest(way), Ok(vec![]));
                }
            }
            Ending::Nothing => {
                for way in ways {
                    wait_until("nothing is forwarded", || self.is_lost(way));
                }
            }
        }
    }

    /// Returns whether a message in this direction does not arrive.
    fn is_lost(&mut self, way: Way) -> bool {
        self.send(way, FIN_TEXT, b"lost?");
        let is_lost = self.is_silent(way);
        if !is_lost {
            self.receive(way);
        }
        is_lost
    }

    /// Returns whether nothing arrives for a moment. Right if something arrives; a proxy that forwards
    /// late is found by a busy machine later.
    fn is_silent(&mut self, way: Way) -> bool {
        let receiver = match way {
            Way::ToServer => &self.server,
            Way::ToClient => &self.client,
        };
        let stream = receiver.0.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Reads a head.
fn head(raw: &mut Raw) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(raw.0.read_line(&mut head).unwrap(), 0, "{head:?}");
    }
    head
}

/// Encodes a server's frame.
fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(first, payload);
    bytes[1] &= 0x7f;
    let mask = bytes.len() - payload.len() - 4;
    bytes.drain(mask..mask + 4);
    bytes
}

/// Reads the next frame, masked or not. Returns its first byte, too.
fn masked_frame(raw: &mut Raw) -> (u8, Frame) {
    let mut bytes = raw.bytes(2);
    let first = bytes[0];
    loop {
        if let Some(frame) = Frame::take(&mut bytes).unwrap() {
            return (first, frame);
        }
        bytes.extend(raw.bytes(1));
    }
}

const WAYS: [Way; 2] = [Way::ToServer, Way::ToClient];

/// The heads that a server and a client get through the proxy.
fn heads(fault: Fault, request: &str) -> [String; 2] {
    let mut ends = Ends::connect(fault);
    ends.client.send(request);
    let request = head(&mut ends.server);
    ends.server.send(RESPONSE);
    [request, head(&mut ends.client)]
}

fn request_through(fault: HeadFault, request: &str) -> String {
    let [changed, response] = heads(Fault::Request(fault), request);
    assert_eq!(response, RESPONSE, "{fault:?}");
    changed
}

fn response_through(fault: HeadFault) -> String {
    let request = handshake("/echo");
    let [unchanged, response] = heads(Fault::Response(fault), &request);
    assert_eq!(unchanged, request, "{fault:?}");
    response
}

#[test]
fn heads_are_changed_in_one_place() {
    let request = handshake("/echo").replace("\r\n\r\n", "\r\nA:  1\r\nB: 2\r\na: 3\r\n\r\n");
    for (fault, old, new) in [
        (HeadFault::Remove("upgrade"), "Upgrade: websocket\r\n", ""),
        (HeadFault::Remove("Sec-WebSocket-Version"), "Sec-WebSocket-Version: 13\r\n", ""),
        (HeadFault::Set("Connection", "close"), "Connection: Upgrade", "Connection: close"),
        (HeadFault::Set("Host", "backend:81"), "Host: h", "Host: backend:81"),
        (HeadFault::Add("Via", "1.1 p"), "a: 3\r\n", "a: 3\r\nVia: 1.1 p\r\n"),
        (HeadFault::Merge("a"), "A:  1\r\nB: 2\r\na: 3\r\n", "A: 1, 3\r\nB: 2\r\n"),
        (HeadFault::Duplicate("Upgrade"), "websocket\r\n", "websocket, websocket\r\n"),
        (HeadFault::FirstLine("HTTP/1.1", "HTTP/1.0"), "HTTP/1.1", "HTTP/1.0"),
        (HeadFault::FirstLine("/echo", "/app/echo"), "/echo", "/app/echo"),
    ] {
        assert!(request.contains(old), "{fault:?}");
        assert_eq!(request_through(fault, &request), request.replacen(old, new, 1), "{fault:?}");
    }
    for (fault, old, new) in [
        (HeadFault::Remove("Sec-WebSocket-Protocol"), "Sec-WebSocket-Protocol: soap\r\n", ""),
        (
            HeadFault::Remove("Sec-WebSocket-Extensions"),
            "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            "",
        ),
        (HeadFault::Set("Upgrade", "WebSocket"), "Upgrade: websocket", "Upgrade: WebSocket"),
    ] {
        assert_eq!(response_through(fault), RESPONSE.replacen(old, new, 1), "{fault:?}");
    }
}

#[test]
fn fields_are_sorted() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\nB: 2\r\nSec-WebSocket-Key: k\r\nb: 1\r\n\r\n";
    let expected = "GET / HTTP/1.1\r\nB: 2\r\nb: 1\r\nHost: h\r\nSec-WebSocket-Key: k\r\n\r\n";
    assert_eq!(request_through(HeadFault::Sort, request), expected);
}

#[test]
fn a_replaced_key_shows_in_the_accept_value_unless_that_is_mended() {
    let server = TestServer::start();
    for (mends_accept, is_right) in [(true, true), (false, false)] {
        let proxy = FaultProxy::start(server.address, Fault::ReplaceKey { mends_accept });
        let response = Raw::connect(proxy.addr()).send(handshake("/echo")).response_to_head();
        assert_eq!(response.status, 101);
        let accept = response.get("Sec-WebSocket-Accept").unwrap();
        assert_eq!(accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", is_right, "{response:?}");
    }
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let [request, _] = heads(Fault::ReplaceKey { mends_accept: true }, &handshake("/echo"));
    assert!(request.contains("Sec-WebSocket-Key: ") && !request.contains(key), "{request}");
}

#[test]
fn a_real_server_explains_a_changed_request_and_reports_an_added_field() {
    let server = TestServer::start();
    let through = |fault| FaultProxy::start(server.address, Fault::Request(fault));
    for (fault, explanation) in [
        (HeadFault::Remove("Upgrade"), "without `Upgrade: websocket`"),
        (HeadFault::FirstLine("HTTP/1.1", "HTTP/1.0"), "this request is HTTP/1.0"),
    ] {
        let response = Raw::connect(through(fault).addr()).send(handshake("/echo")).response();
        assert_eq!(response.status, 400);
        assert!(response.body.contains(explanation), "{response:?}");
    }
    let proxy = through(HeadFault::Add("X-Hop", "1"));
    let mut client = Client::open(proxy.addr(), "/echo");
    assert!(client.ask("?info").to_text().unwrap().contains("X-Hop"));
}

#[test]
fn requests_that_are_no_handshake_pass() {
    let server = TestServer::start();
    let fault = Fault::Request(HeadFault::FirstLine("/", "/nowhere/"));
    let proxy = FaultProxy::start(server.address, fault);
    let mut raw = Raw::connect(proxy.addr());
    for _ in 0..2 {
        assert_eq!(raw.get("/healthz").body, "ok\n");
    }
}

#[test]
fn what_arrives_behind_the_101_is_lost() {
    let mut ends = Ends::connect(Fault::LoseBehind101);
    ends.client.send(handshake("/echo"));
    head(&mut ends.server);
    ends.server.send([RESPONSE.as_bytes(), &unmasked(FIN_TEXT, b"hello")].concat());
    assert_eq!(head(&mut ends.client), RESPONSE);
    ends.server.send(unmasked(FIN_TEXT, b"second"));
    assert_eq!(ends.client.frame(), (FIN_TEXT, b"second".to_vec()));
}

#[test]
fn pings_are_swallowed_in_one_direction() {
    for way in WAYS {
        let mut ends = Ends::open(Fault::SwallowPings(way));
        for (way, expected) in [(way, FIN_TEXT), (way.opposite(), FIN_PING)] {
            ends.send(way, FIN_PING, b"p");
            ends.send(way, FIN_TEXT, b"t");
            assert_eq!(ends.receive(way).0, expected);
        }
    }
}

#[test]
fn pongs_or_large_frames_are_swallowed_and_reserved_bits_cleared() {
    for way in WAYS {
        let frames: [(u8, &[u8]); 3] = [(FIN_PING, b"p"), (FIN_TEXT, b"t"), (0xc1, b"t")];
        let mut ends = Ends::open(Fault::SwallowPongs(way));
        ends.send(way, FIN_PONG, b"p");
        for (first, payload) in frames {
            ends.send(way, first, payload);
            assert_eq!(ends.receive(way), (first, payload.to_vec()));
        }
        let mut ends = Ends::open(Fault::LoseLarge(way, 1));
        ends.send(way, FIN_TEXT, b"22");
        for (first, payload) in frames {
            ends.send(way, first, payload);
            assert_eq!(ends.receive(way), (first, payload.to_vec()));
        }
        let mut cleared = frames.map(|(first, payload)| (first, payload.to_vec()));
        assert_eq!(passed(Fault::ClearRsv(way), way.opposite(), &frames, 3), cleared);
        cleared[2].0 = FIN_TEXT;
        assert_eq!(passed(Fault::ClearRsv(way), way, &frames, 3), cleared);
    }
}

#[test]
fn pings_are_answered_in_place_of_the_other_end() {
    for way in WAYS {
        let mut ends = Ends::open(Fault::AnswerPings(way));
        ends.send(way, FIN_PING, b"unique");
        assert_eq!(ends.receive(way.opposite()), (FIN_PONG, b"unique".to_vec()));
        ends.send(way, FIN_TEXT, b"t");
        assert_eq!(ends.receive(way).0, FIN_TEXT);
        ends.send(way.opposite(), FIN_PING, b"p");
        assert_eq!(ends.receive(way.opposite()).0, FIN_PING);
    }
}

/// A message in three fragments, with a Ping between.
const FRAGMENTS: [(u8, &[u8]); 4] = [(0x41, b"a"), (0x00, b"b"), (FIN_PING, b"p"), (0x80, b"c")];

fn passed(fault: Fault, way: Way, frames: &[(u8, &[u8])], count: usize) -> Vec<(u8, Vec<u8>)> {
    let mut ends = Ends::open(fault);
    for (first, payload) in frames {
        ends.send(way, *first, payload);
    }
    ends.send(way, FIN_PONG, b"behind");
    let passed = (0..count).map(|_| ends.receive(way)).collect();
    assert_eq!(ends.receive(way), (FIN_PONG, b"behind".to_vec()));
    passed
}

#[test]
fn fragments_are_merged_in_one_direction() {
    for way in WAYS {
        let merged = passed(Fault::MergeFragments(way), way, &FRAGMENTS, 2);
        assert_eq!(merged, [(FIN_PING, b"p".to_vec()), (0xc1, b"abc".to_vec())]);
        let kept = passed(Fault::MergeFragments(way), way.opposite(), &FRAGMENTS, 4);
        assert_eq!(kept, FRAGMENTS.map(|(first, payload)| (first, payload.to_vec())));
    }
}

#[test]
fn frames_are_split_in_one_direction() {
    let frames: [(u8, &[u8]); 3] = [(0x42, b"12345"), (0x80, b""), (FIN_PING, b"12345")];
    let expected: [(u8, &[u8]); 5] =
        [(0x42, b"12"), (0x00, b"34"), (0x00, b"5"), (0x80, b""), (FIN_PING, b"12345")];
    for way in WAYS {
        let split = passed(Fault::SplitFrames(way, 2), way, &frames, expected.len());
        assert_eq!(split, expected.map(|(first, payload)| (first, payload.to_vec())));
        let kept = passed(Fault::SplitFrames(way, 2), way.opposite(), &frames, frames.len());
        assert_eq!(kept, frames.map(|(first, payload)| (first, payload.to_vec())));
    }
}

#[test]
fn one_byte_is_flipped_in_one_direction() {
    let frames: [(u8, &[u8]); 3] = [(FIN_TEXT, b"aaa"), (FIN_PING, b"aaa"), (FIN_TEXT, b"a")];
    for way in WAYS {
        let flipped = passed(Fault::FlipByte(way, 1), way, &frames, 3);
        let mut expected = frames.map(|(first, payload)| (first, payload.to_vec()));
        assert_eq!(passed(Fault::FlipByte(way, 1), way.opposite(), &frames, 3), expected);
        expected[0].1 = b"a`a".to_vec();
        assert_eq!(flipped, expected);
    }
    let server = TestServer::start();
    let proxy = FaultProxy::start(server.address, Fault::FlipByte(Way::ToServer, 0));
    assert_eq!(Client::open(proxy.addr(), "/echo").ask("abc"), Message::text("`bc"));
}

const ENDINGS: [Ending; 4] = [Ending::Fin, Ending::Rst, Ending::Close(1009), Ending::Nothing];

#[test]
fn connections_end_at_a_large_frame() {
    for way in WAYS {
        for ending in ENDINGS {
            let mut ends = Ends::open(Fault::Oversized(way, Size::Frame(3), ending));
            for (way, first, payload) in
                [(way, 0x02, b"123"), (way, 0x80, b"456"), (way.opposite(), 0x82, b"123")]
            {
                ends.send(way, first, payload);
                assert_eq!(ends.receive(way), (first, payload.to_vec()));
            }
            ends.send(way.opposite(), FIN_BINARY, b"1234");
            assert_eq!(ends.receive(way.opposite()).1, b"1234");
            ends.send(way, FIN_BINARY, b"1234");
            ends.assert_ended(ending);
        }
    }
}

#[test]
fn connections_end_at_a_large_message() {
    let fault = Fault::Oversized(Way::ToServer, Size::Message(3), Ending::Fin);
    let mut ends = Ends::open(fault);
    for (first, payload) in [(FIN_BINARY, &b"123"[..]), (0x02, b"12"), (0x00, b"3")] {
        ends.send(Way::ToServer, first, payload);
        assert_eq!(ends.receive(Way::ToServer).1, payload);
    }
    ends.send(Way::ToServer, 0x80, b"4");
    ends.assert_ended(Ending::Fin);
}

#[test]
fn a_real_server_sees_how_a_large_frame_ends_the_connection() {
    let server = TestServer::start();
    for (ending, how, code) in [
        (Ending::Fin, "fin", None),
        (Ending::Rst, "rst", None),
        (Ending::Close(1009), "close", Some(1009)),
    ] {
        let fault = Fault::Oversized(Way::ToServer, Size::Frame(125), ending);
        let proxy = FaultProxy::start(server.address, fault);
        let mut raw = Raw::connect(proxy.addr());
        raw.upgrade("/echo").send(frame(FIN_TEXT, &[b'a'; 126]));
        let session = server.ended_session();
        assert_eq!((session.how, session.code, session.messages_received), (how, code, 0));
    }
}

#[test]
fn connections_end_at_an_age_in_spite_of_traffic() {
    for ending in ENDINGS {
        let since = Instant::now();
        let mut ends = Ends::open(Fault::Age(SHORT, ending));
        while since.elapsed() < SHORT {
            // Its end may be there already.
            let _ = ends.client.0.get_mut().write(&frame(FIN_PING, b""));
        }
        if ending != Ending::Nothing {
            // What has passed before the end is of no interest here.
            let mut rest = Vec::new();
            let _ = ends.server.0.read_to_end(&mut rest);
            ends.client.assert_ended();
        }
        assert!(since.elapsed() >= SHORT, "{ending:?}");
    }
    let mut ends = Ends::open(Fault::Age(SHORT, Ending::Rst));
    ends.assert_ended(Ending::Rst);
}

#[test]
fn connections_end_after_silence() {
    for ending in [Ending::Fin, Ending::Rst, Ending::Close(1001)] {
        let since = Instant::now();
        let mut ends = Ends::open(Fault::Silence(SHORT, Counts::All, ending));
        ends.assert_ended(ending);
        assert!(since.elapsed() >= SHORT, "{ending:?}");
    }
    let mut ends = Ends::open(Fault::Silence(SHORT, Counts::All, Ending::Nothing));
    for way in WAYS {
        wait_until("nothing is forwarded", || {
            std::thread::sleep(2 * SHORT);
            ends.is_lost(way)
        });
    }
}

/// Sends one frame some time after the 101. Returns whether the connection lasts so long after that frame,
/// instead of after the 101.
fn is_traffic(counts: Counts, way: Way, first: u8) -> bool {
    let mut ends = Ends::open(Fault::Silence(2 * SHORT, counts, Ending::Fin));
    std::thread::sleep(SHORT);
    let since = Instant::now();
    ends.send(way, first, b"");
    let _ = ends.rest(way);
    since.elapsed() >= 2 * SHORT
}

#[test]
fn the_frames_that_count_as_traffic_put_the_end_off() {
    for (counts, way, first) in [
        (Counts::All, Way::ToServer, FIN_PING),
        (Counts::All, Way::ToClient, FIN_TEXT),
        (Counts::Data, Way::ToServer, FIN_TEXT),
        (Counts::Only(Way::ToClient), Way::ToClient, FIN_PONG),
    ] {
        // Again if the machine was too busy to send the frame in time.
        wait_until(&format!("{counts:?}"), || is_traffic(counts, way, first));
    }
}

#[test]
fn other_frames_do_not_put_the_end_off() {
    for (counts, way, first) in [
        (Counts::Data, Way::ToServer, FIN_PING),
        (Counts::Data, Way::ToClient, FIN_PONG),
        (Counts::Only(Way::ToClient), Way::ToServer, FIN_TEXT),
    ] {
        let mut ends = Ends::open(Fault::Silence(SHORT, counts, Ending::Rst));
        let (sender, frame) = match way {
            Way::ToServer => (&mut ends.client, frame(first, b"")),
            Way::ToClient => (&mut ends.server, unmasked(first, b"")),
        };
        // Few enough to fit into the socket of the receiver, which does not read.
        wait_until("the end", || sender.0.get_mut().write_all(&frame).is_err());
    }
}

#[test]
fn bytes_are_held_back_and_forwarded_at_once() {
    for way in WAYS {
        let mut ends = Ends::open(Fault::Buffer(way, SHORT));
        let since = Instant::now();
        for payload in [b"1", b"2", b"3"] {
            ends.send(way, FIN_TEXT, payload);
        }
        for payload in [b"1", b"2", b"3"] {
            assert_eq!(ends.receive(way), (FIN_TEXT, payload.to_vec()));
            assert!(since.elapsed() >= SHORT);
        }
    }
}

#[test]
fn a_close_loses_its_code_or_becomes_the_end_of_the_stream() {
    const BYE: &[u8] = &[0x0f, 0xa1, b'b', b'y', b'e'];
    for way in WAYS {
        for close in [Close::WithoutCode, Close::Fin, Close::Rst] {
            let mut ends = Ends::open(Fault::Close(way, close));
            ends.send(way.opposite(), FIN_CLOSE, BYE);
            assert_eq!(ends.receive(way.opposite()), (FIN_CLOSE, BYE.to_vec()));
            ends.send(way, FIN_CLOSE, BYE);
            match close {
                Close::WithoutCode => assert_eq!(ends.receive(way), (FIN_CLOSE, vec![])),
                Close::Fin => {
                    assert_eq!(ends.rest(way), Ok(vec![]));
                    ends.send(way.opposite(), FIN_TEXT, b"still open");
                    assert_eq!(ends.receive(way.opposite()).0, FIN_TEXT);
                }
                Close::Rst => assert_eq!(ends.rest(way), Err(ErrorKind::ConnectionReset)),
            }
        }
    }
    let server = TestServer::start();
    let fault = Fault::Close(Way::ToServer, Close::WithoutCode);
    let proxy = FaultProxy::start(server.address, fault);
    Raw::connect(proxy.addr()).upgrade("/echo").send(frame(FIN_CLOSE, BYE));
    assert_eq!(server.ended_session().code, None);
}

#[test]
fn an_end_of_stream_becomes_a_reset() {
    let server = TestServer::start();
    for (fault, how) in
        [(Fault::ResetForFin(Way::ToServer), "rst"), (Fault::ResetForFin(Way::ToClient), "fin")]
    {
        let proxy = FaultProxy::start(server.address, fault);
        let mut raw = Raw::connect(proxy.addr());
        raw.upgrade("/echo").finish();
        assert_eq!(server.ended_session().how, how);
    }
    let mut ends = Ends::open(Fault::ResetForFin(Way::ToClient));
    ends.server.finish();
    assert_eq!(ends.rest(Way::ToClient), Err(ErrorKind::ConnectionReset));
}

#[test]
fn ends_get_a_close_or_are_hidden_or_are_no_reset() {
    let server = TestServer::start();
    let session = |fault, reset: bool| {
        let proxy = FaultProxy::start(server.address, fault);
        let mut raw = Raw::connect(proxy.addr());
        raw.upgrade("/echo");
        if reset {
            raw.reset();
        } else {
            raw.finish();
            raw.assert_ended();
        }
        let session = server.ended_session();
        (session.how, session.code)
    };
    assert_eq!(session(Fault::CloseBeforeFin(Way::ToServer, 1001), false), ("close", Some(1001)));
    assert_eq!(session(Fault::CloseBeforeFin(Way::ToClient, 1001), false), ("fin", None));
    assert_eq!(session(Fault::FinForReset(Way::ToServer), true), ("fin", None));
    assert_eq!(session(Fault::FinForReset(Way::ToClient), true), ("rst", None));
    for way in WAYS {
        let mut ends = Ends::open(Fault::HideEnd(way));
        match way {
            Way::ToServer => ends.client.finish(),
            Way::ToClient => ends.server.finish(),
        }
        assert!(ends.is_silent(way));
        ends.send(way.opposite(), FIN_TEXT, b"still open");
        assert_eq!(ends.receive(way.opposite()).1, b"still open");
    }
}

#[test]
fn handshakes_are_refused_by_the_proxy() {
    let mut ends = Ends::connect(Fault::Refuse(403));
    assert_eq!(ends.client.send(handshake("/echo")).response().status, 403);
    assert!(ends.is_silent(Way::ToServer));
}

#[test]
fn the_end_of_one_direction_ends_the_other() {
    let mut ends = Ends::open(Fault::NoHalfClose);
    ends.client.finish();
    ends.assert_ended(Ending::Fin);
}

#[test]
fn a_clean_path_passes_every_byte_fin_and_rst() {
    let mut ends = Ends::connect(Fault::None);
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    ends.client.send(&bytes);
    assert_eq!(ends.server.bytes(bytes.len()), bytes);
    ends.server.send(&bytes);
    assert_eq!(ends.client.bytes(bytes.len()), bytes);
    ends.client.finish();
    assert_eq!(ends.rest(Way::ToServer), Ok(vec![]));
    ends.server.send("half-closed");
    assert_eq!(ends.client.bytes(11), b"half-closed");
    ends.server.reset();
    assert!(
        ends.client
            .0
            .get_ref()
            .peek(&mut [0])
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    );
}

/// The bytes of exchange number `n` of a hundred: what the client sends, and what a server echoes.
fn exchange(n: usize) -> [Vec<u8>; 2] {
    let payload = |length: usize| {
        (0..length).map(|i| b'a' + u8::try_from((i + n) % 26).unwrap()).collect::<Vec<_>>()
    };
    let [text, long] = [payload(n), payload(n * 700)];
    match n % 4 {
        0 => [frame(FIN_TEXT, &text), unmasked(FIN_TEXT, &text)],
        1 => [frame(FIN_BINARY, &long), unmasked(FIN_BINARY, &long)],
        2 => [frame(FIN_PING, &text), unmasked(FIN_PONG, &text)],
        _ => [
            [frame(0x01, &text), frame(FIN_PING, b"p"), frame(0x80, &text)].concat(),
            [unmasked(FIN_PONG, b"p"), unmasked(FIN_TEXT, &text.repeat(2))].concat(),
        ],
    }
}

#[test]
fn a_clean_path_passes_a_hundred_mixed_exchanges_byte_for_byte() {
    let server = TestServer::start();
    let proxy = FaultProxy::start(server.address, Fault::None);
    let direct = server.raw().send(handshake("/echo")).response_to_head().head;
    let mut raw = Raw::connect(proxy.addr());
    assert_eq!(raw.send(handshake("/echo")).response_to_head().head, direct);
    for n in 0..100 {
        let [sent, echoed] = exchange(n);
        assert_eq!(raw.send(sent).bytes(echoed.len()), echoed, "exchange {n}");
    }
    raw.send(frame(FIN_CLOSE, &4001_u16.to_be_bytes()));
    assert_eq!(raw.rest(), unmasked(FIN_CLOSE, &4001_u16.to_be_bytes()));
}

/// Sessions without the fault's occasion pass as on a clean path, too.
#[test]
fn a_path_with_a_fault_passes_what_it_does_not_concern() {
    let server = TestServer::start();
    let proxy =
        FaultProxy::start(server.address, Fault::Age(Duration::from_secs(600), Ending::Fin));
    let mut raw = Raw::connect(proxy.addr());
    raw.upgrade("/echo");
    for n in 0..100 {
        let [sent, echoed] = exchange(n);
        assert_eq!(raw.send(sent).bytes(echoed.len()), echoed, "exchange {n}");
    }
}

#[test]
fn a_stopped_proxy_ends_its_connections() {
    let Ends { mut client, mut server, _proxy: proxy } = Ends::open(Fault::None);
    assert!(proxy.url().starts_with("ws://127.0.0.1:"));
    drop(proxy);
    client.assert_ended();
    server.assert_ended();
    let close = Frame::control(Control::Close, b"", false);
    assert_eq!(close.encode(), unmasked(FIN_CLOSE, b""));
}

//! Server push (`push`) and chat rooms (`/chat`).

use nix::sys::signal::Signal;
use serde_json::Value;
use tungstenite::Message;

use super::WIRE;
use crate::support::client::{Client, FIN_CLOSE, FIN_TEXT, frame, wait_until};
use crate::support::program::Program;
use crate::support::server::{CLOSE_TIMEOUT, TestServer};

/// A member of a chat room, with the name that the server has assigned.
struct Member {
    client: Client,
    name: String,
}

impl Member {
    fn join(mut client: Client) -> Member {
        let welcome = event(&mut client);
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        Member { client, name: welcome["name"].as_str().unwrap().to_owned() }
    }

    fn send(&mut self, text: &str) {
        self.client.0.send(text.into()).unwrap();
    }

    /// Reads up to the next event of this kind; skips others.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let event = event(&mut self.client);
            if event["type"] == kind {
                return event;
            }
        }
    }
}

fn event(client: &mut Client) -> Value {
    loop {
        match client.0.read().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pushes_interleave_with_echoes() {
    let server = TestServer::over(WIRE, |_| {});
    let mut raw = server.raw();
    raw.upgrade("/echo?push=20ms&count=3");
    let (mut pushes, mut echoes) = (Vec::new(), 0);
    while pushes.len() < 3 {
        let (first, payload) = raw.send(frame(FIN_TEXT, b"x")).frame();
        assert_eq!(first, FIN_TEXT);
        if payload == b"x" {
            echoes += 1;
        } else {
            let push: Value = serde_json::from_slice(&payload).unwrap();
            assert!(push["at"].as_str().unwrap().ends_with('Z'), "{push}");
            pushes.push(push["push"].as_u64().unwrap());
        }
    }
    assert_eq!(pushes, [1, 2, 3]);
    assert!(echoes > 0);
    let mut sized = server.open("/ws?push=10ms&size=64");
    for _ in 0..3 {
        assert_eq!(sized.0.read().unwrap(), Message::binary(vec![b'x'; 64]));
    }
    sized.0.send("x".into()).unwrap();
    while !sized.0.read().unwrap().is_text() {}
}

#[test]
fn messages_reach_every_member_of_their_room_only() {
    let server = TestServer::over(WIRE, |_| {});
    let mut ann = Member::join(server.open("/chat?room=r&name=ann"));
    assert_eq!(ann.next("join")["name"], "ann");
    let mut bob = Member::join(server.open("/chat?room=r&name=bob"));
    assert_eq!(ann.next("join")["name"], "bob");
    let mut other = Member::join(server.open("/chat?room=s&name=ann"));
    other.send("elsewhere");
    ann.send("hello \"you\"");
    for member in [&mut ann, &mut bob] {
        let message = member.next("message");
        assert_eq!((&message["from"], &message["seq"]), (&"ann".into(), &1.into()), "{message}");
        assert_eq!(message["text"], "hello \"you\"");
        assert!(message["at"].as_str().unwrap().starts_with("20"), "{message}");
    }
    assert_eq!(other.next("message")["text"], "elsewhere");
    drop(bob);
    assert_eq!(ann.next("leave")["name"], "bob");
}

#[test]
fn missing_names_become_guests_and_duplicates_get_a_suffix() {
    let server = TestServer::over(WIRE, |_| {});
    let first = Member::join(server.open("/chat"));
    let mut second = Member::join(server.open("/chat?name=guest-1"));
    assert_eq!((first.name.as_str(), second.name.as_str()), ("guest-1", "guest-1-2"));
    drop(first);
    assert_eq!(second.next("leave")["name"], "guest-1");
}

#[test]
fn newcomers_get_the_last_20_messages_until_the_room_is_empty() {
    let server = TestServer::over(WIRE, |config| config.chat.rate = 100);
    let mut ann = Member::join(server.open("/chat?name=ann"));
    for number in 1..=21 {
        ann.send(&number.to_string());
        assert_eq!(ann.next("message")["text"], number.to_string());
    }
    let mut bob = Member::join(server.open("/chat?name=bob"));
    let greeting: Vec<_> = (0..20).map(|_| bob.next("message")["seq"].as_u64().unwrap()).collect();
    assert_eq!(greeting, (2..=21).collect::<Vec<_>>());
    ann.client.0.close(None).unwrap();
    ann.client.assert_closed();
    bob.next("leave");
    bob.client.0.close(None).unwrap();
    bob.client.assert_closed();
    // The server removes the room shortly after the last member's closing handshake.
    let first_seq = || {
        let mut new = Member::join(server.open("/chat?name=new"));
        new.send("new");
        while new.next("message")["text"] != "new" {}
        new.send("x");
        new.next("message")["seq"].as_u64().unwrap()
    };
    wait_until("the room has no history", || first_seq() == 2);
}

#[test]
fn all_members_receive_the_same_messages_in_the_same_order() {
    const MEMBERS: usize = 16;
    const EACH: usize = 40;
    let server = TestServer::over(WIRE, |config| {
        config.chat.rate = u32::MAX;
        config.chat.outbox = usize::MAX;
    });
    let address = server.address;
    let ready = std::sync::Arc::new(std::sync::Barrier::new(MEMBERS));
    let speakers: Vec<_> = (0..MEMBERS)
        .map(|number| {
            let ready = std::sync::Arc::clone(&ready);
            std::thread::spawn(move || {
                let path = format!("/chat?name=m{number}");
                let mut member = Member::join(Client::open_over(WIRE, address, &path));
                ready.wait();
                let mut received = Vec::new();
                for turn in 0..EACH {
                    // Pongs are written by the session itself, between the frames of the room.
                    member.client.0.send(Message::Ping("?".into())).unwrap();
                    member.send(&format!("{number} {turn} {}", "x".repeat(turn * 5)));
                    received.push(member.next("message"));
                }
                received.extend((0..(MEMBERS - 1) * EACH).map(|_| member.next("message")));
                received
            })
        })
        .collect();
    let received: Vec<_> = speakers.into_iter().map(|speaker| speaker.join().unwrap()).collect();
    let seqs: Vec<_> = received[0].iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=(MEMBERS * EACH) as u64).collect::<Vec<_>>());
    assert!(
        received.iter().all(|other| *other == received[0]),
        "members received different events"
    );
}

#[test]
fn a_member_that_never_reads_is_removed_without_delaying_others() {
    let program = Program::over(
        WIRE,
        &[
            "--chat-rate=1000000",
            "--chat-outbox=50",
            "--chat-message-size=64KiB",
            "--write-timeout=3s", // far longer than it takes to fill the outbox
        ],
    );
    let mut slow = program.raw();
    slow.upgrade("/chat?name=slow");
    let mut ann = Member::join(program.open("/chat?name=ann"));
    let text = "x".repeat(60_000);
    wait_until("the slow member is removed", || {
        ann.send(&text);
        let event = event(&mut ann.client);
        assert!(event["type"] != "leave" || event["name"] == "slow", "{event}");
        event["type"] == "leave"
    });
    ann.next("message");
    ann.send("on it goes");
    while ann.next("message")["text"] != "on it goes" {}
    // Answered, as the server would otherwise wait for --close-timeout.
    assert_eq!(slow.close_code(), 1013);
    slow.send(frame(FIN_CLOSE, b"")).assert_ended();
    program.signal(Signal::SIGTERM);
    assert_eq!(ann.client.close_code(), 1001);
    ann.client.assert_closed();
    let (status, log) = program.wait();
    assert!(status.success(), "{log}");
    let words = "/chat: closed by the server: 1013 Try Again Later \"too many messages wait for you\" (--chat-outbox)";
    assert!(log.contains(words), "{log}");
}

#[test]
fn a_slow_member_that_still_sends_is_closed_with_1013() {
    let server = TestServer::over(WIRE, |config| {
        config.chat.rate = 1_000_000;
        config.chat.outbox = 50;
        config.chat.message_size = 64 * 1024;
    });
    let mut slow = server.raw();
    slow.upgrade("/chat?name=slow");
    let mut ann = Member::join(server.open("/chat?name=ann"));
    let text = "x".repeat(60_000);
    wait_until("the slow member is removed", || {
        ann.send(&text);
        event(&mut ann.client)["type"] == "leave"
    });
    // The socket buffers still hold messages, and the Close may follow after any of them.
    let code = loop {
        match slow.send(frame(FIN_TEXT, b"I am here")).frame() {
            (FIN_CLOSE, payload) => break payload[..2].to_vec(),
            (first, _) => assert_eq!(first, FIN_TEXT),
        }
    };
    assert_eq!(code, 1013_u16.to_be_bytes());
    // Answered, as the server would otherwise wait for the close timeout.
    slow.send(frame(FIN_CLOSE, b"")).assert_ended();
}

#[test]
fn rate_size_and_type_violations_are_closed_with_a_reason() {
    let server = TestServer::over(WIRE, |config| {
        config.chat.rate = 2;
        config.chat.message_size = 5;
    });
    let mut fast = Member::join(server.open("/chat?name=fast"));
    // Far more than two, as more are allowed while they are sent.
    (0..50).for_each(|_| fast.send("x"));
    assert_eq!(fast.client.close(), (1008, "more than 2 messages in a second".to_owned()));
    fast.client.assert_closed();
    let mut long = Member::join(server.open("/chat?name=long"));
    long.send("123456");
    assert_eq!(long.client.close(), (1009, "6 bytes are over the limit of 5".to_owned()));
    long.client.assert_closed();
    let mut binary = Member::join(server.open("/chat"));
    binary.client.0.send(vec![1].into()).unwrap();
    assert_eq!(binary.client.close(), (1003, "a chat is text".to_owned()));
    binary.client.assert_closed();
}

#[test]
fn rooms_and_members_are_limited() {
    let server = TestServer::over(WIRE, |config| {
        config.chat.rooms = 1;
        config.chat.members = 1;
        // The stop may precede the notice that the last member has left.
        config.timeouts.close = CLOSE_TIMEOUT;
    });
    let ann = Member::join(server.open("/chat?room=a"));
    let full = |query: &str| server.open(&format!("/chat{query}")).close();
    assert_eq!(full("?room=a"), (1013, "this room is full".to_owned()));
    assert_eq!(full("?room=b"), (1013, "there are as many rooms as allowed".to_owned()));
    drop(ann);
    // The slot is released once the server has noticed that the member has left.
    wait_until("a new room is allowed", || {
        let mut raw = server.raw();
        raw.upgrade("/chat?room=b");
        raw.frame().0 != FIN_CLOSE
    });
}

#[test]
fn an_empty_name_gets_400_with_an_explanation() {
    let server = TestServer::over(WIRE, |_| {});
    let response = server.raw().get("/chat?name=");
    assert_eq!(response.status, 400);
    assert!(response.body.starts_with("name=\"\" is not valid"), "{}", response.body);
    assert_eq!(server.raw().get("/chat").status, 426);
}

#[test]
fn info_is_answered_once_and_shutdown_closes_all_members() {
    let server = TestServer::over(WIRE, |_| {});
    let mut ann = Member::join(server.open("/chat?name=ann"));
    let mut bob = Member::join(server.open("/chat?name=bob"));
    ann.send("?info");
    loop {
        let event = event(&mut ann.client);
        if event["request_line"] == "GET /chat?name=ann HTTP/1.1" {
            break;
        }
    }
    ann.send("?info");
    assert_eq!(bob.next("message")["text"], "?info", "only the first message is a command");
    server.stop();
    for member in [&mut ann, &mut bob] {
        assert_eq!(member.client.close_code(), 1001);
        member.client.assert_closed();
    }
    server.join();
}

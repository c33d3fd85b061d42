//! The memory of large messages: who waits for it, and what ends the wait.

use nix::sys::signal::Signal;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::Data;

use crate::support::client::{Client, FIN_BINARY, Raw, frame, wait_for};
use crate::support::program::Program;

/// The largest message, and the memory for all messages.
const SIZE: usize = 100_000;
/// Bytes of a message that leave it incomplete.
const PART: usize = SIZE / 2;

fn payload() -> Vec<u8> {
    (0..SIZE).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

/// A server with memory for one large message.
fn start(write_timeout: &str) -> Program {
    let size = SIZE.to_string();
    Program::start(&[
        "--admin",
        "127.0.0.1:0",
        "--max-message-size",
        &size,
        "--message-memory",
        &size,
        "--write-timeout",
        write_timeout,
    ])
}

fn wait_for_metric(program: &Program, name: &str, value: usize) {
    let expected = format!("{name} {value}");
    wait_for(|| {
        let page = program.ask_admin("/metrics").body;
        page.lines()
            .any(|line| line == expected)
            .then_some(())
            .ok_or(expected.clone() + " is not in " + &page)
    });
}

/// Waits until so many bytes are taken.
fn wait_until_used(program: &Program, bytes: usize) {
    wait_for_metric(program, "wsecho_message_memory_bytes", bytes);
}

/// Waits until so many sessions wait.
fn wait_until_waiting(program: &Program, sessions: usize) {
    wait_for_metric(program, "wsecho_message_memory_waiting", sessions);
}

/// Opens a session that takes all memory: it sends a part of a large message.
fn holder(program: &Program) -> Raw {
    let mut raw = program.raw();
    raw.upgrade("/echo").send(&frame(FIN_BINARY, &payload())[..PART]);
    wait_until_used(program, SIZE);
    raw
}

/// Opens a session that sends a large message, and waits for memory.
fn waiter(program: &Program) -> Client {
    let mut client = program.open("/echo");
    client.0.send(Message::binary(payload())).unwrap();
    wait_until_waiting(program, 1);
    client
}

#[test]
fn a_large_message_waits_for_memory_and_small_ones_go_on() {
    let program = start("20s");
    let mut small = program.open("/echo");
    let mut holder = holder(&program);
    let mut waiter = waiter(&program);
    let text = "x".repeat(10_000);
    assert_eq!(small.ask(text.as_str()), Message::text(text));
    let ready = program.ask_admin("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("--message-memory"), "{}", ready.body);

    holder.send(&frame(FIN_BINARY, &payload())[PART..]);
    assert_eq!(holder.frame(), (FIN_BINARY, payload()));
    assert_eq!(waiter.0.read().unwrap(), Message::binary(payload()));
    wait_until_used(&program, 0);
    assert_eq!(program.ask_admin("/readyz").status, 200);
}

#[test]
fn a_session_that_waits_too_long_for_memory_is_closed_with_1013() {
    let mut program = start("150ms");
    let _holder = holder(&program);
    let mut waiter = waiter(&program);
    let (code, reason) = waiter.close();
    assert_eq!((code, reason.contains("memory")), (1013, true), "{reason}");
    waiter.assert_closed();
    // The server waits for the client's end, so that its Close is not lost to bytes that it did not read.
    drop(waiter);
    program.log_line("(--message-memory)");
    wait_until_waiting(&program, 0);
}

#[test]
fn a_client_that_leaves_stops_waiting_and_gives_its_memory_back() {
    let program = start("20s");
    let holder = holder(&program);
    let client = waiter(&program);
    drop(client);
    wait_until_waiting(&program, 0);
    holder.reset();
    wait_until_used(&program, 0);
}

#[test]
fn a_stop_ends_the_wait() {
    let program = start("20s");
    let _holder = holder(&program);
    let mut client = waiter(&program);
    program.signal(Signal::SIGTERM);
    assert_eq!(client.close_code(), 1001);
}

#[test]
fn a_message_in_fragments_grows_into_the_memory() {
    let program = start("150ms");
    let mut first = program.open("/echo");
    first.send_in_pieces(Data::Binary, &payload(), 1000);
    assert_eq!(first.0.read().unwrap(), Message::binary(payload()));
    let _holder = holder(&program);
    let mut second = program.open("/echo");
    second.send_in_pieces(Data::Binary, &payload()[..10_000], 1000);
    assert_eq!(second.0.read().unwrap(), Message::binary(payload()[..10_000].to_vec()));
    second.send_in_pieces(Data::Binary, &payload(), 1000);
    assert_eq!(second.close_code(), 1013);
}

#[test]
fn made_up_replies_take_memory_too() {
    let program = start("150ms");
    let mut client = program.open(&format!("/echo?size={SIZE}"));
    assert_eq!(client.ask("x").len(), SIZE);
    let _holder = holder(&program);
    client.0.send("x".into()).unwrap();
    assert_eq!(client.close_code(), 1013);
}

#[test]
fn without_memory_a_chat_serves_its_members_and_takes_no_new_ones() {
    let program = start("20s");
    let mut member = program.open("/chat?room=r&name=ann");
    for event in ["welcome", "join"] {
        assert!(member.0.read().unwrap().to_string().contains(event));
    }
    wait_until_used(&program, 0);
    let _holder = holder(&program);
    let mut refused = program.open("/chat?room=r&name=bob");
    let (code, reason) = refused.close();
    assert_eq!((code, reason.contains("memory")), (1013, true), "{reason}");
    for text in ["one", "two"] {
        assert!(member.ask(text).to_string().contains(text));
    }
}

#[test]
fn a_large_message_goes_through_every_path() {
    let program = Program::start(&["--admin", "127.0.0.1:0", "--max-message-size", "3MiB"]);
    let text = "é".repeat(700_000);
    let mut echo = program.open("/echo");
    let mut tutorial = program.open("/ws");
    let mut fragments = program.open("/echo?fragment=100000");
    for size in [2, 16_382, 16_386, 65_534, 65_538, 262_130, 262_146, 1_400_000] {
        let text = &text[..size];
        assert_eq!(echo.ask(text), Message::text(text));
        let binary = Message::binary(text.as_bytes().to_vec());
        assert_eq!(echo.ask(binary.clone()), binary);
        assert_eq!(fragments.ask(text), Message::text(text));
        let reply = tutorial.ask(text).to_string();
        assert!(reply.starts_with(&format!("You sent: {text} at ")), "{size}");
        // Messages that follow at once, and a Ping between.
        for message in
            [Message::text("a"), Message::text(text), Message::Ping("p".into()), "b".into()]
        {
            echo.0.write(message).unwrap();
        }
        echo.0.flush().unwrap();
        let answers = [(); 4].map(|()| echo.0.read().unwrap());
        let expected = ["a".into(), Message::text(text), Message::Pong("p".into()), "b".into()];
        assert_eq!(answers, expected, "{size}");
    }
    wait_until_used(&program, 0);
}

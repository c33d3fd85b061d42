//! Messages of every size, type and fragmentation, and their replies.

use tungstenite::Message;
use tungstenite::protocol::frame::coding::Data;
use wsecho::{Clock, Config};

use super::WIRE;
use crate::support::server::TestServer;

/// Sets a clock with a constant time, so that whole replies can be compared.
fn at_noon(config: &mut Config) {
    config.clock = Clock::utc("noon").unwrap();
}

#[test]
fn the_tutorial_answers_with_message_and_time() {
    let server = TestServer::over(WIRE, |_| {});
    for path in ["/ws", "/", "/WebSocketGenericHandler.ashx", "/WebSocketHandler.ashx"] {
        let reply = server.open(path).ask("hello").into_text().unwrap();
        let time = reply.strip_prefix("You sent: hello at ").expect(&reply);
        let (clock, half) = time.split_once(' ').unwrap();
        let numbers: Vec<u8> = clock.split(':').map(|part| part.parse().unwrap()).collect();
        assert!(matches!(numbers[..], [1..=12, 0..60, 0..60]), "{time}");
        assert!(["AM", "PM"].contains(&half), "{time}");
    }
}

#[test]
fn the_tutorial_answers_binary_with_text() {
    let server = TestServer::over(WIRE, at_noon);
    let mut client = server.open("/ws");
    assert_eq!(client.ask(b"caf\xc3\xa9".to_vec()), Message::text("You sent: café at noon"));
    assert_eq!(client.ask(b"\xff".to_vec()), Message::text("You sent: \u{fffd} at noon"));
}

#[test]
fn the_reply_template_is_configurable() {
    let server = TestServer::over(WIRE, |config| {
        at_noon(config);
        config.reply = "{time}: {message}".parse().unwrap();
    });
    assert_eq!(server.open("/ws").ask("hello"), Message::text("noon: hello"));
}

#[test]
fn echo_returns_the_same_bytes_and_the_same_type() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = server.open("/echo");
    for message in [
        Message::text("héllo"),
        Message::binary(vec![0, 1, 255]),
        Message::text(""),
        Message::binary(vec![]),
    ] {
        assert_eq!(client.ask(message.clone()), message);
    }
}

#[test]
fn an_empty_message_is_answered() {
    let server = TestServer::over(WIRE, at_noon);
    assert_eq!(server.open("/ws").ask(""), Message::text("You sent:  at noon"));
}

#[test]
fn a_message_of_one_mebibyte_is_answered_whole() {
    let server = TestServer::over(WIRE, at_noon);
    let text = "0123456789abcdeé".chars().cycle().take(1024 * 1024 * 16 / 17).collect::<String>();
    assert!(text.len() > 1_000_000 && text.len() <= 1024 * 1024);
    let reply = server.open("/ws").ask(text.clone()).into_text().unwrap();
    assert!(reply == format!("You sent: {text} at noon"), "the reply differs");
    let bytes: Vec<u8> = (0..1024 * 1024).map(|n| u8::try_from(n % 251).unwrap()).collect();
    assert!(server.open("/echo").ask(bytes.clone()).into_data() == bytes, "the echo differs");
}

#[test]
fn fragments_that_split_a_character_form_one_message() {
    let server = TestServer::over(WIRE, at_noon);
    let mut client = server.open("/ws");
    for size in 1..5 {
        client.send_in_pieces(Data::Text, "añ€😀".as_bytes(), size);
        assert_eq!(client.0.read().unwrap(), Message::text("You sent: añ€😀 at noon"));
    }
    let mut client = server.open("/echo");
    client.send_in_pieces(Data::Binary, &[7; 5000], 999);
    assert_eq!(client.0.read().unwrap(), Message::binary(vec![7; 5000]));
}

#[test]
fn a_thousand_messages_in_flight_are_answered_in_order() {
    let server = TestServer::over(WIRE, |_| {});
    let mut client = server.open("/echo");
    for number in 0..1000 {
        client.0.write(Message::text(number.to_string())).unwrap();
    }
    client.0.flush().unwrap();
    for number in 0..1000 {
        assert_eq!(client.0.read().unwrap(), Message::text(number.to_string()));
    }
}

#[test]
fn sessions_do_not_wait_for_each_other() {
    let server = TestServer::over(WIRE, |_| {});
    let mut clients: Vec<_> = (0..50).map(|_| server.open("/echo")).collect();
    for client in clients.iter_mut().rev() {
        assert_eq!(client.ask("hello"), Message::text("hello"));
    }
}

//! Fuzz target for templates and replies.

use std::time::UNIX_EPOCH;

use tungstenite::Message;

use crate::config::Clock;
use crate::config::Template;
use crate::session::reply::Reply;

/// Asserts that a template parses or its error names the position, that a rendered template
/// contains the whole message, and that the tutorial replies to text and binary messages alike.
///
/// The first byte is the length of the template; the message follows the template.
///
/// # Panics
/// If an assertion fails.
pub fn reply(bytes: &[u8]) {
    let Some((&length, rest)) = bytes.split_first() else { return };
    let (template, message) = rest.split_at(rest.len().min(length.into()));
    let (template, text) = (String::from_utf8_lossy(template), String::from_utf8_lossy(message));
    match template.parse::<Template>() {
        Ok(parsed) => check_render(&parsed, &text),
        Err(error) => check_error(&template, &error.to_string()),
    }
    check_escape(&template, &text);
    check_tutorial(message, &text);
}

/// Asserts that each placeholder is replaced as often as it occurs, and nothing else changes.
fn check_render(template: &Template, message: &str) {
    let length = |message, time| template.render(message, time).len();
    let fixed = length("", "");
    let (messages, times) = (length("m", "") - fixed, length("", "t") - fixed);
    let reply = template.render(message, "noon");
    assert_eq!(reply.len(), fixed + messages * message.len() + times * "noon".len());
    assert!(messages == 0 || reply.contains(message), "{reply:?} lacks {message:?}");
    assert!(times == 0 || reply.contains("noon"), "{reply:?} lacks the time");
}

/// Asserts that the error names the position of a brace in the template, and the text there.
fn check_error(template: &str, error: &str) {
    let (found, rest) = error.rsplit_once("` at byte index ").expect(error);
    let position: usize = rest.split(' ').next().and_then(|n| n.parse().ok()).expect(error);
    let there = template.get(position..).expect(error);
    assert!(there.starts_with(['{', '}']), "{error}");
    assert!(there.starts_with(&found[1..]), "{error}");
}

/// Asserts that every text with its braces doubled is a template that renders to the text.
fn check_escape(text: &str, message: &str) {
    let escaped = text.replace('{', "{{").replace('}', "}}");
    let template: Template = escaped.parse().expect(&escaped);
    assert_eq!(template.render(message, "noon"), text);
}

fn check_tutorial(bytes: &[u8], text: &str) {
    let mut tutorial = Reply::tutorial(Template::default(), Clock::utc("noon").unwrap());
    let expected = Message::text(format!("You sent: {text} at noon"));
    assert_eq!(tutorial.reply(Message::binary(bytes.to_vec()), || UNIX_EPOCH), expected);
    assert_eq!(tutorial.reply(Message::text(text), || UNIX_EPOCH), expected);
    for message in [Message::binary(bytes.to_vec()), Message::text(text)] {
        assert_eq!(Reply::Echo.reply(message.clone(), || UNIX_EPOCH), message);
    }
}

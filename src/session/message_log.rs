//! Logs single messages, if `--log-payload` or `-vv` asks for that.

use log::{info, log_enabled, trace};
use tungstenite::Message;

/// See the module.
#[derive(Debug)]
pub(super) struct MessageLog {
    /// The session's.
    number: u64,
    /// Characters or bytes of a payload that are logged.
    payload: Option<usize>,
    is_on: bool,
}

impl MessageLog {
    pub(super) fn new(number: u64, payload: Option<usize>) -> MessageLog {
        let is_on = payload.is_some() || log_enabled!(log::Level::Trace);
        MessageLog { number, payload, is_on }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Logs `message` if that was asked for. `direction`: `in` or `out`.
    pub(super) fn log(&self, direction: &str, message: &Message) {
        if self.is_on {
            self.write(direction, message);
        }
    }

    #[cold]
    fn write(&self, direction: &str, message: &Message) {
        let (number, length) = (self.number, message.len());
        let kind = match message {
            Message::Text(_) => "text",
            Message::Binary(_) => "binary",
            Message::Ping(_) => "Ping",
            Message::Pong(_) => "Pong",
            Message::Close(_) | Message::Frame(_) => "frame",
        };
        match (self.payload, message) {
            (Some(limit), Message::Text(text)) => {
                let shown: String = text.chars().take(limit).collect();
                info!("session {number} {direction}: {kind}, {length} bytes: {shown:?}");
            }
            (Some(limit), Message::Binary(bytes)) => {
                let shown = bytes[..length.min(limit)].escape_ascii();
                info!("session {number} {direction}: {kind}, {length} bytes: \"{shown}\"");
            }
            _ => trace!("session {number} {direction}: {kind}, {length} bytes"),
        }
    }
}

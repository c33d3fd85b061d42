//! Memory for large messages: taken before a message is read, given back after its reply.
//!
//! tungstenite keeps the capacity of the largest message in its buffers. So a large message gets a context of
//! its own, which starts with the first frame in its read buffer, and is dropped after the reply.
//!
//! **Invariant:** a context is replaced only when it holds nothing: no part of a message, and no reply.

use std::sync::Arc;
use std::time::Instant;

use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::Session;
use super::end::Cause;
use super::intake::Announced;
use super::message_size::MessageCost;
use super::reply::Reply;
use crate::config::Config;
use crate::config::tuning::{MESSAGE_READ_BUFFER, SESSION_READ_BUFFER};
use crate::message_memory::Charge;
use crate::net::transport::{PauseEnd, Transport};

/// What compression takes for each byte of a reply: a copy, and up to 5/4 of it.
const COMPRESSED_COST: usize = 3;

/// A context that reads `read_buffer` bytes at a time, at most.
pub(super) fn context(config: &Config, read_buffer: usize) -> WebSocketContext {
    WebSocketContext::new(Role::Server, Some(context_config(config, read_buffer)))
}

fn context_config(config: &Config, read_buffer: usize) -> WebSocketConfig {
    let max_size = Some(config.limits.max_message_size);
    WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        // The transport collects output, and sends it before the next read waits.
        .write_buffer_size(0)
        .max_message_size(max_size)
        .max_frame_size(max_size)
}

/// What a message and its reply take, as multiples of the message's length.
///
/// An echo is the message itself, and a large text of the tutorial is not copied, unless there are faults. Of
/// a binary message to the tutorial, in which each byte that is not UTF-8 becomes three, two copies
/// exist at one time. Compression adds its own.
pub(super) fn message_cost(reply: &Reply, is_compressed: bool, has_faults: bool) -> MessageCost {
    let (text, binary) = match reply {
        Reply::Echo | Reply::Chat(_) => (1, 1),
        Reply::Tutorial(..) => (if has_faults { 2 } else { 1 }, 7),
    };
    let compressed = if is_compressed { COMPRESSED_COST } else { 0 };
    MessageCost { text: text + compressed, binary: binary + compressed }
}

impl<T: Transport> Session<'_, T> {
    /// Takes memory for a message, and lets it in.
    #[cold]
    pub(super) fn admit(&mut self, announced: Announced) -> Result<(), Cause> {
        let charge = self.take_memory(announced.bytes)?;
        self.transport.intake.admit(charge);
        if announced.is_new {
            self.transport.intake.begin_large_frame();
        }
        Ok(())
    }

    /// Hands the first frame of a large message to tungstenite, which takes the buffer without a copy.
    #[cold]
    pub(super) fn on_large_frame(&mut self, frame: Vec<u8>) {
        // For the fragments that may follow.
        let read_buffer = frame.len().min(MESSAGE_READ_BUFFER);
        let config = context_config(self.config, read_buffer);
        self.ws = WebSocketContext::from_partially_read(frame, Role::Server, Some(config));
    }

    /// Gives the memory of an answered message back.
    #[cold]
    pub(super) fn release_memory(&mut self) {
        self.ws = context(self.config, SESSION_READ_BUFFER);
        self.transport.intake.release();
    }

    /// Takes memory for a reply of `size` bytes that is no answer to a message of this size.
    pub(super) fn take_reply_memory(&mut self, size: usize) -> Result<Charge, Cause> {
        let cost = if self.transport.on_wire().is_some() { COMPRESSED_COST } else { 1 };
        self.take_memory(size.saturating_mul(cost))
    }

    /// Waits until `bytes` of the message memory are free, for the write timeout at most.
    fn take_memory(&mut self, bytes: usize) -> Result<Charge, Cause> {
        match self.transport.intake.memory().take(bytes) {
            Some(charge) => Ok(charge),
            None => self.wait_for_memory(bytes),
        }
    }

    fn wait_for_memory(&mut self, bytes: usize) -> Result<Charge, Cause> {
        let waiting = self.transport.intake.memory().wait(bytes).map_err(|_| Cause::NoMemory)?;
        let waker = Arc::clone(waiting.waker());
        let end = self.pause(self.config.timeouts.write, Some(&waker))?;
        match (waiting.finish(), end) {
            (Some(charge), _) => Ok(charge),
            (None, PauseEnd::Stopping) => Err(Cause::Stop),
            (None, PauseEnd::PeerLeft) => Err(Cause::ClientLeft),
            (None, PauseEnd::Over) => {
                Err(self.keepalive.expired(Instant::now()).map_or(Cause::NoMemory, Cause::Expired))
            }
        }
    }
}

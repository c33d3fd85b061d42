//! Follows the frames on their way to tungstenite, and stops before one for which memory has to be taken.
//!
//! tungstenite reserves the whole length of a frame when it sees its header. So headers are parsed here
//! first. Messages up to [`MESSAGE_FREE`] pass. Before a larger one the read fails with `WouldBlock`, and
//! [`Intake::announced`] says what it takes; once the session has [admitted](Intake::admit) it, the read
//! goes on. The first frame of such a message is read into a buffer of its size, past tungstenite, which would
//! fill its own buffer with zeros before each read. When the frame is whole, the read fails with
//! `WouldBlock` again, and the session takes it for a new context.
//!
//! **Invariants:** tungstenite holds nothing when a large message is announced that has just begun, and
//! when one has ended, because a read hands over no part of a header, and nothing beyond the end of a
//! large message. The session can therefore replace its context.

use std::io;
use std::mem;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tungstenite::protocol::CloseFrame;

use super::message_size::{MessageCost, MessageSize};
use crate::config::tuning::{FRAMES_READ, MESSAGE_FREE, MESSAGE_STEP};
use crate::frame::{CLOSE, FIN, Header, MASKED, TEXT, masked_payload};
use crate::message_memory::{Charge, MessageMemory};

/// The longest payload of a control frame: RFC 6455, section 5.5.
const CONTROL_MAX: u64 = 125;

/// A message needs memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    /// What it takes beyond the charge that it has.
    pub(super) bytes: usize,
    /// Whether nothing of it was handed over: its first frame is read past tungstenite.
    pub(super) is_new: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Intake {
    memory: Arc<MessageMemory>,
    cost: MessageCost,
    /// The longest frame that tungstenite reads. It rejects a longer one by its header.
    max_frame: u64,
    /// The part that was read of a large frame, whose size is its capacity. Empty if there is none.
    large_frame: Vec<u8>,
    /// Bytes that were read, and wait to be handed over.
    held: Vec<u8>,
    /// Payload bytes of the frame that is being handed over.
    left: u64,
    message: MessageSize,
    /// Memory of the message; `None` if it takes no more than is free.
    charge: Option<Charge>,
    announced: Option<Announced>,
    /// A Close that is being handed over, with its header; else empty.
    close: Vec<u8>,
    /// Whether all bytes pass, as nobody parses them any more.
    passes_all: bool,
}

impl Intake {
    /// `early`: bytes that arrived together with the handshake.
    pub(super) fn new(
        memory: Arc<MessageMemory>,
        cost: MessageCost,
        max_frame: usize,
        early: Vec<u8>,
    ) -> Intake {
        Intake {
            memory,
            cost,
            max_frame: max_frame as u64,
            large_frame: Vec::new(),
            held: early,
            left: 0,
            message: MessageSize::default(),
            charge: None,
            announced: None,
            close: Vec::new(),
            passes_all: false,
        }
    }

    /// One that lets all bytes pass.
    #[cfg(test)]
    pub(super) fn pass_all() -> Intake {
        let cost = MessageCost { text: 1, binary: 1 };
        let mut intake = Intake::new(MessageMemory::new(0), cost, usize::MAX, Vec::new());
        intake.give_up();
        intake
    }

    /// The memory that messages take.
    pub(super) fn memory(&self) -> &Arc<MessageMemory> {
        &self.memory
    }

    /// The message that waits for memory; `None` if none does.
    pub(super) fn announced(&self) -> Option<Announced> {
        self.announced
    }

    /// Lets the announced message in.
    pub(super) fn admit(&mut self, charge: Charge) {
        self.announced = None;
        match &mut self.charge {
            Some(all) => all.merge(charge),
            None => self.charge = Some(charge),
        }
    }

    /// Reads the frame that was announced, and whose header is held, past tungstenite from now on.
    pub(super) fn begin_large_frame(&mut self) {
        let Some(header) = Header::parse(&self.held) else { return };
        let Ok(length) = usize::try_from(header.length) else { return };
        self.message = self.message.with(header);
        self.large_frame.reserve_exact(header.size + length);
        let held = self.held.len().min(header.size + length);
        self.large_frame.extend(self.held.drain(..held));
    }

    /// Whether a large frame is being read.
    #[inline]
    pub(super) fn is_reading_large_frame(&self) -> bool {
        !self.large_frame.is_empty()
    }

    /// The buffer for the rest of a large frame; `None` if none is being read, or it is whole.
    pub(super) fn large_frame(&mut self) -> Option<&mut Vec<u8>> {
        (self.large_frame.len() < self.large_frame.capacity()).then_some(&mut self.large_frame)
    }

    /// The large frame that has just become whole; `None` if there is none.
    pub(super) fn take_large_frame(&mut self) -> Option<Vec<u8>> {
        let is_whole = self.is_reading_large_frame() && self.large_frame().is_none();
        is_whole.then(|| mem::take(&mut self.large_frame))
    }

    /// Whether the last message took memory. Then tungstenite holds large buffers.
    #[inline]
    pub(super) fn is_charged(&self) -> bool {
        self.charge.is_some()
    }

    /// Gives the memory of the last message back.
    pub(super) fn release(&mut self) {
        self.charge = None;
    }

    /// The Close with a code that was handed over last, before tungstenite replaces a code that it does
    /// not know. `None` without a code.
    pub(super) fn received_close(&self) -> Option<CloseFrame> {
        let payload = masked_payload(&self.close)?;
        let (code, reason) = payload.split_first_chunk()?;
        let reason = String::from_utf8(reason.to_vec()).ok()?;
        Some(CloseFrame { code: u16::from_be_bytes(*code).into(), reason: reason.into() })
    }

    /// Lets all bytes pass from now on.
    pub(super) fn give_up(&mut self) {
        self.passes_all = true;
        self.large_frame = Vec::new();
    }

    /// Whether bytes that were read have not been handed over.
    #[inline]
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The most that the next read may ask for, of `room` bytes: what is read beyond the frame may have to
    /// be held.
    #[inline]
    pub(super) fn most(&self, room: usize) -> usize {
        usize::try_from(self.left).map_or(usize::MAX, |left| left.max(FRAMES_READ)).min(room)
    }

    /// Receives bytes that were just read. Returns how many of them may be handed over now; the rest is
    /// held.
    #[inline]
    pub(super) fn receive(&mut self, bytes: &[u8]) -> usize {
        let is_at_header = self.left == 0 && self.held.is_empty();
        if is_at_header && small_frame(bytes) == Some(bytes.len()) {
            bytes.len()
        } else {
            self.follow(bytes)
        }
    }

    #[inline(never)]
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let handed = if self.held.is_empty() { self.walk(bytes) } else { 0 };
        self.held.extend_from_slice(&bytes[handed..]);
        handed
    }

    /// Hands held bytes over. Returns how many; `None` if they are only a part of a header.
    ///
    /// # Errors
    /// `WouldBlock` if a message was announced.
    #[cold]
    pub(super) fn hand_over(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let length = self.held.len().min(buf.len());
        buf[..length].copy_from_slice(&self.held[..length]);
        let handed = self.walk(&buf[..length]);
        if handed < self.held.len() {
            self.held.drain(..handed);
        } else {
            self.held = Vec::new();
        }
        match (handed, self.announced) {
            (0, Some(_)) => Err(io::ErrorKind::WouldBlock.into()),
            (0, None) => Ok(None),
            _ => Ok(Some(handed)),
        }
    }

    /// Follows the frames in `bytes`. Returns how many bytes may be handed over.
    fn walk(&mut self, bytes: &[u8]) -> usize {
        if self.passes_all {
            return bytes.len();
        }
        let mut at = 0;
        loop {
            let payload = usize::try_from(self.left).map_or(usize::MAX, |left| left);
            let payload = payload.min(bytes.len() - at);
            if !self.close.is_empty() {
                self.close.extend_from_slice(&bytes[at..at + payload]);
            }
            at += payload;
            self.left -= payload as u64;
            if self.left == 0 && self.charge.is_none() {
                while let Some(length) = small_frame(&bytes[at..]) {
                    at += length;
                }
            }
            let is_large_end = self.charge.is_some() && !self.message.is_open && at > 0;
            if at == bytes.len() || is_large_end {
                return at;
            }
            let Some(header) = Header::parse(&bytes[at..]) else { return at };
            if !self.admits(header, at == 0) {
                return at;
            }
            let is_close = header.first == FIN | CLOSE && header.length <= CONTROL_MAX;
            self.close = if is_close { bytes[at..at + header.size].to_vec() } else { Vec::new() };
            at += header.size;
            self.left = header.length;
        }
    }

    /// Whether the frame may be handed over. `is_next`: tungstenite has read all frames before it.
    fn admits(&mut self, header: Header, is_next: bool) -> bool {
        let message = self.message.with(header);
        let cost = message.cost(self.cost);
        if cost > MESSAGE_FREE as u64 && header.length <= self.max_frame {
            return self.charges(message, header, cost, is_next);
        }
        self.message = message;
        true
    }

    /// Whether `cost` is charged for the message, or can be without a wait.
    fn charges(&mut self, message: MessageSize, header: Header, cost: u64, is_next: bool) -> bool {
        let cost = usize::try_from(cost).map_or(usize::MAX, |cost| cost).min(self.memory.limit());
        let charged = self.charge.as_ref().map_or(0, Charge::bytes);
        let has_begun = self.message.is_open || header.is_control();
        let is_charged =
            cost <= charged || has_begun && self.grow(cost.next_multiple_of(MESSAGE_STEP));
        if is_charged {
            self.message = message;
        } else if is_next {
            self.announced = Some(Announced { bytes: cost - charged, is_new: !has_begun });
        }
        is_charged
    }

    /// Raises the charge. Returns whether so much memory was free.
    fn grow(&mut self, bytes: usize) -> bool {
        if let Some(charge) = &mut self.charge {
            return charge.grow(bytes);
        }
        self.charge = self.memory.take_first(bytes);
        self.charge.is_some()
    }
}

/// The length of the frame at the start of `bytes`, if that is whole, masked, has at most 125 bytes, and is
/// neither a fragment nor a Close: it leaves the message as it is, and is free.
#[inline]
fn small_frame(bytes: &[u8]) -> Option<usize> {
    /// FIN is set, and the opcode is not that of a continuation.
    const WHOLE: RangeInclusive<u8> = FIN | TEXT..=u8::MAX;
    let &[first, second, ..] = bytes else { return None };
    let length = 6 + usize::from(second & !MASKED);
    let is_short = (MASKED..MASKED + 126).contains(&second);
    let is_whole = WHOLE.contains(&first) && first != FIN | CLOSE;
    (is_whole && is_short && length <= bytes.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{BINARY, CONTINUATION, FIN, header, masked};
    use crate::net::transport::Append;
    use crate::session::filter::FilteredTransport;
    use std::io::{Chain, Read};

    impl Append for &[u8] {}
    impl Append for Chain<&[u8], &[u8]> {}

    const ECHO: MessageCost = MessageCost { text: 1, binary: 1 };
    const LARGE: usize = MESSAGE_FREE + 1;
    const PING: u8 = 9;

    /// A client's frame, masked with zeros.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        masked(first, &vec![0; length], [0; 4])
    }

    /// A transport that reads `input`.
    fn transport<R: Append>(memory: &Arc<MessageMemory>, input: R) -> FilteredTransport<R> {
        let intake = Intake::new(Arc::clone(memory), ECHO, 1 << 20, Vec::new());
        FilteredTransport::new(input, None, intake)
    }

    /// What a read came to: handed over so many bytes, or announced a message.
    type Step = Result<usize, Announced>;

    /// Reads to the end, `size` bytes at a time. What is announced is admitted.
    fn read_all(transport: &mut FilteredTransport<impl Append>, size: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut buf = vec![0; size];
        loop {
            match transport.read(&mut buf) {
                Ok(0) => return steps,
                Ok(length) => steps.push(Ok(length)),
                Err(_) => {
                    let announced = transport.intake.announced().unwrap();
                    steps.push(Err(announced));
                    let charge = transport.intake.memory.take(announced.bytes).unwrap();
                    transport.intake.admit(charge);
                }
            }
        }
    }

    fn handed(steps: &[Step]) -> usize {
        steps.iter().flatten().sum()
    }

    #[test]
    fn messages_up_to_the_free_size_pass_however_they_are_cut() {
        let memory = MessageMemory::new(0);
        let input = [frame(FIN | TEXT, 1), frame(FIN | BINARY, MESSAGE_FREE), frame(FIN | PING, 0)];
        let input = input.concat().repeat(3);
        for size in [14, 15, 100, 4096, 1 << 20] {
            let steps = read_all(&mut transport(&memory, &input[..]), size);
            assert_eq!(handed(&steps), input.len());
            assert!(steps.iter().all(Result::is_ok));
        }
    }

    #[test]
    fn a_large_message_is_announced_before_its_header_and_nothing_is_read_beyond_its_end() {
        let memory = MessageMemory::new(usize::MAX);
        let (small, large) = (frame(FIN | TEXT, 1), frame(FIN | TEXT, LARGE));
        let input = [&small[..], &large, &small].concat();
        let steps = read_all(&mut transport(&memory, &input[..]), 1 << 20);
        let announced = Announced { bytes: LARGE, is_new: true };
        assert_eq!(steps[..2], [Ok(small.len()), Err(announced)]);
        assert_eq!(steps.last(), Some(&Ok(small.len())), "{steps:?}");
        assert_eq!(handed(&steps), input.len());
        assert_eq!(memory.used(), 0, "the transport was dropped");
    }

    #[test]
    fn a_large_frame_is_read_whole_and_nothing_beyond_it() {
        let memory = MessageMemory::new(usize::MAX);
        let (small, large) = (frame(FIN | TEXT, 1), frame(FIN | TEXT, LARGE));
        let input = [&small[..], &large, &large, &small].concat();
        for cut in [1, 13, 14, 500, LARGE, input.len() - 1] {
            let mut transport = transport(&memory, input[..cut].chain(&input[cut..]));
            let mut handed = Vec::new();
            let mut buf = [0; 500];
            loop {
                match transport.read(&mut buf) {
                    Ok(0) => break,
                    Ok(length) => handed.extend_from_slice(&buf[..length]),
                    Err(_) if transport.intake.announced().is_some() => {
                        let charge = memory.take(LARGE).unwrap();
                        transport.intake.admit(charge);
                        transport.intake.begin_large_frame();
                    }
                    Err(_) => {
                        let frame = transport.intake.take_large_frame().unwrap();
                        assert!(frame == large, "{} bytes", frame.len());
                        handed.extend_from_slice(&frame);
                        transport.intake.release();
                    }
                }
            }
            assert!(handed == input, "{} bytes of {}", handed.len(), input.len());
        }
    }

    #[test]
    fn a_part_of_a_header_is_not_handed_over() {
        /// Bytes one at a time, each after a read that finds nothing.
        struct Slow<'a>(&'a [u8], bool);
        impl Read for Slow<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    self.0.read(&mut buf[..1])
                }
            }
        }
        impl Append for Slow<'_> {}
        let memory = MessageMemory::new(usize::MAX);
        let large = frame(FIN | BINARY, LARGE);
        let mut transport = transport(&memory, Slow(&large, false));
        let is_blocked = |read: io::Result<usize>| read.is_err();
        for _ in 0..8 {
            assert!(is_blocked(transport.read(&mut [0; 100])));
            assert_eq!(transport.intake.announced(), None);
        }
        assert!(is_blocked(transport.read(&mut [0; 100])));
        assert!(transport.intake.announced().is_some());
    }

    #[test]
    fn fragments_add_up_and_grow_the_charge_without_a_wait() {
        let memory = MessageMemory::new(usize::MAX);
        let half = MESSAGE_FREE / 2;
        let input = [
            frame(TEXT, half),
            frame(FIN | PING, 5),
            frame(CONTINUATION, half),
            frame(FIN | CONTINUATION, half),
        ]
        .concat();
        let end = frame(FIN | TEXT, 1);
        let mut transport = transport(&memory, (&input[..]).chain(&end[..]));
        let mut buf = [0; 500];
        let mut left = input.len();
        while left > 0 {
            left -= transport.read(&mut buf).unwrap();
        }
        assert_eq!(memory.used(), MESSAGE_STEP, "the message, and the longest fragment");
        transport.intake.release();
        assert_eq!(memory.used(), 0);
        assert_eq!(read_all(&mut transport, 500), [Ok(7)], "the next message begins anew");
    }

    #[test]
    fn a_fragment_for_which_nothing_is_left_is_announced() {
        let memory = MessageMemory::new(MESSAGE_FREE);
        let _taken = memory.take(1).unwrap();
        let input = [frame(TEXT, 1), frame(CONTINUATION, LARGE)].concat();
        let mut transport = transport(&memory, &input[..]);
        assert_eq!(transport.read(&mut [0; 500]).unwrap(), 7);
        let error = transport.read(&mut [0; 500]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(!transport.intake.announced().unwrap().is_new);
    }

    #[test]
    fn a_frame_over_the_size_limit_is_left_to_tungstenite() {
        let memory = MessageMemory::new(0);
        let too_long = &frame(FIN | TEXT, (1 << 20) + 1)[..14];
        assert_eq!(read_all(&mut transport(&memory, too_long), 500), [Ok(14)]);
    }

    #[test]
    fn a_control_frame_that_is_too_long_is_charged_as_well() {
        let memory = MessageMemory::new(usize::MAX);
        let input = &frame(FIN | PING, 1 << 20)[..500];
        let mut transport = transport(&memory, input);
        read_all(&mut transport, 500);
        assert_eq!(memory.used(), 1 << 20);
    }

    #[test]
    fn only_whole_small_frames_skip_the_parser() {
        for (bytes, length) in [
            (frame(FIN | TEXT, 0), Some(6)),
            (frame(FIN | BINARY, 125), Some(131)),
            (frame(FIN | PING, 1), Some(7)),
            (frame(FIN | CLOSE, 2), None),
            (frame(FIN | TEXT, 126), None),
            (frame(FIN | TEXT, 5)[..10].to_vec(), None),
            (frame(FIN | TEXT, 5).repeat(2), Some(11)),
            (frame(TEXT, 5), None),
            (frame(FIN | CONTINUATION, 5), None),
            (header(FIN | TEXT, 4), None),
            (vec![FIN | TEXT], None),
            (Vec::new(), None),
        ] {
            assert_eq!(small_frame(&bytes), length, "{bytes:?}");
        }
    }
}

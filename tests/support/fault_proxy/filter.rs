//! What the proxy does with a frame. Decides only; `pump` acts.

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::fault::{Close, Ending, Fault, Size, Way};
use super::frame::Frame;

/// The fault in one direction of a session.
pub(super) struct Filter {
    way: Way,
    fault: Fault,
    /// The fragments that have arrived of a message that is merged.
    fragments: Option<Frame>,
    /// Payload of the present message that has arrived.
    message: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Forward(Vec<Frame>),
    /// Goes back to the sender.
    Answer(Frame),
    /// Ends the connection towards both ends.
    End(Ending),
    /// Ends the stream towards the receiver, in place of the frame.
    EndReceiver(Close),
}

impl Filter {
    pub(super) fn new(way: Way, fault: Fault) -> Filter {
        Filter { way, fault, fragments: None, message: 0 }
    }

    pub(super) fn judge(&mut self, frame: Frame) -> Verdict {
        match self.fault {
            Fault::SwallowPings(way) if way == self.way && frame.is(Control::Ping) => {
                Verdict::Forward(Vec::new())
            }
            Fault::SwallowPongs(way) if way == self.way && frame.is(Control::Pong) => {
                Verdict::Forward(Vec::new())
            }
            Fault::AnswerPings(way) if way == self.way && frame.is(Control::Ping) => {
                let is_masked = self.way == Way::ToClient;
                Verdict::Answer(Frame::control(Control::Pong, &frame.payload, is_masked))
            }
            Fault::LoseLarge(way, max)
                if way == self.way && frame.is_data() && frame.payload.len() > max =>
            {
                Verdict::Forward(Vec::new())
            }
            Fault::ClearRsv(way) if way == self.way => Verdict::Forward(vec![clear_rsv(frame)]),
            Fault::MergeFragments(way) if way == self.way && frame.is_data() => {
                Verdict::Forward(self.merge(frame).into_iter().collect())
            }
            Fault::SplitFrames(way, size) if way == self.way && frame.is_data() => {
                Verdict::Forward(split(&frame, size))
            }
            Fault::FlipByte(way, index) if way == self.way && frame.is_data() => {
                Verdict::Forward(vec![flip(frame, index)])
            }
            Fault::Oversized(way, size, ending) if way == self.way && frame.is_data() => {
                if self.is_oversized(&frame, size) {
                    Verdict::End(ending)
                } else {
                    Verdict::Forward(vec![frame])
                }
            }
            Fault::Close(way, close) if way == self.way && frame.is(Control::Close) => {
                match close {
                    Close::WithoutCode => {
                        Verdict::Forward(vec![Frame { payload: Vec::new(), ..frame }])
                    }
                    Close::Fin | Close::Rst => Verdict::EndReceiver(close),
                }
            }
            _ => Verdict::Forward(vec![frame]),
        }
    }

    /// Returns the merged message with its last fragment.
    fn merge(&mut self, frame: Frame) -> Option<Frame> {
        let merged = match self.fragments.take() {
            None => frame,
            Some(mut merged) => {
                merged.payload.extend(frame.payload);
                merged.header.is_final = frame.header.is_final;
                merged
            }
        };
        if merged.header.is_final {
            return Some(merged);
        }
        self.fragments = Some(merged);
        None
    }

    fn is_oversized(&mut self, frame: &Frame, size: Size) -> bool {
        if !frame.is_continuation() {
            self.message = 0;
        }
        self.message += frame.payload.len();
        match size {
            Size::Frame(max) => frame.payload.len() > max,
            Size::Message(max) => self.message > max,
        }
    }
}

fn split(frame: &Frame, size: usize) -> Vec<Frame> {
    let count = frame.payload.len().div_ceil(size).max(1);
    let piece = |index: usize| {
        let mut header = frame.header.clone();
        header.is_final &= index + 1 == count;
        if index > 0 {
            header.opcode = OpCode::Data(Data::Continue);
            header.rsv1 = false; // belongs to the first frame of a message (RFC 7692, section 6)
        }
        let end = frame.payload.len().min((index + 1) * size);
        Frame { header, payload: frame.payload[index * size..end].to_vec() }
    };
    (0..count).map(piece).collect()
}

fn clear_rsv(mut frame: Frame) -> Frame {
    let header = &mut frame.header;
    (header.rsv1, header.rsv2, header.rsv3) = (false, false, false);
    frame
}

fn flip(mut frame: Frame, index: usize) -> Frame {
    if let Some(byte) = frame.payload.get_mut(index) {
        *byte ^= 1;
    }
    frame
}

//! What both sides agree on: the subprotocol, and compression.

use std::sync::Arc;

use super::extensions;
use crate::http::endpoint::Endpoint;
use crate::http::fields::is_token;
use crate::http::head::Head;
use crate::session::deflate::{self, DeflateParameters, DeflatePool, TakeoverSlot};
use crate::session::faults::{CompressionChoice, Faults, HandshakeFaults};

/// What was chosen of the client's offers.
#[derive(Debug, Default)]
pub(crate) struct Negotiated {
    pub(crate) subprotocol: Option<String>,
    /// permessage-deflate (RFC 7692); `None` if it was declined or not offered.
    pub(crate) compression: Option<NegotiatedCompression>,
}

/// The permessage-deflate offer that was accepted.
#[derive(Debug)]
pub(crate) struct NegotiatedCompression {
    /// The index of the offer, among all extensions that were offered.
    pub(crate) offer: usize,
    pub(crate) parameters: DeflateParameters,
}

impl Negotiated {
    /// Takes a slot for context takeover, if that was negotiated. Without a free slot no side keeps its
    /// context, so that no idle session holds one.
    pub(crate) fn reserve_takeover(&mut self, pool: &Arc<DeflatePool>) -> Option<TakeoverSlot> {
        let compression = self.compression.as_mut()?;
        if !compression.parameters.keeps_context() {
            return None;
        }
        let slot = pool.takeover();
        if slot.is_none() {
            compression.parameters = compression.parameters.without_takeover();
        }
        slot
    }
}

/// Chooses among the offers of a valid handshake.
pub(crate) fn negotiate(
    head: &Head,
    endpoint: Endpoint,
    faults: &Faults,
    is_compression_on: bool,
) -> Negotiated {
    let is_compressible = is_compression_on && allows_compression(endpoint, faults);
    Negotiated {
        subprotocol: subprotocol(head, &faults.handshake).map(str::to_owned),
        compression: if is_compressible { compression(head, &faults.handshake) } else { None },
    }
}

/// Whether compression may be accepted: not in a chat, whose members share one encoded frame, and
/// not with `bad=`, as a malformed compressed frame would fail for another reason.
fn allows_compression(endpoint: Endpoint, faults: &Faults) -> bool {
    let is_off = faults.handshake.compression == Some(CompressionChoice::Off);
    let frames = faults.session.as_ref().and_then(|session| session.frames);
    let has_malformed = frames.is_some_and(|frames| frames.bad.is_some());
    endpoint != Endpoint::Chat && !is_off && !has_malformed
}

fn compression(head: &Head, faults: &HandshakeFaults) -> Option<NegotiatedCompression> {
    let takeover = faults.compression == Some(CompressionChoice::Takeover);
    let (offer, parameters) = extensions::choose(head, |offer| {
        (offer.name == deflate::NAME)
            .then(|| DeflateParameters::negotiate(&offer.parameters, takeover))?
    })?;
    Some(NegotiatedCompression { offer, parameters })
}

/// The first subprotocol that was offered, or the one that `subprotocol=` asks for. An echo server can
/// speak any, and a browser fails the connection if none is chosen.
fn subprotocol<'a>(head: &'a Head, faults: &HandshakeFaults) -> Option<&'a str> {
    let wanted = faults.subprotocol.as_deref();
    offered_subprotocols(head).find(|offered| wanted.is_none_or(|wanted| wanted == *offered))
}

/// Offered subprotocols that are tokens, in order of preference.
pub(crate) fn offered_subprotocols(head: &Head) -> impl Iterator<Item = &str> {
    head.fields.list("Sec-WebSocket-Protocol").filter(|name| is_token(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::http::head::parse;
    use crate::session::faults::{FrameFaults, Malformation, SessionFaults};

    fn head(fields: &str) -> Head {
        let head = format!("GET /echo HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0
    }

    #[test]
    fn the_first_subprotocol_is_chosen_unless_a_parameter_asks_for_another() {
        let head = head("Sec-WebSocket-Protocol: , a b, chat\r\nSec-WebSocket-Protocol: superchat");
        for (wanted, chosen) in
            [(None, Some("chat")), (Some("superchat"), Some("superchat")), (Some("other"), None)]
        {
            let mut faults = Faults::default();
            faults.handshake.subprotocol = wanted.map(str::to_owned);
            let negotiated = negotiate(&head, Endpoint::Echo, &faults, true);
            assert_eq!(negotiated.subprotocol.as_deref(), chosen, "{wanted:?}");
        }
    }

    #[test]
    fn compression_is_accepted_unless_something_stands_against_it() {
        let head = head("Sec-WebSocket-Extensions: x, permessage-deflate");
        let offer = |endpoint, faults: &Faults, is_on| {
            negotiate(&head, endpoint, faults, is_on).compression.map(|chosen| chosen.offer)
        };
        let none = Faults::default();
        assert_eq!(offer(Endpoint::Echo, &none, true), Some(1));
        assert_eq!(offer(Endpoint::Tutorial, &none, true), Some(1));
        assert_eq!(offer(Endpoint::Chat, &none, true), None);
        assert_eq!(offer(Endpoint::Echo, &none, false), None);
        let mut off = Faults::default();
        off.handshake.compression = Some(CompressionChoice::Off);
        assert_eq!(offer(Endpoint::Echo, &off, true), None);
        let frames = FrameFaults { bad: Some(Malformation::Rsv), ..FrameFaults::default() };
        let session = SessionFaults { frames: Some(frames), ..SessionFaults::default() };
        let malformed = Faults { session: Some(Box::new(session)), ..Faults::default() };
        assert_eq!(offer(Endpoint::Echo, &malformed, true), None);
    }
}

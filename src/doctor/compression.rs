//! Compression: what was offered and agreed on at each end, and the reserved bit that marks compressed
//! messages. The lane is that of the heads, too.

use super::heads::{SUBPROTOCOLS, TWICE};
use super::lane::{Access, Lane, NotOpen};
use super::record::Record;
use crate::check::deflate::{Agreement, OFFER};
use crate::frame::{FIN, RSV1, TEXT};

/// Offers compression and subprotocols, and sends one message, compressed if that was agreed on.
pub(crate) fn send(access: &Access, token: &str) -> Result<Record, NotOpen> {
    let fields = [
        ("Sec-WebSocket-Extensions", OFFER),
        ("Sec-WebSocket-Protocol", SUBPROTOCOLS),
        (TWICE, "1"),
        (TWICE, "2"),
    ];
    let query = format!("report={token}&compression=always");
    let mut lane = Lane::open(access, &query, &fields)?;
    let message = "wsecho doctor ".repeat(20);
    let agreed = lane.response.field("Sec-WebSocket-Extensions").map(Agreement::parse);
    match agreed.and_then(Result::ok).map(|agreed| agreed.first_message(message.as_bytes())) {
        Some(Ok(deflated)) => lane.send(&[(FIN | RSV1 | TEXT, &deflated)]),
        _ => lane.send(&[(FIN | TEXT, message.as_bytes())]),
    }
    lane.wait_for_message();
    lane.close(1000, "");
    Ok(lane.record)
}

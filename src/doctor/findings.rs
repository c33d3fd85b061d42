//! What the way does to a WebSocket: the kinds of findings in one table, each with its usual cause and what
//! to do.

use serde::Serialize;

use super::record::Side;
use crate::products::{self, Product};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Clients fail, or lose something that they rely on.
    Breaks,
    /// The way alters something that clients can live with.
    Changed,
    /// To be known, as what every proxy does.
    Note,
}

use Severity::{Breaks, Changed, Note};

/// What to do about a kind of finding.
#[derive(Debug, Clone, Copy)]
enum Remedy {
    Text(&'static str),
    /// The setting of the product by which it forwards upgrades.
    Upgrade,
    /// Its setting that keeps the Host.
    Host,
    /// Its setting of an idle timeout.
    Idle,
}

/// A row of the table.
#[derive(Debug)]
struct Kind {
    id: &'static str,
    severity: Severity,
    cause: &'static str,
    remedy: Remedy,
}

const fn kind(id: &'static str, severity: Severity, cause: &'static str, remedy: Remedy) -> Kind {
    Kind { id, severity, cause, remedy }
}

use Remedy::{Host, Idle, Text, Upgrade};

/// What to do about an idle timeout of an unknown product.
const IDLE_ANYWHERE: &str = "Send Pings more often than that, or raise the timeout (nginx: proxy_read_timeout; HAProxy: \
    timeout tunnel; Apache: ProxyTimeout).";

/// What a reader of frames on the way is to do.
const PASS_FRAMES: &str = "Let it pass frames as they are: after a 101 the connection is a tunnel.";

/// Every kind of finding; the identifiers are stable.
const KINDS: &[Kind] = &[
    kind(
        "upgrade_dropped",
        Breaks,
        "A proxy drops Upgrade or Connection, which concern one hop only.",
        Upgrade,
    ),
    kind(
        "upgrade_repeated",
        Breaks,
        "A proxy adds Upgrade where it is already; many servers refuse the list.",
        Text("Set the field in one place only."),
    ),
    kind("refused", Breaks, "A proxy, or a rule of it, refuses handshakes.", Upgrade),
    kind(
        "host_changed",
        Breaks,
        "A proxy sends the name of its server instead; a server that compares Origin with Host refuses browsers (403).",
        Host,
    ),
    kind(
        "http_version_changed",
        Breaks,
        "A proxy speaks HTTP/1.0 to the server, which has no Upgrade.",
        Upgrade,
    ),
    kind(
        "path_changed",
        Changed,
        "A proxy adds a prefix to the path, or removes one.",
        Text("nginx: no path in proxy_pass; HAProxy: no http-request set-path or replace-path."),
    ),
    kind(
        "key_replaced",
        Changed,
        "A proxy makes a handshake of its own with the server: it ends the WebSocket, and opens another.",
        Text("Let it tunnel the connection; what it does to frames, the findings below say."),
    ),
    kind(
        "accept_wrong",
        Breaks,
        "The 101 is the answer to another handshake.",
        Text("Let the proxy pass Sec-WebSocket-Key and Sec-WebSocket-Accept on."),
    ),
    kind(
        "field_removed",
        Changed,
        "A proxy removes fields that it does not know, or that a rule names.",
        Text("Remove that rule."),
    ),
    kind(
        "field_added",
        Note,
        "Proxies add the address of the client, and some add fields of their own.",
        Text("Nothing is to be done, if the server does not trust them from anyone."),
    ),
    kind(
        "field_changed",
        Changed,
        "A proxy sets this field, or brings its value into a form of its own.",
        Text("Remove the line that sets it."),
    ),
    kind(
        "field_rewritten",
        Note,
        "A proxy writes the field anew; letter case and spaces do not matter (RFC 9110, section 5).",
        Text("Nothing is to be done."),
    ),
    kind(
        "fields_merged",
        Note,
        "A proxy joins fields of one name, as it may (RFC 9110, section 5.3).",
        Text("Nothing is to be done."),
    ),
    kind(
        "fields_reordered",
        Note,
        "A proxy sorts fields; only the order of those with one name matters.",
        Text("Nothing is to be done."),
    ),
    kind(
        "extensions_stripped",
        Changed,
        "A proxy removes Sec-WebSocket-Extensions from the request; messages are not compressed.",
        Text(
            "Let it pass the field on, if messages are to be compressed (Sec-WebSocket-Extensions).",
        ),
    ),
    kind(
        "compression_one_sided",
        Breaks,
        "The server compresses, and the client does not know: a proxy removes or changes Sec-WebSocket-Extensions of the 101.",
        Text("Let it pass the field on in both directions, or in none."),
    ),
    kind(
        "rsv_changed",
        Breaks,
        "A proxy compresses or inflates messages, or clears reserved bits.",
        Text(PASS_FRAMES),
    ),
    kind(
        "subprotocol_stripped",
        Breaks,
        "A proxy removes Sec-WebSocket-Protocol; browsers then fail the connection.",
        Text("Let it pass the field on in both directions."),
    ),
    kind(
        "first_frame_lost",
        Breaks,
        "A proxy discards what the server sends together with the 101.",
        Text(
            "Update the proxy; until then, let the server wait for a message of the client before it speaks.",
        ),
    ),
    kind(
        "messages_lost",
        Breaks,
        "What reads frames on the way drops some, or has ended the connection.",
        Text(PASS_FRAMES),
    ),
    kind(
        "bytes_changed",
        Breaks,
        "A filter, a virus scanner or a faulty machine on the way alters payloads.",
        Text("Encrypt (wss://), so that nothing on the way can read messages."),
    ),
    kind(
        "fragments_merged",
        Changed,
        "A proxy reads whole messages before it forwards them; they then wait, and count against its limit of sizes.",
        Text(PASS_FRAMES),
    ),
    kind(
        "frames_split",
        Changed,
        "A proxy makes frames of the size of its buffer.",
        Text(PASS_FRAMES),
    ),
    kind(
        "pings_swallowed",
        Breaks,
        "A proxy that reads frames drops control frames; neither end then sees that the other lives.",
        Text("Let it forward control frames, or send messages for keepalive."),
    ),
    kind(
        "pongs_swallowed",
        Breaks,
        "A proxy that reads frames drops Pongs; the end that pings takes the other for dead.",
        Text("Let it forward control frames, or send messages for keepalive."),
    ),
    kind(
        "pings_answered_by_proxy",
        Changed,
        "A proxy that reads frames answers Pings itself: a Pong says that the proxy lives, not the other end.",
        Text("Let it forward control frames, or send messages for keepalive."),
    ),
    kind(
        "close_code_lost",
        Breaks,
        "A proxy ends the connection itself at a Close; the other end sees 1005 or 1006.",
        Text(PASS_FRAMES),
    ),
    kind(
        "close_added",
        Changed,
        "A proxy closes the WebSocket itself when a connection ends.",
        Text(PASS_FRAMES),
    ),
    kind(
        "end_hidden",
        Breaks,
        "A proxy keeps one connection open when the other ends; the peer takes a dead session for a living one.",
        Text("Send Pings at both ends, and end a session that does not answer."),
    ),
    kind(
        "half_close_lost",
        Note,
        "A proxy ends both directions at the first end of stream; WebSocket has its Close for this.",
        Text("Nothing is to be done, if clients end a session with a Close."),
    ),
    kind(
        "reset_hidden",
        Note,
        "A proxy makes an orderly end of a reset.",
        Text("Do not tell a crash from an orderly end by it: without a Close, it is 1006."),
    ),
    kind(
        "fin_became_reset",
        Changed,
        "A proxy resets a connection after its other side has ended, and may lose bytes that it has not sent yet.",
        Text("End sessions with a Close, and wait for its answer."),
    ),
    kind(
        "connection_cut",
        Breaks,
        "Something on the way ends connections early: a limit of their age or number, or a filter.",
        Text("Look at the log of what is on the way."),
    ),
    kind(
        "lane_lost",
        Breaks,
        "A limit of connections on the way or at the server, or a rule that looks at queries.",
        Text("Raise the limit, or run it from another address."),
    ),
    kind(
        "size_limit",
        Breaks,
        "A proxy that reads frames has a limit for a frame or a message.",
        Text("Raise that limit, or send smaller messages."),
    ),
    kind(
        "mtu_stall",
        Breaks,
        "Packets of full size are lost, and so is the ICMP message that would tell (path MTU discovery).",
        Text(
            "Let ICMP \"fragmentation needed\" through, or lower the MSS (iptables: TCPMSS --clamp-mss-to-pmtu).",
        ),
    ),
    kind(
        "buffered",
        Breaks,
        "A proxy collects what it forwards.",
        Text(
            "Turn buffering of responses off for this location (nginx needs none for upgraded connections; IIS: responseBufferLimit 0).",
        ),
    ),
    kind(
        "idle_timeout",
        Breaks,
        "A proxy or a load balancer ends connections on which nothing was sent for some time.",
        Idle,
    ),
    kind(
        "lifetime_cap",
        Breaks,
        "A proxy or a load balancer ends connections at an age, whatever is sent.",
        Text(
            "Raise that limit (Google Cloud: the timeout of the backend service), and let clients connect again.",
        ),
    ),
    kind(
        "other_server",
        Note,
        "The server is no wsecho, or its reports are turned off.",
        Text("Run wsecho in place of the server, and run this again."),
    ),
];

/// Something that the way does, or that one end did not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// One line, already escaped.
    pub(crate) what: String,
    /// In which direction.
    #[serde(skip)]
    pub(crate) direction: &'static str,
    /// In which direction, and as far as it is known, at which hop.
    #[serde(rename = "where")]
    pub(crate) place: String,
    pub(crate) cause: &'static str,
    pub(crate) fix: String,
    /// The product whose setting the fix is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) product: Option<&'static str>,
    /// What to do, if no product is recognised: settings whose defaults fit what was measured.
    #[serde(skip)]
    pub(crate) hint: Vec<&'static str>,
}

impl Finding {
    /// A finding of a kind in the table, in one direction.
    pub(crate) fn new(id: &'static str, from: Side, what: impl Into<String>) -> Finding {
        let kind = of(id);
        Finding {
            id,
            severity: kind.severity,
            what: what.into(),
            direction: from.direction(),
            place: from.direction().to_owned(),
            cause: kind.cause,
            fix: String::new(),
            product: None,
            hint: Vec::new(),
        }
    }

    /// The place of its kind in the table.
    pub(crate) fn rank(&self) -> usize {
        KINDS.iter().position(|kind| kind.id == self.id).unwrap_or(KINDS.len())
    }

    /// Whether it says that something does not arrive.
    pub(crate) fn is_loss(&self) -> bool {
        ["messages_lost", "first_frame_lost", "pings_swallowed", "pongs_swallowed"]
            .contains(&self.id)
    }

    /// A finding of a kind in the table that is of no direction.
    pub(crate) fn between(id: &'static str, what: impl Into<String>) -> Finding {
        let direction = "between client and server";
        Finding { direction, place: direction.to_owned(), ..Finding::new(id, Side::Client, what) }
    }

    /// Whether it may be found where something arrives late.
    pub(crate) fn may_be_late(&self) -> bool {
        self.is_loss() || ["end_hidden", "close_code_lost"].contains(&self.id)
    }

    /// With what to do, for the product on the way if one is known.
    pub(crate) fn with_fix(mut self, hops: &[&'static Product]) -> Finding {
        let product = hops.first().copied();
        if !hops.is_empty() {
            let names: Vec<_> = hops.iter().map(|product| product.name).collect();
            self.place = format!("{}, at {} or beside it", self.place, names.join(", "));
        }
        if !self.fix.is_empty() {
            return self;
        }
        let setting = |setting: Option<String>, other: &str| setting.unwrap_or(other.to_owned());
        let (fix, is_setting) = match of(self.id).remedy {
            Text(text) => (text.to_owned(), false),
            Upgrade => (products::forward_upgrades_in_a_line(product), true),
            Host => {
                let known = product.and_then(|it| Some(it.host.as_ref()?.in_a_line(it.name)));
                (
                    setting(
                        known,
                        "Forward Host (nginx: proxy_set_header Host $http_host; Apache: ProxyPreserveHost On).",
                    ),
                    true,
                )
            }
            Idle => {
                let hint = match self.hint.join("; or ").as_str() {
                    "" => IDLE_ANYWHERE.to_owned(),
                    hint => hint.to_owned(),
                };
                (setting(product.and_then(products::idle_setting), &hint), true)
            }
        };
        self.product = product.filter(|_| is_setting).map(|product| product.name);
        self.fix = fix;
        self
    }
}

/// The identifiers of all kinds.
#[cfg(test)]
pub(super) fn ids() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.id)
}

fn of(id: &str) -> &'static Kind {
    let found = KINDS.iter().find(|kind| kind.id == id);
    found.unwrap_or_else(|| unreachable!("{id} is in the table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fix_is_that_of_the_product() {
        let finding = |hops: &[&'static Product]| {
            Finding::new("host_changed", Side::Client, "x").with_fix(hops)
        };
        let nginx = products::recognized(|name| (name == "Server").then_some("nginx/1.22.1"));
        let found = finding(&[nginx.unwrap()]);
        assert_eq!(found.fix, "nginx, beside proxy_pass: proxy_set_header Host $http_host;");
        assert_eq!(found.product, Some("nginx"));
        assert_eq!(found.place, "on the way to the server, at nginx or beside it");
        let found = finding(&[]);
        assert!(found.fix.starts_with("Forward Host") && found.product.is_none(), "{found:?}");
    }

    #[test]
    fn identifiers_are_unique() {
        let mut ids: Vec<_> = KINDS.iter().map(|kind| kind.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), KINDS.len());
    }
}

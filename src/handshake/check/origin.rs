//! A page that may not come in: in what its origin differs from this server's.
//!
//! What it is not: the rule; that is `http::origin`.

use super::OriginPolicy;
use super::proxy::{self, KEEP_HOST};
use crate::http::diagnosis::Diagnosis;
use crate::http::excerpt::with_fields;
use crate::http::head::Head;
use crate::http::origin;

/// # Errors
/// Why this page may not, and how it could.
pub(super) fn check(head: &Head, policy: &OriginPolicy) -> Result<(), Diagnosis> {
    match head.get("Origin") {
        Some(from) if !policy.allows(from, head) => Err(forbidden(head, from)),
        _ => Ok(()),
    }
}

/// The origin of the page whose script asks for this over plain HTTP, where the browser says so. A
/// link that was followed is no such page.
pub(super) fn of_asking_page(head: &Head) -> Option<&str> {
    let referer = head.get("Referer").filter(|_| !head.lists("Sec-Fetch-Mode", "navigate"))?;
    let authority = referer.find("://")? + 3;
    let end = referer[authority..].find('/').map_or(referer.len(), |at| authority + at);
    Some(&referer[..end])
}

impl OriginPolicy<'_> {
    /// Whether a page of this origin may come in by this request.
    pub(super) fn allows(&self, from: &str, head: &Head) -> bool {
        let host = head.get("Host").unwrap_or_default();
        origin::allows(Some(from), host, self.local, self.allow_origin)
    }
}

#[cold]
fn forbidden(head: &Head, from: &str) -> Diagnosis {
    let mut arrived = with_fields(head, &["Origin", "Host"]);
    arrived.extend(proxy::traces(head));
    let difference = difference(head, from);
    let allow = format!(
        "The operator of this server can allow the page:\n    wsecho --allow-origin {}",
        as_argument(from)
    );
    Diagnosis {
        status: 403,
        problem: "A page of this origin may not open a WebSocket here.".into(),
        arrived,
        cause: difference.cause().into(),
        fix: match difference {
            Difference::Opaque => allow,
            Difference::Rewritten | Difference::Port | Difference::Page => {
                format!(
                    "{allow}\nOr let the proxy send on the Host that was asked for:\n{KEEP_HOST}"
                )
            }
        }
        .into(),
    }
}

/// An origin as it is typed after the option; a name for it where that could mean more to a shell.
fn as_argument(from: &str) -> &str {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || ".:/-_[]".contains(c);
    let is_short = from.len() <= crate::config::tuning::SHOWN_VALUE;
    if is_short && !from.is_empty() && from.chars().all(is_harmless) { from } else { "ORIGIN" }
}

/// Between an origin and a Host.
#[derive(Debug, Clone, Copy)]
enum Difference {
    /// `null`
    Opaque,
    /// A proxy says that the origin's host was asked for.
    Rewritten,
    /// The port alone.
    Port,
    /// All of the host. A proxy that rewrites it need not leave a trace.
    Page,
}

fn difference(head: &Head, from: &str) -> Difference {
    let host = head.get("Host").unwrap_or_default();
    let Some((_, authority)) = from.split_once("://") else { return Difference::Opaque };
    if proxy::was_asked_for(head, authority) {
        Difference::Rewritten
    } else if origin::host(authority).eq_ignore_ascii_case(origin::host(host)) {
        Difference::Port
    } else {
        Difference::Page
    }
}

impl Difference {
    fn cause(self) -> &'static str {
        match self {
            Difference::Opaque => {
                "A page without an origin of its own: a file, a sandboxed frame, a data: address. It\n\
                 calls itself null, as every such page does."
            }
            Difference::Rewritten => {
                "The page is this server's own, but a proxy changed Host on the way, and the two are\n\
                 compared: the browser asked for the host of Origin."
            }
            Difference::Port => {
                "Origin and Host differ in the port alone; where none is written, http means 80 and https\n\
                 443. Either a proxy listens on another port and sends on a Host without it (nginx's\n\
                 $host), or the page is of another server on the same host."
            }
            Difference::Page => {
                "The page is of another site, and browsers leave it to the server to look at that. Or it\n\
                 is this server's own, and a proxy in between wrote a Host of its own, as nginx does\n\
                 unless it is told otherwise."
            }
        }
    }
}

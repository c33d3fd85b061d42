//! Refuses a page because of its origin, and explains how `Origin` and `Host` differ. The rule
//! itself is in `http::origin`.

use super::OriginPolicy;
use super::proxy::{self, KEEP_HOST};
use crate::http::diagnosis::Diagnosis;
use crate::http::excerpt::with_fields;
use crate::http::head::Head;
use crate::http::origin;

/// Checks the `Origin` of a handshake (RFC 6455, section 4.2.1).
///
/// # Errors
/// The diagnosis, with the ways to allow the page.
pub(super) fn check(head: &Head, policy: &OriginPolicy) -> Result<(), Diagnosis> {
    match head.fields.get("Origin") {
        Some(page) if !policy.allows(page, head) => Err(forbidden(head, page)),
        _ => Ok(()),
    }
}

/// The origin of the page whose script sends this plain HTTP request, from `Referer`. `None`
/// without that field, and for navigation: there, `Referer` is the page with the link.
pub(super) fn of_requesting_page(head: &Head) -> Option<&str> {
    let referer =
        head.fields.get("Referer").filter(|_| !head.fields.lists("Sec-Fetch-Mode", "navigate"))?;
    let authority = referer.find("://")? + 3;
    let end = referer[authority..].find('/').map_or(referer.len(), |at| authority + at);
    Some(&referer[..end])
}

impl OriginPolicy<'_> {
    /// Whether a page of this origin may open a WebSocket with this request.
    pub(super) fn allows(&self, page: &str, head: &Head) -> bool {
        let host = head.fields.get("Host").unwrap_or_default();
        origin::allows(Some(page), host, self.local, self.allow_origin)
    }
}

#[cold]
fn forbidden(head: &Head, page: &str) -> Diagnosis {
    let mut arrived = with_fields(head, &["Origin", "Host"]);
    arrived.extend(proxy::traces(head));
    let difference = difference(head, page);
    let allow = format!(
        "The operator of this server can allow the page:\n    wsecho --allow-origin {}",
        as_argument(page)
    );
    Diagnosis {
        status: 403,
        problem: "Pages of this origin may not open a WebSocket on this server.".into(),
        arrived,
        cause: difference.cause().into(),
        fix: match difference {
            Difference::Opaque => allow,
            Difference::Rewritten | Difference::Port | Difference::Page => {
                format!(
                    "{allow}\nOr let the proxy forward the Host that the browser sent:\n{KEEP_HOST}"
                )
            }
        }
        .into(),
    }
}

/// The origin as an argument of the option; `ORIGIN` if a shell could interpret it.
fn as_argument(page: &str) -> &str {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || ".:/-_[]".contains(c);
    let is_short = page.len() <= crate::config::tuning::SHOWN_VALUE;
    if is_short && !page.is_empty() && page.chars().all(is_harmless) { page } else { "ORIGIN" }
}

/// How `Origin` differs from `Host`.
#[derive(Debug, Clone, Copy)]
enum Difference {
    /// `null`
    Opaque,
    /// The browser sent the origin's host, according to a proxy's fields.
    Rewritten,
    /// Only the port differs.
    Port,
    /// The host differs. A proxy may have rewritten it without leaving a trace.
    Page,
}

fn difference(head: &Head, page: &str) -> Difference {
    let host = head.fields.get("Host").unwrap_or_default();
    let Some((_, authority)) = page.split_once("://") else { return Difference::Opaque };
    if proxy::forwards_host(head, authority) {
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
                "A page without an origin of its own: a file, a sandboxed frame, a data: URL. Browsers\n\
                 send the origin null for all of these."
            }
            Difference::Rewritten => {
                "The page is this server's own, but a proxy changed Host, so that it no longer matches\n\
                 Origin."
            }
            Difference::Port => {
                "Origin and Host differ in the port alone (default: http 80, https 443). Either a proxy\n\
                 listens on another port and forwards a Host without it (nginx's $host), or the page is\n\
                 from another server on the same host."
            }
            Difference::Page => {
                "The page is from another site; browsers leave it to the server to check this. Or it\n\
                 is this server's own, and a proxy replaced Host, as nginx does by default."
            }
        }
    }
}

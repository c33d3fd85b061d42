//! Refuses a page because of its origin, and explains how `Origin` and `Host` differ. The rule
//! itself is in `http::origin`.

use super::AccessPolicy;
use super::proxy;
use crate::config::tuning::SHOWN_ARGUMENT;
use crate::http::diagnosis::Diagnosis;
use crate::http::excerpt::with_fields;
use crate::http::head::Head;
use crate::http::host;
use crate::http::origin::Origin;

/// Checks that a browser may have sent the `Origin` of a handshake, or a program.
///
/// # Errors
/// The diagnosis: no option admits this origin alone.
pub(super) fn check_form(
    head: &Head,
    origin: &Origin,
    policy: &AccessPolicy,
) -> Result<(), Diagnosis> {
    let is_refused = *origin == Origin::Malformed && !policy.allows(origin, head);
    if is_refused { Err(malformed(head)) } else { Ok(()) }
}

/// Checks the `Origin` of a handshake (RFC 6455, section 4.2.1).
///
/// # Errors
/// The diagnosis, with the ways to allow the page.
pub(super) fn check(head: &Head, origin: &Origin, policy: &AccessPolicy) -> Result<(), Diagnosis> {
    if policy.allows(origin, head) {
        return Ok(());
    }
    Err(forbidden(head, &advised_origin(head, policy).unwrap_or_default()))
}

/// The value of `--allow-origin` that admits this handshake; `None` if it needs none, or none helps.
pub(super) fn advised_origin(head: &Head, policy: &AccessPolicy) -> Option<String> {
    let origin = Origin::of(head);
    if !head.attempts_websocket() || policy.allows(&origin, head) {
        return None;
    }
    match origin {
        Origin::Program | Origin::Malformed => None,
        Origin::Null => Some("null".to_owned()),
        Origin::Page(page) => Some(as_argument(page.to_string(), "ORIGIN")),
    }
}

/// `value` as an argument of an option. All characters of origins and host names are harmless in a shell;
/// a value that is too long for a line of a terminal is replaced by `placeholder`.
pub(super) fn as_argument(value: String, placeholder: &str) -> String {
    if value.len() <= SHOWN_ARGUMENT { value } else { placeholder.to_owned() }
}

/// The origin of the page whose script sends this plain HTTP request, from `Referer`. `None`
/// without that field, and for navigation: there, `Referer` is the page with the link.
pub(super) fn of_requesting_page(head: &Head) -> Option<Origin> {
    let referer =
        head.fields.get("Referer").filter(|_| !head.fields.lists("Sec-Fetch-Mode", "navigate"))?;
    let authority = referer.find("://")? + 3;
    let end = referer[authority..].find('/').map_or(referer.len(), |at| authority + at);
    Some(Origin::parse(&referer[..end]))
}

impl AccessPolicy<'_> {
    /// Whether a page of this origin may open a WebSocket with this request.
    pub(super) fn allows(&self, page: &Origin, head: &Head) -> bool {
        if *page == Origin::Program {
            return true;
        }
        let host = head.fields.get("Host").unwrap_or_default();
        page.is_allowed(host, self.local, self.allow_origin)
    }
}

#[cold]
fn forbidden(head: &Head, allowed: &str) -> Diagnosis {
    let mut arrived = with_fields(head, &["Origin", "Host"]);
    arrived.extend(proxy::traces(head));
    let difference = difference(head);
    let allow = format!(
        "The operator of this server can allow the page:\n    wsecho --allow-origin {allowed}"
    );
    Diagnosis {
        status: 403,
        problem: "Pages of this origin may not open a WebSocket on this server.".into(),
        arrived,
        cause: difference.cause().into(),
        fix: match difference {
            Difference::Opaque | Difference::File | Difference::App => allow,
            Difference::Rewritten | Difference::Port | Difference::Page => {
                let keep_host = proxy::keep_host(head);
                format!(
                    "{allow}\nOr let the proxy forward the Host that the browser sent:\n{keep_host}"
                )
            }
        }
        .into(),
    }
}

#[cold]
fn malformed(head: &Head) -> Diagnosis {
    let problem = if head.fields.all("Origin").count() > 1 {
        "There is more than one Origin header field."
    } else {
        "The Origin header field is not one that a browser sends."
    };
    Diagnosis {
        status: 403,
        problem: problem.into(),
        arrived: with_fields(head, &["Origin", "Host"]),
        cause: "A program that makes up an Origin, a proxy that adds the field, or an attempt to disguise\n\
            the host of a page."
            .into(),
        fix: "Send one Origin, as browsers do: a scheme, a host and maybe a port\n\
            (http://localhost:3000). Programs may leave the field out."
            .into(),
    }
}

/// How `Origin` differs from `Host`.
#[derive(Debug, Clone, Copy)]
enum Difference {
    /// `null`
    Opaque,
    /// `file://`
    File,
    /// The scheme of an extension or an app.
    App,
    /// The browser sent the origin's host, according to a proxy's fields.
    Rewritten,
    /// Only the port differs.
    Port,
    /// The host differs. A proxy may have rewritten it without leaving a trace.
    Page,
}

fn difference(head: &Head) -> Difference {
    let host = head.fields.get("Host").unwrap_or_default();
    match Origin::of(head) {
        Origin::Page(page) if page.scheme == "file" => Difference::File,
        Origin::Page(page) if !page.is_from_server() => Difference::App,
        Origin::Page(page) if proxy::forwards_host(head, &page) => Difference::Rewritten,
        Origin::Page(page) if host::name(host) == page.host => Difference::Port,
        Origin::Page(_) => Difference::Page,
        Origin::Null | Origin::Program | Origin::Malformed => Difference::Opaque,
    }
}

impl Difference {
    fn cause(self) -> &'static str {
        match self {
            Difference::Opaque => {
                "A page without an origin of its own: a file, a sandboxed frame, a data: URL. Browsers\n\
                 send the origin null for all of these."
            }
            Difference::File => {
                "A page from a file, in Electron, Cordova, or Chromium with\n\
                 --allow-file-access-from-files. (Other browsers send the origin null.)"
            }
            Difference::App => "The page of a browser extension or of an app.",
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

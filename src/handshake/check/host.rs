//! Refuses a request whose `Host` could be the name of another site's page (DNS rebinding), and explains
//! how to allow a name. The rule itself is in `http::host`.

use super::origin::{advised_origin, as_argument};
use super::{AccessPolicy, proxy};
use crate::config::{HostName, host_and_port};
use crate::http::diagnosis::Diagnosis;
use crate::http::excerpt::{brief, with_fields};
use crate::http::head::Head;
use crate::http::host;

/// Checks the `Host` of a request that a page may have sent. On a loopback address or a Unix socket it has to
/// be a name that no page of another site can have, or be forwarded by a trusted proxy.
///
/// # Errors
/// The diagnosis (421), with the options that admit the request.
pub(crate) fn check(head: &Head, policy: &AccessPolicy) -> Result<(), Diagnosis> {
    if !policy.local || policy.is_forwarded {
        return Ok(());
    }
    let host = head.fields.get("Host").unwrap_or_default();
    if host::is_own(host, policy.allow_host) {
        Ok(())
    } else {
        Err(misdirected(head, host, policy))
    }
}

#[cold]
fn misdirected(head: &Head, host: &str, policy: &AccessPolicy) -> Diagnosis {
    let mut arrived = with_fields(head, &["Host"]);
    arrived.extend(proxy::traces(head));
    let origin = advised_origin(head, policy);
    let origin =
        origin.map(|origin| format!(" \\\n        --allow-origin {origin}")).unwrap_or_default();
    let allow = format!("wsecho --allow-host {}{origin}", name_as_argument(host));
    let (cause, first, second) = if proxy::names_client(head) {
        (
            "A proxy on this machine forwards the name that its clients use, and the server was not told\n\
             to trust it.",
            format!("wsecho --trusted-proxy {}{origin}", policy.peer),
            format!("Or, if the addresses of the proxy's clients do not matter:\n    {allow}"),
        )
    } else {
        (
            "The name leads to this machine, and the server does not know it. It could be that of a page\n\
             elsewhere, which would then talk to this server as if it were its own (DNS rebinding).",
            allow,
            "Or use localhost or the IP address in the URL.".to_owned(),
        )
    };
    Diagnosis {
        status: 421,
        problem: format!("{} is not known as a name of this server.", brief(host)).into(),
        arrived,
        cause: cause.into(),
        fix: format!("The operator of this server can admit it:\n    {first}\n{second}").into(),
    }
}

/// The name in `host` as an argument of the option; `NAME` if it is none.
fn name_as_argument(host: &str) -> String {
    let name = host_and_port(host).and_then(|(name, _)| name.parse::<HostName>().ok());
    name.map_or("NAME".to_owned(), |name| as_argument(name.to_string(), "NAME"))
}

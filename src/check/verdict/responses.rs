//! What an HTTP response to a correct handshake says about the way to the server: the row of the
//! table that applies to it, with the words for the product that answered.

use super::Verdict;
use super::table::{Fix, Row, TABLE};
use crate::check::connection_options::ConnectionOptions;
use crate::check::handshake::ServerResponse;
use crate::check::limits::FIX_MAX;
use crate::check::report::{quoted, shortened};
use crate::products::{self, BODY, HTTP_PROXY, IIS, Product};

/// Explains a response that refuses the upgrade.
pub(crate) fn refused(
    response: &ServerResponse,
    body: &str,
    options: &ConnectionOptions,
) -> Verdict {
    let product = product(response, body);
    let title = response.title();
    if response.is_full() {
        return Verdict::new(
            format!("The server lives, but is full or shutting down ({title})."),
            "Try again later, or raise its limit of sessions.",
        )
        .at(product);
    }
    if let Some(verdict) = own_diagnosis(body, product) {
        return verdict;
    }
    if let (300..=399, Some(location)) = (response.status, response.field("Location")) {
        return redirected(&title, location, options).at(product);
    }
    if let (403, Some(origin)) = (response.status, &options.origin) {
        return foreign_origin(&title, origin, product).at(product);
    }
    let lower = body.to_ascii_lowercase();
    let name = product.map_or("", |product| product.name);
    let applies = |row: &&Row| {
        (row.statuses.0..=row.statuses.1).contains(&response.status)
            && (row.says.is_empty() || row.says.iter().any(|part| lower.contains(part)))
            && name.contains(row.from)
    };
    let row = TABLE.iter().find(applies).unwrap_or(&TABLE[TABLE.len() - 1]);
    let setting = products::forward_upgrades_in_a_line(product);
    let filled = |text: &str| {
        text.replace("{title}", &title)
            .replace("{setting}", &setting)
            .replace("{path}", &shortened(options.target.path()))
            .replace("{wss}", &options.target.with_scheme("wss"))
            .replace("{ws}", options.target.url.split('?').next().unwrap_or_default())
    };
    let problem = match product {
        Some(product) => filled(row.problem).replacen("A proxy ", &format!("{} ", product.name), 1),
        None => filled(row.problem),
    };
    let fix = match row.fix {
        Fix::Text(text) => filled(text),
        Fix::ForwardUpgrades => setting.clone(),
    };
    Verdict::new(problem, fix).at(product)
}

/// The product that answered, by the fields and the body of its response.
fn product(response: &ServerResponse, body: &str) -> Option<&'static Product> {
    products::recognized(|name| if name == BODY { Some(body) } else { response.field(name) })
}

/// The diagnosis of a wsecho, whatever is in front of it: its problem, and its fix. A fix that lists
/// the settings of proxies gives way to that of the proxy that answered.
fn own_diagnosis(body: &str, product: Option<&'static Product>) -> Option<Verdict> {
    let (before, fix) = body.split_once("\n\nThe fix:\n")?;
    let (problem, _) = before.split_once("\n\nWhat arrived:\n")?;
    let product = product.or_else(|| products::listed_first(fix));
    let fix = if fix.contains("proxy_http_version") {
        products::forward_upgrades_in_a_line(product)
    } else {
        beginning(fix)
    };
    let [problem, fix] = [problem, &fix].map(crate::check::report::visible);
    Some(Verdict::new(problem, fix).at(product))
}

/// The first lines of a fix, as one line.
fn beginning(fix: &str) -> String {
    let mut line = String::new();
    for part in fix.lines() {
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.len() + part.len() > FIX_MAX {
            return line + " … (all of it is below)";
        }
        line.extend([if line.is_empty() { "" } else { " " }, &part]);
    }
    line
}

fn redirected(title: &str, location: &str, options: &ConnectionOptions) -> Verdict {
    let target = &options.target;
    let absolute = if location.starts_with('/') && !location.starts_with("//") {
        target.with_path(location)
    } else {
        location.replacen("http", "ws", usize::from(location.starts_with("http")))
    };
    let is_same_but_tls = absolute == target.with_scheme("wss") && !target.is_tls;
    if is_same_but_tls {
        let problem = format!("The server wants TLS: it redirects to https ({title}).");
        return Verdict::new(problem, format!("Use {}.", shortened(&absolute)));
    }
    Verdict::new(
        format!(
            "The server redirects to {} ({title}); clients of WebSocket do not follow.",
            quoted(location)
        ),
        format!(
            "Check {}, and use that URL; if it is a page to log in, send its cookie with --header \
             'Cookie: …'.",
            shortened(&absolute)
        ),
    )
}

fn foreign_origin(title: &str, origin: &str, product: Option<&'static Product>) -> Verdict {
    let keep_host = product
        .and_then(|product| Some(product.host.as_ref()?.in_a_line(product.name)))
        .unwrap_or_else(|| "let the proxy forward the Host of the browser.".to_owned());
    Verdict::new(
        format!("The server refuses pages of {} ({title}).", quoted(origin)),
        format!(
            "Allow this origin at the server (wsecho: --allow-origin); if it is the server's own page, {keep_host}"
        ),
    )
}

/// Explains a 101 that no client may accept; `why` is one sentence.
pub(crate) fn invalid_101(response: &ServerResponse, why: &str) -> Verdict {
    let product = product(response, "");
    let fix = match product {
        Some(product) if product.name == IIS.name => product.upgrade.in_a_line(product.name),
        _ if response.field("Sec-WebSocket-Accept").is_none() => {
            "Look at what answers: a proxy or a module agrees to the upgrade, and no WebSocket server is \
             behind it (IIS: install the feature WebSocket Protocol)."
                .to_owned()
        }
        _ => "Correct the server's handshake, or let the proxy on the way pass every field on.".to_owned(),
    };
    Verdict::new(why, fix).at(product)
}

/// Explains that a plain request is answered where a handshake is not; `end` says what became of the
/// handshake.
pub(crate) fn unanswered(response: &ServerResponse, body: &str, end: &str) -> Verdict {
    let product = product(response, body);
    let title = response.title();
    Verdict::new(
        format!("HTTP gets through ({title}), the upgrade does not: {end}."),
        products::forward_upgrades_in_a_line(Some(product.unwrap_or(&HTTP_PROXY))),
    )
    .at(product)
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn options(arguments: &[&str]) -> ConnectionOptions {
        let command =
            ConnectionOptions::augment_args(clap::Command::new("check").no_binary_name(true));
        ConnectionOptions::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    fn response(text: &str) -> (ServerResponse, &str) {
        let (response, length) = ServerResponse::parse(text.as_bytes()).unwrap().unwrap();
        (response, &text[length..])
    }

    /// The verdict on a recorded answer: status, fields and body.
    fn verdict(status: &str, fields: &str, body: &str, arguments: &[&str]) -> Verdict {
        let fields: String = fields.lines().flat_map(|line| [line, "\r\n"]).collect();
        let text = format!("HTTP/1.1 {status}\r\n{fields}\r\n{body}");
        let (response, body) = response(&text);
        refused(&response, body, &options(&[&["ws://h:1/a/ws?b"], arguments].concat()))
    }

    /// Status, fields and body of an answer, the product, and parts of problem and fix.
    type Recorded<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

    /// As the products answered in trials; tests/products.rs asks some of them again.
    const RECORDED: &[Recorded] = &[
        (
            "426 Upgrade Required",
            "Server: nginx/1.22.1",
            "Upgrade Required",
            "nginx",
            "nginx passes the handshake on without its upgrade",
            "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; ",
        ),
        (
            "426 Upgrade Required",
            "Upgrade: websocket\nServer: Python/3.11 websockets/15.0.1",
            "Failed to open a WebSocket connection: missing Upgrade header.\n",
            "",
            "A proxy passes the handshake on without its upgrade",
            "lighttpd: proxy.header = ",
        ),
        (
            "400 Bad Request",
            "Server: Apache/2.4.71 (Debian)",
            "Bad Request\nwebsocket: the client is not using the websocket protocol: 'upgrade' token not found",
            "Apache",
            "Apache passes the handshake on without its upgrade",
            "upgrade=websocket",
        ),
        (
            "400 Bad Request",
            "server: istio-envoy\nx-envoy-upstream-service-time: 1",
            "No WebSocket UPGRADE hdr: None\n Can \"Upgrade\" only to \"WebSocket\".",
            "Istio",
            "Istio passes the handshake on",
            "appProtocol: http",
        ),
        (
            "502 Bad Gateway",
            "Server: nginx/1.22.1",
            "<html><center><h1>502 Bad Gateway</h1></center>",
            "nginx",
            "nginx got no valid answer from the server behind it: that is not running there, or hangs up",
            "proxy_set_header Upgrade",
        ),
        (
            "400 Bad Request",
            "Server: nginx",
            "<center>The plain HTTP request was sent to HTTPS port</center>",
            "nginx",
            "This port speaks TLS",
            "Use wss://h:1/a/ws?b.",
        ),
        (
            "400 Bad Request",
            "Server: Apache/2.4.71",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
            "Apache",
            "This port speaks TLS",
            "Use wss://h:1/a/ws?b.",
        ),
        (
            "400 Bad Request",
            "",
            "Client sent an HTTP request to an HTTPS server.\n",
            "",
            "This port speaks TLS",
            "Use wss://h:1/a/ws?b.",
        ),
        (
            "400 Bad Request",
            "",
            "{\"code\":0,\"message\":\"Transport unknown\"}",
            "",
            "This is Socket.IO",
            "Socket.IO client",
        ),
        (
            "200 OK",
            "",
            "Welcome to SockJS!\n",
            "",
            "This is SockJS",
            "Check ws://h:1/a/ws/websocket;",
        ),
        ("400 Bad Request", "", "Connection ID required", "", "SignalR", "negotiate"),
        (
            "200 OK",
            "Content-Type: text/html",
            "<!doctype html><script type=\"module\" src=\"/@vite/client\"></script>",
            "Vite",
            "Vite answers with its page",
            "Vite, in server.proxy, for this path, without changeOrigin: ws: true",
        ),
        (
            "404 Not Found",
            "X-Powered-By: Express\nContent-Type: text/html",
            "<pre>Cannot GET /a/ws</pre>",
            "webpack-dev-server, or Express",
            "An Express server answers as to a page: nothing takes the upgrade at /a/ws",
            "ws: true",
        ),
        ("404 Not Found", "", "404 page not found\n", "", "Traefik, has no route", "PathPrefix"),
        ("404 Not Found", "Server: nginx", "", "nginx", "Nothing is served at /a/ws", "proxy_pass"),
        (
            "403 Forbidden",
            "x-amzn-RequestId: 1\nx-amz-apigw-id: 2\nx-amzn-ErrorType: MissingAuthenticationTokenException",
            "{\"message\":\"Missing Authentication Token\"}",
            "AWS API Gateway",
            "API Gateway has no WebSocket API",
            "wss://ID.execute-api",
        ),
        (
            "403 Forbidden",
            "Server: cloudflare\nCF-RAY: 8-FRA",
            "",
            "Cloudflare",
            "Cloudflare refuses",
            "Events",
        ),
        ("403 Forbidden", "", "", "", "refuses this client", "--origin"),
        ("401 Unauthorized", "", "", "", "wants credentials", "Authorization"),
        (
            "400 Bad Request",
            "Server: awselb/2.0",
            "",
            "AWS Application Load Balancer",
            "refuses the handshake",
            "HTTP1",
        ),
        (
            "503 Service Unavailable",
            "Server: Apache",
            "",
            "Apache",
            "No server is ready",
            "Start the server",
        ),
        (
            "504 Gateway Timeout",
            "Server: nginx",
            "",
            "nginx",
            "waited in vain",
            "proxy_http_version",
        ),
        ("522", "Server: cloudflare", "", "Cloudflare", "does not reach", "522"),
        (
            "200 OK",
            "Server: nginx",
            "<html>",
            "nginx",
            "A page answers instead",
            "Correct the path",
        ),
        (
            "200 OK",
            "Via: 1.1 varnish",
            "ok",
            "Varnish",
            "answers as to plain HTTP",
            "return (pipe)",
        ),
        ("501 Not Implemented", "", "", "", "has no WebSocket", "Correct host and port"),
        ("418 I'm a teapot", "", "", "", "refuses the upgrade", "log"),
        (
            "301 Moved Permanently",
            "Location: https://h:1/a/ws?b",
            "",
            "",
            "wants TLS: it redirects to https",
            "Use wss://h:1/a/ws?b.",
        ),
        (
            "302 Found",
            "Location: /login",
            "",
            "",
            "redirects to \"/login\"",
            "Check ws://h:1/login, ",
        ),
    ];

    #[test]
    fn recorded_answers_get_cause_and_fix_of_their_product() {
        for (status, fields, body, product, problem, fix) in RECORDED {
            let verdict = verdict(status, fields, body, &[]);
            assert_eq!(verdict.product.unwrap_or_default(), *product, "{status} {body}");
            assert!(verdict.problem.contains(problem), "{status} {body}: {verdict:?}");
            assert!(verdict.fix.contains(fix), "{status} {body}: {verdict:?}");
        }
    }

    #[test]
    fn every_status_has_a_verdict_without_placeholders() {
        for status in (200..=599).chain([102, 999]) {
            let Verdict { problem, fix, .. } = verdict(&status.to_string(), "", "", &[]);
            for placeholder in ["{title}", "{setting}", "{path}", "{wss}", "{ws}"] {
                assert!(!problem.contains(placeholder) && !fix.contains(placeholder), "{status}");
            }
            assert!(
                problem.ends_with('.') && fix.ends_with(['.', ';', ')']),
                "{status}: {problem} {fix}"
            );
        }
    }

    #[test]
    fn the_fix_for_a_refused_page_is_at_the_server() {
        let refused = |fields| verdict("403 Forbidden", fields, "", &["--origin", "http://a"]);
        let verdict = refused("Server: nginx");
        assert_eq!(
            verdict.problem,
            "The server refuses pages of \"http://a\" (403 Forbidden from nginx)."
        );
        assert!(verdict.fix.contains("--allow-origin") && verdict.fix.contains("Host $http_host"));
        assert!(refused("").fix.contains("forward the Host"));
    }

    #[test]
    fn a_diagnosis_of_wsecho_is_taken_over() {
        let diagnosis = |fix| {
            format!(
                "It is wrong.\n\nWhat arrived:\n  x\n\nThe usual cause:\n  y\n\nThe fix:\n{fix}"
            )
        };
        let found = verdict(
            "400 No",
            "Server: nginx",
            &diagnosis("  nginx:\n    proxy_http_version 1.1;\n"),
            &[],
        );
        assert_eq!(found.problem, "It is wrong.");
        assert!(found.fix.starts_with("nginx, beside proxy_pass: "), "{found:?}");
        let found = verdict("400 No", "Server: wsecho", &diagnosis("  Send one:\n    a\n"), &[]);
        assert_eq!(found.fix, "Send one: a");
        let long = format!("  Send one:\n    {}\n", "a".repeat(120));
        let found = verdict("400 No", "Server: wsecho", &diagnosis(&long), &[]);
        assert_eq!(found.fix, "Send one: … (all of it is below)");
    }

    #[test]
    fn an_agreement_without_a_websocket_names_iis() {
        let text = "HTTP/1.1 101 Switching Protocols\r\nServer: Microsoft-IIS/10.0\r\n\r\n";
        let verdict = invalid_101(&response(text).0, "Why.");
        assert_eq!((verdict.problem.as_str(), verdict.product), ("Why.", Some("IIS")));
        assert!(verdict.fix.contains("WebSocket Protocol"), "{verdict:?}");
    }
}

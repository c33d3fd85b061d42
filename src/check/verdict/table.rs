//! What an HTTP response to a correct handshake means: one table, read from top to bottom.

/// A kind of response, with the cause of it and the fix. `{title}`, `{path}`, `{wss}` and `{ws}` in
/// the texts stand for the status, the path and the URL.
pub(super) struct Row {
    /// The first and the last status; the table's rows are tried in their order.
    pub(super) statuses: (u16, u16),
    /// Parts of a body, in lower case, of which one has to be there; none, if any body will do.
    pub(super) says: &'static [&'static str],
    /// A part of the name of the product that answered; empty for any.
    pub(super) from: &'static str,
    pub(super) problem: &'static str,
    pub(super) fix: Fix,
}

#[derive(Clone, Copy)]
pub(super) enum Fix {
    Text(&'static str),
    /// The setting that forwards upgrades, of the product that answered.
    ForwardUpgrades,
}

use Fix::{ForwardUpgrades, Text};

/// Words of WebSocket servers that got a handshake without its Upgrade or Connection: ws, Python's
/// websockets, aiohttp, Spring, gorilla, coder, Jetty, actix, Tomcat, wsecho.
const UPGRADE_LOST: &[&str] = &[
    "upgrade header",
    "connection header",
    "failed to open a websocket connection",
    "only to \"websocket\"",
    "not using the websocket protocol",
    "websocket protocol violation",
    "not a websocket",
    "no websocket upgrade",
    "websocket upgrade is expected",
    "expected websocket",
    "handshake without `upgrade: websocket`",
    "but no `connection: upgrade`",
    "handshake needs http/1.1",
    "this is plain http",
];

const ANY: (u16, u16) = (200, 599);

const fn row(
    statuses: (u16, u16),
    says: &'static [&'static str],
    from: &'static str,
    problem: &'static str,
    fix: Fix,
) -> Row {
    Row { statuses, says, from, problem, fix }
}

/// The rows; the last one is for every response.
pub(super) const TABLE: &[Row] = &[
    row(
        (400, 499),
        &[
            "plain http request was sent to https port",
            "speaking plain http to an ssl-enabled",
            "http request to an https server",
            "this port speaks tls",
            "requires tls",
        ],
        "",
        "This port speaks TLS, and the URL begins with ws://.",
        Text("Use {wss}."),
    ),
    row(
        ANY,
        &[
            "transport unknown",
            "session id unknown",
            "unsupported protocol version",
            "{\"code\":3,",
        ],
        "",
        "This is Socket.IO, whose URL ends with /socket.io/?EIO=4&transport=websocket.",
        Text(
            "Check that URL; an application needs the Socket.IO client, as its messages are a protocol \
             of their own.",
        ),
    ),
    row(
        ANY,
        &["welcome to sockjs"],
        "",
        "This is SockJS, which serves plain WebSockets below its URL.",
        Text("Check {ws}/websocket; an application can connect there without the SockJS client."),
    ),
    row(
        ANY,
        &["connection id required", "no connection with that id"],
        "",
        "This is a hub of SignalR, which wants to negotiate before the handshake.",
        Text(
            "Use the SignalR client, or check {ws}?id=… with the connectionToken that a POST to \
             /negotiate returns.",
        ),
    ),
    row(
        (426, 426),
        &["sec-websocket-version"],
        "wsecho",
        "The server wants another version of the protocol ({title}).",
        Text("Look at what arrived, below: a proxy has changed Sec-WebSocket-Version."),
    ),
    row(
        (400, 499),
        UPGRADE_LOST,
        "",
        "A proxy passes the handshake on without its upgrade, and the server behind it refuses it \
         ({title}).",
        ForwardUpgrades,
    ),
    row(
        (426, 426),
        &[],
        "",
        "A proxy passes the handshake on without its upgrade, and the server behind it asks for that \
         ({title}).",
        ForwardUpgrades,
    ),
    row(
        (200, 299),
        &["/@vite/client"],
        "",
        "Vite answers with its page: it does not pass the upgrade of this path on ({title}).",
        ForwardUpgrades,
    ),
    row(
        (200, 299),
        &["<html", "<!doctype html"],
        "",
        "A page answers instead of a WebSocket: nothing takes the upgrade at {path} ({title}).",
        Text(
            "Correct the path; if it is right, let the proxy route it to the WebSocket server, with its \
             upgrade: {setting}",
        ),
    ),
    row(
        (200, 299),
        &[],
        "",
        "The server answers as to plain HTTP: nothing takes the upgrade at {path} ({title}).",
        Text("Correct the path; if it is right, a proxy drops the upgrade: {setting}"),
    ),
    row(
        (401, 401),
        &[],
        "",
        "The server wants credentials ({title}).",
        Text(
            "Give them: ws://USER:PASSWORD@HOST, --header 'Authorization: …' or --header 'Cookie: …'.",
        ),
    ),
    row(
        (407, 407),
        &[],
        "",
        "The proxy on the way wants credentials ({title}).",
        Text("Give them: --proxy http://USER:PASSWORD@HOST:PORT."),
    ),
    row(
        (403, 403),
        &["missing authentication token", "forbidden\"}"],
        "AWS API",
        "API Gateway has no WebSocket API at this path and stage ({title}).",
        Text(
            "Use the URL of a WebSocket API, which ends with its stage: wss://ID.execute-api.REGION.amazonaws.com/STAGE.",
        ),
    ),
    row(
        (403, 403),
        &[],
        "Cloudflare",
        "Cloudflare refuses this client ({title}).",
        Text(
            "Look at Security, Events for the rule that blocks it; a browser may pass where a program does not.",
        ),
    ),
    row(
        (403, 403),
        &[],
        "",
        "The server refuses this client ({title}).",
        Text(
            "It may want the Origin of its own page (--origin https://…) or credentials (--header \
             'Authorization: …').",
        ),
    ),
    row(
        (404, 405),
        &["cannot get "],
        "",
        "An Express server answers as to a page: nothing takes the upgrade at {path} ({title}).",
        Text(
            "In a proxy set ws: true (webpack-dev-server, http-proxy-middleware); in a server give the \
             WebSocket server the http.Server, new WebSocketServer({ server }); or correct the path.",
        ),
    ),
    row(
        (404, 405),
        &["404 page not found"],
        "",
        "A server in Go, such as Traefik, has no route for {path} and this Host ({title}).",
        Text(
            "Correct the path or the router's rule: Host(`…`) and PathPrefix(`…`) have to match both.",
        ),
    ),
    row(
        (404, 405),
        &[],
        "nginx",
        "Nothing is served at {path}, or for this Host ({title}).",
        Text(
            "Correct the path, where letter case and a slash at the end count; in nginx, a path in \
             proxy_pass replaces that of the location.",
        ),
    ),
    row(
        (404, 405),
        &[],
        "",
        "Nothing is served at {path}, or for this Host ({title}).",
        Text("Correct the path: letter case, a prefix and a slash at the end count."),
    ),
    row(
        (400, 400),
        &[],
        "AWS Application",
        "The load balancer refuses the handshake ({title}).",
        Text(
            "Set the protocol version of the target group to HTTP1: HTTP2 and gRPC have no upgrade.",
        ),
    ),
    row(
        (400, 400),
        &[],
        "",
        "The server refuses the handshake ({title}), usually because a proxy has dropped its upgrade.",
        ForwardUpgrades,
    ),
    row(
        (408, 408),
        &[],
        "",
        "The server did not get the whole request ({title}).",
        Text("A proxy on the way holds the request back; look at its log."),
    ),
    row(
        (421, 421),
        &[],
        "",
        "This server is not responsible for the Host of the request ({title}).",
        Text("Correct the host in the URL, or the field of --header 'Host: …'."),
    ),
    row(
        (429, 429),
        &[],
        "",
        "The server limits the rate of requests ({title}).",
        Text("Wait, or raise the limit of the server or of the proxy."),
    ),
    row(
        (501, 501),
        &[],
        "",
        "The server has no WebSocket ({title}).",
        Text("Correct host and port, or install the server's module for WebSockets."),
    ),
    row(
        (500, 501),
        &[],
        "IIS",
        "IIS failed while it handled the handshake ({title}).",
        Text(
            "Install the feature WebSocket Protocol, and look at the Event Log of the application.",
        ),
    ),
    row(
        (500, 501),
        &[],
        "",
        "The server failed while it handled the handshake ({title}).",
        Text("Look at the server's log for its error at this moment."),
    ),
    row(
        (502, 502),
        &[],
        "",
        "A proxy got no valid answer from the server behind it: that is not running there, or hangs up on \
         a handshake without its upgrade, as Python's websockets does ({title}).",
        Text("Look whether the proxy's address of the server is right; if it is: {setting}"),
    ),
    row(
        (503, 503),
        &[],
        "",
        "No server is ready behind the one that answers, or all its places are taken ({title}).",
        Text(
            "Start the server, and look at the health checks and the limits of the one that answers.",
        ),
    ),
    row(
        (504, 504),
        &[],
        "",
        "A proxy waited in vain for the server behind it ({title}).",
        Text("Look whether that server hangs; if it works without the proxy: {setting}"),
    ),
    row(
        (520, 530),
        &[],
        "Cloudflare",
        "Cloudflare does not reach the server of this site ({title}).",
        Text(
            "521, 522, 523: start it, and let Cloudflare's addresses in; 525, 526: correct its certificate.",
        ),
    ),
    row(
        (0, 999),
        &[],
        "",
        "The server refuses the upgrade ({title}).",
        Text("Look at the response below, and at the log of the server."),
    ),
];

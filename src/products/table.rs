//! The table of products. A product whose marks others have, too, stands below them.

use super::{BODY, Product, Setting};

/// Every product, in the order in which [`recognized`](super::recognized) looks for them.
pub(crate) static PRODUCTS: &[&Product] = &[
    &CLOUDFLARE,
    &CLOUDFRONT,
    &API_GATEWAY,
    &ALB,
    &NLB,
    &VITE,
    &EXPRESS,
    &SYNOLOGY,
    &INGRESS_NGINX,
    &NGINX_PROXY_MANAGER,
    &NGINX,
    &TRAEFIK,
    &IIS,
    &APACHE,
    &HAPROXY,
    &CADDY,
    &ISTIO,
    &ENVOY,
    &LIGHTTPD,
    &VARNISH,
    &H2O,
    &SQUID,
    &HTTP_PROXY,
];

const fn setting(place: &'static str, lines: &'static [&'static str]) -> Setting {
    Setting { place, lines }
}

pub(crate) static NGINX: Product = Product {
    name: "nginx",
    marks: &[&[("Server", "nginx")], &[("Server", "openresty")], &[("Server", "tengine")]],
    upgrade: setting(
        "beside proxy_pass",
        &[
            "proxy_http_version 1.1;",
            "proxy_set_header Upgrade $http_upgrade;",
            "proxy_set_header Connection \"upgrade\";",
            "proxy_set_header Host $http_host;",
        ],
    ),
    host: Some(setting("beside proxy_pass", &["proxy_set_header Host $http_host;"])),
    proxy_protocol: &[(1, "`proxy_protocol on` (stream)")],
};

static NGINX_PROXY_MANAGER: Product = Product {
    name: "Nginx Proxy Manager",
    marks: &[&[("Server", "openresty"), ("X-Served-By", "")], &[("X-Forwarded-Scheme", "")]],
    upgrade: setting("switch on Websockets Support in the Proxy Host", &[]),
    host: None,
    proxy_protocol: &[],
};

static INGRESS_NGINX: Product = Product {
    name: "ingress-nginx",
    marks: &[&[("X-Forwarded-Scheme", ""), ("X-Scheme", "")], &[(BODY, "<center>ingress-nginx")]],
    upgrade: setting(
        "without a snippet that sets Connection or Upgrade; NGINX Inc.'s controller with",
        &["nginx.org/websocket-services: \"SERVICE\""],
    ),
    host: Some(setting("without the annotation", &["nginx.ingress.kubernetes.io/upstream-vhost"])),
    proxy_protocol: &[],
};

pub(crate) static APACHE: Product = Product {
    name: "Apache",
    marks: &[&[("Server", "apache")], &[("X-Forwarded-Server", "")]],
    upgrade: setting(
        "2.4.47 or later, mod_proxy_http (before: mod_proxy_wstunnel, and ws:// for http://)",
        &[
            "ProxyPass \"/\" \"http://SERVER:PORT/\" upgrade=websocket",
            "ProxyPreserveHost On",
            "(and no force-proxy-request-1.0)",
        ],
    ),
    host: Some(setting("beside ProxyPass", &["ProxyPreserveHost On"])),
    proxy_protocol: &[],
};

pub(crate) static IIS: Product = Product {
    name: "IIS",
    marks: &[
        &[("Server", "microsoft-iis")],
        &[("X-Powered-By", "arr/")],
        &[("X-ARR-LOG-ID", "")],
        &[("Server", "microsoft-httpapi")],
    ],
    upgrade: setting(
        "install the feature WebSocket Protocol; Application Request Routing needs it too",
        &[],
    ),
    host: Some(setting("in Application Request Routing", &["preserveHostHeader: true"])),
    proxy_protocol: &[],
};

pub(crate) static HAPROXY: Product = Product {
    name: "HAProxy",
    marks: &[&[("Server", "haproxy")], &[("Via", "haproxy")]],
    upgrade: setting(
        "`mode http` forwards upgrades by default; `timeout tunnel` closes idle sessions",
        &[],
    ),
    host: Some(setting("without", &["http-request set-header Host"])),
    proxy_protocol: &[(1, "`send-proxy` at the server"), (2, "`send-proxy-v2` at the server")],
};

static CADDY: Product = Product {
    name: "Caddy",
    marks: &[&[("Server", "caddy")], &[("Via", "caddy")]],
    upgrade: setting(
        "forwards upgrades by itself; remove each `header_up` of Upgrade, Connection and Host",
        &[],
    ),
    host: Some(setting("in reverse_proxy, without", &["header_up Host"])),
    proxy_protocol: &[
        (1, "`proxy_protocol v1` in transport"),
        (2, "`proxy_protocol v2` in transport"),
    ],
};

static TRAEFIK: Product = Product {
    name: "Traefik",
    marks: &[&[("X-Forwarded-Server", ""), ("X-Forwarded-Port", "")], &[("Server", "traefik")]],
    upgrade: setting(
        "forwards upgrades by itself; no middleware may set Upgrade or Connection",
        &[],
    ),
    host: Some(setting("in the service's loadBalancer", &["passHostHeader: true"])),
    proxy_protocol: &[(1, "`proxyProtocol.version: 1`"), (2, "`proxyProtocol.version: 2`")],
};

static ENVOY: Product = Product {
    name: "Envoy",
    marks: &[
        &[("Server", "envoy")],
        &[("X-Envoy-Upstream-Service-Time", "")],
        &[("X-Envoy-Expected-Rq-Timeout-Ms", "")],
        &[("X-Envoy-External-Address", "")],
    ],
    upgrade: setting(
        "in the HttpConnectionManager, with HTTP/1.1 to the cluster",
        &["upgrade_configs: [{ upgrade_type: websocket }]"],
    ),
    host: Some(setting("in the route, without", &["host_rewrite_literal"])),
    proxy_protocol: &[
        (1, "`upstream_proxy_protocol` with version V1"),
        (2, "`upstream_proxy_protocol` with version V2"),
    ],
};

static ISTIO: Product = Product {
    name: "Istio",
    marks: &[&[("Server", "istio-envoy")]],
    upgrade: setting(
        "in the Service's port (its name may not say http2, grpc or tcp)",
        &["appProtocol: http"],
    ),
    host: Some(setting("in the VirtualService, without", &["rewrite: { authority: … }"])),
    proxy_protocol: &[],
};

static CLOUDFLARE: Product = Product {
    name: "Cloudflare",
    marks: &[&[("CF-Ray", "")], &[("Server", "cloudflare")], &[("CF-Connecting-IP", "")]],
    upgrade: setting(
        "switch on Network, WebSockets; if it is on, look at the proxy of the origin",
        &[],
    ),
    host: None,
    proxy_protocol: &[(1, "Spectrum, PROXY Protocol v1"), (2, "Spectrum, PROXY Protocol v2")],
};

static CLOUDFRONT: Product = Product {
    name: "CloudFront",
    marks: &[&[("Via", "cloudfront")], &[("X-Amz-Cf-Id", "")]],
    upgrade: setting("with the origin request policy AllViewer, which forwards all fields", &[]),
    host: Some(setting("with the origin request policy AllViewer", &[])),
    proxy_protocol: &[],
};

static ALB: Product = Product {
    name: "AWS Application Load Balancer",
    marks: &[&[("Server", "awselb")], &[("X-Amzn-Trace-Id", "")]],
    upgrade: setting("set the protocol version of the target group to HTTP1", &[]),
    host: None,
    proxy_protocol: &[],
};

static NLB: Product = Product {
    name: "AWS Network Load Balancer",
    marks: &[],
    upgrade: setting("passes every byte on", &[]),
    host: None,
    proxy_protocol: &[(2, "`proxy_protocol_v2.enabled` of the target group")],
};

static API_GATEWAY: Product = Product {
    name: "AWS API Gateway",
    marks: &[&[("x-amz-apigw-id", "")], &[("apigw-requestid", "")], &[("x-amzn-ErrorType", "")]],
    upgrade: setting(
        "make an API of the kind WebSocket; those of HTTP and REST have no upgrade",
        &[],
    ),
    host: None,
    proxy_protocol: &[],
};

static SYNOLOGY: Product = Product {
    name: "Synology DSM",
    marks: &[&[(BODY, "synology")]],
    upgrade: setting(
        "Login Portal, Advanced, Reverse Proxy, Custom Header: Create, WebSocket",
        &[],
    ),
    host: None,
    proxy_protocol: &[],
};

static LIGHTTPD: Product = Product {
    name: "lighttpd",
    marks: &[&[("Server", "lighttpd")], &[("X-Host", ""), ("X-Forwarded-Host", "")]],
    upgrade: setting("beside proxy.server", &["proxy.header = ( \"upgrade\" => \"enable\" )"]),
    host: Some(setting("without", &["\"map-host-request\" in proxy.header"])),
    proxy_protocol: &[],
};

static VARNISH: Product = Product {
    name: "Varnish",
    marks: &[&[("X-Varnish", "")], &[("Via", "varnish")]],
    upgrade: setting(
        "the first line in vcl_recv, the others in vcl_pipe",
        &[
            "if (req.http.upgrade ~ \"(?i)websocket\") { return (pipe); }",
            "set bereq.http.upgrade = req.http.upgrade;",
            "set bereq.http.connection = req.http.connection;",
        ],
    ),
    host: Some(setting("without", &["set bereq.http.host"])),
    proxy_protocol: &[
        (1, "`.proxy_header = 1` of the backend"),
        (2, "`.proxy_header = 2` of the backend"),
    ],
};

static H2O: Product = Product {
    name: "h2o",
    marks: &[&[("Server", "h2o")]],
    upgrade: setting(
        "beside proxy.reverse.url",
        &["proxy.websocket: ON", "proxy.preserve-host: ON"],
    ),
    host: Some(setting("beside proxy.reverse.url", &["proxy.preserve-host: ON"])),
    proxy_protocol: &[(1, "`proxy.proxy-protocol: ON`")],
};

static SQUID: Product = Product {
    name: "Squid",
    marks: &[&[("Via", "squid")], &[("Server", "squid")], &[("X-Squid-Error", "")]],
    upgrade: setting(
        "it passes WebSockets through CONNECT only: use wss://, or send CONNECT for ws:// too",
        &[],
    ),
    host: None,
    proxy_protocol: &[],
};

static VITE: Product = Product {
    name: "Vite",
    marks: &[&[(BODY, "/@vite/client")]],
    upgrade: setting("in server.proxy, for this path, without changeOrigin", &["ws: true"]),
    host: Some(setting("in server.proxy, without", &["changeOrigin: true"])),
    proxy_protocol: &[],
};

static EXPRESS: Product = Product {
    name: "webpack-dev-server, or Express",
    marks: &[&[("X-Powered-By", "express")]],
    upgrade: setting("in the proxy's options, for this path, without changeOrigin", &["ws: true"]),
    host: Some(setting("in the proxy's options, without", &["changeOrigin: true"])),
    proxy_protocol: &[],
};

/// It leaves no trace of itself.
pub(crate) static HTTP_PROXY: Product = Product {
    name: "Vite, webpack-dev-server, http-proxy-middleware, http-proxy",
    marks: &[],
    upgrade: setting(
        "in the proxy's options",
        &["ws: true", "(http-proxy: server.on('upgrade', (...args) => proxy.ws(...args)))"],
    ),
    host: Some(setting("in the proxy's options, without", &["changeOrigin: true"])),
    proxy_protocol: &[],
};

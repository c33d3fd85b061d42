//! The setting of each product after how much silence it ends a connection.

use super::Product;

/// A product's name, and the setting.
const IDLE: &[(&str, &str)] = &[
    ("nginx", "nginx, beside proxy_pass: proxy_read_timeout 1h;"),
    ("ingress-nginx", "ingress-nginx: nginx.ingress.kubernetes.io/proxy-read-timeout: \"3600\""),
    ("Nginx Proxy Manager", "Nginx Proxy Manager, Advanced: proxy_read_timeout 1h;"),
    ("Synology DSM", "Synology DSM, Reverse Proxy, Advanced Settings: Proxy read timeout"),
    ("Apache", "Apache: ProxyTimeout 3600 (else Timeout counts)"),
    (
        "AWS Application Load Balancer",
        "AWS Application Load Balancer: idle_timeout.timeout_seconds",
    ),
    ("HAProxy", "HAProxy, in defaults: timeout tunnel 1h"),
    ("Envoy", "Envoy, in the route: idle_timeout: 0s (else stream_idle_timeout counts)"),
    ("Istio", "Istio, in the VirtualService or an EnvoyFilter: stream_idle_timeout"),
    ("Cloudflare", "Cloudflare: send Pings more often; only Enterprise plans have a setting"),
    ("CloudFront", "CloudFront: send Pings more often, there is no setting for WebSockets"),
    ("AWS API Gateway", "AWS API Gateway: send messages more often, there is no setting"),
    ("Varnish", "Varnish: -p pipe_timeout=3600"),
    ("h2o", "h2o: proxy.websocket.timeout: 3600000"),
    ("lighttpd", "lighttpd: server.max-read-idle and proxy.server's read-timeout"),
    ("IIS", "IIS, in Application Request Routing: Time-out (seconds)"),
];

/// The setting of this product; `None` if none is known.
pub(crate) fn idle_setting(product: &'static Product) -> Option<String> {
    let (_, setting) = IDLE.iter().find(|(name, _)| *name == product.name)?;
    Some((*setting).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::PRODUCTS;

    #[test]
    fn every_name_is_that_of_a_product() {
        for (name, ..) in IDLE {
            assert!(PRODUCTS.iter().any(|product| product.name == *name), "{name}");
        }
    }
}

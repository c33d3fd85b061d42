//! After how much silence each product ends a connection by default, and the setting of that.

use std::time::Duration;

use super::Product;

/// No timeout by default.
const NONE: u64 = u64::MAX;

/// A product's name, the default in seconds, and the setting.
const IDLE: &[(&str, u64, &str)] = &[
    ("nginx", 60, "nginx, beside proxy_pass: proxy_read_timeout 1h;"),
    (
        "ingress-nginx",
        60,
        "ingress-nginx: nginx.ingress.kubernetes.io/proxy-read-timeout: \"3600\"",
    ),
    ("Nginx Proxy Manager", 60, "Nginx Proxy Manager, Advanced: proxy_read_timeout 1h;"),
    ("Synology DSM", 60, "Synology DSM, Reverse Proxy, Advanced Settings: Proxy read timeout"),
    ("Apache", 60, "Apache: ProxyTimeout 3600 (the larger of it and Timeout counts)"),
    (
        "AWS Application Load Balancer",
        60,
        "AWS Application Load Balancer: idle_timeout.timeout_seconds",
    ),
    ("HAProxy", 60, "HAProxy, in defaults: timeout tunnel 1h"),
    ("Caddy", NONE, "Caddy, in reverse_proxy: transport http { read_timeout 1h }"),
    ("Envoy", 300, "Envoy, in the route: idle_timeout: 0s (else stream_idle_timeout counts)"),
    ("Istio", 300, "Istio, in the VirtualService or an EnvoyFilter: stream_idle_timeout"),
    ("Cloudflare", 100, "Cloudflare: send Pings more often; only Enterprise plans have a setting"),
    ("CloudFront", 600, "CloudFront: send Pings more often, there is no setting for WebSockets"),
    ("AWS API Gateway", 600, "AWS API Gateway: send messages more often, there is no setting"),
    ("Varnish", 60, "Varnish: -p pipe_timeout=3600"),
    ("h2o", 30, "h2o: proxy.websocket.timeout: 3600000"),
    ("lighttpd", 60, "lighttpd: server.max-read-idle and proxy.server's read-timeout"),
    ("IIS", 120, "IIS, in Application Request Routing: Time-out (seconds)"),
];

/// Services that leave no trace of themselves: the default in seconds, and their name.
const UNSEEN: &[(u64, &str)] = &[
    (30, "Google Cloud load balancers (timeout of the backend service)"),
    (55, "Heroku (no setting)"),
];

/// The setting of this product; `None` if none is known.
pub(crate) fn idle_setting(product: &'static Product) -> Option<String> {
    let (.., setting) = IDLE.iter().find(|(name, ..)| *name == product.name)?;
    Some((*setting).to_owned())
}

/// The settings of all products whose default is this time, as far as it can be measured.
pub(crate) fn idle_settings_of(time: Duration) -> Vec<&'static str> {
    let is_near = |seconds: u64| {
        let default = Duration::from_secs(seconds);
        time.abs_diff(default) <= Duration::from_secs(2)
    };
    let known =
        IDLE.iter().filter(|(_, seconds, _)| is_near(*seconds)).map(|(.., setting)| *setting);
    let unseen = UNSEEN.iter().filter(|(seconds, _)| is_near(*seconds)).map(|(_, name)| *name);
    known.chain(unseen).collect()
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

    #[test]
    fn a_measured_time_names_the_products_that_have_it_as_default() {
        let found = idle_settings_of(Duration::from_millis(60_400));
        assert!(found[0].contains("proxy_read_timeout"), "{found:?}");
        assert!(idle_settings_of(Duration::from_secs(54))[0].contains("Heroku"));
        assert!(idle_settings_of(Duration::from_secs(5)).is_empty());
    }
}

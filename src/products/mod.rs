//! Which proxies and servers stand before WebSocket servers, how each is recognised, and which of
//! its settings lets WebSockets through.
//!
//! One table ([`table`]) for the server's refusals and for `wsecho check`. It knows neither requests
//! nor responses: [`recognized`] takes a lookup of header fields. What it returns only affects the
//! text of an explanation, as anyone can send such a field.

#[cfg(feature = "cli")]
mod idle;
mod table;

#[cfg(feature = "cli")]
pub(crate) use self::idle::{idle_setting, idle_settings_of};
#[cfg(feature = "cli")]
pub(crate) use self::table::HTTP_PROXY;
use self::table::{APACHE, HAPROXY, NGINX};
pub(crate) use self::table::{IIS, PRODUCTS};

/// The products whose settings are listed if none is recognised.
const USUAL: [&Product; 4] = [&NGINX, &APACHE, &IIS, &HAPROXY];

/// A proxy, a server, or a service with either.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) name: &'static str,
    /// Alternatives, each a set of fields that only this product adds, or that it adds and no
    /// product before it in the table.
    marks: &'static [&'static [Mark]],
    /// What makes it forward the upgrade over HTTP/1.1.
    pub(crate) upgrade: Setting,
    /// What makes it forward the Host that the client sent; `None` if it does so by itself, or if
    /// [`upgrade`](Product::upgrade) includes that.
    pub(crate) host: Option<Setting>,
    /// The switches that make it send the PROXY protocol, each with the version.
    proxy_protocol: &'static [(u8, &'static str)],
}

/// A field, and a part of its value in lower case; any value contains the empty one.
type Mark = (&'static str, &'static str);

/// In place of a field's name: the body of a response, for a caller that has one.
pub(crate) const BODY: &str = "(body)";

/// Lines of a configuration, or one that says what to do.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Where the lines belong, or what to do if there are none; follows the product's name.
    pub(crate) place: &'static str,
    pub(crate) lines: &'static [&'static str],
}

/// The first product whose fields are in a message; `value` looks a field up by its name.
pub(crate) fn recognized<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<&'static Product> {
    let is_there = |(name, part): &Mark| {
        value(name).is_some_and(|value| value.to_ascii_lowercase().contains(part))
    };
    let is_marked = |product: &&Product| {
        product.marks.iter().any(|alternative| alternative.iter().all(is_there))
    };
    PRODUCTS.iter().copied().find(is_marked)
}

/// The settings that forward upgrades: those of the product in question, and of the usual ones.
pub(crate) fn forward_upgrades(product: Option<&'static Product>) -> String {
    listed(product, |product| Some(&product.upgrade))
        + "\nOthers: use HTTP/1.1 to the server, and forward Upgrade and Connection."
}

/// The setting of the product in question in one line, or those of the usual ones, which may leave no
/// trace.
#[cfg(feature = "cli")]
pub(crate) fn forward_upgrades_in_a_line(product: Option<&'static Product>) -> String {
    match product {
        Some(product) => product.upgrade.in_a_line(product.name),
        None => "Any proxy: forward Upgrade and Connection over HTTP/1.1 (nginx: proxy_http_version 1.1; \
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; Apache: \
             upgrade=websocket; lighttpd: proxy.header = ( \"upgrade\" => \"enable\" ); HAProxy: no \
             del-header Upgrade; Node: ws: true)."
            .to_owned(),
    }
}

/// The product that a list of [`forward_upgrades`] was made for, which may have been recognised by the fields
/// of a request. `None` if the list begins with the usual ones.
#[cfg(feature = "cli")]
pub(crate) fn listed_first(list: &str) -> Option<&'static Product> {
    let is_first = |product: &&Product| {
        product.name != USUAL[0].name
            && list.trim_start().starts_with(&product.upgrade.title(product.name))
    };
    PRODUCTS.iter().copied().find(is_first)
}

/// The settings that forward the Host of the client: those of the product in question, and of the
/// usual ones.
pub(crate) fn keep_host(product: Option<&'static Product>) -> String {
    listed(product, |product| product.host.as_ref())
}

/// The switches that send this version of the PROXY protocol, one product per line.
pub(crate) fn proxy_protocol_switches(version: u8) -> String {
    let switch = |product: &&Product| {
        let (_, switch) = product.proxy_protocol.iter().find(|(sent, _)| *sent == version)?;
        Some(format!("{}: {switch}", product.name))
    };
    PRODUCTS.iter().filter_map(switch).collect::<Vec<_>>().join("\n")
}

fn listed(
    first: Option<&'static Product>,
    setting: impl Fn(&'static Product) -> Option<&'static Setting>,
) -> String {
    let is_other = |product: &&Product| first.is_none_or(|first| first.name != product.name);
    let products = first.into_iter().chain(USUAL.into_iter().filter(is_other));
    let texts = products.filter_map(|product| Some(setting(product)?.block(product.name)));
    texts.collect::<Vec<_>>().join("\n")
}

impl Setting {
    /// The setting of the product `name` as lines: a title, and below it the lines indented.
    pub(crate) fn block(&self, name: &str) -> String {
        let lines = self.lines.iter().map(|line| format!("\n    {line}"));
        format!("{}{}", self.title(name), lines.collect::<String>())
    }

    /// The same in one line.
    #[cfg(feature = "cli")]
    pub(crate) fn in_a_line(&self, name: &str) -> String {
        let parts: Vec<_> = [self.title(name)]
            .into_iter()
            .chain(self.lines.iter().map(|&line| line.to_owned()))
            .collect();
        parts.join(" ")
    }

    fn title(&self, name: &str) -> String {
        if self.lines.is_empty() {
            format!("{name}: {}.", self.place)
        } else {
            format!("{name}, {}:", self.place)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks fields up in a list of `name: value`.
    fn product(fields: &[&str]) -> Option<&'static str> {
        let value = |name: &str| {
            let pairs = fields.iter().filter_map(|field| field.split_once(": "));
            pairs.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
        };
        recognized(value).map(|product| product.name)
    }

    #[test]
    fn products_are_recognized_by_the_fields_of_their_messages() {
        for (fields, name) in [
            (&["Server: nginx/1.22.1"][..], "nginx"),
            (&["Server: openresty", "X-Served-By: proxy.example"], "Nginx Proxy Manager"),
            (&["X-Forwarded-Scheme: http", "X-Real-IP: 10.0.0.1"], "Nginx Proxy Manager"),
            (&["X-Forwarded-Scheme: http", "X-Scheme: http"], "ingress-nginx"),
            (&["Server: Apache/2.4.71 (Debian)"], "Apache"),
            (&["X-Forwarded-For: 10.0.0.1", "X-Forwarded-Server: a"], "Apache"),
            (&["X-Forwarded-Port: 80", "X-Forwarded-Server: a"], "Traefik"),
            (&["Server: Caddy"], "Caddy"),
            (&["Via: 1.1 Caddy"], "Caddy"),
            (&["server: istio-envoy"], "Istio"),
            (&["server: envoy", "x-envoy-upstream-service-time: 3"], "Envoy"),
            (&["X-Envoy-Expected-Rq-Timeout-Ms: 15000"], "Envoy"),
            (&["Server: Microsoft-IIS/10.0", "X-Powered-By: ASP.NET"], "IIS"),
            (&["X-ARR-LOG-ID: 4f"], "IIS"),
            (&["Server: cloudflare", "CF-RAY: 8a-FRA"], "Cloudflare"),
            (&["Server: awselb/2.0"], "AWS Application Load Balancer"),
            (
                &["X-Amzn-Trace-Id: Root=1-67", "X-Forwarded-Port: 443"],
                "AWS Application Load Balancer",
            ),
            (&["x-amzn-RequestId: 1", "x-amz-apigw-id: 2"], "AWS API Gateway"),
            (&["Via: 1.1 1a.cloudfront.net (CloudFront)"], "CloudFront"),
            (&["Server: lighttpd/1.4.69"], "lighttpd"),
            (&["X-Varnish: 5", "Via: 1.1 varnish (Varnish/7.1)"], "Varnish"),
            (&["Server: h2o/2.2.5"], "h2o"),
            (&["Via: 1.1 proxy (squid/5.7)"], "Squid"),
        ] {
            assert_eq!(product(fields), Some(name), "{fields:?}");
        }
        for fields in [&[][..], &["Server: Python/3.11 websockets/15.0.1"], &["Via: 1.1 other"]] {
            assert_eq!(product(fields), None, "{fields:?}");
        }
    }

    #[test]
    fn a_setting_is_lines_or_a_sentence() {
        assert_eq!(
            NGINX.host.as_ref().unwrap().block("nginx"),
            "nginx, beside proxy_pass:\n    proxy_set_header Host $http_host;"
        );
        let setting = Setting { place: "in vcl_recv", lines: &["a;", "b;"] };
        assert_eq!(setting.in_a_line("Varnish"), "Varnish, in vcl_recv: a; b;");
        let setting = Setting { place: "nothing to set", lines: &[] };
        assert_eq!(setting.block("X"), "X: nothing to set.");
    }

    #[test]
    fn the_recognized_product_comes_first_and_once() {
        let text = forward_upgrades(Some(&APACHE));
        assert!(text.starts_with("Apache") && text.matches("\nApache").count() == 0, "{text}");
        assert!(text.contains("\nnginx, beside proxy_pass:\n"), "{text}");
        assert!(forward_upgrades(None).starts_with("nginx"));
    }

    #[cfg(feature = "cli")]
    #[test]
    fn the_recognized_product_is_known_from_its_list() {
        let first = |product| listed_first(&forward_upgrades(product)).map(|first| first.name);
        assert_eq!(first(Some(&APACHE)), Some("Apache"));
        assert_eq!(first(Some(&HAPROXY)), Some("HAProxy"));
        assert_eq!(first(None), None);
    }

    #[test]
    fn settings_fit_the_lines_of_a_diagnosis() {
        for product in PRODUCTS {
            let text = forward_upgrades(Some(product)) + "\n" + &keep_host(Some(product));
            let long: Vec<_> = text.lines().filter(|line| line.chars().count() > 95).collect();
            assert_eq!(long, Vec::<&str>::new(), "{}", product.name);
            assert!(
                product
                    .marks
                    .iter()
                    .flat_map(|set| set.iter())
                    .all(|(_, part)| !part.contains(|c: char| c.is_ascii_uppercase())),
                "{}",
                product.name
            );
        }
    }
}

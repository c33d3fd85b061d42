//! The report for Prometheus, for the textfile collector of the node exporter. Names that begin with
//! `probe_` are those of the blackbox exporter, and mean the same.

use std::fmt::{Display, Write};

use super::{CheckReport, CheckStep};

impl CheckReport {
    /// Formats the report in the Prometheus text format, version 0.0.4.
    pub(crate) fn prometheus(&self) -> String {
        let mut page = Page { text: String::new(), target: label_value(&self.url) };
        let step = |wanted| self.steps.iter().find(|result| result.step == wanted);
        let total: std::time::Duration = self.steps.iter().map(|result| result.time).sum();
        page.gauge(
            "probe_success",
            "Whether all steps succeeded.",
            u8::from(self.exit_code() == 0),
        );
        page.gauge("probe_duration_seconds", "Duration of all steps.", total.as_secs_f64());
        if let Some(resolve) = step(CheckStep::Resolve) {
            let seconds = resolve.time.as_secs_f64();
            page.gauge(
                "probe_dns_lookup_time_seconds",
                "Duration of the name resolution.",
                seconds,
            );
        }
        if let Some(status) = self.steps.iter().find_map(|result| result.finding.status) {
            page.gauge(
                "probe_http_status_code",
                "Status of the response to the handshake.",
                status,
            );
        }
        let is_tls = u8::from(step(CheckStep::Tls).is_some_and(|tls| tls.ok));
        page.gauge("probe_http_ssl", "Whether the handshake was sent over TLS.", is_tls);
        if let Some(expiry) = self.steps.iter().find_map(|result| result.finding.certificate_expiry)
        {
            let help = "When the certificate of the server expires, in seconds since 1970.";
            page.gauge("probe_ssl_earliest_cert_expiry", help, expiry);
        }
        page.gauge("wsecho_check_exit_code", "Exit code of the check.", self.exit_code());
        page.steps("wsecho_check_step_success", "Whether the step succeeded.", self, |ok, _| {
            f64::from(u8::from(ok))
        });
        let help = "Duration of the step.";
        page.steps("wsecho_check_step_duration_seconds", help, self, |_, seconds| seconds);
        let trips = self.steps.iter().find_map(|result| result.finding.round_trips.as_deref());
        if let Some(trips) = trips {
            let name = "wsecho_check_round_trip_seconds";
            page.family(name, "Round trips of messages.");
            for (quantile, time) in [
                ("0", trips.min),
                ("0.5", trips.median),
                ("0.9", trips.p90),
                ("0.99", trips.p99),
                ("1", trips.max),
            ] {
                let label = format!(",quantile=\"{quantile}\"");
                page.sample(name, &label, time.as_secs_f64());
            }
        }
        page.text
    }
}

struct Page {
    text: String,
    /// The value of the label `target`, escaped.
    target: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help);
        self.sample(name, "", value);
    }

    fn steps(
        &mut self,
        name: &str,
        help: &str,
        report: &CheckReport,
        value: impl Fn(bool, f64) -> f64,
    ) {
        self.family(name, help);
        for result in &report.steps {
            let label = format!(",step=\"{}\"", result.step.name());
            self.sample(name, &label, value(result.ok, result.time.as_secs_f64()));
        }
    }

    fn family(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, name: &str, more: &str, value: impl Display) {
        let target = &self.target;
        let _ = writeln!(self.text, "{name}{{target=\"{target}\"{more}}} {value}");
    }
}

/// Escapes the value of a label.
fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{report, result};
    use super::super::{Finding, RoundTrips};
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_report_is_gauges_with_the_target() {
        let ms = |ms| Duration::from_millis(ms);
        let trips = RoundTrips::of(vec![ms(1), ms(2)], 5).map(Box::new);
        let upgrade =
            Finding { status: Some(101), certificate_expiry: Some(7), ..Finding::default() };
        let text = report(vec![
            result(CheckStep::Resolve, true, Finding::default()),
            result(CheckStep::Upgrade, true, upgrade),
            result(CheckStep::Echo, false, Finding { round_trips: trips, ..Finding::default() }),
        ])
        .prometheus();
        for line in [
            "# TYPE probe_success gauge",
            "probe_success{target=\"ws://h/\"} 0",
            "probe_duration_seconds{target=\"ws://h/\"} 0.003702",
            "probe_dns_lookup_time_seconds{target=\"ws://h/\"} 0.001234",
            "probe_http_status_code{target=\"ws://h/\"} 101",
            "probe_http_ssl{target=\"ws://h/\"} 0",
            "probe_ssl_earliest_cert_expiry{target=\"ws://h/\"} 7",
            "wsecho_check_exit_code{target=\"ws://h/\"} 6",
            "wsecho_check_step_success{target=\"ws://h/\",step=\"upgrade\"} 1",
            "wsecho_check_step_success{target=\"ws://h/\",step=\"echo\"} 0",
            "wsecho_check_step_duration_seconds{target=\"ws://h/\",step=\"echo\"} 0.001234",
            "wsecho_check_round_trip_seconds{target=\"ws://h/\",quantile=\"0.5\"} 0.001",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        assert_eq!(label_value("a\"b\\"), "a\\\"b\\\\");
    }
}

//! Writes metrics in the Prometheus text format, version 0.0.4.
//!
//! **Invariant:** Names, help texts and labels are constants of the program, so none needs
//! escaping.

use std::fmt::{Display, Write};

use super::histogram::Histogram;

/// The `Content-Type` of the format.
pub(crate) const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metric families.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    /// Adds a gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, [], value);
    }

    /// Adds a counter.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, [], value);
    }

    /// Adds a counter with labels.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        values: impl IntoIterator<Item = ([&'static str; N], u64)>,
    ) {
        self.family(name, "counter", help);
        for (label_values, value) in values {
            let pairs = std::array::from_fn::<_, N, _>(|n| (labels[n], label_values[n]));
            self.sample(name, pairs, value);
        }
    }

    /// Adds an info metric: a gauge with the value 1, whose label is the information.
    pub(super) fn info(&mut self, name: &str, help: &str, label: (&'static str, &'static str)) {
        self.family(name, "gauge", help);
        self.sample(name, [label], 1);
    }

    /// Adds a histogram of durations in seconds.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let mut total = 0;
        for (bound, count) in histogram.cumulative() {
            let bound = bound.map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}"));
            total = count;
        }
        self.line(format_args!("{name}_sum {}", histogram.sum().as_secs_f64()));
        self.line(format_args!("{name}_count {total}"));
    }

    /// The text of the page.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample<const N: usize>(
        &mut self,
        name: &str,
        labels: [(&'static str, &'static str); N],
        value: impl Display,
    ) {
        let labels = labels.map(|(label, value)| format!("{label}=\"{value}\"")).join(",");
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{labels}}} {value}"));
        }
    }

    fn line(&mut self, line: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_metric_type_is_formatted() {
        let mut page = Exposition::default();
        page.gauge("a", "Open.", 1);
        page.counter("b_total", "So far.", 2);
        page.counters("c_total", "By two labels.", ["x", "y"], [(["1", ""], 3), (["2", "z"], 4)]);
        page.info("d_info", "The version.", ("version", "0"));
        assert_eq!(
            page.into_text(),
            "# HELP a Open.\n# TYPE a gauge\na 1\n\
             # HELP b_total So far.\n# TYPE b_total counter\nb_total 2\n\
             # HELP c_total By two labels.\n# TYPE c_total counter\n\
             c_total{x=\"1\",y=\"\"} 3\nc_total{x=\"2\",y=\"z\"} 4\n\
             # HELP d_info The version.\n# TYPE d_info gauge\nd_info{version=\"0\"} 1\n"
        );
    }

    #[test]
    fn histogram_buckets_are_cumulative_and_in_seconds() {
        let (mut page, histogram) = (Exposition::default(), Histogram::default());
        for microseconds in [5, 20, 20, 2_000_000] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        page.histogram("a_seconds", "How long.", &histogram);
        let text = page.into_text();
        for line in [
            "# TYPE a_seconds histogram\na_seconds_bucket{le=\"0.00001\"} 1\n",
            "\na_seconds_bucket{le=\"0.000025\"} 3\n",
            "\na_seconds_bucket{le=\"1\"} 3\n",
            "\na_seconds_bucket{le=\"+Inf\"} 4\na_seconds_sum 2.000045\na_seconds_count 4\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}

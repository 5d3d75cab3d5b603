//! Families of figures as text: OpenMetrics 1.0, or the older format of Prometheus.

use std::fmt::{Display, Write as _};

use crate::{statistics::openmetrics::valid::Syntax, telemetry::histogram::HistogramFigures};

/// What a family's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Values by size; in seconds when the name ends so.
    Histogram,
}

/// Figures of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// The name.
    pub(super) name: &'static str,
    /// What the figures are.
    pub(super) kind: Kind,
    /// What they mean.
    pub(super) help: &'static str,
}

/// A page that is being written.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: String,
    syntax: Syntax,
}

/// A figure's labels: names and values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// A page that begins with this text.
    pub(super) fn new(text: String, syntax: Syntax) -> Self {
        Page { text, syntax }
    }

    /// Begins a family.
    pub(super) fn family(&mut self, family: &Family) {
        let Family { name, kind, help } = *family;
        let (name, kind) = match (kind, self.syntax) {
            (Kind::Counter, Syntax::OpenMetrics) => (without(name, "_total"), "counter"),
            (Kind::Counter, Syntax::Prometheus) => (name, "counter"),
            (Kind::Gauge, _) => (name, "gauge"),
            (Kind::Histogram, _) => (name, "histogram"),
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// One figure.
    pub(super) fn figure(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.text.push_str(name);
        self.labels(labels, None);
        self.line(format_args!(" {value}"));
    }

    /// The figures of a histogram, whose values are so many to the unit.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        figures: &HistogramFigures,
        per_unit: u64,
    ) {
        let in_units = |value: u64| value as f64 / per_unit as f64;
        let mut up_to_here = 0;
        for (index, count) in figures.counts.iter().enumerate() {
            up_to_here += count;
            let bound = match figures.bounds.get(index) {
                // OpenMetrics wants to see that it is no integer.
                Some(bound) => format!("{:?}", in_units(*bound)),
                None => "+Inf".to_owned(),
            };
            self.text.push_str(name);
            self.text.push_str("_bucket");
            self.labels(labels, Some(&bound));
            self.line(format_args!(" {up_to_here}"));
        }
        self.figure(&format!("{name}_sum"), labels, in_units(figures.sum));
        self.figure(&format!("{name}_count"), labels, up_to_here);
    }

    fn labels(&mut self, labels: Labels<'_>, bound: Option<&str>) {
        let bound = bound.map(|bound| ("le", bound));
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            self.text.push(before);
            self.text.push_str(name);
            self.text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("invariant: a String takes everything");
    }
}

fn without<'a>(name: &'a str, end: &str) -> &'a str {
    name.strip_suffix(end).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{Family, Kind, Page, Syntax};
    use crate::telemetry::histogram::HistogramFigures;

    #[test]
    fn both_dialects_are_written() {
        let check = |syntax, expected: &str| {
            let mut page = Page::new(String::new(), syntax);
            page.family(&Family { name: "a_total", kind: Kind::Counter, help: "A." });
            page.figure("a_total", &[], 1);
            page.figure("a_total", &[("x", "q\"\\\n"), ("y", "")], u64::MAX);
            page.family(&Family { name: "c", kind: Kind::Gauge, help: "C." });
            page.family(&Family { name: "d_seconds", kind: Kind::Histogram, help: "D." });
            let bounds = &[1_000, 1_500_000_000];
            let figures = HistogramFigures { bounds, counts: vec![1, 0, 2], sum: 2_500_000_000 };
            page.histogram("d_seconds", &[("x", "y")], &figures, 1_000_000_000);
            assert_eq!(page.text, expected);
        };
        let histogram = "# HELP c C.\n# TYPE c gauge\n\
            # HELP d_seconds D.\n# TYPE d_seconds histogram\n\
            d_seconds_bucket{x=\"y\",le=\"1e-6\"} 1\nd_seconds_bucket{x=\"y\",le=\"1.5\"} 1\n\
            d_seconds_bucket{x=\"y\",le=\"+Inf\"} 3\n\
            d_seconds_sum{x=\"y\"} 2.5\nd_seconds_count{x=\"y\"} 3\n";
        let counts = "a_total 1\na_total{x=\"q\\\"\\\\\\n\",y=\"\"} 18446744073709551615\n";
        check(Syntax::OpenMetrics, &format!("# HELP a A.\n# TYPE a counter\n{counts}{histogram}"));
        check(
            Syntax::Prometheus,
            &format!("# HELP a_total A.\n# TYPE a_total counter\n{counts}{histogram}"),
        );
    }
}

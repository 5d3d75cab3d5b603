//! The page to serve: one that Prometheus reads, in either of its languages.
//!
//! Prometheus' own text format (version 0.0.4) names a counter with its `_total`;
//! OpenMetrics (1.0.0) names the family without it, and ends with `# EOF`. A client
//! says in `Accept` which it wants; everything else is the same in both.
//!
//! A metric is a counter of events, `dovecot_NAME_total`, and counters of sums:
//! `dovecot_NAME_duration_seconds_total`, `dovecot_NAME_FIELD_total`. A metric
//! whose last level makes buckets is a histogram, `dovecot_NAME`, in place of the
//! counter of events. What differs from Dovecot's page: sums are exact; only the
//! innermost series are there, so nothing counts twice; a histogram's `_sum` is of
//! the field that its buckets are of. A counter can't go down: a sum with negative
//! numbers in it is a gauge, `dovecot_NAME_FIELD`.

use std::fmt::Write as _;

use super::{
    Head,
    families::{About, Families, Family},
    label_sets::{LabelSet, escape, label_sets, write_label},
};
use crate::statistics::{
    distribution::Distribution,
    group::Buckets,
    plan::{DURATION, MetricPlan},
    series::SeriesKind,
    totals::{MetricView, View},
};

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Prometheus' text format.
    Prometheus,
    /// OpenMetrics.
    OpenMetrics,
}

impl Syntax {
    /// The page's media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Syntax::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Syntax::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The families that are left out because another one has their name: to be
/// reported when the program starts. (Metrics with a name of another kind are left
/// out as well, but on purpose.)
pub fn left_out<'a>(plans: impl IntoIterator<Item = &'a MetricPlan>) -> Vec<String> {
    Families::of(plans.into_iter()).left_out
}

/// Appends the page.
pub fn page(view: View<'_>, head: Head<'_>, syntax: Syntax, out: &mut String) {
    let mut page = Page { syntax, out };
    page.program(head);
    let families = Families::of(view.metrics().map(|metric| metric.plan()));
    for (metric, families) in view.metrics().zip(families.of_metrics) {
        if families.is_empty() {
            continue;
        }
        let sets = label_sets(metric);
        for family in &families {
            match (family.about, metric.plan().histogram()) {
                (About::Histogram, Some((level, buckets))) => {
                    let about = format!("events by the field {}", level.field);
                    page.head(&family.name, "histogram", &help(metric.plan(), &about));
                    page.histogram(metric, family, &level.field, buckets, &sets);
                }
                (About::Sum(value), _) => page.sum(metric, family, value, &sets),
                (About::Events | About::Histogram, _) => page.events(metric, family, &sets),
            }
        }
    }
    if syntax == Syntax::OpenMetrics {
        page.out.push_str("# EOF\n");
    }
}

/// What a family is about, for people.
fn help(plan: &MetricPlan, about: &str) -> String {
    match plan.description.as_str() {
        "" => about.to_owned(),
        description => format!("{description}: {about}"),
    }
}

struct Page<'a> {
    syntax: Syntax,
    out: &'a mut String,
}

impl Page<'_> {
    fn program(&mut self, head: Head<'_>) {
        let started = "process_start_time_seconds";
        self.head(started, "gauge", "when the program was started");
        let _ = writeln!(self.out, "{started} {}", head.started);
        match self.syntax {
            Syntax::Prometheus => self.head("fantail_build_info", "gauge", "the program"),
            Syntax::OpenMetrics => self.head("fantail_build", "info", "the program"),
        }
        let mut labels = String::new();
        write_label("version", head.version, &mut labels);
        let _ = writeln!(self.out, "fantail_build_info{{{labels}}} 1");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.out, "# HELP {name} ");
        escape(help, self.syntax == Syntax::OpenMetrics, self.out);
        let _ = write!(self.out, "\n# TYPE {name} {kind}\n");
    }

    fn counter(&mut self, name: &str, help: &str) {
        match self.syntax {
            Syntax::Prometheus => self.head(&format!("{name}_total"), "counter", help),
            Syntax::OpenMetrics => self.head(name, "counter", help),
        }
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &str, value: &dyn std::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.out, "{name}{suffix} {value}"),
            labels => writeln!(self.out, "{name}{suffix}{{{labels}}} {value}"),
        };
    }

    fn events(&mut self, metric: MetricView<'_>, family: &Family, sets: &[LabelSet]) {
        self.counter(&family.name, &help(metric.plan(), "number of events"));
        for set in sets {
            let counts = of(metric, set, 0).map(Distribution::count);
            self.line(&family.name, "_total", &set.labels, &counts.sum::<u64>());
        }
    }

    fn sum(&mut self, metric: MetricView<'_>, family: &Family, value: usize, sets: &[LabelSet]) {
        let plan = metric.plan();
        let is_duration = value == 0;
        let about = match value.checked_sub(1) {
            None => "sum of the durations, in seconds".to_owned(),
            Some(field) => format!("sum of the field {}", plan.fields[field]),
        };
        let falls = sets.iter().flat_map(|set| of(metric, set, value)).any(|one| one.min() < 0);
        let suffix = if falls {
            self.head(&family.name, "gauge", &help(plan, &about));
            ""
        } else {
            self.counter(&family.name, &help(plan, &about));
            "_total"
        };
        for set in sets {
            let sum = of(metric, set, value).map(Distribution::sum).sum();
            if is_duration {
                self.line(&family.name, suffix, &set.labels, &seconds(sum));
            } else {
                self.line(&family.name, suffix, &set.labels, &sum);
            }
        }
    }

    fn histogram(
        &mut self,
        metric: MetricView<'_>,
        family: &Family,
        field: &str,
        buckets: &Buckets,
        sets: &[LabelSet],
    ) {
        let in_seconds = field == DURATION;
        let value = metric.plan().value_of(field).unwrap_or(0);
        for set in sets {
            let mut counts = vec![0; buckets.ends().len()];
            let (mut sum, mut falls, mut is_grouped) = (0, false, set.series.is_empty());
            for &series in &set.series {
                if let SeriesKind::Bucket(bucket, _) = metric.series()[series as usize].kind {
                    let counted = metric.distribution(series, value);
                    counts[bucket] += counted.count();
                    sum += counted.sum();
                    falls |= counted.min() < 0;
                    is_grouped = true;
                }
            }
            if !is_grouped {
                continue;
            }
            let mut count: u64 = 0;
            for (&end, here) in buckets.ends().iter().zip(counts) {
                count += here;
                let le = match end {
                    i64::MAX => "+Inf".to_owned(),
                    end if in_seconds => seconds(i128::from(end)),
                    end => format!("{end}.0"),
                };
                let mut labels = set.labels.clone();
                write_label("le", &le, &mut labels);
                self.line(&family.name, "_bucket", &labels, &count);
            }
            // With negative numbers a sum can go down, and OpenMetrics wants none then,
            // nor a count without it.
            if falls && self.syntax == Syntax::OpenMetrics {
                continue;
            }
            if in_seconds {
                self.line(&family.name, "_sum", &set.labels, &seconds(sum));
            } else {
                self.line(&family.name, "_sum", &set.labels, &sum);
            }
            self.line(&family.name, "_count", &set.labels, &count);
        }
    }
}

/// The distributions of a value that a label set stands for.
fn of<'a>(
    metric: MetricView<'a>,
    set: &'a LabelSet,
    value: usize,
) -> impl Iterator<Item = &'a Distribution> {
    set.series.iter().map(move |&series| metric.distribution(series, value))
}

/// Microseconds as seconds, exactly.
fn seconds(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let decimals = format!("{:06}", micros % 1_000_000);
    let decimals = match decimals.trim_end_matches('0') {
        "" => "0",
        some => some,
    };
    format!("{sign}{}.{decimals}", micros / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn seconds_are_exact() {
        for (micros, expected) in [
            (0, "0.0"),
            (10, "0.00001"),
            (-1_500_000, "-1.5"),
            (1_000_000, "1.0"),
            (i128::from(i64::MAX) * 3, "27670116110564.327421"),
        ] {
            assert_eq!(seconds(micros), expected);
        }
    }
}

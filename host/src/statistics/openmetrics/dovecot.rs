//! Dovecot's own page, peculiarities included.
//!
//! It is no valid OpenMetrics: a metric with groups has all levels in one family
//! and a `_count` line with them, seconds lose digits, a histogram's `_sum` is of
//! the durations whatever its buckets are of, and field names stay as they are.

use std::fmt::Write as _;

use super::{Head, names::is_metric_name};
use crate::statistics::{
    distribution::Distribution,
    dump::OVERFLOW_LABEL,
    group::{Buckets, Grouping},
    plan::{DURATION, Level, MetricPlan},
    series::{METRIC, SeriesId, SeriesKind},
    totals::{Groups, MetricView, View},
};

/// Appends the page.
pub fn page(view: View<'_>, head: Head<'_>, out: &mut String) {
    let Head { version, started } = head;
    let _ = write!(
        out,
        "# HELP process_start_time_seconds Timestamp of service start\n\
         # TYPE process_start_time_seconds gauge\n\
         process_start_time_seconds {started}\n\
         # HELP dovecot_build Dovecot build information\n\
         # TYPE dovecot_build info\n\
         dovecot_build_info{{version=\"{version}\",revision=\"\"}} 1\n"
    );
    for metric in view.metrics().filter(|metric| is_metric_name(&metric.plan().name)) {
        let mut page = Page { metric, plan: metric.plan(), groups: metric.groups(), out };
        page.metric();
    }
    out.push_str("# EOF\n");
}

/// What one family of a metric is about.
#[derive(Clone, Copy)]
enum Family<'a> {
    Count,
    Duration,
    /// The field with this number, counted from 0.
    Field(usize),
    Histogram(&'a Level, &'a Buckets),
}

/// One metric's part of the page.
struct Page<'a> {
    metric: MetricView<'a>,
    plan: &'a MetricPlan,
    groups: Groups,
    out: &'a mut String,
}

impl Page<'_> {
    fn metric(&mut self) {
        match self.histogram() {
            Some((level, buckets)) => self.family(Family::Histogram(level, buckets)),
            None => {
                self.family(Family::Count);
                self.family(Family::Duration);
            }
        }
        for field in 0..self.plan.fields.len() {
            self.family(Family::Field(field));
        }
    }
}

impl<'a> Page<'a> {
    /// The buckets, when they are the last level and only that.
    fn histogram(&self) -> Option<(&'a Level, &'a Buckets)> {
        let outer = self.plan.levels.split_last().map_or(&[][..], |(_, outer)| outer);
        let buckets = |level: &Level| matches!(level.grouping, Grouping::Buckets(_));
        if outer.iter().any(buckets) { None } else { self.plan.histogram() }
    }

    fn family(&mut self, family: Family<'a>) {
        self.head(family);
        let mut labels = String::new();
        self.groups_of(METRIC, 0, family, &mut labels);
        match family {
            Family::Histogram(level, buckets) if self.plan.levels.len() == 1 => {
                self.histogram_of(METRIC, level, buckets, "");
            }
            Family::Histogram(..) => {}
            _ => self.value(METRIC, family, ""),
        }
    }

    fn head(&mut self, family: Family<'_>) {
        let (suffix, about, kind) = match family {
            Family::Count => (String::new(), "Total number of all events of this kind", "counter"),
            Family::Duration => (
                "_duration_seconds".to_owned(),
                "Total duration of all events of this kind",
                "counter",
            ),
            Family::Field(field) => (
                format!("_{}", self.plan.fields[field]),
                "Total of field value for events of this kind",
                "counter",
            ),
            Family::Histogram(..) => (String::new(), "Histogram", "histogram"),
        };
        let MetricPlan { name, description, .. } = self.plan;
        let of = if description.is_empty() { "" } else { " of " };
        let _ = write!(
            self.out,
            "# HELP dovecot_{name}{suffix} {about}{of}{description}\n\
             # TYPE dovecot_{name}{suffix} {kind}\n"
        );
    }

    /// The lines of all groups below `parent`.
    fn groups_of(
        &mut self,
        parent: SeriesId,
        depth: usize,
        family: Family<'a>,
        labels: &mut String,
    ) {
        let Some(level) = self.plan.levels.get(depth) else { return };
        if !is_metric_name(&level.field) || matches!(level.grouping, Grouping::Buckets(_)) {
            return;
        }
        let groups = self.groups.of(parent).to_vec();
        for group in groups {
            let label = match &self.metric.series()[group as usize].kind {
                SeriesKind::Value(label) | SeriesKind::Bucket(_, label) => label,
                SeriesKind::Overflow if self.metric.distribution(group, 0).count() > 0 => {
                    OVERFLOW_LABEL
                }
                SeriesKind::Metric | SeriesKind::Ungrouped | SeriesKind::Overflow => continue,
            };
            let len = labels.len();
            if len > 0 {
                labels.push(',');
            }
            let _ = write!(labels, "{}=\"", level.field);
            json_escape(label, labels);
            labels.push('"');
            match family {
                Family::Histogram(level, buckets) if depth + 2 == self.plan.levels.len() => {
                    self.histogram_of(group, level, buckets, labels);
                }
                Family::Histogram(..) => {}
                _ => self.value(group, family, labels),
            }
            self.groups_of(group, depth + 1, family, labels);
            labels.truncate(len);
        }
    }

    fn value(&mut self, series: SeriesId, family: Family<'_>, labels: &str) {
        let is_whole = labels.is_empty() && !self.plan.levels.is_empty();
        let (total, sum, count) =
            if is_whole { ("_sum", "_sum", "_count") } else { ("_total", "_total", "_total") };
        let name = &self.plan.name;
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let of = |value| self.metric.distribution(series, value);
        let _ = match family {
            Family::Count => {
                writeln!(self.out, "dovecot_{name}{count}{labels} {}", of(0).count())
            }
            Family::Duration => {
                let seconds = seconds(of(0).sum() as f32);
                writeln!(self.out, "dovecot_{name}_duration_seconds{total}{labels} {seconds:.6}")
            }
            Family::Field(field) => {
                let (key, total) = (&self.plan.fields[field], of(field + 1).sum());
                writeln!(self.out, "dovecot_{name}_{key}{sum}{labels} {total}")
            }
            Family::Histogram(..) => Ok(()),
        };
    }

    fn histogram_of(&mut self, series: SeriesId, level: &Level, buckets: &Buckets, labels: &str) {
        let name = &self.plan.name;
        let in_seconds = level.field == DURATION;
        let comma = if labels.is_empty() { "" } else { "," };
        let mut sum = 0_f32;
        let mut count = 0;
        let mut counted: Vec<Option<&Distribution>> = vec![None; buckets.ends().len()];
        for &group in self.groups.of(series) {
            if let SeriesKind::Bucket(bucket, _) = self.metric.series()[group as usize].kind {
                counted[bucket] = Some(self.metric.distribution(group, 0));
            }
        }
        for (end, counted) in buckets.ends().iter().zip(counted) {
            if let Some(counted) = counted {
                sum += counted.sum() as f32;
                count += counted.count();
            }
            let _ = write!(self.out, "dovecot_{name}_bucket{{{labels}{comma}");
            let _ = match *end {
                i64::MAX => write!(self.out, "le=\"+Inf\""),
                end if in_seconds => write!(self.out, "le=\"{:.6}\"", seconds(end as f32)),
                end => write!(self.out, "le=\"{end}\""),
            };
            let _ = writeln!(self.out, "}} {count}");
        }
        if count == 0 {
            return;
        }
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let sum = if in_seconds { seconds(sum) } else { sum };
        let _ = write!(
            self.out,
            "dovecot_{name}_sum{labels} {sum:.6}\ndovecot_{name}_count{labels} {count}\n"
        );
    }
}

/// Microseconds as seconds, in Dovecot's 32 bits.
fn seconds(micros: f32) -> f32 {
    micros / 1e6
}

/// Appends a label as Dovecot escapes it: as in JSON. (There is no control
/// character in a label.)
fn json_escape(label: &str, out: &mut String) {
    for character in label.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            plain => out.push(plain),
        }
    }
}

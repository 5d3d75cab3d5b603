//! The label sets of a metric, each with the series that it stands for.
//!
//! Only the innermost series are on the page: whoever adds up a family gets every
//! event once (and one that has a list once for each element). To Prometheus an
//! empty label is none, so it is not written; and series that look the same then,
//! or because their labels were cut, are one label set.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::names::made_valid;
use crate::statistics::{
    plan::MetricPlan,
    series::{METRIC, SeriesId, SeriesKind},
    totals::{Groups, MetricView},
};

/// The label of the overflow series.
pub(super) const OVERFLOW: &str = "fantail_overflow";

/// A label set, and who has it.
#[derive(Debug)]
pub(super) struct LabelSet {
    /// `a="x",b="y"`, or nothing.
    pub(super) labels: String,
    /// The series, innermost ones.
    pub(super) series: Vec<SeriesId>,
}

/// The label sets of a metric, in order of first appearance.
pub(super) fn label_sets(metric: MetricView<'_>) -> Vec<LabelSet> {
    let mut walk = Walk {
        metric,
        groups: metric.groups(),
        names: label_names(metric.plan()),
        sets: Vec::new(),
        places: HashMap::new(),
    };
    if metric.plan().levels.is_empty() {
        walk.add("", METRIC);
    } else {
        if walk.names.is_empty() {
            // A histogram without labels is there from the beginning.
            walk.sets.push(LabelSet { labels: String::new(), series: Vec::new() });
            walk.places.insert(String::new(), 0);
        }
        walk.below(METRIC, 0, &mut String::new());
    }
    walk.sets
}

/// The labels' names: one for each level, but for the buckets of a histogram.
fn label_names(plan: &MetricPlan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let levels = plan.levels.len() - usize::from(plan.histogram().is_some());
    for level in &plan.levels[..levels] {
        let mut name = made_valid(&level.field);
        while ["le", "quantile", OVERFLOW].contains(&&*name) || names.contains(&name) {
            name.push('_');
        }
        names.push(name);
    }
    names
}

struct Walk<'a> {
    metric: MetricView<'a>,
    groups: Groups,
    names: Vec<String>,
    sets: Vec<LabelSet>,
    places: HashMap<String, usize>,
}

impl Walk<'_> {
    fn add(&mut self, labels: &str, series: SeriesId) {
        if let Some(&place) = self.places.get(labels) {
            self.sets[place].series.push(series);
            return;
        }
        self.places.insert(labels.to_owned(), self.sets.len());
        self.sets.push(LabelSet { labels: labels.to_owned(), series: vec![series] });
    }

    /// The groups of `parent`, which are on the level `depth`.
    fn below(&mut self, parent: SeriesId, depth: usize, labels: &mut String) {
        let is_innermost = depth + 1 == self.metric.plan().levels.len();
        for place in 0..self.groups.of(parent).len() {
            let group = self.groups.of(parent)[place];
            let len = labels.len();
            match &self.metric.series()[group as usize].kind {
                SeriesKind::Metric => continue,
                SeriesKind::Overflow => {
                    if self.metric.distribution(group, 0).count() > 0 {
                        self.add(&format!("{OVERFLOW}=\"true\""), group);
                    }
                    continue;
                }
                SeriesKind::Ungrouped => {
                    self.add(labels, group);
                    continue;
                }
                SeriesKind::Value(label) | SeriesKind::Bucket(_, label) => {
                    if let Some(name) = self.names.get(depth).filter(|_| !label.is_empty()) {
                        write_label(name, label, labels);
                    }
                }
            }
            if is_innermost {
                self.add(labels, group);
            } else {
                self.below(group, depth + 1, labels);
            }
            labels.truncate(len);
        }
    }
}

/// Appends a label.
pub(super) fn write_label(name: &str, value: &str, labels: &mut String) {
    if !labels.is_empty() {
        labels.push(',');
    }
    let _ = write!(labels, "{name}=\"");
    escape(value, true, labels);
    labels.push('"');
}

/// Appends a text with `\` and ends of lines escaped, and quotes as well, if wanted.
pub(super) fn escape(text: &str, quotes: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            plain => out.push(plain),
        }
    }
}

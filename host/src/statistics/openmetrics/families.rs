//! Which families of numbers a metric makes on the page, and how they are called.
//!
//! Names are given before anything is counted, all at once: no two families may
//! share a name, nor the name of one of their lines, and what is made of a metric
//! `a` with a field `b` could be what is made of a metric `a_b`. The family that
//! comes first has the name; the other is left out, and whoever starts the program
//! can say so.

use std::collections::HashSet;

use super::names::{is_metric_name, made_valid};
use crate::statistics::plan::{DURATION, MetricPlan};

/// One family of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// Its name, without `_total` and the like.
    pub(super) name: String,
    /// What it is about.
    pub(super) about: About,
}

/// What a family is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The number of events.
    Events,
    /// The sum of a value, by its number.
    Sum(usize),
    /// Buckets of the last level's field.
    Histogram,
}

/// The families of each metric.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) of_metrics: Vec<Vec<Family>>,
    /// Families that have no name.
    pub(super) left_out: Vec<String>,
}

impl Families {
    pub(super) fn of<'a>(plans: impl Iterator<Item = &'a MetricPlan>) -> Self {
        let mut taken = HashSet::new();
        let mut left_out = Vec::new();
        let named = plans.map(|plan| {
            if !is_metric_name(&plan.name) {
                return Vec::new();
            }
            let mut families = wanted(plan);
            families.retain(|family| {
                let lines = family.lines();
                let is_free = lines.iter().all(|line| !taken.contains(line));
                if is_free {
                    taken.extend(lines);
                } else {
                    left_out.push(family.name.clone());
                }
                is_free
            });
            families
        });
        let of_metrics = named.collect();
        Families { of_metrics, left_out }
    }
}

fn wanted(plan: &MetricPlan) -> Vec<Family> {
    let base = format!("dovecot_{}", plan.name);
    let histogram = plan.histogram().map(|(level, _)| level.field.as_str());
    let about = if histogram.is_some() { About::Histogram } else { About::Events };
    let mut families = vec![Family { name: base.clone(), about }];
    if histogram != Some(DURATION) {
        let name = format!("{base}_duration_seconds");
        families.push(Family { name, about: About::Sum(0) });
    }
    for (number, field) in plan.fields.iter().enumerate() {
        let name = format!("{base}_{}", made_valid(field).trim_start_matches('_'));
        families.push(Family { name, about: About::Sum(number + 1) });
    }
    families
}

impl Family {
    /// The names of its lines, and its own. (Of a sum, as a counter and as a gauge:
    /// see [`super::valid`].)
    fn lines(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.about {
            About::Events | About::Sum(_) => &["", "_total", "_created"],
            About::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Families;
    use crate::config::group_by;
    use crate::statistics::plan::{Level, MetricPlan};

    #[test]
    fn no_two_families_share_a_name() {
        let plan = |name: &str, fields: &[&str], group_by: &str| {
            let fields = fields.iter().map(|&field| field.to_owned()).collect();
            let levels = group_by::parse(group_by).unwrap().iter().map(Level::of).collect();
            MetricPlan::new(name, "", fields, levels, 1)
        };
        let plans = [
            plan("a", &["b", "b.c", "b-c", "duration"], ""),
            plan("a_b", &[], ""),
            plan("imap/log/select", &[], ""),
            plan("h", &["count", "n"], "n:linear:0:10:5"),
            plan("d", &["total"], "duration:exponential:0:1:10"),
        ];
        let families = Families::of(plans.iter());
        let names: Vec<Vec<_>> = families
            .of_metrics
            .iter()
            .map(|families| families.iter().map(|family| family.name.as_str()).collect())
            .collect();
        let expected: [&[&str]; 5] = [
            &[
                "dovecot_a",
                "dovecot_a_duration_seconds",
                "dovecot_a_b",
                "dovecot_a_b_c",
                "dovecot_a_duration",
            ],
            &["dovecot_a_b_duration_seconds"],
            &[],
            &["dovecot_h", "dovecot_h_duration_seconds", "dovecot_h_n"],
            &["dovecot_d", "dovecot_d_total"],
        ];
        assert_eq!(names, expected);
        assert_eq!(families.left_out, ["dovecot_a_b_c", "dovecot_a_b", "dovecot_h_count"]);
    }
}

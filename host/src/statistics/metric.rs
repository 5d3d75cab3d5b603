//! A metric, as its counters see it.

use super::field::Field;
use super::plan::MetricPlan;
use super::registry::Registry;

/// A metric with its series.
#[derive(Debug)]
pub(super) struct Metric {
    /// What it counts.
    pub(super) plan: MetricPlan,
    /// The fields whose values are counted.
    pub(super) values: Box<[Field]>,
    /// The fields that make groups, one for each level.
    pub(super) levels: Box<[Field]>,
    /// Its groups.
    pub(super) registry: Registry,
}

impl Metric {
    /// A metric that has counted nothing yet.
    pub(super) fn new(plan: MetricPlan) -> Self {
        Metric {
            values: plan.values.iter().map(|name| Field::new(name)).collect(),
            levels: plan.levels.iter().map(|level| Field::new(&level.field)).collect(),
            registry: Registry::new(plan.series_max),
            plan,
        }
    }
}

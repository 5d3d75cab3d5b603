//! A metric, as its counters see it.

use super::plan::MetricPlan;
use super::registry::Registry;

/// A metric with its series.
#[derive(Debug)]
pub(super) struct Metric {
    /// What it counts.
    pub(super) plan: MetricPlan,
    /// Its groups.
    pub(super) registry: Registry,
}

impl Metric {
    /// A metric that has counted nothing yet.
    pub(super) fn new(plan: MetricPlan) -> Self {
        Metric { registry: Registry::new(plan.series_max), plan }
    }
}

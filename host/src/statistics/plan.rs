//! What a metric counts, as its configuration says.

use super::group::{Buckets, Grouping};
use crate::config::{
    MetricConfig,
    group_by::{GroupBy, Method},
};
use crate::event::Wanted;

/// The field that every metric counts, in microseconds; an event has it without
/// being sent it.
pub const DURATION: &str = "duration";

/// What a metric counts.
#[derive(Clone, Debug)]
pub struct MetricPlan {
    /// Its name in the configuration.
    pub name: String,
    /// Explains it to people; may be empty.
    pub description: String,
    /// The fields it keeps statistics of, besides `duration`.
    pub fields: Vec<String>,
    /// The levels of its groups, outermost first.
    pub levels: Vec<Level>,
    /// How many series its groups may make.
    pub series_max: usize,
    /// The fields whose values are counted, in the order of a series's
    /// distributions: `duration`, `fields`, and what else a histogram needs.
    pub(super) values: Vec<String>,
}

/// One level of groups.
#[derive(Clone, Debug)]
pub struct Level {
    /// The field whose value makes the group.
    pub field: String,
    /// How it does.
    pub grouping: Grouping,
}

impl MetricPlan {
    /// A metric that counts durations and `fields`, grouped by `levels`.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        fields: Vec<String>,
        levels: Vec<Level>,
        series_max: usize,
    ) -> Self {
        let mut values = vec![DURATION.to_owned()];
        values.extend(fields.iter().cloned());
        // A histogram has the sum of the field that its buckets are of.
        if let Some(Level { field, grouping: Grouping::Buckets(_) }) = levels.last()
            && !values.contains(field)
        {
            values.push(field.clone());
        }
        MetricPlan {
            name: name.into(),
            description: description.into(),
            fields,
            levels,
            series_max,
            values,
        }
    }

    /// What the configuration of a metric asks for.
    pub fn of(config: &MetricConfig) -> Self {
        MetricPlan::new(
            &config.name.value,
            &config.description,
            config.fields.iter().map(|field| field.value.clone()).collect(),
            config.group_by.iter().map(Level::of).collect(),
            config.group_by_max_series,
        )
    }

    /// Adds the fields that the metric asks events for.
    pub fn wants(&self, wanted: &mut Wanted) {
        let levels = self.levels.iter().map(|level| &level.field);
        self.values.iter().chain(levels).for_each(|field| wanted.field(field));
    }

    /// The buckets of the last level, when it has any: then the metric is a
    /// histogram to OpenMetrics.
    pub fn histogram(&self) -> Option<(&Level, &Buckets)> {
        match self.levels.last() {
            Some(level @ Level { grouping: Grouping::Buckets(buckets), .. }) => {
                Some((level, buckets))
            }
            _ => None,
        }
    }

    /// The place of a field among a series's distributions, if it is counted.
    pub fn value_of(&self, field: &str) -> Option<usize> {
        self.values.iter().position(|known| known == field)
    }
}

impl Level {
    /// What one level of a `group_by` asks for.
    pub fn of(config: &GroupBy) -> Self {
        let grouping = match &config.method {
            Method::Discrete { modifier } => Grouping::discrete(modifier.clone()),
            &Method::Exponential { min_magnitude, max_magnitude, base } => {
                Grouping::Buckets(Buckets::exponential(base, min_magnitude, max_magnitude))
            }
            &Method::Linear { min, max, step } => {
                Grouping::Buckets(Buckets::linear(min, max, step))
            }
        };
        Level { field: config.field.value.clone(), grouping }
    }
}

mod bounds;
mod cases;
mod model;
mod pages;
mod sharing;

use super::distribution::Distribution;
use super::dump::{self, Statistic, Table};
use super::plan::{Level, MetricPlan};
use super::totals::Statistics;
use crate::config::group_by;
use crate::event::builder::{EventBuilder, EventChain};

/// A metric `m` with these fields, and groups in the short form.
fn plan(fields: &[&str], group_by: &str, series_max: usize) -> MetricPlan {
    let fields = fields.iter().map(|&field| field.to_owned()).collect();
    let levels = group_by::parse(group_by).unwrap().iter().map(Level::of).collect();
    MetricPlan::new("m", "", fields, levels, series_max)
}

fn of(plan: MetricPlan) -> Statistics {
    Statistics::new([plan])
}

/// Counts the events for the first metric.
fn count(statistics: &Statistics, events: impl IntoIterator<Item = EventBuilder>) {
    let symbols = statistics.symbols();
    let mut counter = statistics.counter(&symbols);
    for event in events {
        counter.count(0, &EventChain::new(event, &[]).resolve(&symbols).event());
    }
}

/// Each series and value with its count and sum: `m_a duration 2 30`.
fn shown(statistics: &Statistics) -> Vec<String> {
    let table = Table::new("count sum");
    let asked: Vec<_> = table.arguments().map(|name| Statistic::parse(name.as_bytes())).collect();
    let mut reply = Vec::new();
    statistics.read(|view| dump::reply(view, &asked, &mut reply));
    let rows = table.rows(&reply).into_iter();
    rows.map(|row| format!("{} {} {}", row.name, row.field, row.values.join(" "))).collect()
}

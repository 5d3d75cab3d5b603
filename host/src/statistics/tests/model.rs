//! Counting compared with the obvious way: every value of every series is kept.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Distribution, Statistics, of, plan};
use crate::config::group_by::{Function, Modifier, ModifierPart};
use crate::event::builder::{EventBuilder, EventChain};
use crate::statistics::group::{Grouping, label};
use crate::statistics::plan::{Level, MetricPlan};
use crate::statistics::series::SeriesKind;

/// A field's value in these tests.
#[derive(Clone, Debug)]
enum Field {
    Text(&'static str),
    Integer(i64),
    Time(i64),
    Ip(&'static str),
    List(Vec<&'static str>),
}

type Fields = Vec<(&'static str, Field)>;

/// An event: its duration, its fields, its parent's fields.
#[derive(Clone, Debug)]
struct Sent {
    duration: i64,
    own: Fields,
    parent: Fields,
}

impl Sent {
    fn chain(&self) -> EventChain {
        let event = build(EventBuilder::new().last_sent(self.duration), &self.own);
        EventChain::new(event, &[]).parents([build(EventBuilder::new(), &self.parent)])
    }

    fn field(&self, name: &str) -> Option<Field> {
        if name == "duration" {
            return Some(Field::Integer(self.duration));
        }
        let found = |fields: &Fields| {
            fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
        };
        match (found(&self.own), found(&self.parent)) {
            (Some(Field::List(mut own)), Some(Field::List(parent))) => {
                own.extend(parent);
                Some(Field::List(own))
            }
            (own, parent) => own.or(parent),
        }
    }

    /// The labels of the groups on one level; `None` is no group.
    fn labels(&self, level: &Level) -> Vec<Option<String>> {
        let text = |text: &str| match &level.grouping {
            Grouping::Values => Some(label(text.as_bytes(), 256)),
            Grouping::Modified(Modifier(parts)) => {
                assert_eq!(*parts, [ModifierPart::Value(vec![Function::Lower])]);
                Some(label(text.to_lowercase().as_bytes(), 256))
            }
            Grouping::Buckets(_) => None,
        };
        let value = self.field(&level.field);
        if let Grouping::Buckets(buckets) = &level.grouping {
            let Some(Field::Integer(number)) = value else { return vec![None] };
            let bucket = buckets.ends().iter().position(|&end| number <= end).unwrap();
            return vec![Some(buckets.label(&level.field, bucket))];
        }
        match value {
            None => vec![text("")],
            Some(Field::Text(value)) => vec![text(value)],
            Some(Field::Integer(number)) => vec![Some(number.to_string())],
            Some(Field::Time(_)) => vec![None],
            Some(Field::Ip(address)) => vec![Some(address.to_owned())],
            Some(Field::List(mut elements)) => {
                elements.sort_unstable();
                elements.dedup();
                let labels: Vec<_> = elements.into_iter().map(text).collect();
                if labels.is_empty() { vec![None] } else { labels }
            }
        }
    }
}

fn build(event: EventBuilder, fields: &Fields) -> EventBuilder {
    fields.iter().fold(event, |event, (key, value)| match value {
        Field::Text(text) => event.text(key, text),
        Field::Integer(number) => event.integer(key, *number),
        Field::Time(micros) => event.timestamp(key, *micros),
        Field::Ip(address) => event.ip(key, address),
        Field::List(elements) => event.list(key, elements),
    })
}

/// Every value of every series, by the labels on the way to it.
#[derive(Debug, Default)]
struct Model(BTreeMap<Vec<Option<String>>, Vec<Vec<i64>>>);

impl Model {
    fn count(&mut self, plan: &MetricPlan, event: &Sent) {
        self.series(plan, event, &mut Vec::new());
    }

    fn series(&mut self, plan: &MetricPlan, event: &Sent, path: &mut Vec<Option<String>>) {
        let fields = ["duration"].into_iter().chain(plan.fields.iter().map(String::as_str));
        let values = self.0.entry(path.clone()).or_default();
        values.resize(1 + plan.fields.len(), Vec::new());
        for (values, field) in values.iter_mut().zip(fields) {
            values.extend(event.field(field).map(|value| match value {
                Field::Integer(number) | Field::Time(number) => number,
                _ => 0,
            }));
        }
        let Some(level) = plan.levels.get(path.len()) else { return };
        if path.last().is_some_and(Option::is_none) {
            return;
        }
        for label in event.labels(level) {
            path.push(label);
            self.series(plan, event, path);
            path.pop();
        }
    }

    fn check(&self, statistics: &Statistics) {
        statistics.read(|view| {
            let metric = view.metrics().next().unwrap();
            let mut seen = 0;
            for (id, series) in metric.series().iter().enumerate() {
                if series.kind == SeriesKind::Overflow {
                    continue;
                }
                seen += 1;
                let mut path = Vec::new();
                let mut at = series;
                while at.kind != SeriesKind::Metric {
                    path.insert(
                        0,
                        match &at.kind {
                            SeriesKind::Value(label) | SeriesKind::Bucket(_, label) => {
                                Some(label.clone())
                            }
                            _ => None,
                        },
                    );
                    at = &metric.series()[at.parent as usize];
                }
                let values = &self.0[&path];
                for (number, values) in values.iter().enumerate() {
                    same(metric.distribution(id as u32, number), values);
                }
            }
            assert_eq!(seen, self.0.len());
        });
    }
}

fn same(distribution: &Distribution, values: &[i64]) {
    let mut values = values.to_vec();
    values.sort_unstable();
    assert_eq!(distribution.count(), values.len() as u64);
    assert_eq!(distribution.sum(), values.iter().map(|&value| i128::from(value)).sum());
    assert_eq!(distribution.min(), values.first().copied().unwrap_or(0));
    assert_eq!(distribution.max(), values.last().copied().unwrap_or(0));
    let middle = |at: usize| i128::from(values.get(at).copied().unwrap_or(0));
    let last = values.len().saturating_sub(1);
    let median = (middle(last / 2) + middle(values.len() / 2)) / 2;
    assert_eq!(i128::from(distribution.median()), median);
    for percent in [0, 25, 90, 100] {
        // The value that so many per cent of all are not above.
        let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
        let expected = values.get(rank).copied().unwrap_or(0);
        assert_eq!(distribution.quantile(percent as f64 / 100.0), expected);
    }
}

fn field() -> impl Strategy<Value = Field> {
    const TEXTS: [&str; 6] = ["", "a", "A", "10", "b c", "1.2.3.4"];
    prop_oneof![
        prop::sample::select(&TEXTS).prop_map(Field::Text),
        prop_oneof![-3..30_i64, Just(i64::MIN), Just(i64::MAX)].prop_map(Field::Integer),
        (0..10_i64).prop_map(Field::Time),
        prop::sample::select(&["1.2.3.4", "::1"]).prop_map(Field::Ip),
        prop::collection::vec(prop::sample::select(&TEXTS), 0..5).prop_map(Field::List),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    let of = |key| prop::option::of(field()).prop_map(move |value| value.map(|value| (key, value)));
    (of("a"), of("b"), of("n")).prop_map(|(a, b, n)| [a, b, n].into_iter().flatten().collect())
}

fn sent() -> impl Strategy<Value = Sent> {
    let duration = prop_oneof![0..1000_i64, any::<i64>()];
    (duration, fields(), fields()).prop_map(|(duration, own, parent)| Sent {
        duration,
        own,
        parent,
    })
}

const GROUPS: [&str; 8] = [
    "",
    "a",
    "a b",
    "a:discrete:%{value|lower} n:exponential:0:4:2",
    "n:linear:0:20:7",
    "n:exponential:0:1:10 a",
    "a b n",
    "duration:exponential:1:3:10",
];

proptest! {
    #[test]
    fn shards_together_count_as_one(
        events in prop::collection::vec((sent(), 0..3_usize, 0..20_u8), 1..60),
        group_by in prop::sample::select(&GROUPS),
    ) {
        let plan = plan(&["n", "b"], group_by, 100_000);
        let statistics = of(plan.clone());
        let symbols = statistics.symbols();
        let mut counters = [(); 3].map(|()| statistics.counter(&symbols));
        let mut model = Model::default();
        for (event, counter, then) in &events {
            model.count(&plan, event);
            counters[*counter].count(0, &event.chain().resolve(&symbols).event());
            match then {
                0 => counters[*counter].publish(),
                1 => {
                    counters.iter_mut().for_each(|counter| counter.publish());
                    model.check(&statistics);
                }
                _ => {}
            }
        }
        drop(counters);
        model.check(&statistics);
    }
}

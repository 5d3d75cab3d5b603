//! What one thread counts with.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use fantail_sdk::{FieldValue, tab_escape};

use super::field::{Field, Fields};
use super::group::{self, Grouping};
use super::metric::Metric;
use super::plan::Level;
use super::registry::Name;
use super::series::{Found, Key, METRIC, OVERFLOW, SeriesMap};
use super::shard::{MetricShard, Shard, Slot};
use super::totals::Shared;
use crate::event::{Event, Symbols};

/// An event is counted in so many groups of a metric at most. Lists on two levels
/// could otherwise make a thousand million of one line; the rest counts as one in the
/// overflow series.
const EVENT_GROUPS_MAX: usize = 10_000;

/// A shard with so many values is merged into the totals by its own counter when
/// nobody else is merging: so the memory for kept values does not grow with the
/// number of workers, even if nobody ever reads.
const MERGE_AT: usize = 1 << 19;

/// Counts events for all metrics, for one thread.
#[derive(Debug)]
pub struct Counter {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    /// From the first event of a read to its end.
    shard: Option<Box<Shard>>,
    /// What each metric asks events for.
    fields: Vec<Fields>,
    /// The series that were met here, for each metric.
    known: Vec<SeriesMap>,
    scratch: Scratch,
}

/// What is needed again for each event.
#[derive(Debug, Default)]
struct Scratch {
    values: Vec<Option<i64>>,
    /// A text that a modifier made.
    text: Vec<u8>,
    /// The elements of the lists of all levels.
    list: Vec<u8>,
    elements: Vec<Range<usize>>,
}

impl Counter {
    pub(super) fn new(shared: Arc<Shared>, slot: Arc<Slot>, symbols: &Symbols) -> Self {
        let known = shared.metrics.iter().map(|_| SeriesMap::default()).collect();
        let fields = shared.metrics.iter().map(|metric| Fields::new(&metric.plan, symbols));
        let fields = fields.collect();
        Counter { shared, slot, shard: None, fields, known, scratch: Scratch::default() }
    }

    /// Counts an event for a metric, by the metric's place in the configuration.
    #[inline]
    pub fn count(&mut self, metric: usize, event: &Event<'_>) {
        let Counter { shared, slot, shard, fields, known, scratch } = self;
        let metrics = shared.metrics.len();
        let shard = shard.get_or_insert_with(|| begin(slot, metrics));
        let (known, counts) = (&mut known[metric], &mut shard.metrics[metric]);
        let (fields, metric) = (&fields[metric], &shared.metrics[metric]);
        scratch.values.clear();
        scratch.values.extend(fields.values.iter().map(|field| field.number_of(event)));
        counts.record(METRIC, &scratch.values);
        shard.values += scratch.values.len();
        if !fields.levels.is_empty() {
            let left = EVENT_GROUPS_MAX;
            let mut grouped = Grouped { metric, fields, event, known, counts, scratch, left };
            grouped.open(0, Found { id: METRIC, opens: true });
            shard.values += (EVENT_GROUPS_MAX - grouped.left) * fields.values.len();
        }
    }

    /// Lets readers have what was counted; called once for every read.
    pub fn publish(&mut self) {
        let Some(shard) = self.shard.take() else { return };
        let shard =
            if shard.values < MERGE_AT { Some(shard) } else { self.shared.try_merge(shard) };
        self.slot.put(shard);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.publish();
    }
}

#[cold]
fn begin(slot: &Slot, metrics: usize) -> Box<Shard> {
    slot.take().unwrap_or_else(|| Box::new(Shard::new(metrics)))
}

/// One event on its way through the groups of one metric.
struct Grouped<'a> {
    metric: &'a Metric,
    fields: &'a Fields,
    event: &'a Event<'a>,
    known: &'a mut SeriesMap,
    counts: &'a mut MetricShard,
    scratch: &'a mut Scratch,
    /// In so many groups it may still be counted.
    left: usize,
}

impl Grouped<'_> {
    /// Counts the event in the groups that `parent` has on the level `depth`.
    fn open(&mut self, depth: usize, parent: Found) {
        let metric = self.metric;
        let (Some(level), Some(field)) =
            (metric.plan.levels.get(depth), self.fields.levels.get(depth))
        else {
            return;
        };
        if !parent.opens {
            return self.ungrouped(parent);
        }
        match (&level.grouping, field.of(self.event)) {
            (Grouping::Buckets(buckets), Some(FieldValue::Integer(number))) => {
                let bucket = buckets.find(number);
                let key = Key::Bucket(bucket as u32);
                let name = || Name::Bucket(bucket, buckets.label(&level.field, bucket));
                let found = find(self.known, metric, parent, key, name);
                self.enter(depth, found);
            }
            (Grouping::Buckets(_), _) | (_, Some(FieldValue::Timestamp(_))) => {
                self.ungrouped(parent)
            }
            (_, Some(FieldValue::Integer(number))) => {
                let found = self.integer(parent, number);
                self.enter(depth, found);
            }
            (_, Some(FieldValue::Ip(address))) => {
                let name = || Name::Value(Cow::Borrowed(address));
                let found = find(self.known, metric, parent, Key::text(address), name);
                self.enter(depth, found);
            }
            (_, Some(FieldValue::List(_))) => self.list(depth, parent, level, *field),
            (_, Some(FieldValue::Text(text) | FieldValue::Json(text))) => {
                self.text(depth, parent, level, text)
            }
            (_, None) => self.text(depth, parent, level, b""),
        }
    }

    /// Counts the event in a group, and in those within it.
    #[inline]
    fn enter(&mut self, depth: usize, group: Found) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let group = if self.left > 0 { group } else { Found { id: OVERFLOW, opens: false } };
        self.counts.record(group.id, &self.scratch.values);
        if group.id != OVERFLOW {
            self.open(depth + 1, group);
        }
    }

    /// Counts the event among those that are in no group of `parent`.
    fn ungrouped(&mut self, parent: Found) {
        let found = find(self.known, self.metric, parent, Key::Ungrouped, || Name::Ungrouped);
        // There is no level below it.
        self.enter(self.fields.levels.len(), found);
    }

    fn text(&mut self, depth: usize, parent: Found, level: &Level, text: &[u8]) {
        let made = &mut self.scratch.text;
        let found = text_group(self.known, self.metric, made, parent, level, text);
        self.enter(depth, found);
    }

    /// The group of a number, which is the group of its digits.
    #[inline]
    fn integer(&mut self, parent: Found, number: i64) -> Found {
        if let Some(found) = self.known.find(parent.id, Key::Integer(number)) {
            return found;
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        let name = || Name::Value(Cow::Borrowed(digits));
        let key = Key::Text(digits);
        let found = self.metric.registry.series(parent.id, key, name);
        if found.id != OVERFLOW {
            self.known.insert(parent.id, Key::Integer(number), found);
        }
        found
    }

    /// Counts the event once for each element of its lists, in their order as texts.
    fn list(&mut self, depth: usize, parent: Found, level: &Level, field: Field) {
        let (bytes, first) = (self.scratch.list.len(), self.scratch.elements.len());
        let Scratch { list, elements, .. } = &mut *self.scratch;
        field.elements_of(self.event, |element| {
            let start = list.len();
            tab_escape::unescape_into(element, list);
            elements.push(start..list.len());
        });
        elements[first..]
            .sort_unstable_by(|one, other| list[one.clone()].cmp(&list[other.clone()]));
        let last = self.scratch.elements.len();
        for number in first..last {
            let Scratch { list, elements, text, .. } = &mut *self.scratch;
            let element = &list[elements[number].clone()];
            let is_double = number > first && list[elements[number - 1].clone()] == *element;
            if is_double || self.left == 0 {
                continue;
            }
            let found = text_group(self.known, self.metric, text, parent, level, element);
            self.enter(depth, found);
        }
        if last == first {
            self.ungrouped(parent);
        }
        self.scratch.elements.truncate(first);
        self.scratch.list.truncate(bytes);
    }
}

/// The group that a text makes. `made` is overwritten.
fn text_group(
    known: &mut SeriesMap,
    metric: &Metric,
    made: &mut Vec<u8>,
    parent: Found,
    level: &Level,
    text: &[u8],
) -> Found {
    let value = match &level.grouping {
        Grouping::Values | Grouping::Buckets(_) => text,
        Grouping::Modified(modifier) => {
            made.clear();
            group::modify(modifier, text, made);
            made
        }
    };
    find(known, metric, parent, Key::text(value), || Name::Value(Cow::Borrowed(value)))
}

/// The group of `parent` with this key.
#[inline]
fn find<'n>(
    known: &mut SeriesMap,
    metric: &Metric,
    parent: Found,
    key: Key<'_>,
    name: impl FnOnce() -> Name<'n>,
) -> Found {
    if let Some(found) = known.find(parent.id, key) {
        return found;
    }
    let found = metric.registry.series(parent.id, key, name);
    if found.id != OVERFLOW {
        known.insert(parent.id, key, found);
    }
    found
}

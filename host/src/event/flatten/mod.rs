//! From an event with everything above it to what a format plugin is given.
//!
//! *All fields*: the global event's chain from its root down, then the event's
//! own from its root down to itself. A field that is set again keeps its first
//! position and has the last value; lists that follow each other are one list
//! without duplicates; a value of another kind takes a list's place, and a list
//! another kind's. *Selected fields*: the same values in the order of selection.
//!
//! *Categories*: the layers in the same order, each category followed by its
//! ancestors, each once.
//!
//! Nothing is allocated once the scratch has grown to the size of the events.

use abi::{RSlice, RawEvent, RawField, part, value_kind};
use fantail_sdk::{FieldValue, List, Timestamp, abi};

use super::category::{CategoryId, CategoryRegistry};
use super::event::{Categories, Event, Layer, Parts};
use super::key_index::KeyIndex;
use super::list::{self, ListUnion, MergedList};
use super::slot::{Bytes, Slot};

/// Among so many fields of the layers above, a name is found by comparing.
const COMPARED_MAX: usize = 32;

/// What a metric wants to have exported of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The parts, as far as the event has them.
    pub include: Parts,
    /// The metric's fields in the order of the export; none means: all.
    pub fields: Vec<Box<[u8]>>,
}

/// Flattens events, one after the other.
#[derive(Default)]
pub struct Flattener {
    layers: Vec<Layer<'static>>,
    fields: Vec<RawField<'static>>,
    categories: Vec<RSlice<'static, u8>>,
    lists: Vec<ListPart<'static>>,
    keys: KeyIndex,
    union: ListUnion,
    merged: Vec<(u32, MergedList)>,
}

/// A layer's part of the list at a place among the fields.
#[derive(Clone, Copy, Debug)]
struct ListPart<'e> {
    place: u32,
    order: u32,
    /// `None` when a value of another kind was set, which ends the list so far.
    list: Option<List<'e>>,
}

impl Flattener {
    /// Shows `use_it` the parts of `event` that `export` asks for and that it has.
    ///
    /// `own_hostname` and `now` are for events that do not carry a host name or
    /// an end time of their own.
    pub fn with_raw<T>(
        &mut self,
        event: &Event<'_>,
        export: &Export,
        own_hostname: &[u8],
        now: Timestamp,
        use_it: impl FnOnce(&RawEvent<'_>) -> T,
    ) -> T {
        let parts = export.include.and(event.parts);
        let mut layers = std::mem::take(&mut self.layers);
        if parts.contains(Parts::CATEGORIES) || parts.contains(Parts::FIELDS) {
            // By for_each, for to ask a chain of iterators for each layer costs more.
            event.layers().filter(|layer| !layer.is_empty()).for_each(|layer| layers.push(layer));
            layers.reverse();
        }

        let mut categories = std::mem::take(&mut self.categories);
        if parts.contains(Parts::CATEGORIES) {
            push_categories(event, &layers, &mut categories);
        }

        let mut collected = Collected {
            fields: std::mem::take(&mut self.fields),
            lists: std::mem::take(&mut self.lists),
            // An event that stands alone is exported as it came in, lists included.
            merges: !event.ancestors.is_empty(),
        };
        if parts.contains(Parts::FIELDS) {
            if export.fields.is_empty() {
                collected.all(&layers, &mut self.keys);
            } else {
                collected.selected(&layers, &export.fields);
            }
        }
        collected.merge_lists(&mut self.union, &mut self.merged);
        let Collected { mut fields, lists, .. } = collected;
        for (place, merged) in &self.merged {
            let list = self.union.get(merged);
            fields[*place as usize].set_list(list);
        }

        let mut raw = head(event, parts, own_hostname, now);
        raw.categories = categories.as_slice().into();
        raw.fields = fields.as_slice().into();
        let result = use_it(&raw);

        self.layers = recycle(layers);
        self.categories = recycle(categories);
        self.fields = recycle(fields);
        self.lists = recycle(lists);
        result
    }
}

/// The event without its categories and fields.
fn head<'e>(
    event: &Event<'e>,
    parts: Parts,
    own_hostname: &'e [u8],
    now: Timestamp,
) -> RawEvent<'e> {
    let has = |part| parts.contains(part);
    let name = event.name.filter(|_| has(Parts::NAME));
    let hostname = has(Parts::HOSTNAME).then(|| event.hostname.unwrap_or(own_hostname));
    let start = has(Parts::START_TIME).then_some(event.start_time);
    let end = has(Parts::END_TIME).then(|| event.end_time.unwrap_or(now));
    let mut bits = u32::from(parts.bits());
    if name.is_none() {
        bits &= !part::NAME;
    }
    RawEvent {
        parts: bits,
        log_type: event.log_type.map_or(u32::MAX, |log_type| log_type as u32),
        name: name.unwrap_or_default().into(),
        hostname: hostname.unwrap_or_default().into(),
        start_micros: start.unwrap_or_default().as_micros(),
        end_micros: end.unwrap_or_default().as_micros(),
        categories: RSlice::EMPTY,
        fields: RSlice::EMPTY,
    }
}

/// The fields of one event, as far as they are known.
struct Collected<'e> {
    fields: Vec<RawField<'e>>,
    lists: Vec<ListPart<'e>>,
    merges: bool,
}

impl<'e> Collected<'e> {
    fn all(&mut self, layers: &[Layer<'e>], keys: &mut KeyIndex) {
        // There is nothing that could be set again, or be merged.
        if let ([layer], false) = (layers, self.merges) {
            return self.append(layer.bytes(), layer.slots());
        }
        // A layer has each name once, so a name is looked for in the layers before; and
        // only if one of them has a name that it may be.
        let mut marks = 0;
        let mut indexed = 0;
        for layer in layers {
            let (bytes, slots) = (layer.bytes(), layer.slots());
            let before = self.fields.len();
            let mut own_marks = 0;
            // The first field of the layer that is new and was not added yet.
            let mut first = 0;
            let mut number = 0;
            loop {
                number += plain_ones(&slots[number..], marks, &mut own_marks);
                let Some(slot) = slots.get(number) else { break };
                let known = match marks & slot.mark().bit() {
                    0 => None,
                    _ => self.find_key(bytes.at(slot.key), before, keys, &mut indexed),
                };
                if let Some(place) = known {
                    self.append(bytes, &slots[first..number]);
                    first = number + 1;
                    self.set_again(place, bytes, slot);
                } else if slot.is_list() && self.merges {
                    self.note_list(self.fields.len() + number - first, bytes.value(slot));
                }
                number += 1;
            }
            self.append(bytes, &slots[first..]);
            marks |= own_marks;
        }
    }

    /// Adds these fields of a layer, which are new.
    // By itself, for what is done with most fields is to be done in registers.
    #[inline(never)]
    fn append(&mut self, bytes: Bytes<'e>, slots: &[Slot]) {
        self.fields.extend(slots.iter().map(|slot| bytes.raw(slot)));
    }

    /// Gives the field at `place` the value in `slot`.
    #[inline(never)]
    fn set_again(&mut self, place: usize, bytes: Bytes<'e>, slot: &Slot) {
        let before = std::mem::replace(&mut self.fields[place], bytes.raw(slot));
        if self.merges && (slot.is_list() || before.kind == value_kind::LIST) {
            self.note_list(place, bytes.value(slot));
        }
    }

    /// The place of the field `key` among the first fields, `before` in number, of which
    /// the index has the first `indexed`.
    fn find_key(
        &self,
        key: &[u8],
        before: usize,
        keys: &mut KeyIndex,
        indexed: &mut usize,
    ) -> Option<usize> {
        let key_at = |place: usize| self.fields[place].key();
        if before <= COMPARED_MAX {
            return (0..before).find(|&place| key_at(place) == key);
        }
        if *indexed == 0 {
            keys.clear();
        }
        for place in *indexed..before {
            keys.insert(key_at(place), key_at);
        }
        *indexed = before;
        keys.find(key, key_at)
    }

    fn selected(&mut self, layers: &[Layer<'e>], keys: &[Box<[u8]>]) {
        for key in keys {
            let mut slots = layers.iter().rev().filter_map(|layer| {
                let slot = layer.slot(key)?;
                Some((layer.bytes(), slot))
            });
            let Some((bytes, slot)) = slots.next() else { continue };
            let place = self.fields.len();
            self.fields.push(bytes.raw(slot));
            let mut values = slots.map(|(bytes, slot)| bytes.value(slot));
            let (FieldValue::List(list), true) = (bytes.value(slot), self.merges) else {
                continue;
            };
            // The nearest part comes first here, and last in the merged list.
            let first = self.lists.len();
            self.push_list(place, Some(list));
            while let Some(FieldValue::List(list)) = values.next() {
                self.push_list(place, Some(list));
            }
            self.lists[first..].reverse();
        }
        for (order, part) in self.lists.iter_mut().enumerate() {
            part.order = order as u32;
        }
    }

    /// Remembers what the value means for the list at `place`: it is a part of it, or takes
    /// its place.
    fn note_list(&mut self, place: usize, value: FieldValue<'e>) {
        match value {
            FieldValue::List(list) => self.push_list(place, Some(list)),
            _ => self.push_list(place, None),
        }
    }

    fn push_list(&mut self, place: usize, list: Option<List<'e>>) {
        let order = self.lists.len() as u32;
        self.lists.push(ListPart { place: place as u32, order, list });
    }

    /// Merges the lists that have more than one part, or may have duplicates.
    fn merge_lists(&mut self, union: &mut ListUnion, merged: &mut Vec<(u32, MergedList)>) {
        union.clear();
        merged.clear();
        self.lists.sort_unstable_by_key(|part| (part.place, part.order));
        for parts in self.lists.chunk_by(|one, other| one.place == other.place) {
            let live = parts.rsplit(|part| part.list.is_none()).next().unwrap_or_default();
            let lists = live.iter().filter_map(|part| part.list);
            if let [ListPart { list: Some(list), .. }] = live
                && list::is_short_union(*list)
            {
                continue;
            }
            if lists.clone().map(|list| list.len()).sum::<usize>() > 1 {
                merged.push((parts[0].place, union.merge(lists)));
            }
        }
    }
}

/// How many of the slots, from the first one on, are no lists and have names that are new for
/// certain, as the `marks` of the names before say. The marks of these and of the one
/// behind them are added to `own_marks`.
#[inline(never)]
fn plain_ones(slots: &[Slot], marks: u64, own_marks: &mut u64) -> usize {
    let mut own = *own_marks;
    let mut count = 0;
    for slot in slots {
        let mark = slot.mark().bit();
        own |= mark;
        if marks & mark != 0 || slot.is_list() {
            break;
        }
        count += 1;
    }
    *own_marks = own;
    count
}

/// Appends the names of the categories of all layers with their ancestors.
fn push_categories<'e>(event: &Event<'e>, layers: &[Layer<'e>], names: &mut Vec<RSlice<'e, u8>>) {
    match event.categories {
        Categories::Named(bytes, spans) => {
            names.extend(spans.iter().map(|&span| RSlice::from(bytes.at(span))));
        }
        Categories::Registered(registry) => {
            let mut seen = CategorySet::default();
            for id in layers.iter().flat_map(|layer| layer.categories()) {
                for id in registry.with_ancestors(*id) {
                    if !seen.insert(id) {
                        // Its ancestors came with it.
                        break;
                    }
                    names.push(registry.name(id).into());
                }
            }
        }
    }
}

/// A set of one registry's categories.
#[derive(Default)]
struct CategorySet([u64; CategoryRegistry::CAPACITY / 64]);

impl CategorySet {
    /// Adds the category; false when it was in the set before.
    fn insert(&mut self, id: CategoryId) -> bool {
        let (word, bit) = (id.index() / 64, 1 << (id.index() % 64));
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }
}

/// The vector, emptied, for elements of another lifetime: an empty vector of
/// `RawField<'a>` can't become one of `RawField<'static>`, but its allocation
/// can be collected into one (the standard library does so in place when the
/// elements have the same size and alignment).
pub(crate) fn recycle<T, U>(mut vec: Vec<T>) -> Vec<U> {
    vec.clear();
    vec.into_iter().map(|_| unreachable!("invariant: the vector was cleared")).collect()
}

#[cfg(test)]
mod tests;

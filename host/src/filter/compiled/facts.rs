//! Which predicates are true of an event, found from what the event has.
//!
//! Everything is found when it is asked for, and once: the value of a field, the
//! predicates that are true of it, the answer of a single predicate.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::Compiled;
use super::index::{Aspects, Place};
use super::matcher::{Answer, Matcher, Run};
use super::pattern::PatternTable;
use super::predicate::{KeyId, Predicate, PredicateId, Predicates};
use super::program::{Answers, ValueSet};
use super::small;
use super::value::ValueTable;
use crate::event::flatten::recycle;
use fantail_sdk::FieldValue;

use crate::event::{Event, LogType};
use crate::filter::ast::NameTest;
use crate::filter::literal::{Decimal, Literal};
use crate::filter::naive;
use crate::filter::network::Address;
use crate::filter::wildcard::Case;

/// So many fields are searched for one by one; for more of them, all that the
/// event has are read.
const SEARCHED: usize = 2;

/// Where what an event has leads.
#[derive(Clone, Debug, Default)]
pub(super) struct FactTables {
    names: HashMap<Box<[u8]>, PredicateId, RandomState>,
    name_patterns: PatternTable,
    /// The tests of categories, with the categories' names.
    pub(super) categories: Vec<(Box<str>, PredicateId)>,
    log_types: [Option<PredicateId>; LogType::ALL.len()],
    /// By the file's name.
    sources: HashMap<Box<[u8]>, Vec<PredicateId>, RandomState>,
    /// By field.
    values: Vec<ValueTable>,
}

impl FactTables {
    /// Tables of all predicates; of patterns and bounds, which take longer to
    /// find, only those that are `wanted`.
    pub(super) fn new(predicates: &Predicates, wanted: impl Fn(PredicateId) -> bool) -> Self {
        let mut tables = FactTables::default();
        let mut patterns = Vec::new();
        let mut by_key: BTreeMap<KeyId, Vec<(PredicateId, &Predicate)>> = BTreeMap::new();
        for (id, predicate) in predicates.iter() {
            match predicate {
                Predicate::Name(NameTest::Exact(name)) => {
                    tables.names.insert(name.as_bytes().into(), id);
                }
                Predicate::Name(NameTest::Pattern(pattern)) if wanted(id) => {
                    patterns.push((id, pattern));
                }
                Predicate::Name(NameTest::Pattern(_)) => {}
                Predicate::Category(name) => {
                    tables.categories.push((name.clone(), id));
                }
                Predicate::LogType(log_type) => tables.log_types[*log_type as usize] = Some(id),
                Predicate::Source(wanted) => {
                    let file = wanted.rsplit_once(':').map_or(&**wanted, |(file, _)| file);
                    tables.sources.entry(file.as_bytes().into()).or_default().push(id);
                }
                Predicate::Field(key, _) => by_key.entry(*key).or_default().push((id, predicate)),
            }
        }
        tables.name_patterns = PatternTable::new(&patterns, Case::Sensitive);
        tables.values =
            by_key.into_values().map(|all| ValueTable::new(all.into_iter(), &wanted)).collect();
        tables
    }
}

/// What is known of one event.
pub(super) struct Facts<'s, 'e> {
    compiled: &'s Compiled,
    event: &'s Event<'e>,
    matcher: &'s mut Matcher,
    values: Vec<Option<FieldValue<'e>>>,
    /// Whether all of the event's fields have been read.
    has_read: bool,
    /// The facts that are not about fields, once they are known.
    of_name: Option<Run>,
    of_categories: Option<Run>,
    of_source: Option<Run>,
}

impl<'s, 'e> Facts<'s, 'e> {
    /// Nothing known of `event` yet.
    pub(super) fn begin(
        compiled: &'s Compiled,
        event: &'s Event<'e>,
        matcher: &'s mut Matcher,
    ) -> Self {
        matcher.next_event();
        matcher.facts.clear();
        matcher.present.clear();
        let values = std::mem::take(&mut matcher.values);
        Facts {
            compiled,
            event,
            matcher,
            values,
            has_read: false,
            of_name: None,
            of_categories: None,
            of_source: None,
        }
    }

    /// Gives the memory back.
    pub(super) fn end(self) {
        self.matcher.values = recycle(self.values);
    }

    /// Whether the filter has not been asked for this event; it has now.
    pub(super) fn is_first_look(&mut self, filter: u32) -> bool {
        let event = self.matcher.event;
        std::mem::replace(&mut self.matcher.looked[filter as usize], event) != event
    }

    /// Calls `follow` with the facts that edges of the node may depend on.
    pub(super) fn relevant(&mut self, place: &Place, mut follow: impl FnMut(&[PredicateId])) {
        if place.aspects.contains(Aspects::NAME) {
            let run = self.of_name();
            follow(&self.matcher.facts[run.range()]);
        }
        if place.aspects.contains(Aspects::CATEGORIES) {
            let run = self.of_categories();
            follow(&self.matcher.facts[run.range()]);
        }
        if place.aspects.contains(Aspects::LOG_TYPE)
            && let Some(log_type) = self.event.log_type
        {
            follow(self.compiled.tables.log_types[log_type as usize].as_slice());
        }
        if place.aspects.contains(Aspects::SOURCE) {
            let run = self.of_source();
            follow(&self.matcher.facts[run.range()]);
        }
        if place.keys.len() <= SEARCHED {
            for &key in &place.keys {
                let run = self.of_key(key);
                follow(&self.matcher.facts[run.range()]);
            }
            return;
        }
        self.read_fields();
        for at in 0..self.matcher.present.len() {
            let key = self.matcher.present[at];
            if place.keys.binary_search(&key).is_ok() {
                let run = self.of_key(key);
                follow(&self.matcher.facts[run.range()]);
            }
        }
    }

    fn of_name(&mut self) -> Run {
        if let Some(known) = self.of_name {
            return known;
        }
        let start = self.matcher.facts.len();
        if let Some(name) = self.event.name.filter(|name| !name.is_empty()) {
            let tables = &self.compiled.tables;
            if let Some(&test) = tables.names.get(name) {
                self.add(test);
            }
            tables.name_patterns.nominate(name, |test| self.add_if_true(test));
        }
        let run = self.run_from(start);
        *self.of_name.insert(run)
    }

    fn of_source(&mut self) -> Run {
        if let Some(known) = self.of_source {
            return known;
        }
        let start = self.matcher.facts.len();
        if let Some(source) = self.event.source {
            let tests = self.compiled.tables.sources.get(source.file);
            tests.into_iter().flatten().for_each(|test| self.add_if_true(*test));
        }
        let run = self.run_from(start);
        *self.of_source.insert(run)
    }

    /// The categories that are asked for: the event's, with those above them.
    fn of_categories(&mut self) -> Run {
        if let Some(known) = self.of_categories {
            return known;
        }
        let start = self.matcher.facts.len();
        if !self.compiled.tables.categories.is_empty() {
            let mut set = std::mem::take(&mut self.matcher.categories);
            set.fill(0);
            self.event.category_bits(&self.matcher.names.symbols, &mut set);
            for (at, word) in set.iter().enumerate() {
                let mut left = *word;
                while left != 0 {
                    let bit = 64 * at + left.trailing_zeros() as usize;
                    if let Some(test) = self.matcher.names.tests[bit] {
                        self.add(test);
                    }
                    left &= left - 1;
                }
            }
            self.matcher.categories = set;
        }
        let run = self.run_from(start);
        *self.of_categories.insert(run)
    }

    /// What is true of a field's value.
    fn of_key(&mut self, key: KeyId) -> Run {
        let event = self.matcher.event;
        let state = &self.matcher.keys[key.index()];
        if state.judged == event {
            return state.facts;
        }
        let start = self.matcher.facts.len();
        if let Some(value) = self.value(key) {
            self.judge(key, value);
        }
        let run = self.run_from(start);
        let state = &mut self.matcher.keys[key.index()];
        (state.judged, state.facts) = (event, run);
        run
    }

    fn judge(&mut self, key: KeyId, value: FieldValue<'e>) {
        let table = &self.compiled.tables.values[key.index()];
        match value {
            // A cleared field is a missing one.
            FieldValue::Timestamp(_) | FieldValue::Text([]) | FieldValue::Json([]) => {}
            FieldValue::Text(text) | FieldValue::Json(text) => self.judge_text(table, text),
            FieldValue::Integer(number) => {
                table.of_number(number).iter().for_each(|test| self.add(*test));
                table.bounds_of(number).for_each(|test| self.add(test));
                if !table.patterns().is_empty() {
                    let decimal = Decimal::new(number);
                    let text = decimal.as_bytes();
                    table.patterns().nominate(text, |test| self.add_if_true(test));
                }
            }
            FieldValue::Ip(text) => self.judge_address(table, text),
            FieldValue::List(_) => self.judge_list(table, key),
        }
    }

    fn judge_text(&mut self, table: &ValueTable, text: &[u8]) {
        for &test in table.of_text(text, &mut self.matcher.fold) {
            self.add(test);
        }
        table.patterns().nominate(text, |test| self.add_if_true(test));
    }

    fn judge_address(&mut self, table: &ValueTable, text: &[u8]) {
        if table.has_networks()
            && let Some(address) = Address::read(text)
        {
            table.networks_of(address, |test| {
                if let Predicate::Field(_, wanted) = self.compiled.predicates.get(test)
                    && let Literal::Network(network) = &wanted.value
                    && network.contains_address(address)
                {
                    self.add(test);
                }
            });
        }
        // Of the values only `5m` and its like are compared with an address's text.
        for &test in table.of_text(text, &mut self.matcher.fold) {
            self.add_if_true(test);
        }
        table.patterns().nominate(text, |test| self.add_if_true(test));
    }

    /// What is true of one of a list's elements, along all layers.
    fn judge_list(&mut self, table: &ValueTable, key: KeyId) {
        let mut element = std::mem::take(&mut self.matcher.element);
        for part in self.event.list_parts_of(self.matcher.names.of_key(key)) {
            match part {
                FieldValue::List(list) => {
                    for bytes in naive::elements(list) {
                        element.clear();
                        element.extend(bytes);
                        self.judge_text(table, &element);
                    }
                }
                FieldValue::Text(text) => self.judge_text(table, text),
                FieldValue::Integer(_)
                | FieldValue::Timestamp(_)
                | FieldValue::Ip(_)
                | FieldValue::Json(_) => {}
            }
        }
        self.matcher.element = element;
    }

    fn is_fact(&self, id: PredicateId) -> bool {
        self.matcher.answers[id.index()].is_fact(self.matcher.event)
    }

    /// Adds a fact, unless it is known.
    fn add(&mut self, id: PredicateId) {
        if !self.is_fact(id) {
            self.matcher.answers[id.index()] = Answer::fact(self.matcher.event);
            self.matcher.facts.push(id);
        }
    }

    fn add_if_true(&mut self, id: PredicateId) {
        if self.is_true(id) {
            self.add(id);
        }
    }

    fn run_from(&self, start: usize) -> Run {
        Run { start: small(start), end: small(self.matcher.facts.len()) }
    }

    /// What the event has in the field, its first part if it is a list.
    fn value(&mut self, key: KeyId) -> Option<FieldValue<'e>> {
        let keys = &self.compiled.predicates.keys;
        let state = &self.matcher.keys[key.index()];
        if state.looked_up == self.matcher.event {
            return self.values[state.value as usize];
        }
        let value = if keys.duration() == Some(key) {
            Some(FieldValue::Integer(self.event.duration))
        } else if self.has_read {
            None
        } else {
            self.event.value_of(self.matcher.names.of_key(key))
        };
        self.keep(key, value);
        value
    }

    fn keep(&mut self, key: KeyId, value: Option<FieldValue<'e>>) {
        let place = small(self.values.len());
        self.values.push(value);
        let state = &mut self.matcher.keys[key.index()];
        (state.looked_up, state.value) = (self.matcher.event, place);
    }

    /// Reads all fields of the event, as far as they are asked for.
    fn read_fields(&mut self) {
        if std::mem::replace(&mut self.has_read, true) {
            return;
        }
        let event = self.matcher.event;
        let keys = &self.compiled.predicates.keys;
        for layer in self.event.layers() {
            for slot in layer.slots() {
                let Some(key) = self.matcher.names.key_of(slot.symbol) else { continue };
                if self.matcher.keys[key.index()].present == event {
                    continue;
                }
                if self.matcher.keys[key.index()].looked_up != event {
                    self.keep(key, Some(layer.bytes().value(slot)));
                }
                self.matcher.keys[key.index()].present = event;
                self.matcher.present.push(key);
            }
        }
        self.matcher.present.extend(keys.duration());
    }
}

impl Answers for Facts<'_, '_> {
    fn is_true(&mut self, id: PredicateId) -> bool {
        let event = self.matcher.event;
        if let Some(known) = self.matcher.answers[id.index()].of(event) {
            return known;
        }
        let compiled = self.compiled;
        let answer = match compiled.predicates.get(id) {
            Predicate::Name(wanted) => naive::has_name(self.event, wanted),
            Predicate::Category(_) => {
                self.of_categories();
                self.is_fact(id)
            }
            Predicate::LogType(wanted) => self.event.log_type == Some(*wanted),
            Predicate::Source(wanted) => naive::is_at(self.event, wanted),
            Predicate::Field(key, test) => {
                let value = self.value(*key);
                naive::compare_value(test, value, self.event).unwrap_or(false)
            }
        };
        if !self.is_fact(id) {
            self.matcher.answers[id.index()] = Answer::new(event, answer);
        }
        answer
    }

    fn is_any_true(&mut self, set: &ValueSet) -> bool {
        let run = self.of_key(set.key);
        let facts = &self.matcher.facts[run.range()];
        facts.iter().any(|fact| set.members.binary_search(fact).is_ok())
    }
}

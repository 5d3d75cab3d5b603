//! One field's tests by what they ask for, so that a field's value leads to the
//! tests that are true of it without asking the others.
//!
//! A test is in the table of each kind of value that it can be true of: that of
//! the number 5 is true of the text "5" too, that of a network of the text that
//! it is written as, and that of `5m` of a text and of an address's text. The
//! tables lie as [`naive::compare_value`] answers; those of values answer for
//! good, the others only nominate.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use foldhash::fast::RandomState;

use super::pattern::PatternTable;
use super::predicate::{Kind, Predicate, PredicateId};
use crate::filter::ast::{FieldTest, Op};
use crate::filter::literal::Literal;
use crate::filter::network::{Address, Network, Prefix, PrefixLength};
use crate::filter::wildcard::{Case, Pattern};

/// The tables of one field.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueTable {
    texts: HashMap<Box<[u8]>, Box<[PredicateId]>, RandomState>,
    /// Bytes in the longest of `texts`.
    longest: usize,
    numbers: HashMap<i64, Box<[PredicateId]>, RandomState>,
    networks: NetworkTable,
    patterns: PatternTable,
    at_least: Bounds,
    at_most: Bounds,
}

/// Tests of a number's bound, those that the most numbers pass first.
#[derive(Clone, Debug, Default)]
struct Bounds(Box<[(i64, PredicateId)]>);

/// Networks by their leading bits.
#[derive(Clone, Debug, Default)]
struct NetworkTable {
    /// The lengths that there are.
    lengths: Box<[PrefixLength]>,
    by_prefix: HashMap<Prefix, Box<[PredicateId]>, RandomState>,
}

impl ValueTable {
    /// Tables of the tests, all of one field. Patterns and bounds are taken in
    /// only as far as they are `wanted`: the others are asked when it matters.
    pub(super) fn new<'p>(
        tests: impl Iterator<Item = (PredicateId, &'p Predicate)>,
        wanted: impl Fn(PredicateId) -> bool,
    ) -> Self {
        let mut draft = Draft::default();
        for (id, predicate) in tests {
            let Predicate::Field(_, test) = predicate else { continue };
            match predicate.kind() {
                Some(Kind::Value | Kind::Network) => draft.add_value(id, &test.value),
                Some(Kind::Pattern | Kind::Presence) if wanted(id) => {
                    if let Literal::Pattern(pattern) = &test.value {
                        draft.patterns.push((id, pattern));
                    }
                }
                Some(Kind::Bound) if wanted(id) => draft.add_bound(id, test),
                _ => {}
            }
        }
        draft.finish()
    }

    /// The tests that are true of a text, which is not empty. `fold` is scratch.
    pub(super) fn of_text(&self, text: &[u8], fold: &mut Vec<u8>) -> &[PredicateId] {
        if text.len() > self.longest {
            return &[];
        }
        fold.clear();
        fold.extend(text.iter().map(u8::to_ascii_lowercase));
        self.texts.get(fold.as_slice()).map_or(&[], |tests| tests)
    }

    /// The tests that are true of a number, without those of its bounds.
    pub(super) fn of_number(&self, number: i64) -> &[PredicateId] {
        if self.numbers.is_empty() {
            return &[];
        }
        self.numbers.get(&number).map_or(&[], |tests| tests)
    }

    /// The wanted tests of bounds that are true of a number.
    pub(super) fn bounds_of(&self, number: i64) -> impl Iterator<Item = PredicateId> {
        let below = self.at_least.0.iter().take_while(move |(bound, _)| *bound <= number);
        let above = self.at_most.0.iter().take_while(move |(bound, _)| *bound >= number);
        below.chain(above).map(|(_, test)| *test)
    }

    /// Calls `found` with the tests of networks of which some are true of an
    /// address, and no other is.
    pub(super) fn networks_of(&self, address: Address<&str>, mut found: impl FnMut(PredicateId)) {
        for length in &self.networks.lengths {
            let prefix = length.of(address);
            let tests = prefix.and_then(|prefix| self.networks.by_prefix.get(&prefix));
            tests.into_iter().flatten().copied().for_each(&mut found);
        }
    }

    /// Whether there are networks to be asked for.
    pub(super) fn has_networks(&self) -> bool {
        !self.networks.lengths.is_empty()
    }

    /// The wanted patterns.
    pub(super) fn patterns(&self) -> &PatternTable {
        &self.patterns
    }
}

/// Tables that are being filled.
#[derive(Default)]
struct Draft<'p> {
    texts: BTreeMap<Vec<u8>, Vec<PredicateId>>,
    numbers: BTreeMap<i64, Vec<PredicateId>>,
    networks: BTreeMap<Prefix, Vec<PredicateId>>,
    patterns: Vec<(PredicateId, &'p Pattern)>,
    at_least: Vec<(i64, PredicateId)>,
    at_most: Vec<(i64, PredicateId)>,
}

impl<'p> Draft<'p> {
    fn add_value(&mut self, id: PredicateId, value: &Literal) {
        let text = value.text().to_ascii_lowercase().into_bytes();
        self.texts.entry(text).or_default().push(id);
        match value {
            Literal::Integer(number) => self.numbers.entry(*number).or_default().push(id),
            Literal::Network(network) => self.add_network(id, network),
            Literal::Text(_) | Literal::Pattern(_) | Literal::Ambiguous(_) => {}
        }
    }

    fn add_network(&mut self, id: PredicateId, network: &Network) {
        self.networks.entry(network.prefix()).or_default().push(id);
    }

    fn add_bound(&mut self, id: PredicateId, test: &FieldTest) {
        let Literal::Integer(bound) = test.value else { return };
        // Nothing lies beyond the last number.
        match test.op {
            Op::Greater => self.at_least.extend(bound.checked_add(1).map(|least| (least, id))),
            Op::GreaterOrEqual => self.at_least.push((bound, id)),
            Op::Less => self.at_most.extend(bound.checked_sub(1).map(|most| (most, id))),
            Op::LessOrEqual => self.at_most.push((bound, id)),
            Op::Equal => {}
        }
    }

    fn finish(mut self) -> ValueTable {
        self.at_least.sort_unstable();
        self.at_most.sort_unstable_by_key(|(bound, id)| (std::cmp::Reverse(*bound), *id));
        let mut lengths: Vec<_> = self.networks.keys().map(|prefix| prefix.length()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        ValueTable {
            longest: self.texts.keys().map(Vec::len).max().unwrap_or(0),
            texts: self.texts.into_iter().map(|(text, ids)| (text.into(), ids.into())).collect(),
            numbers: table(self.numbers),
            networks: NetworkTable { lengths: lengths.into(), by_prefix: table(self.networks) },
            patterns: PatternTable::new(&self.patterns, Case::Ignored),
            at_least: Bounds(self.at_least.into()),
            at_most: Bounds(self.at_most.into()),
        }
    }
}

fn table<K: Eq + Hash>(
    draft: BTreeMap<K, Vec<PredicateId>>,
) -> HashMap<K, Box<[PredicateId]>, RandomState> {
    draft.into_iter().map(|(key, ids)| (key, ids.into())).collect()
}

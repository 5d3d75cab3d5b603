//! Which filters can match, given what is true of an event: a tree whose edges
//! are predicates.
//!
//! Every filter hangs at one node, or at several when alternatives lead to it: it
//! can match only if every predicate on the way from the root is true. On the way
//! its conjuncts are answered one after the other; those that are left over are
//! asked when the node is reached. Filters that nothing leads to hang at the root.
//!
//! Which way a filter takes is chosen when the tree is built: an exact name comes
//! first; then what few other filters share, and what is rarely true. A node with
//! few filters has no edges, because asking them all costs less.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::guard::Guard;
use super::predicate::{KeyId, Kind, Predicate, PredicateId, Predicates};
use super::small;

/// A node with no more filters than this has no edges.
pub(in crate::filter) const FEW: usize = 4;

/// The most edges on a filter's way.
const DEPTH_MAX: usize = 4;

/// In how many places a filter may hang because several conjuncts have
/// alternatives; those of one conjunct are not limited.
const SPREAD_MAX: usize = 1024;

/// The last conjuncts of a filter that has more are answered by no edge.
const CONJUNCTS_MAX: usize = 31;

/// What else than fields the edges of a node depend on, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Aspects(u8);

impl Aspects {
    pub(super) const NAME: Aspects = Aspects(1);
    pub(super) const CATEGORIES: Aspects = Aspects(2);
    pub(super) const LOG_TYPE: Aspects = Aspects(4);
    pub(super) const SOURCE: Aspects = Aspects(8);

    pub(super) fn contains(self, other: Aspects) -> bool {
        self.0 & other.0 != 0
    }
}

/// A node of the tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The filters that hang here, in ascending order.
    pub(super) entries: Box<[Entry]>,
    /// The fields that edges from here depend on, in ascending order.
    pub(super) keys: Box<[KeyId]>,
    /// And what else they depend on.
    pub(super) aspects: Aspects,
}

/// A filter at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) filter: u32,
    /// The conjuncts that are still to be asked, as bits; the highest bit stands
    /// for all from there on.
    pub(super) left: u32,
}

/// The tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    places: Vec<Place>,
    /// For each predicate, by its number, where its edges begin in `edges`; and
    /// the end of the last one.
    starts: Vec<u32>,
    /// The edges of each predicate, ordered by the node that they leave.
    edges: Vec<Edge>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    from: u32,
    to: u32,
}

/// How a filter is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::filter) struct Way {
    /// What the edges ask for that lead to it.
    pub(super) kinds: [Option<Kind>; DEPTH_MAX],
    /// Whether nothing of it is left to be asked then.
    pub(super) is_whole: bool,
}

impl Index {
    /// The node at which to begin.
    pub(super) const ROOT: u32 = 0;

    /// The node with that number.
    pub(super) fn place(&self, number: u32) -> &Place {
        &self.places[number as usize]
    }

    /// The node to which the predicate leads from the node `from`.
    pub(super) fn follow(&self, from: u32, predicate: PredicateId) -> Option<u32> {
        let at = predicate.index();
        let edges = &self.edges[self.starts[at] as usize..self.starts[at + 1] as usize];
        match edges {
            [] => None,
            [only] => (only.from == from).then_some(only.to),
            many => {
                let found = many.binary_search_by_key(&from, |edge| edge.from).ok()?;
                Some(many[found].to)
            }
        }
    }

    /// Whether any edge depends on the predicate.
    pub(super) fn uses(&self, predicate: PredicateId) -> bool {
        self.starts[predicate.index()] != self.starts[predicate.index() + 1]
    }
}

/// Builds the tree.
pub(super) struct Builder<'g> {
    /// The guards of each filter's conjuncts.
    guards: &'g [Vec<Option<Guard>>],
    predicates: &'g Predicates,
    few: usize,
    places: Vec<Place>,
    edges: Vec<(PredicateId, Edge)>,
    ways: Vec<Option<Way>>,
}

/// A filter on its way down.
#[derive(Clone, Copy)]
struct Member {
    filter: u32,
    left: u32,
    /// The conjuncts that may still lead further.
    usable: u32,
    /// In how many places it hangs.
    spread: usize,
    way: Way,
}

impl<'g> Builder<'g> {
    /// Builds the tree for filters with these guards. A node with at most `few`
    /// filters has no edges.
    pub(super) fn build(
        guards: &'g [Vec<Option<Guard>>],
        predicates: &'g Predicates,
        few: usize,
        members: impl Iterator<Item = u32>,
    ) -> (Index, Vec<Option<Way>>) {
        let members = members
            .map(|filter| {
                let left = all_of(guards[filter as usize].len());
                let usable = left & !(1 << CONJUNCTS_MAX);
                Member { filter, left, usable, spread: 1, way: Way::default() }
            })
            .collect();
        let mut builder = Builder {
            guards,
            predicates,
            few,
            places: vec![Place::default()],
            edges: Vec::new(),
            ways: vec![None; guards.len()],
        };
        let mut rest = vec![(Index::ROOT, members, 0)];
        while let Some((place, members, depth)) = rest.pop() {
            for (child, members) in builder.grow(place, members, depth) {
                rest.push((child, members, depth + 1));
            }
        }
        builder.finish()
    }

    /// Fills a node; returns those below it.
    fn grow(&mut self, place: u32, members: Vec<Member>, depth: usize) -> Vec<(u32, Vec<Member>)> {
        let mut below: BTreeMap<PredicateId, Vec<Member>> = BTreeMap::new();
        let mut entries = Vec::new();
        let ends = members.len() <= self.few || depth == DEPTH_MAX;
        let shares = if ends { HashMap::default() } else { self.shares(&members) };
        for member in members {
            let choice = if ends { None } else { self.choose(&member, &shares) };
            let Some((conjunct, guard)) = choice else {
                self.note_way(&member);
                entries.push(Entry { filter: member.filter, left: member.left });
                continue;
            };
            let mut next = member;
            next.usable &= !(1 << conjunct);
            if guard.is_exact {
                next.left &= !(1 << conjunct);
            }
            next.spread *= guard.predicates.len();
            next.way.kinds[depth] = Some(guard.kind);
            for &predicate in &guard.predicates {
                below.entry(predicate).or_default().push(next);
            }
        }
        let mut found = Vec::new();
        let (mut keys, mut aspects) = (Vec::new(), Aspects::default());
        for (predicate, members) in below {
            match self.predicates.get(predicate) {
                Predicate::Field(key, _) => keys.push(*key),
                Predicate::Name(_) => aspects.0 |= Aspects::NAME.0,
                Predicate::Category(_) => aspects.0 |= Aspects::CATEGORIES.0,
                Predicate::LogType(_) => aspects.0 |= Aspects::LOG_TYPE.0,
                Predicate::Source(_) => aspects.0 |= Aspects::SOURCE.0,
            }
            let to = small(self.places.len());
            self.places.push(Place::default());
            self.edges.push((predicate, Edge { from: place, to }));
            found.push((to, members));
        }
        keys.sort_unstable();
        keys.dedup();
        entries.sort_unstable_by_key(|entry| entry.filter);
        self.places[place as usize] = Place { entries: entries.into(), keys: keys.into(), aspects };
        found
    }

    /// By how many of the members each predicate could be taken.
    fn shares(&self, members: &[Member]) -> HashMap<PredicateId, usize, RandomState> {
        let mut shares = HashMap::default();
        for member in members {
            for (_, guard) in self.options(member) {
                for &predicate in &guard.predicates {
                    *shares.entry(predicate).or_insert(0) += 1;
                }
            }
        }
        shares
    }

    /// The conjunct whose guard the member goes by.
    fn choose(
        &self,
        member: &Member,
        shares: &HashMap<PredicateId, usize, RandomState>,
    ) -> Option<(usize, &'g Guard)> {
        self.options(member).min_by_key(|(_, guard)| {
            let most = guard.predicates.iter().map(|predicate| shares[predicate]).max();
            weight(guard.kind) * most.unwrap_or(0)
        })
    }

    /// The conjuncts by whose guards the member can go.
    fn options(&self, member: &Member) -> impl Iterator<Item = (usize, &'g Guard)> + use<'g> {
        let Member { usable, spread, .. } = *member;
        let guards = &self.guards[member.filter as usize];
        (0..CONJUNCTS_MAX).zip(guards).filter_map(move |(conjunct, guard)| {
            let guard = guard.as_ref().filter(|_| usable & 1 << conjunct != 0)?;
            let fits = spread == 1 || spread * guard.predicates.len() <= SPREAD_MAX;
            fits.then_some((conjunct, guard))
        })
    }

    fn note_way(&mut self, member: &Member) {
        let way = Way { is_whole: member.left == 0, ..member.way };
        let known = self.ways[member.filter as usize].get_or_insert(way);
        known.is_whole &= way.is_whole;
    }

    fn finish(self) -> (Index, Vec<Option<Way>>) {
        let Builder { predicates, places, mut edges, ways, .. } = self;
        edges.sort_unstable_by_key(|(predicate, edge)| (*predicate, edge.from));
        let mut starts = vec![0; predicates.len() + 1];
        for (predicate, _) in &edges {
            starts[predicate.index() + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let edges = edges.into_iter().map(|(_, edge)| edge).collect();
        (Index { places, starts, edges }, ways)
    }
}

/// How often a predicate of that kind is true, roughly. An exact name comes first
/// in any case: nothing else is found as quickly, or leaves as little to ask.
fn weight(kind: Kind) -> usize {
    match kind {
        Kind::Name => 0,
        Kind::Value => 1,
        Kind::Source | Kind::Network => 2,
        Kind::Pattern => 4,
        Kind::Bound | Kind::Category | Kind::LogType => 8,
        Kind::Presence => 16,
    }
}

/// So many conjuncts as bits.
fn all_of(count: usize) -> u32 {
    if count > CONJUNCTS_MAX { u32::MAX } else { (1 << count) - 1 }
}

impl Entry {
    /// The conjuncts that are left, of `count` that the filter has.
    pub(super) fn conjuncts_left(self, count: usize) -> impl Iterator<Item = usize> {
        let mut left = self.left & !(1 << CONJUNCTS_MAX);
        let by_bits = std::iter::from_fn(move || {
            let next = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (next < u32::BITS).then_some(next as usize)
        });
        let all_from = if self.left >> CONJUNCTS_MAX == 0 { count } else { CONJUNCTS_MAX };
        by_bits.chain(all_from..count)
    }
}

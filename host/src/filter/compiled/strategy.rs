//! How the filters of a set are found, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use super::index::Way;
use super::predicate::Kind;

/// How many filters are found in which way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategies {
    /// Whether only events are asked about that have a name.
    named: bool,
    counts: BTreeMap<Option<Way>, usize>,
}

impl Strategies {
    pub(super) fn new(ways: &[Option<Way>], named: bool) -> Self {
        let mut counts = BTreeMap::new();
        for way in ways {
            *counts.entry(*way).or_insert(0) += 1;
        }
        Strategies { named, counts }
    }

    /// The ways with the number of filters each, in words, the most filters first.
    pub fn iter(&self) -> impl Iterator<Item = (usize, String)> {
        let mut sorted: Vec<_> = self.counts.iter().collect();
        sorted.sort_by_key(|(way, count)| (std::cmp::Reverse(**count), **way));
        sorted.into_iter().map(|(way, count)| (*count, self.words(*way)))
    }

    fn words(&self, way: Option<Way>) -> String {
        let Some(way) = way else { return "left out, because they can't match".to_owned() };
        let kinds: Vec<_> = way.kinds.iter().flatten().map(Kind::to_string).collect();
        if kinds.is_empty() {
            let every = if self.named { "every named event" } else { "every event" };
            return match way.is_whole {
                true => format!("not asked, because {every} matches"),
                false => format!("asked for {every}"),
            };
        }
        let found = format!("found by {}", kinds.join(", then by "));
        if way.is_whole { found } else { format!("{found}, then asked") }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Value => "a field's value",
            Kind::Name => "the event's name",
            Kind::Source => "the place in the source",
            Kind::Network => "a network",
            Kind::Pattern => "a pattern",
            Kind::Bound => "a bound",
            Kind::Category => "the category",
            Kind::LogType => "the log type",
            Kind::Presence => "a field's presence",
        })
    }
}

//! Many patterns at once: their literal parts are found in one pass over a text,
//! and only the patterns whose part is there are nominated.

use std::collections::BTreeMap;

use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, Input};

use super::predicate::PredicateId;
use crate::filter::wildcard::{Case, Pattern, Piece};

/// So few patterns are asked one by one.
const FEW: usize = 4;

/// The patterns that one kind of text is matched with.
#[derive(Clone, Debug, Default)]
pub(super) struct PatternTable {
    /// Those that have to be asked for every text.
    always: Vec<PredicateId>,
    by_literal: Option<ByLiteral>,
}

#[derive(Clone, Debug)]
struct ByLiteral {
    literals: AhoCorasick,
    /// The patterns that have the literal, by its number.
    patterns: Vec<Vec<PredicateId>>,
}

impl PatternTable {
    /// A table of `patterns`.
    pub(super) fn new(patterns: &[(PredicateId, &Pattern)], case: Case) -> Self {
        let mut always = Vec::new();
        let mut by_text: BTreeMap<Vec<u8>, Vec<PredicateId>> = BTreeMap::new();
        for &(id, pattern) in patterns {
            let mut literal = literal_part(pattern);
            if case == Case::Ignored {
                literal.make_ascii_lowercase();
            }
            if literal.is_empty() || patterns.len() <= FEW {
                always.push(id);
            } else {
                by_text.entry(literal).or_default().push(id);
            }
        }
        let literals = AhoCorasick::builder()
            .ascii_case_insensitive(case == Case::Ignored)
            .build(by_text.keys());
        let by_literal = match literals {
            Ok(literals) if !by_text.is_empty() => {
                Some(ByLiteral { literals, patterns: by_text.into_values().collect() })
            }
            // Too much for the automaton: so they are asked one by one.
            _ => {
                always.extend(by_text.into_values().flatten());
                None
            }
        };
        PatternTable { always, by_literal }
    }

    /// Whether there is no pattern.
    pub(super) fn is_empty(&self) -> bool {
        self.always.is_empty() && self.by_literal.is_none()
    }

    /// Calls `nominate` with each pattern that may match `text`, some more than
    /// once; one that is not named does not match.
    pub(super) fn nominate(&self, text: &[u8], mut nominate: impl FnMut(PredicateId)) {
        self.always.iter().copied().for_each(&mut nominate);
        let Some(ByLiteral { literals, patterns }) = &self.by_literal else { return };
        let mut state = OverlappingState::start();
        let input = Input::new(text);
        loop {
            let found = literals.try_find_overlapping(input.clone(), &mut state);
            if found.is_err() {
                unreachable!("invariant: the automaton was built to search for overlaps");
            }
            let Some(found) = state.get_match() else { return };
            patterns[found.pattern().as_usize()].iter().copied().for_each(&mut nominate);
        }
    }
}

/// The longest run of plain bytes in the pattern.
pub(super) fn literal_part(pattern: &Pattern) -> Vec<u8> {
    let runs = pattern.pieces().split(|piece| !matches!(piece, Piece::Byte(_)));
    let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
    longest
        .iter()
        .filter_map(|piece| match piece {
            Piece::Byte(byte) => Some(*byte),
            Piece::One | Piece::Many => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Case, FEW, Pattern, PatternTable, PredicateId};

    fn check(patterns: &[&str], case: Case, text: &str, expected: &[usize]) {
        let parsed: Vec<_> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let numbered: Vec<_> =
            parsed.iter().enumerate().map(|(i, it)| (PredicateId::new(i), it)).collect();
        let table = PatternTable::new(&numbered, case);
        let mut found = Vec::new();
        table.nominate(text.as_bytes(), |id| found.push(id.index()));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, expected, "{patterns:?} {text}");
    }

    #[test]
    fn literal_parts_nominate() {
        let many = ["imap_*", "*_finished", "*", "a?cd*", "*@b.c", "cd?"];
        assert!(many.len() > FEW);
        check(&many, Case::Sensitive, "imap_command_finished", &[0, 1, 2]);
        check(&many, Case::Sensitive, "IMAP_", &[2]);
        check(&many, Case::Ignored, "IMAP_", &[0, 2]);
        check(&many, Case::Sensitive, "xcdx@b.c", &[2, 3, 4, 5]);
        check(&many, Case::Sensitive, "", &[2]);
    }

    #[test]
    fn a_few_are_always_nominated() {
        check(&["imap_*", "x*"], Case::Sensitive, "lmtp", &[0, 1]);
        check(&[], Case::Sensitive, "lmtp", &[]);
    }
}

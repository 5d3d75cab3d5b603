//! The categories of an event, recognised together.
//!
//! A client's events of one kind have the same categories in the same order again and again. So what
//! stood in a line is remembered with what it meant, and one comparison takes the place of as many
//! look-ups. What is decoded never depends on it: a category keeps its name, and a text its meaning.

use crate::decode::side_by_side::{BLOCK, equal_in};
use crate::event::CategoryId;

/// Categories in the longest run that is remembered.
const CATEGORIES_MAX: usize = 4;

/// The run that came last, for each kind of event.
#[derive(Debug, Default)]
pub(super) struct CategoryRuns(Vec<Option<CategoryRun>>);

/// Items of a line, one behind the other, each a category.
#[derive(Clone, Copy, Debug)]
pub(super) struct CategoryRun {
    /// The items as they stand in lines, with the TAB that ends each.
    text: [u8; BLOCK],
    /// A bit for each byte of the text.
    mask: u64,
    items: u8,
    count: u8,
    categories: [CategoryId; CATEGORIES_MAX],
}

impl CategoryRuns {
    /// The run with which `rest` begins, if events of this kind had it the last time.
    #[inline]
    pub(super) fn find(&self, kind: usize, rest: &[u8]) -> Option<&CategoryRun> {
        let run = self.0.get(kind)?.as_ref()?;
        equal_in(run.mask, rest.first_chunk()?, &run.text).then_some(run)
    }

    /// Remembers what so many items mean, whose text this is; not if that is too long, or the
    /// line ends with it.
    pub(super) fn learn(
        &mut self,
        kind: usize,
        text: &[u8],
        items: usize,
        categories: &[CategoryId],
    ) {
        let is_short = text.len() <= BLOCK && categories.len() <= CATEGORIES_MAX;
        let ([.., b'\t'], [first, ..], true) = (text, categories, is_short) else { return };
        let mut run = CategoryRun {
            text: [0; BLOCK],
            mask: u64::MAX >> (BLOCK - text.len()),
            // An item has two bytes at least.
            items: items as u8,
            count: categories.len() as u8,
            categories: [*first; CATEGORIES_MAX],
        };
        run.text[..text.len()].copy_from_slice(text);
        run.categories[..categories.len()].copy_from_slice(categories);
        if self.0.len() <= kind {
            self.0.resize(kind + 1, None);
        }
        self.0[kind] = Some(run);
    }
}

impl CategoryRun {
    /// How many items of a line it takes.
    pub(super) fn items(&self) -> usize {
        self.items.into()
    }

    /// The categories, each once.
    pub(super) fn categories(&self) -> &[CategoryId] {
        &self.categories[..usize::from(self.count)]
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, CategoryRuns};
    use crate::event::CategoryRegistry;

    #[test]
    fn a_run_is_found_where_its_text_stands_and_nowhere_else() {
        let mut registry = CategoryRegistry::default();
        let ids = [1, 2, 3, 4, 5].map(|name| registry.register(&[name], None).unwrap());
        let mut runs = CategoryRuns::default();
        let mut check = |text: &str, ids: &[_], is_learned: bool| {
            runs.learn(7, text.as_bytes(), 3, ids);
            let rest = format!("{text}Suser\t{}", "x".repeat(BLOCK));
            let found = runs.find(7, rest.as_bytes());
            let found = found.map(|run| (run.items(), run.categories()));
            assert_eq!(found, is_learned.then_some((3, ids)), "{text:?}");
            for other in [6, 8] {
                assert!(runs.find(other, rest.as_bytes()).is_none());
            }
            let changed = rest.replacen('c', "d", 1);
            assert!(runs.find(7, changed.as_bytes()).is_none());
        };
        check("ca\tcb\tca\t", &ids[..2], true);
        check("ca\tcb\tcc\t", &ids[..4], true);
        // One that is not learned leaves the one before.
        check("ca\tcb\tcd\t", &ids, false);
        check("ca\tcb\tcd", &ids[..3], false);
        check(&format!("c{}\t", "x".repeat(BLOCK - 2)), &ids[..1], true);
        check(&format!("c{}\t", "x".repeat(BLOCK - 1)), &ids[..1], false);
        check("ca\t", &[], false);
        runs.learn(7, b"ca\t", 1, &ids[..1]);
        assert!(runs.find(7, b"ca\tSuser\tx").is_none(), "there is no whole block");
    }
}

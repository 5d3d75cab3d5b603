//! Categories: names with at most one parent, as one connection registers them.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::symbol::Symbols;

/// A category of one [`CategoryRegistry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CategoryId(u16);

/// The categories that one connection has registered.
///
/// Categories have a parent from the moment they are registered, and keep it;
/// so their ancestors never form a circle.
#[derive(Debug)]
pub struct CategoryRegistry {
    categories: Vec<Category>,
    by_name: HashMap<Box<[u8]>, CategoryId, RandomState>,
    symbols: Arc<Symbols>,
    /// For each category, one behind the other, the set of the configuration's
    /// categories among it and its ancestors.
    bits: Vec<u64>,
}

#[derive(Debug)]
struct Category {
    name: Box<[u8]>,
    parent: Option<CategoryId>,
}

/// Why a category could not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CategoryError {
    /// The parent's name has not been registered.
    UnknownParent,
    /// The name is registered with another parent.
    ParentChanged,
    /// The registry holds [`CategoryRegistry::CAPACITY`] categories already.
    Full,
    /// The name is longer than [`CategoryRegistry::NAME_MAX`].
    TooLong,
}

impl Default for CategoryRegistry {
    fn default() -> Self {
        CategoryRegistry::new(Arc::default())
    }
}

impl CategoryRegistry {
    /// The most categories that one connection may register. Dovecot has some 60.
    pub const CAPACITY: usize = 1024;

    /// Bytes in the longest name of a category.
    pub const NAME_MAX: usize = 255;

    /// No category yet; the configuration asks for those in `symbols`.
    pub fn new(symbols: Arc<Symbols>) -> Self {
        CategoryRegistry {
            categories: Vec::new(),
            by_name: HashMap::default(),
            symbols,
            bits: Vec::new(),
        }
    }

    /// Looks all categories up anew, in the table of another configuration.
    pub fn set_symbols(&mut self, symbols: Arc<Symbols>) {
        self.symbols = symbols;
        self.bits.clear();
        for index in 0..self.categories.len() {
            self.push_bits(index);
        }
    }

    /// Registers `name`, again without effect when it has the same parent.
    ///
    /// # Errors
    ///
    /// When the parent is unknown, or not the one of the first time, or the name
    /// is too long, or the registry is full; the registry is unchanged then.
    pub fn register(
        &mut self,
        name: &[u8],
        parent: Option<&[u8]>,
    ) -> Result<CategoryId, CategoryError> {
        let parent = match parent {
            Some(parent) => Some(self.find(parent).ok_or(CategoryError::UnknownParent)?),
            None => None,
        };
        if let Some(known) = self.find(name) {
            let same = self.categories[usize::from(known.0)].parent == parent;
            return if same { Ok(known) } else { Err(CategoryError::ParentChanged) };
        }
        if name.len() > Self::NAME_MAX {
            return Err(CategoryError::TooLong);
        }
        if self.categories.len() == Self::CAPACITY {
            return Err(CategoryError::Full);
        }
        let id = CategoryId(self.categories.len() as u16);
        self.categories.push(Category { name: name.into(), parent });
        self.by_name.insert(name.into(), id);
        self.push_bits(id.index());
        Ok(id)
    }

    /// Adds the set of the category at `index`, whose parent is before it.
    fn push_bits(&mut self, index: usize) {
        let words = self.symbols.category_words();
        let Category { name, parent } = &self.categories[index];
        match parent {
            Some(parent) => {
                let start = parent.index() * words;
                self.bits.extend_from_within(start..start + words);
            }
            None => self.bits.resize((index + 1) * words, 0),
        }
        if let Some(symbol) = self.symbols.find_category(name) {
            let (word, bit) = symbol.bit();
            self.bits[index * words + word] |= bit;
        }
    }

    /// The set of the configuration's categories among the category and its
    /// ancestors, in as many words as [`Symbols::category_words`] says.
    #[inline]
    pub fn bits(&self, id: CategoryId) -> &[u64] {
        let words = self.symbols.category_words();
        &self.bits[id.index() * words..][..words]
    }

    /// The category of that name, if it has been registered.
    pub fn find(&self, name: &[u8]) -> Option<CategoryId> {
        self.by_name.get(name).copied()
    }

    /// The category itself, then its parent, and so on to the root.
    pub fn with_ancestors(&self, id: CategoryId) -> impl Iterator<Item = CategoryId> + '_ {
        std::iter::successors(Some(id), |id| self.categories[usize::from(id.0)].parent)
    }

    /// The category's name.
    pub fn name(&self, id: CategoryId) -> &[u8] {
        &self.categories[usize::from(id.0)].name
    }
}

impl CategoryId {
    /// A small number that no other category of the registry has.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CategoryError, CategoryRegistry};
    use crate::event::{Symbols, Wanted};

    #[test]
    fn parents_come_first_and_never_change() {
        let mut registry = CategoryRegistry::default();
        assert_eq!(
            registry.register(b"mailbox", Some(b"storage")),
            Err(CategoryError::UnknownParent)
        );
        let storage = registry.register(b"storage", None).unwrap();
        let mailbox = registry.register(b"mailbox", Some(b"storage")).unwrap();
        assert_eq!(registry.register(b"mailbox", Some(b"storage")), Ok(mailbox));
        assert_eq!(registry.register(b"mailbox", None), Err(CategoryError::ParentChanged));
        assert!(registry.with_ancestors(mailbox).eq([mailbox, storage]));
        assert_eq!(registry.name(storage), b"storage");
    }

    #[test]
    fn a_category_has_the_bits_of_its_ancestors() {
        let symbols = |names: &[&str]| {
            let mut wanted = Wanted::all();
            names.iter().for_each(|name| wanted.category(name));
            Arc::new(Symbols::new(&wanted))
        };
        let mut registry = CategoryRegistry::new(symbols(&["mailbox", "none", "storage"]));
        let storage = registry.register(b"storage", None).unwrap();
        let mailbox = registry.register(b"mailbox", Some(b"storage")).unwrap();
        let other = registry.register(b"other", Some(b"mailbox")).unwrap();
        let sets = |registry: &CategoryRegistry| {
            [storage, mailbox, other].map(|id| registry.bits(id).to_vec())
        };
        assert_eq!(sets(&registry), [[0b100], [0b101], [0b101]]);
        let mut many: Vec<String> = (0..64).map(|number| number.to_string()).collect();
        many.extend(["other".into(), "storage".into()]);
        registry.set_symbols(symbols(&many.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(sets(&registry), [[0, 0b10], [0, 0b10], [0, 0b11]]);
        registry.set_symbols(Arc::default());
        assert_eq!(sets(&registry), [[0; 0], [], []]);
    }

    #[test]
    fn a_full_registry_refuses_new_names_only() {
        let mut registry = CategoryRegistry::default();
        for number in 0..CategoryRegistry::CAPACITY {
            registry.register(number.to_string().as_bytes(), None).unwrap();
        }
        assert_eq!(registry.register(b"more", None), Err(CategoryError::Full));
        assert_eq!(registry.register(&[b'x'; 256], None), Err(CategoryError::TooLong));
        assert!(registry.register(b"7", None).is_ok());
    }
}

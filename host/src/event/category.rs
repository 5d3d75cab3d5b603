//! Categories: names with at most one parent, as one connection registers them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

/// A category of one [`CategoryRegistry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CategoryId(u16);

/// The categories that one connection has registered.
///
/// Categories have a parent from the moment they are registered, and keep it;
/// so their ancestors never form a circle.
#[derive(Debug)]
pub struct CategoryRegistry {
    serial: u64,
    categories: Vec<Category>,
    by_name: HashMap<Box<[u8]>, CategoryId, RandomState>,
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
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: all that counts is that no two are the same.
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        CategoryRegistry { serial, categories: Vec::new(), by_name: HashMap::default() }
    }
}

impl CategoryRegistry {
    /// The most categories that one connection may register. Dovecot has some 60.
    pub const CAPACITY: usize = 1024;

    /// Bytes in the longest name of a category.
    pub const NAME_MAX: usize = 255;

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
        Ok(id)
    }

    /// A number that no other registry of the process has, ever. What is said of
    /// a category's id stays true for the registry with that number.
    pub fn serial(&self) -> u64 {
        self.serial
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
    use super::{CategoryError, CategoryRegistry};

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

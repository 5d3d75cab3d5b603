//! Names that the loaded configuration asks events for, each with a small number.
//!
//! A decoder looks a field's name up once and notes the [`Symbol`] in its slot;
//! whoever asks for a field later compares numbers. The table only grows: one
//! made for a new configuration keeps the symbols of the one before, so that a
//! symbol never means two names. It is made once and then shared, never changed.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// A field's name, by its number in a [`Symbols`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

impl Symbol {
    /// A name that the configuration does not ask for.
    pub const NONE: Symbol = Symbol(0);

    /// The field `duration`, which is in every table and always wanted.
    pub const DURATION: Symbol = Symbol(1);

    /// A small number: 0 for [`NONE`](Self::NONE), below [`Symbols::len`] for all.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether it stands for a name.
    pub fn is_some(self) -> bool {
        self != Symbol::NONE
    }
}

/// A category of the configuration: its bit's place in sets of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategorySymbol(u32);

impl CategorySymbol {
    /// The bit's number, from 0, below [`Symbols::categories`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The word of a set that the bit is in, and that word with only the bit set.
    pub fn bit(self) -> (usize, u64) {
        (self.index() / 64, 1 << (self.index() % 64))
    }

    /// Whether a set has it.
    pub fn is_in(self, set: &[u64]) -> bool {
        let (word, bit) = self.bit();
        set.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// What a configuration asks events for; names may be given more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Every field, whatever its name, because something exports all fields.
    pub all_fields: bool,
    /// Fields that a filter, a metric or an exporter asks for.
    pub fields: Vec<Box<[u8]>>,
    /// Categories that a filter asks for.
    pub categories: Vec<Box<[u8]>>,
}

impl Wanted {
    /// Every field, but none by its name.
    pub fn all() -> Self {
        Wanted { all_fields: true, ..Wanted::default() }
    }

    /// Asks for a field.
    pub fn field(&mut self, name: impl AsRef<[u8]>) {
        self.fields.push(name.as_ref().into());
    }

    /// Asks for a category.
    pub fn category(&mut self, name: impl AsRef<[u8]>) {
        self.categories.push(name.as_ref().into());
    }
}

/// The names that a configuration asks for.
#[derive(Clone, Debug)]
pub struct Symbols {
    fields: Names,
    /// By [`Symbol::index`]: whether this configuration asks for it, and not only
    /// one before it.
    wanted: Vec<bool>,
    all_fields: bool,
    categories: Names,
}

impl Default for Symbols {
    /// All fields are wanted, none by its name.
    fn default() -> Self {
        Symbols::new(&Wanted::all())
    }
}

impl Symbols {
    /// The table for a first configuration.
    pub fn new(wanted: &Wanted) -> Self {
        let mut fields = Names::default();
        // Stands at the place of NONE, and is never found.
        fields.names.push(Box::default());
        fields.number(b"duration");
        let empty =
            Symbols { fields, wanted: Vec::new(), all_fields: false, categories: Names::default() };
        empty.extended(wanted)
    }

    /// The table for the next configuration: what had a symbol keeps it.
    #[must_use]
    pub fn extended(&self, wanted: &Wanted) -> Self {
        let mut next = self.clone();
        let asked: Vec<u32> = wanted.fields.iter().map(|name| next.fields.number(name)).collect();
        next.wanted = vec![false; next.fields.names.len()];
        next.wanted[Symbol::DURATION.index()] = true;
        for number in asked {
            next.wanted[number as usize] = true;
        }
        next.all_fields = wanted.all_fields;
        for name in &wanted.categories {
            next.categories.number(name);
        }
        next
    }

    /// The symbol of the field `name`; [`Symbol::NONE`] when it has none.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Symbol {
        self.fields.find(name).map_or(Symbol::NONE, Symbol)
    }

    /// The field's name; empty for [`Symbol::NONE`].
    ///
    /// # Panics
    ///
    /// When the symbol is of a later table.
    pub fn name(&self, symbol: Symbol) -> &[u8] {
        &self.fields.names[symbol.index()]
    }

    /// Whether anything asks for fields whose name has this symbol.
    #[inline]
    pub fn is_wanted(&self, symbol: Symbol) -> bool {
        self.all_fields || self.wanted.get(symbol.index()).is_some_and(|wanted| *wanted)
    }

    /// Whether something asks for all fields, whatever their names.
    pub fn all_wanted(&self) -> bool {
        self.all_fields
    }

    /// One more than the largest [`Symbol::index`].
    #[expect(clippy::len_without_is_empty, reason = "it never is: NONE and DURATION are in it")]
    pub fn len(&self) -> usize {
        self.fields.names.len()
    }

    /// The category's symbol, when the configuration asks for it.
    #[inline]
    pub fn find_category(&self, name: &[u8]) -> Option<CategorySymbol> {
        self.categories.find(name).map(CategorySymbol)
    }

    /// How many categories have a symbol.
    pub fn categories(&self) -> usize {
        self.categories.names.len()
    }

    /// How many words a set of categories has.
    pub fn category_words(&self) -> usize {
        self.categories().div_ceil(64)
    }
}

/// Names by number, and numbers by name.
#[derive(Clone, Debug, Default)]
struct Names {
    names: Vec<Box<[u8]>>,
    by_name: HashMap<Box<[u8]>, u32, RandomState>,
}

impl Names {
    fn find(&self, name: &[u8]) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The name's number: the next one, unless it has one.
    fn number(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        let next = self.names.len() as u32;
        self.names.push(name.into());
        self.by_name.insert(name.into(), next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::{Symbol, Symbols, Wanted};

    fn wanted(all_fields: bool, fields: &[&str], categories: &[&str]) -> Wanted {
        let mut wanted = Wanted { all_fields, ..Wanted::default() };
        fields.iter().for_each(|name| wanted.field(name));
        categories.iter().for_each(|name| wanted.category(name));
        wanted
    }

    #[test]
    fn names_have_one_symbol_each() {
        let symbols = Symbols::new(&wanted(false, &["user", "duration", "", "user"], &[]));
        let (user, empty) = (symbols.find(b"user"), symbols.find(b""));
        assert_eq!(symbols.len(), 4);
        assert_eq!(symbols.find(b"duration"), Symbol::DURATION);
        assert!(user.is_some() && empty.is_some() && user != empty);
        assert_eq!((symbols.name(user), symbols.name(empty)), (&b"user"[..], &b""[..]));
        assert_eq!(symbols.find(b"use"), Symbol::NONE);
        assert!(symbols.is_wanted(user) && symbols.is_wanted(Symbol::DURATION));
        assert!(!symbols.is_wanted(Symbol::NONE));
        assert!(Symbols::default().is_wanted(Symbol::NONE));
    }

    #[test]
    fn the_next_configuration_keeps_the_symbols() {
        let first = Symbols::new(&wanted(true, &["user", "service"], &["imap"]));
        let next = first.extended(&wanted(false, &["method", "service"], &["storage", "imap"]));
        for name in [&b"user"[..], b"service", b"duration", b"none"] {
            assert_eq!(first.find(name), next.find(name));
        }
        assert_eq!(first.find(b"method"), Symbol::NONE);
        assert_eq!(next.name(next.find(b"method")), b"method");
        let is_wanted = |name: &[u8]| next.is_wanted(next.find(name));
        assert!(!is_wanted(b"user") && is_wanted(b"service") && is_wanted(b"method"));
        assert!(first.is_wanted(next.find(b"method")) && !next.all_wanted());
        assert_eq!(first.find_category(b"imap"), next.find_category(b"imap"));
        assert_eq!(first.find_category(b"storage"), None);
    }

    #[test]
    fn categories_are_bits() {
        let names: Vec<String> = (0..65).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let symbols = Symbols::new(&wanted(false, &[], &names));
        let last = symbols.find_category(b"64").unwrap();
        assert_eq!((symbols.categories(), symbols.category_words()), (65, 2));
        assert_eq!(last.bit(), (1, 1));
        assert!(last.is_in(&[0, 1]) && !last.is_in(&[u64::MAX, 0]) && !last.is_in(&[]));
        assert_eq!(symbols.find_category(b"65"), None);
    }
}

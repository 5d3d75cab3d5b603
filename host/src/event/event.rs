//! One decoded event.

use fantail_sdk::{FieldValue, Timestamp};

use super::category::{CategoryId, CategoryRegistry};
use super::log_type::LogType;
use super::open::{OpenEvents, OpenId};
use super::slot::{Bytes, Field, Slot, Span};
use super::symbol::{Symbol, Symbols};

/// Where in its program an event was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// The source file's name.
    pub file: &'a [u8],
    /// The line in it, from 1.
    pub line: u32,
}

/// A set of the parts that an exported event can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    /// No part.
    pub const NONE: Parts = Parts(0);
    /// The event's name.
    pub const NAME: Parts = Parts(1);
    /// The name of the machine where it happened.
    pub const HOSTNAME: Parts = Parts(2);
    /// When it began.
    pub const START_TIME: Parts = Parts(4);
    /// When it ended.
    pub const END_TIME: Parts = Parts(8);
    /// Both times.
    pub const TIMESTAMPS: Parts = Parts(4 | 8);
    /// Its categories.
    pub const CATEGORIES: Parts = Parts(16);
    /// Its fields.
    pub const FIELDS: Parts = Parts(32);
    /// Every part.
    pub const ALL: Parts = Parts(63);

    /// The parts of both sets.
    #[must_use]
    pub const fn and(self, other: Parts) -> Parts {
        Parts(self.0 & other.0)
    }

    /// The parts of either set.
    #[must_use]
    pub const fn or(self, other: Parts) -> Parts {
        Parts(self.0 | other.0)
    }

    /// Whether every part of `other` is in this set.
    pub const fn contains(self, other: Parts) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set as bits: name 1, hostname 2, start 4, end 8, categories 16, fields 32.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// The fields and categories that one event of a chain has of its own.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    bytes: Bytes<'a>,
    slots: &'a [Slot],
    categories: &'a [CategoryId],
}

impl<'a> Layer<'a> {
    /// The fields in `slots`, whose bytes are in `bytes`, and the categories.
    /// No two slots may have the same key.
    pub fn new(bytes: Bytes<'a>, slots: &'a [Slot], categories: &'a [CategoryId]) -> Self {
        Layer { bytes, slots, categories }
    }

    /// The fields, in the order in which the sender set them.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'a>> + Clone + use<'a> {
        let bytes = self.bytes;
        self.slots.iter().map(move |slot| bytes.field(slot))
    }

    /// The value of the field `key`, when this layer has it.
    pub fn value(&self, key: &[u8]) -> Option<FieldValue<'a>> {
        self.slot(key).map(|slot| self.bytes.value(slot))
    }

    /// The field `key` as places in [`bytes`](Self::bytes), when this layer has it.
    pub fn slot(&self, key: &[u8]) -> Option<&'a Slot> {
        self.slots.iter().find(|slot| self.bytes.at(slot.key) == key)
    }

    /// The value of the field with that symbol, when this layer has it.
    /// [`Symbol::NONE`] is no field's.
    #[inline]
    pub fn value_of(&self, symbol: Symbol) -> Option<FieldValue<'a>> {
        if !symbol.is_some() {
            return None;
        }
        let slot = self.slots.iter().find(|slot| slot.symbol == symbol)?;
        Some(self.bytes.value(slot))
    }

    /// The fields as places in [`bytes`](Self::bytes), in the order of the sender.
    pub fn slots(&self) -> &'a [Slot] {
        self.slots
    }

    /// What the slots' places are in.
    pub fn bytes(&self) -> Bytes<'a> {
        self.bytes
    }

    /// The categories, by the registry of the event's connection.
    pub fn categories(&self) -> &'a [CategoryId] {
        self.categories
    }

    /// Whether the layer has neither a field nor a category.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.categories.is_empty()
    }
}

/// The open events above an event: its parents, and a global event with its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ancestors<'a> {
    /// The connection's open events; `None` for an event that stands alone.
    pub open: Option<&'a OpenEvents>,
    /// The event's parent.
    pub parent: Option<OpenId>,
    /// The event's global event.
    pub global: Option<OpenId>,
}

impl<'a> Ancestors<'a> {
    /// The layers in the order of look-up: the parents from the nearest up, then
    /// the global event and its parents.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'a>> + Clone + use<'a> {
        let (parent, global) = (self.parent, self.global);
        self.open.into_iter().flat_map(move |open| {
            open.chain(parent).chain(open.chain(global)).map(super::open::OpenEvent::layer)
        })
    }

    /// Whether there is neither a parent nor a global event.
    pub fn is_empty(&self) -> bool {
        self.parent.is_none() && self.global.is_none()
    }
}

/// How an event's categories are given.
#[derive(Clone, Copy, Debug)]
pub enum Categories<'a> {
    /// By the connection's registry: the layers hold the ids, and every category
    /// stands for its ancestors too.
    Registered(&'a CategoryRegistry),
    /// By name, complete with all ancestors, each once, in this order: the event
    /// was relayed in a format.
    Named(Bytes<'a>, &'a [Span]),
}

/// One event, decoded.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The event's own name; never inherited. `None` when it has none.
    pub name: Option<&'a [u8]>,
    /// The severity, when the input carries one.
    pub log_type: Option<LogType>,
    /// Where it was created, when the input carries that.
    pub source: Option<Source<'a>>,
    /// The machine where it happened, when the input carries that; otherwise it is ours.
    pub hostname: Option<&'a [u8]>,
    /// When it was created.
    pub start_time: Timestamp,
    /// When it was exported by the host it comes from; otherwise the moment of
    /// export is now.
    pub end_time: Option<Timestamp>,
    /// Microseconds between its creation and its last sending; negative when
    /// the sender's clock went back.
    pub duration: i64,
    /// The parts the event came with. An export never adds a part to an event
    /// that was relayed without it.
    pub parts: Parts,
    /// Its own fields and categories.
    pub own: Layer<'a>,
    /// The events above it.
    pub ancestors: Ancestors<'a>,
    /// How its categories are given.
    pub categories: Categories<'a>,
}

impl<'a> Event<'a> {
    /// All layers in the order of look-up: the event's own, its parents from the
    /// nearest up, its global event, and that one's parents.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'a>> + Clone + use<'a> {
        std::iter::once(self.own).chain(self.ancestors.layers())
    }

    /// The value of the field `key`: the first that a layer has, in the order
    /// of look-up. A list is only the part of the list that this layer has:
    /// see [`list_parts`](Self::list_parts).
    ///
    /// `duration` is not computed here: it is the field that came in, if any.
    pub fn value(&self, key: &[u8]) -> Option<FieldValue<'a>> {
        self.layers().find_map(|layer| layer.value(key))
    }

    /// The value of the field with that symbol, as [`value`](Self::value).
    pub fn value_of(&self, symbol: Symbol) -> Option<FieldValue<'a>> {
        self.layers().find_map(|layer| layer.value_of(symbol))
    }

    /// Every value of `key` along the layers, in the order of look-up: the
    /// parts of a list of strings.
    pub fn list_parts<'k>(
        &self,
        key: &'k [u8],
    ) -> impl Iterator<Item = FieldValue<'a>> + use<'a, 'k> {
        self.layers().filter_map(move |layer| layer.value(key))
    }

    /// Every value of the field with that symbol, as [`list_parts`](Self::list_parts).
    pub fn list_parts_of(&self, symbol: Symbol) -> impl Iterator<Item = FieldValue<'a>> + use<'a> {
        self.layers().filter_map(move |layer| layer.value_of(symbol))
    }

    /// Adds to `set` the configuration's categories that the event has, as
    /// [`has_category`](Self::has_category) says, each as its bit
    /// ([`CategorySymbol::bit`](super::CategorySymbol::bit)).
    ///
    /// `symbols` must be the table that the decoder was given.
    ///
    /// # Panics
    ///
    /// When `set` is shorter than [`Symbols::category_words`].
    pub fn category_bits(&self, symbols: &Symbols, set: &mut [u64]) {
        match self.categories {
            Categories::Named(bytes, spans) => {
                for symbol in spans.iter().filter_map(|&span| symbols.find_category(bytes.at(span)))
                {
                    let (word, bit) = symbol.bit();
                    set[word] |= bit;
                }
            }
            Categories::Registered(registry) => {
                for &id in self.layers().flat_map(|layer| layer.categories()) {
                    for (word, more) in set.iter_mut().zip(registry.bits(id)) {
                        *word |= more;
                    }
                }
            }
        }
    }

    /// Whether the event, or one above it, has the category `name` or one of
    /// its descendants.
    pub fn has_category(&self, name: &[u8]) -> bool {
        match self.categories {
            Categories::Named(bytes, spans) => spans.iter().any(|&span| bytes.at(span) == name),
            Categories::Registered(registry) => registry.find(name).is_some_and(|wanted| {
                self.layers().any(|layer| {
                    let mut own = layer.categories().iter();
                    own.any(|&id| registry.with_ancestors(id).any(|id| id == wanted))
                })
            }),
        }
    }
}

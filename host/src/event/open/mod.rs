//! Open events: the ones a peer has begun and not ended, which later events
//! name as their parent or their global event.
//!
//! Each is a copy of its own (the line it came in is gone), with its fields in
//! the order in which they were first set. An event that has ended lives on as
//! long as an open event has it as its parent, as in Dovecot.

use std::collections::HashMap;

use fantail_sdk::{BLOCK, FieldValue, Timestamp};
use foldhash::fast::RandomState;

use super::category::CategoryId;
use super::event::{Layer, Source};
use super::key_index::KeyIndex;
use super::log_type::LogType;
use super::mark::Mark;
use super::slot::{Bytes, Field, Slot, SlotValue, Span};
use super::symbol::Symbols;

/// An open event's place in its [`OpenEvents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenId(u32);

/// The open events of one connection, by the peer's own ids.
#[derive(Debug)]
pub struct OpenEvents {
    places: Vec<Place>,
    free: Vec<u32>,
    by_peer_id: HashMap<u64, OpenId, RandomState>,
    limits: OpenLimits,
    /// What [`set_allowed`](Self::set_allowed) has set.
    allowed: usize,
    bytes: usize,
    keys: KeyIndex,
}

/// Bounds on what one connection may keep open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLimits {
    /// Open events, the ended ones that others still need included.
    pub events_max: usize,
    /// Parents above one event.
    pub depth_max: u32,
    /// Fields of one event, not counting its parents'.
    pub fields_max: usize,
    /// Bytes of all open events' names, fields and categories together, and of the
    /// places of those that have ended until all have.
    pub bytes_max: usize,
}

impl Default for OpenLimits {
    fn default() -> Self {
        OpenLimits { events_max: 10_000, depth_max: 64, fields_max: 1_000, bytes_max: 16 << 20 }
    }
}

/// Why an event could not be opened or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The id is open already.
    DuplicateId,
    /// One of the [`OpenLimits`] was reached.
    TooMany,
    /// There would be more bytes than are allowed at the moment.
    NoRoom,
    /// The chain of parents is longer than [`OpenLimits::depth_max`].
    TooDeep,
}

/// What one place costs: itself, and its entries among the peer's ids and the free
/// places.
const PLACE_BYTES: usize = size_of::<Place>() + size_of::<(u64, OpenId)>() + size_of::<u32>();

/// For how many events there stays room when none is open any more. Most peers never
/// have more at once.
const KEPT_PLACES: usize = 16;

#[derive(Debug, Default)]
struct Place {
    event: OpenEvent,
    /// Open events whose parent this is, and 1 while the event has not ended.
    holders: u32,
}

/// One open event.
#[derive(Debug, Default)]
pub struct OpenEvent {
    parent: Option<u32>,
    depth: u32,
    name: Option<Span>,
    log_type: Option<LogType>,
    source: Option<(Span, u32)>,
    created: Timestamp,
    last_sent: Option<Timestamp>,
    arena: Vec<u8>,
    slots: Vec<Slot>,
    categories: Vec<CategoryId>,
}

/// What a BEGIN or UPDATE says about an event, borrowed from the line. Its places are in the
/// buffers of its layer.
#[derive(Clone, Copy, Debug)]
pub struct OpenContent<'a> {
    /// The event's name.
    pub name: Option<Span>,
    /// The severity; an UPDATE does not carry one.
    pub log_type: Option<LogType>,
    /// Where in the program it was created: the file's name, and the line's number.
    pub source: Option<(Span, u32)>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last sent.
    pub last_sent: Option<Timestamp>,
    /// Its own fields and categories.
    pub own: Layer<'a>,
}

impl OpenEvents {
    /// No open events yet, and never more than `limits` says.
    pub fn new(limits: OpenLimits) -> Self {
        OpenEvents {
            places: Vec::new(),
            free: Vec::new(),
            by_peer_id: HashMap::default(),
            limits,
            allowed: usize::MAX,
            bytes: 0,
            keys: KeyIndex::default(),
        }
    }

    /// The open event that the peer calls `peer_id`.
    pub fn find(&self, peer_id: u64) -> Option<OpenId> {
        self.by_peer_id.get(&peer_id).copied()
    }

    /// The event at `id`.
    pub fn event(&self, id: OpenId) -> &OpenEvent {
        &self.places[id.0 as usize].event
    }

    /// The event's parent.
    pub fn parent(&self, id: OpenId) -> Option<OpenId> {
        self.event(id).parent.map(OpenId)
    }

    /// The event itself, then its parent, and so on to the root.
    pub fn chain(&self, id: Option<OpenId>) -> impl Iterator<Item = &OpenEvent> + Clone {
        std::iter::successors(id, |id| self.parent(*id)).map(|id| self.event(id))
    }

    /// How many events are kept, the ended ones that others need included.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether no event is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all events that are kept, at most [`OpenLimits::bytes_max`]. A place
    /// counts from its first event until no event is kept: it is memory that a peer had us
    /// take, whether it is in use or not.
    pub fn bytes(&self) -> usize {
        self.bytes + self.places.len() * PLACE_BYTES
    }

    /// Allows so many bytes for now, whatever the limits say: others take from the same
    /// store. Events that are kept already stay.
    pub fn set_allowed(&mut self, bytes: usize) {
        self.allowed = bytes;
    }

    /// Opens an event under the peer's own id.
    ///
    /// # Errors
    ///
    /// When the id is open already or a limit is reached; nothing changes then.
    pub fn begin(
        &mut self,
        peer_id: u64,
        parent: Option<OpenId>,
        content: &OpenContent<'_>,
    ) -> Result<OpenId, OpenError> {
        if self.by_peer_id.contains_key(&peer_id) {
            return Err(OpenError::DuplicateId);
        }
        let depth = parent.map_or(0, |parent| self.event(parent).depth + 1);
        if depth > self.limits.depth_max {
            return Err(OpenError::TooDeep);
        }
        let own = content.own;
        let new_place = if self.free.is_empty() { PLACE_BYTES } else { 0 };
        let arena = content.whole_size();
        let bytes = self.bytes() + new_place + content.size(arena);
        let full = self.len() >= self.limits.events_max
            || own.fields().len() > self.limits.fields_max
            || bytes > self.limits.bytes_max;
        if full {
            return Err(OpenError::TooMany);
        }
        if bytes > self.allowed {
            return Err(OpenError::NoRoom);
        }
        let event = OpenEvent::new(parent, depth, content);
        self.bytes += event.size();
        if let Some(parent) = parent {
            self.places[parent.0 as usize].holders += 1;
        }
        let place = Place { event, holders: 1 };
        let id = match self.free.pop() {
            Some(free) => {
                self.places[free as usize] = place;
                OpenId(free)
            }
            None => {
                self.places.push(place);
                OpenId(self.places.len() as u32 - 1)
            }
        };
        self.by_peer_id.insert(peer_id, id);
        Ok(id)
    }

    /// Takes over what an UPDATE says: fields keep their place when their value
    /// changes, new ones go to the end, and the line's categories are the event's.
    ///
    /// # Errors
    ///
    /// When the event might become larger than a limit allows; nothing changes then.
    pub fn update(&mut self, id: OpenId, content: &OpenContent<'_>) -> Result<(), OpenError> {
        let arena = content.arena_size();
        let bytes = self.bytes() + content.size(arena);
        let event = &mut self.places[id.0 as usize].event;
        event.index(&mut self.keys);
        let added =
            content.own.fields().filter(|field| event.find(&self.keys, field.key).is_none());
        let added = added.count();
        if event.slots.len() + added > self.limits.fields_max || bytes > self.limits.bytes_max {
            return Err(OpenError::TooMany);
        }
        if bytes > self.allowed {
            return Err(OpenError::NoRoom);
        }
        let before = event.size();
        event.reserve(content, arena, added);
        event.take_over(content);
        event.set_all(content.own, &self.keys);
        event.compact();
        self.bytes = self.bytes - before + event.size();
        Ok(())
    }

    /// Looks all fields' names up anew, in the table of another configuration.
    pub fn resolve(&mut self, symbols: &Symbols) {
        for Place { event, .. } in &mut self.places {
            let bytes = Bytes::new(&event.arena, &[]);
            for slot in &mut event.slots {
                slot.symbol = symbols.find(bytes.at(slot.key));
            }
        }
    }

    /// Gives the places back, now that no event is kept, but for a few.
    fn give_back(&mut self) {
        self.places.clear();
        self.places.shrink_to(KEPT_PLACES);
        self.free.clear();
        self.free.shrink_to(KEPT_PLACES);
        self.by_peer_id.shrink_to(KEPT_PLACES);
    }

    /// Ends the event that the peer calls `peer_id`; false when there is none.
    pub fn end(&mut self, peer_id: u64) -> bool {
        let Some(id) = self.by_peer_id.remove(&peer_id) else { return false };
        let mut held = Some(id);
        while let Some(id) = held {
            let place = &mut self.places[id.0 as usize];
            place.holders -= 1;
            if place.holders > 0 {
                break;
            }
            let event = std::mem::take(&mut place.event);
            self.bytes -= event.size();
            self.free.push(id.0);
            held = event.parent.map(OpenId);
        }
        if self.is_empty() {
            self.give_back();
        }
        true
    }
}

impl OpenEvent {
    /// The event that the content describes. The layer's buffers become its arena as they are,
    /// for to take them over costs less than to pick out what is needed.
    fn new(parent: Option<OpenId>, depth: u32, content: &OpenContent<'_>) -> Self {
        let own = content.own;
        let buffers = own.bytes().buffers();
        let moved = |span: Span| span.joined(buffers[0].len());
        let mut texts = Vec::with_capacity(content.whole_size());
        buffers.iter().for_each(|buffer| texts.extend_from_slice(buffer));
        // A block can be read where the last text begins.
        texts.extend_from_slice(&[0; BLOCK]);
        OpenEvent {
            parent: parent.map(|id| id.0),
            depth,
            name: content.name.map(moved),
            log_type: content.log_type,
            source: content.source.map(|(file, line)| (moved(file), line)),
            created: content.created,
            last_sent: content.last_sent,
            arena: texts,
            slots: own.slots().iter().map(|slot| slot.moved(moved)).collect(),
            categories: own.categories().to_vec(),
        }
    }

    /// The event's own fields and categories.
    pub fn layer(&self) -> Layer<'_> {
        Layer::new(self.bytes(), &self.slots, &self.categories)
    }

    /// When the event was created.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The event's name.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.map(|span| self.bytes().at(span))
    }

    /// Where in the program the event was created.
    pub fn source(&self) -> Option<Source<'_>> {
        self.source.map(|(file, line)| Source { file: self.bytes().at(file), line })
    }

    /// The severity it was begun with.
    pub fn log_type(&self) -> Option<LogType> {
        self.log_type
    }

    fn bytes(&self) -> Bytes<'_> {
        Bytes::new(&self.arena, &[])
    }

    /// Makes room for what the content adds, so many bytes in the `arena` and new `fields`
    /// among it, and no more than that: what is reserved is memory as well, and counts.
    fn reserve(&mut self, content: &OpenContent<'_>, arena: usize, fields: usize) {
        self.arena.reserve_exact(arena);
        self.slots.reserve_exact(fields);
        let more = content.own.categories().len().saturating_sub(self.categories.len());
        self.categories.reserve_exact(more);
    }

    /// Takes over all that the content says, but for the fields.
    fn take_over(&mut self, content: &OpenContent<'_>) {
        let bytes = content.own.bytes();
        if let Some(name) = content.name {
            self.name = Some(self.keep(bytes.at(name)));
        }
        if content.log_type.is_some() {
            self.log_type = content.log_type;
        }
        if let Some((file, line)) = content.source {
            self.source = Some((self.keep(bytes.at(file)), line));
        }
        self.created = content.created;
        if content.last_sent.is_some() {
            self.last_sent = content.last_sent;
        }
        self.categories.clear();
        self.categories.extend_from_slice(content.own.categories());
    }

    /// Sets the layer's fields: in place where the event has them, by its index.
    fn set_all(&mut self, layer: Layer<'_>, keys: &KeyIndex) {
        for field in layer.fields() {
            match self.find(keys, field.key) {
                Some(number) => {
                    let value = self.keep_value(field.value);
                    self.slots[number].set(value);
                }
                None => self.push(field),
            }
        }
    }

    /// Makes `keys` the index of the event's fields.
    fn index(&self, keys: &mut KeyIndex) {
        keys.clear();
        let bytes = self.bytes();
        for slot in &self.slots {
            keys.insert(bytes.at(slot.key), |number| bytes.at(self.slots[number].key));
        }
    }

    fn find(&self, keys: &KeyIndex, key: &[u8]) -> Option<usize> {
        keys.find(key, |number| self.bytes().at(self.slots[number].key))
    }

    fn push(&mut self, field: Field<'_>) {
        let value = self.keep_value(field.value);
        let key = self.keep(field.key);
        self.slots.push(Slot::new(key, field.symbol, Mark::of(field.key), value));
    }

    fn keep_value(&mut self, value: FieldValue<'_>) -> SlotValue {
        match value {
            FieldValue::List(list) => SlotValue::List(self.keep(list.escaped()), list.len() as u32),
            FieldValue::Text(text) => SlotValue::Text(self.keep(text)),
            FieldValue::Ip(text) => SlotValue::Ip(self.keep(text)),
            FieldValue::Json(text) => SlotValue::Json(self.keep(text)),
            FieldValue::Integer(number) => SlotValue::Integer(number),
            FieldValue::Timestamp(time) => SlotValue::Timestamp(time),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        Span::line(start, self.arena.len())
    }

    /// Drops the bytes of overwritten values once they are most of the arena.
    fn compact(&mut self) {
        if self.arena.len() < 512 {
            return;
        }
        let live = self.slots.iter().map(Slot::text_bytes).sum::<usize>()
            + self.name().map_or(0, <[u8]>::len)
            + self.source().map_or(0, |source| source.file.len());
        if self.arena.len() < 2 * live {
            return;
        }
        let bytes = self.bytes();
        let mut arena = Vec::with_capacity(live);
        let mut keep = |span: Span| {
            let start = arena.len();
            arena.extend_from_slice(bytes.at(span));
            Span::line(start, arena.len())
        };
        let name = self.name.map(&mut keep);
        let source = self.source.map(|(file, line)| (keep(file), line));
        let slots = self.slots.iter().map(|slot| slot.moved(&mut keep)).collect();
        (self.name, self.source, self.slots, self.arena) = (name, source, slots, arena);
    }

    fn size(&self) -> usize {
        self.arena.capacity()
            + self.slots.capacity() * size_of::<Slot>()
            + self.categories.capacity() * size_of::<CategoryId>()
    }
}

impl OpenContent<'_> {
    /// The bytes of the arena that an event begins with: the layer's buffers, and a block.
    fn whole_size(&self) -> usize {
        self.own.bytes().buffers().iter().map(|buffer| buffer.len()).sum::<usize>() + BLOCK
    }

    /// The bytes that the content adds to an event's arena, at most.
    fn arena_size(&self) -> usize {
        self.name.map_or(0, Span::len)
            + self.source.map_or(0, |(file, _)| file.len())
            + self.own.slots().iter().map(Slot::text_bytes).sum::<usize>()
    }

    /// The bytes that the content adds to an event, at most; so many of them to its `arena`.
    fn size(&self, arena: usize) -> usize {
        arena + self.own.fields().len() * size_of::<Slot>() + size_of_val(self.own.categories())
    }
}

#[cfg(test)]
mod tests;

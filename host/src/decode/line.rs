//! Events that came as one line: what their decoders share.

use std::sync::Arc;

use fantail_sdk::Timestamp;

use super::error::{LineError, Reason};
use super::shape::{Beginning, Shapes};
use crate::event::key_index::{Inserted, KeyIndex};
use crate::event::{
    Ancestors, Bytes, Categories, Event, Layer, Mark, Parts, Slot, SlotValue, Span, Symbol, Symbols,
};

/// The most fields that a line may have.
pub const FIELDS_MAX: usize = 1000;

/// The most categories that a line may have.
pub const CATEGORIES_MAX: usize = 1000;

/// The longest line, in bytes; inputs have limits far below.
pub const LINE_LENGTH_MAX: usize = (1 << 31) - 1;

/// What a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Dovecot's stats-writer protocol, which needs more than one line.
    StatsWriter,
    /// Each line is an event as a JSON object.
    Json,
    /// Each line is an event as parts joined by TAB.
    TabText,
}

impl Protocol {
    /// Tells from a connection's first line what it speaks.
    pub fn detect(line: &[u8]) -> Option<Protocol> {
        const PARTS: [&[u8]; 7] = [
            b"event:",
            b"hostname:",
            b"start_time:",
            b"end_time:",
            b"category:",
            b"field:",
            // The empty part of an event without categories.
            b"\tfield:",
        ];
        if line.trim_ascii_start().starts_with(b"{") {
            Some(Protocol::Json)
        } else if line.starts_with(b"VERSION\t") {
            Some(Protocol::StatsWriter)
        } else {
            PARTS.iter().any(|part| line.starts_with(part)).then_some(Protocol::TabText)
        }
    }
}

/// Where a line's event is kept while it is used; one for each connection.
///
/// It grows to what the longest line needs and is used again for each line.
#[derive(Debug, Default)]
pub struct LineScratch {
    symbols: Arc<Symbols>,
    slots: Vec<Slot>,
    categories: Vec<Span>,
    /// Texts that had to be written anew: never longer than the line.
    pub(super) text: Vec<u8>,
    /// The slots' keys, once the line does not follow a known shape.
    keys: KeyIndex,
    keys_are_known: bool,
    shapes: Shapes,
}

/// A field's name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) key: Span,
    pub(super) symbol: Symbol,
    pub(super) mark: Mark,
    /// Nothing asks for the field: its value is passed over.
    pub(super) skipped: bool,
}

/// An event of which some parts are known.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    line: &'a [u8],
    pub(super) scratch: &'a mut LineScratch,
    parts: Parts,
    pub(super) name: Option<Span>,
    pub(super) hostname: Option<Span>,
    pub(super) start_time: Option<Timestamp>,
    pub(super) end_time: Option<Timestamp>,
    duration: Option<i64>,
}

impl<'a> Draft<'a> {
    /// An event without any part, in `line`.
    ///
    /// # Errors
    ///
    /// When the line is too long.
    pub(super) fn new(line: &'a [u8], scratch: &'a mut LineScratch) -> Result<Self, LineError> {
        if line.len() > LINE_LENGTH_MAX {
            return Err(LineError::new(Reason::TooLong, LINE_LENGTH_MAX, "the end of the line"));
        }
        scratch.slots.clear();
        scratch.categories.clear();
        scratch.keys_are_known = false;
        let skips = !scratch.symbols.all_wanted();
        scratch.shapes.begin(if skips { Beginning::Wanted } else { Beginning::Every });
        scratch.text.clear();
        scratch.text.reserve(line.len());
        Ok(Draft {
            line,
            scratch,
            parts: Parts::NONE,
            name: None,
            hostname: None,
            start_time: None,
            end_time: None,
            duration: None,
        })
    }

    /// The bytes at `span`.
    pub(super) fn at(&self, span: Span) -> &[u8] {
        Bytes::new(self.line, &self.scratch.text).at(span)
    }

    /// Whether the event has the part already.
    pub(super) fn has(&self, part: Parts) -> bool {
        self.parts.contains(part)
    }

    /// Notes that the event has the part.
    pub(super) fn set(&mut self, part: Parts) {
        self.parts = self.parts.or(part);
    }

    /// Whether there is no category so far.
    pub(super) fn no_categories(&self) -> bool {
        self.scratch.categories.is_empty()
    }

    /// Adds a category whose name stands at `offset`.
    pub(super) fn category(&mut self, name: Span, offset: usize) -> Result<(), LineError> {
        if self.scratch.categories.len() == CATEGORIES_MAX {
            let expected = "at most 1000 categories";
            return Err(LineError::new(Reason::TooManyCategories, offset, expected));
        }
        self.scratch.categories.push(name);
        Ok(())
    }

    /// The name of the field that begins with `rest`, at `offset`, if it was
    /// foreseen; and where its value is. `before` and `behind` are how many bytes of
    /// the learned heads stand before and behind the name.
    #[inline(always)]
    pub(super) fn foreseen(
        &mut self,
        offset: usize,
        before: usize,
        behind: usize,
    ) -> Option<(Name, usize)> {
        if !self.scratch.shapes.is_following() {
            return None;
        }
        let mut place = self.scratch.shapes.place();
        let known = self.scratch.shapes.follow(&mut place, self.line.get(offset..)?)?;
        self.scratch.shapes.go_to(place);
        let value = offset + known.len as usize;
        let key = Span::line(offset + before, value - behind);
        let skipped = !known.wanted && !self.scratch.symbols.all_wanted();
        Some((Name { key, symbol: known.symbol, mark: known.mark, skipped }, value))
    }

    /// The name that was read at `key` behind `offset`. If it stands in the line as
    /// it is, `head` is all by which it can be told there.
    ///
    /// # Errors
    ///
    /// When there was a field with that name before, unless nothing asks for it.
    pub(super) fn read_name(
        &mut self,
        key: Span,
        head: Option<&[u8]>,
        offset: usize,
    ) -> Result<Name, LineError> {
        let LineScratch { symbols, slots, text, keys, keys_are_known, shapes, .. } =
            &mut *self.scratch;
        let bytes = Bytes::new(self.line, text);
        let symbol = symbols.find(bytes.at(key));
        let skipped = !symbols.is_wanted(symbol);
        if !skipped {
            let key_at = |number: usize| bytes.at(slots[number].key);
            if !std::mem::replace(keys_are_known, true) {
                // The line has left the known shapes.
                keys.clear();
                for slot in slots.iter() {
                    keys.insert(bytes.at(slot.key), key_at);
                }
            }
            if keys.insert(bytes.at(key), key_at) != Inserted::New {
                return Err(LineError::new(Reason::Duplicate, offset, "no field a second time"));
            }
        }
        let mark = Mark::of(bytes.at(key));
        match head {
            Some(head) => shapes.learn(head, symbol, mark, !skipped),
            None => shapes.stop(),
        }
        Ok(Name { key, symbol, mark, skipped })
    }

    /// Adds a field that stands at `offset`.
    #[inline(always)]
    pub(super) fn field(
        &mut self,
        name: Name,
        value: SlotValue,
        offset: usize,
    ) -> Result<(), LineError> {
        if self.scratch.slots.len() == FIELDS_MAX {
            return Err(LineError::new(Reason::TooManyFields, offset, "at most 1000 fields"));
        }
        if let SlotValue::Integer(number) = value
            && name.symbol == Symbol::DURATION
        {
            self.duration = Some(number);
        }
        self.scratch.slots.push(Slot::new(name.key, name.symbol, name.mark, value));
        Ok(())
    }

    /// The event.
    pub(super) fn finish(self) -> Event<'a> {
        self.scratch.shapes.end();
        let scratch: &'a LineScratch = self.scratch;
        let bytes = Bytes::new(self.line, &scratch.text);
        let duration = self.duration.unwrap_or_else(|| match (self.start_time, self.end_time) {
            (Some(start), Some(end)) => end.as_micros().saturating_sub(start.as_micros()),
            _ => 0,
        });
        Event {
            name: self.name.map(|name| bytes.at(name)),
            log_type: None,
            source: None,
            hostname: self.hostname.map(|hostname| bytes.at(hostname)),
            start_time: self.start_time.or(self.end_time).unwrap_or_default(),
            end_time: self.end_time,
            duration,
            parts: self.parts,
            own: Layer::new(bytes, &scratch.slots, &[]),
            ancestors: Ancestors::default(),
            categories: Categories::Named(bytes, &scratch.categories),
        }
    }
}

impl LineScratch {
    /// An empty one, for a configuration that asks for `symbols`.
    pub fn new(symbols: Arc<Symbols>) -> Self {
        LineScratch { symbols, ..LineScratch::default() }
    }

    #[cfg(test)]
    pub(super) fn shapes(&mut self) -> &mut Shapes {
        &mut self.shapes
    }

    /// Goes over to the names of another configuration.
    pub fn set_symbols(&mut self, symbols: &Arc<Symbols>) {
        if !Arc::ptr_eq(&self.symbols, symbols) {
            self.symbols = Arc::clone(symbols);
            self.shapes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Protocol;

    #[test]
    fn a_format_is_told_by_its_first_line() {
        let check = |line: &[u8], expected| assert_eq!(Protocol::detect(line), expected);
        check(b"{\"event\":\"x\"}", Some(Protocol::Json));
        check(b" \t{}", Some(Protocol::Json));
        check(b"event:x", Some(Protocol::TabText));
        check(b"field:a=1", Some(Protocol::TabText));
        check(b"\tfield:a=1", Some(Protocol::TabText));
        check(b"VERSION\tstats-client\t4\t0", Some(Protocol::StatsWriter));
        check(b"", None);
        check(b"event", None);
        check(b"GET / HTTP/1.1", None);
    }
}

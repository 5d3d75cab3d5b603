//! Events that came as one line: what their decoders share.

use std::sync::Arc;

use fantail_sdk::Timestamp;

use super::error::{LineError, Reason};
use crate::event::{
    Ancestors, Bytes, Categories, Event, Layer, Parts, Slot, SlotValue, Span, Symbol, Symbols,
};

/// The most fields that a line may have.
pub const FIELDS_MAX: usize = 1000;

/// The most categories that a line may have.
pub const CATEGORIES_MAX: usize = 1000;

/// The longest line, in bytes; inputs have limits far below.
pub const LINE_LENGTH_MAX: usize = (1 << 31) - 1;

/// Up to this many keys are compared each with each other; more are sorted.
const COMPARED_KEYS_MAX: usize = 32;

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
    keys: Vec<KeyMark>,
    sorted_keys: Vec<u32>,
}

/// What is remembered of a field's key.
#[derive(Clone, Copy, Debug)]
struct KeyMark {
    /// Differs for most keys that differ.
    fingerprint: u64,
    /// Where in the line the field stands.
    offset: u32,
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
        scratch.keys.clear();
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

    /// Adds a field that stands at `offset`.
    #[inline]
    pub(super) fn field(
        &mut self,
        key: Span,
        value: SlotValue,
        offset: usize,
    ) -> Result<(), LineError> {
        if self.scratch.slots.len() == FIELDS_MAX {
            return Err(LineError::new(Reason::TooManyFields, offset, "at most 1000 fields"));
        }
        let name = self.at(key);
        let fingerprint = fingerprint(name);
        let symbol = self.scratch.symbols.find(name);
        if let SlotValue::Integer(number) = value
            && symbol == Symbol::DURATION
        {
            self.duration = Some(number);
        }
        self.scratch.keys.push(KeyMark { fingerprint, offset: offset as u32 });
        self.scratch.slots.push(Slot { key, symbol, value });
        Ok(())
    }

    /// The event.
    ///
    /// # Errors
    ///
    /// When two fields have the same key.
    pub(super) fn finish(self) -> Result<Event<'a>, LineError> {
        if let Some(offset) = self.scratch.duplicate_key(self.line) {
            return Err(LineError::new(Reason::Duplicate, offset, "no field a second time"));
        }
        let scratch: &'a LineScratch = self.scratch;
        let bytes = Bytes::new(self.line, &scratch.text);
        let duration = self.duration.unwrap_or_else(|| match (self.start_time, self.end_time) {
            (Some(start), Some(end)) => end.as_micros().saturating_sub(start.as_micros()),
            _ => 0,
        });
        Ok(Event {
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
        })
    }
}

impl LineScratch {
    /// An empty one, for a configuration that asks for `symbols`.
    pub fn new(symbols: Arc<Symbols>) -> Self {
        LineScratch { symbols, ..LineScratch::default() }
    }

    /// Goes over to the names of another configuration.
    pub fn set_symbols(&mut self, symbols: &Arc<Symbols>) {
        if !Arc::ptr_eq(&self.symbols, symbols) {
            self.symbols = Arc::clone(symbols);
        }
    }

    /// Where a field stands whose key an earlier one has too.
    fn duplicate_key(&mut self, line: &[u8]) -> Option<usize> {
        let bytes = Bytes::new(line, &self.text);
        let key = |index: usize| bytes.at(self.slots[index].key);
        if self.keys.len() <= COMPARED_KEYS_MAX {
            return self.keys.iter().enumerate().find_map(|(index, mark)| {
                let same = |earlier: usize| {
                    self.keys[earlier].fingerprint == mark.fingerprint && key(earlier) == key(index)
                };
                (0..index).any(same).then_some(mark.offset as usize)
            });
        }
        self.sorted_keys.clear();
        self.sorted_keys.extend(0..self.keys.len() as u32);
        self.sorted_keys.sort_unstable_by_key(|&index| (key(index as usize), index));
        let mut pairs = self.sorted_keys.windows(2);
        let pair = pairs.find(|pair| key(pair[0] as usize) == key(pair[1] as usize))?;
        Some(self.keys[pair[1] as usize].offset as usize)
    }
}

/// A number that is the same for the same key, and seldom for another.
#[inline]
fn fingerprint(key: &[u8]) -> u64 {
    let ends = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => key.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    ends.wrapping_add(key.len() as u64)
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

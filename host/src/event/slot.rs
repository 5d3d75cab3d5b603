//! Fields as a decoder finds them: a key, a type, and places in a buffer.
//!
//! A slot owns nothing and borrows nothing. Its places count from the start of
//! its layer's `line`, or of the layer's `scratch` when the bytes there had to
//! be written anew (an escape was undone); so a decoder can fill the same
//! `Vec<Slot>` for every event without an allocation.

use fantail_sdk::{
    FieldValue, List, Timestamp,
    abi::{RawField, RawText, value_kind},
};

use super::mark::Mark;
use super::symbol::Symbol;

/// A place in one of a layer's two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte; the highest bit set means: in `scratch`.
    start: u32,
    len: u32,
}

/// Marks a span that lies in the scratch buffer.
const IN_SCRATCH: u32 = 1 << 31;

impl Span {
    /// No bytes.
    const EMPTY: Span = Span { start: 0, len: 0 };

    /// The bytes `start..end` of the line.
    ///
    /// # Panics
    ///
    /// When the place is not within the first 2 GiB, far above every line limit.
    #[inline]
    pub fn line(start: usize, end: usize) -> Self {
        Span { start: offset(start, end), len: (end - start) as u32 }
    }

    /// The bytes `start..end` of the scratch buffer.
    ///
    /// # Panics
    ///
    /// When the place is not within the first 2 GiB, far above every line limit.
    #[inline]
    pub fn scratch(start: usize, end: usize) -> Self {
        Span { start: offset(start, end) | IN_SCRATCH, len: (end - start) as u32 }
    }

    /// How many bytes.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    /// The same bytes in a buffer that has the line, so many bytes, and the scratch behind it.
    ///
    /// # Panics
    ///
    /// When the place is not within the first 2 GiB.
    #[inline]
    #[must_use]
    pub fn joined(self, line: usize) -> Self {
        let before = if self.start & IN_SCRATCH == 0 { 0 } else { line };
        let start = before + (self.start & !IN_SCRATCH) as usize;
        Span::line(start, start + self.len as usize)
    }
}

/// The first byte's place; both are in range when the last one is.
#[inline]
fn offset(start: usize, end: usize) -> u32 {
    assert!(
        start <= end && end < IN_SCRATCH as usize,
        "invariant: lines and scratch are below 2 GiB"
    );
    start as u32
}

/// A field's value, with the bytes of texts left in the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotValue {
    /// Text, of any bytes; empty also when the sender cleared the field.
    Text(Span),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A point in time.
    Timestamp(Timestamp),
    /// An IP address, as its canonical text.
    Ip(Span),
    /// A list of strings, escaped and joined by TAB (see [`List`]), and its length.
    List(Span, u32),
    /// A JSON value that no other type stands for (a fraction, `true`, an
    /// object), as the text that came in.
    Json(Span),
}

/// One field of a layer.
///
/// All kinds of values are kept alike, so that most of what is done with a field is done
/// without asking which kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where the field's name is.
    pub key: Span,
    /// The value's text, if it has one.
    text: Span,
    /// The value's number, if it has one.
    number: i64,
    /// The name's symbol in the table that the decoder was given.
    pub symbol: Symbol,
    /// One of [`value_kind`].
    kind: u8,
    mark: Mark,
}

impl Slot {
    /// A field. `mark` must be its name's.
    #[inline(always)]
    pub fn new(key: Span, symbol: Symbol, mark: Mark, value: SlotValue) -> Self {
        let (kind, text, number) = match value {
            SlotValue::Text(text) => (value_kind::TEXT, text, 0),
            SlotValue::Integer(number) => (value_kind::INTEGER, Span::EMPTY, number),
            SlotValue::Timestamp(time) => (value_kind::TIMESTAMP, Span::EMPTY, time.as_micros()),
            SlotValue::Ip(text) => (value_kind::IP, text, 0),
            SlotValue::List(text, count) => (value_kind::LIST, text, i64::from(count)),
            SlotValue::Json(text) => (value_kind::JSON, text, 0),
        };
        Slot { key, text, number, symbol, kind: kind as u8, mark }
    }

    /// The mark of its name.
    #[inline]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Its value.
    #[inline]
    pub fn value(&self) -> SlotValue {
        match u32::from(self.kind) {
            value_kind::INTEGER => SlotValue::Integer(self.number),
            value_kind::TIMESTAMP => SlotValue::Timestamp(Timestamp::from_micros(self.number)),
            value_kind::IP => SlotValue::Ip(self.text),
            value_kind::LIST => SlotValue::List(self.text, self.number as u32),
            value_kind::JSON => SlotValue::Json(self.text),
            _ => SlotValue::Text(self.text),
        }
    }

    /// Gives it another value.
    pub fn set(&mut self, value: SlotValue) {
        *self = Slot::new(self.key, self.symbol, self.mark, value);
    }

    /// Whether its value is a list.
    #[inline]
    pub fn is_list(&self) -> bool {
        u32::from(self.kind) == value_kind::LIST
    }

    /// The bytes that its name and its value have in the buffers.
    #[inline]
    pub fn text_bytes(&self) -> usize {
        self.key.len as usize + self.text.len as usize
    }

    /// The same field, its bytes kept elsewhere: `keep` says where those of a span are then.
    pub fn moved(self, mut keep: impl FnMut(Span) -> Span) -> Self {
        Slot { key: keep(self.key), text: keep(self.text), ..self }
    }
}

/// A field, borrowed from its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field's name.
    pub key: &'a [u8],
    /// The name's symbol in the table that the decoder was given.
    pub symbol: Symbol,
    /// Its value.
    pub value: FieldValue<'a>,
}

/// The two buffers that a layer's spans count from.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    line: &'a [u8],
    scratch: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// Spans of the line count from `line`, the others from `scratch`.
    #[inline]
    pub fn new(line: &'a [u8], scratch: &'a [u8]) -> Self {
        // No span of a line reaches further.
        Bytes { line: &line[..line.len().min(IN_SCRATCH as usize - 1)], scratch }
    }

    /// The buffers that the spans count from: the line, with what stands behind it if that was
    /// given along, and the scratch.
    pub fn buffers(&self) -> [&'a [u8]; 2] {
        [self.line, self.scratch]
    }

    /// The bytes at `span`.
    ///
    /// # Panics
    ///
    /// When `span` was made for other, longer buffers: a bug in a decoder.
    #[inline]
    pub fn at(&self, span: Span) -> &'a [u8] {
        self.text(span).as_slice()
    }

    /// The bytes at `span` as they cross to a plugin, with those that follow them.
    ///
    /// # Panics
    ///
    /// As [`at`](Self::at).
    #[inline(always)]
    pub fn text(&self, span: Span) -> RawText<'a> {
        // A place in the scratch is far behind every line's end: one comparison tells where it is
        // and that it is there.
        let rest = self.line.get(span.start as usize..).unwrap_or_else(|| self.in_scratch(span));
        RawText::first_of(rest, span.len as usize)
    }

    /// The scratch from `span` on.
    #[cold]
    fn in_scratch(&self, span: Span) -> &'a [u8] {
        assert!(span.start & IN_SCRATCH != 0, "invariant: the line has all of its spans");
        &self.scratch[(span.start & !IN_SCRATCH) as usize..]
    }

    /// The field in `slot` as it crosses to a plugin.
    #[inline(always)]
    pub fn raw(&self, slot: &Slot) -> RawField<'a> {
        let (key, text) = (self.text(slot.key), self.text(slot.text));
        RawField::of_texts(key, u32::from(slot.kind), text, slot.number)
            .with_plain_key(slot.mark.is_plain())
    }

    /// The field in `slot`.
    // Inlined, for a field that is handed over in memory costs more than finding it.
    #[inline(always)]
    pub fn field(&self, slot: &Slot) -> Field<'a> {
        Field { key: self.at(slot.key), symbol: slot.symbol, value: self.value(slot) }
    }

    /// The value in `slot`.
    #[inline(always)]
    pub fn value(&self, slot: &Slot) -> FieldValue<'a> {
        match slot.value() {
            SlotValue::Text(span) => FieldValue::Text(self.at(span)),
            SlotValue::Integer(number) => FieldValue::Integer(number),
            SlotValue::Timestamp(time) => FieldValue::Timestamp(time),
            SlotValue::Ip(span) => FieldValue::Ip(self.at(span)),
            SlotValue::List(span, count) => {
                FieldValue::List(List::from_escaped(self.at(span), count as usize))
            }
            SlotValue::Json(span) => FieldValue::Json(self.at(span)),
        }
    }
}

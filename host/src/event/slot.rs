//! Fields as a decoder finds them: a key, a type, and places in a buffer.
//!
//! A slot owns nothing and borrows nothing. Its places count from the start of
//! its layer's `line`, or of the layer's `scratch` when the bytes there had to
//! be written anew (an escape was undone); so a decoder can fill the same
//! `Vec<Slot>` for every event without an allocation.

use fantail_sdk::{FieldValue, List, Timestamp, abi::RawText};

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

/// What a slot holds, with the bytes of texts left in the buffers.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where the field's name is.
    pub key: Span,
    /// The name's symbol in the table that the decoder was given.
    pub symbol: Symbol,
    /// Its value.
    pub value: SlotValue,
}

impl Slot {
    /// The bytes that its name and its value have in the buffers.
    #[inline]
    pub fn text_bytes(&self) -> usize {
        let value = match self.value {
            SlotValue::Text(span)
            | SlotValue::Ip(span)
            | SlotValue::List(span, _)
            | SlotValue::Json(span) => span.len,
            SlotValue::Integer(_) | SlotValue::Timestamp(_) => 0,
        };
        self.key.len as usize + value as usize
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
    pub fn new(line: &'a [u8], scratch: &'a [u8]) -> Self {
        Bytes { line, scratch }
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
        let start = (span.start & !IN_SCRATCH) as usize;
        let buffer = if span.start & IN_SCRATCH == 0 { self.line } else { self.scratch };
        RawText::first_of(&buffer[start..], span.len as usize)
    }

    /// The field in `slot`.
    // Inlined, for a field that is handed over in memory costs more than finding it.
    #[inline(always)]
    pub fn field(&self, slot: &Slot) -> Field<'a> {
        Field { key: self.at(slot.key), symbol: slot.symbol, value: self.value(slot.value) }
    }

    /// The value in a slot.
    #[inline(always)]
    pub fn value(&self, value: SlotValue) -> FieldValue<'a> {
        match value {
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

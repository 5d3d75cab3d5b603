//! Views: the host's events and batches, borrowed for the time of one call.

use abi_stable::{
    std_types::{RSlice, RSliceMut},
    StableAbi,
};

use crate::{FieldValue, List};

/// The bits of [`RawEvent::parts`].
pub mod part {
    /// The event's name.
    pub const NAME: u32 = 1;
    /// The name of the machine.
    pub const HOSTNAME: u32 = 2;
    /// When the event began.
    pub const START_TIME: u32 = 4;
    /// When it ended.
    pub const END_TIME: u32 = 8;
    /// Its categories.
    pub const CATEGORIES: u32 = 16;
    /// Its fields.
    pub const FIELDS: u32 = 32;
}

/// The numbers in [`RawField::kind`]. A plugin takes a number that it does not
/// know for [`TEXT`](value_kind::TEXT).
pub mod value_kind {
    /// `text` is the value.
    pub const TEXT: u32 = 0;
    /// `number` is the value.
    pub const INTEGER: u32 = 1;
    /// `number` is the value, in microseconds since the epoch.
    pub const TIMESTAMP: u32 = 2;
    /// `text` is an IP address in canonical form.
    pub const IP: u32 = 3;
    /// `text` holds `number` elements, escaped and joined by TAB.
    pub const LIST: u32 = 4;
    /// `text` is a JSON value.
    pub const JSON: u32 = 5;
}

/// The numbers in [`RawBatch::outcomes`].
pub mod outcome {
    /// Nothing is known of this payload yet.
    pub const PENDING: u8 = 0;
    /// It has been delivered.
    pub const DELIVERED: u8 = 1;
    /// It can never be delivered; the reason is among the given-up ones.
    pub const GIVEN_UP: u8 = 2;
    /// Its peer had it, and has not taken it this time. (A host that does not know this
    /// takes it for pending, which it is.)
    pub const TRIED: u8 = 3;
}

/// The bytes of a block: see [`RawText::first_of`].
pub const BLOCK: usize = 32;

/// A text of a field, and what can be read behind it.
#[derive(Clone, Copy)]
pub struct RawText<'a> {
    rest: &'a [u8],
    /// At most as long as `rest`.
    len: usize,
}

impl<'a> RawText<'a> {
    /// The first `len` bytes of `rest`. What stands behind them means nothing, and crosses with
    /// them: if there are [`BLOCK`] bytes in all, a format can copy a short text without
    /// looking how long it is, in a fraction of the time.
    ///
    /// # Panics
    ///
    /// When `rest` has fewer bytes.
    #[inline(always)]
    pub fn first_of(rest: &'a [u8], len: usize) -> Self {
        assert!(len <= rest.len(), "a text is a part of what begins with it");
        RawText { rest, len }
    }

    /// The text alone.
    #[inline(always)]
    pub fn as_slice(self) -> &'a [u8] {
        &self.rest[..self.len]
    }

    /// The text as it crosses: by a pointer that may be used for the rest, too.
    #[inline(always)]
    fn into_slice(self) -> RSlice<'a, u8> {
        // SAFETY: `rest` has at least so many bytes, and lives for 'a.
        unsafe { RSlice::from_raw_parts_with_lifetime(self.rest, self.len) }
    }
}

impl<'a> From<&'a [u8]> for RawText<'a> {
    /// A text of which it is not known what stands behind it.
    #[inline(always)]
    fn from(text: &'a [u8]) -> Self {
        RawText { rest: text, len: text.len() }
    }
}

/// The bits of a field's flags: what can be read besides its texts.
mod flag {
    /// A block can be read where the key begins.
    pub(super) const KEY_BLOCK: u32 = 1;
    /// A block can be read where the value's text begins.
    pub(super) const TEXT_BLOCK: u32 = 2;
    /// The key is [plain](super::RawField::with_plain_key).
    pub(super) const PLAIN_KEY: u32 = 4;
}

/// A field of an event.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RawField<'a> {
    /// The field's name, of any bytes.
    key: RSlice<'a, u8>,
    /// The value's text, of any bytes; what it means depends on `kind`.
    text: RSlice<'a, u8>,
    /// The value's number; what it means depends on `kind`.
    pub number: i64,
    /// One of [`value_kind`].
    pub kind: u32,
    /// A sum of [`flag`]s; a plugin ignores bits that it does not know.
    flags: u32,
}

impl<'a> RawField<'a> {
    /// A field as it crosses to a plugin; [`Field`](crate::Field) is the way back.
    #[inline]
    pub fn new(key: &'a [u8], value: FieldValue<'a>) -> Self {
        let (kind, text, number): (u32, &[u8], i64) = match value {
            FieldValue::Text(text) => (value_kind::TEXT, text, 0),
            FieldValue::Integer(number) => (value_kind::INTEGER, b"", number),
            FieldValue::Timestamp(time) => (value_kind::TIMESTAMP, b"", time.as_micros()),
            FieldValue::Ip(text) => (value_kind::IP, text, 0),
            FieldValue::List(list) => (value_kind::LIST, list.escaped(), list.len() as i64),
            FieldValue::Json(text) => (value_kind::JSON, text, 0),
        };
        Self::of_kind(key, kind, text, number)
    }

    /// A field of a kind that need not be known.
    #[inline]
    pub fn of_kind(key: &'a [u8], kind: u32, text: &'a [u8], number: i64) -> Self {
        Self::of_texts(key.into(), kind, text.into(), number)
    }

    /// The same, with what can be read behind its texts.
    #[inline(always)]
    pub fn of_texts(key: RawText<'a>, kind: u32, text: RawText<'a>, number: i64) -> Self {
        let key_block = if key.rest.len() >= BLOCK { flag::KEY_BLOCK } else { 0 };
        let text_block = if text.rest.len() >= BLOCK { flag::TEXT_BLOCK } else { 0 };
        let flags = key_block | text_block;
        RawField { key: key.into_slice(), text: text.into_slice(), number, kind, flags }
    }

    /// The same field, of which it is known whether its key is plain: letters and digits of ASCII,
    /// `_`, `-` and `.` only, so that no format need look for what it must escape.
    #[inline(always)]
    #[must_use]
    pub fn with_plain_key(self, is_plain: bool) -> Self {
        RawField { flags: self.flags | if is_plain { flag::PLAIN_KEY } else { 0 }, ..self }
    }

    /// Whether the key is known to be plain.
    #[inline]
    pub fn has_plain_key(&self) -> bool {
        self.flags & flag::PLAIN_KEY != 0
    }

    /// The field's name.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.key.as_slice()
    }

    /// The value's text.
    #[inline]
    pub fn text(&self) -> &'a [u8] {
        self.text.as_slice()
    }

    /// Gives the field a list.
    pub fn set_list(&mut self, list: List<'a>) {
        *self = RawField::new(self.key(), FieldValue::List(list));
    }

    /// The block that begins with the key, if it can be read.
    #[inline]
    pub fn key_block(&self) -> Option<&'a [u8; BLOCK]> {
        // SAFETY: the flag is set by `of_texts` only, and `key` never changes without it.
        (self.flags & flag::KEY_BLOCK != 0).then(|| unsafe { block(self.key) })
    }

    /// The block that begins with the value's text, if it can be read.
    #[inline]
    pub fn text_block(&self) -> Option<&'a [u8; BLOCK]> {
        // SAFETY: the flag is set by `of_texts` only, and `text` never changes without it.
        (self.flags & flag::TEXT_BLOCK != 0).then(|| unsafe { block(self.text) })
    }
}

/// The block where a text begins.
///
/// # Safety
///
/// The text must have come from a [`RawText`] whose rest has at least [`BLOCK`] bytes, on whichever
/// side of the boundary.
#[inline]
unsafe fn block<'a>(text: RSlice<'a, u8>) -> &'a [u8; BLOCK] {
    // SAFETY: the pointer was made from a slice of at least so many bytes, which lives for 'a, and
    // crossed the boundary as it was.
    unsafe { &*text.as_ptr().cast::<[u8; BLOCK]>() }
}

/// An event: the parts that the exporter asked for and the event has.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RawEvent<'a> {
    /// Which parts there are: a sum of [`part`]s. The others are empty or zero.
    pub parts: u32,
    /// Dovecot's number of the severity, 0 (debug) to 5 (panic); `u32::MAX` if unknown.
    pub log_type: u32,
    /// The event's name.
    pub name: RSlice<'a, u8>,
    /// The name of the machine where it happened.
    pub hostname: RSlice<'a, u8>,
    /// When it began, in microseconds since the epoch.
    pub start_micros: i64,
    /// When it ended, in microseconds since the epoch.
    pub end_micros: i64,
    /// Its categories and all their ancestors, each once.
    pub categories: RSlice<'a, RSlice<'a, u8>>,
    /// Its fields, each key once.
    pub fields: RSlice<'a, RawField<'a>>,
}

/// Payloads for a driver.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawBatch<'a> {
    /// All payloads, one behind the other.
    pub bytes: RSlice<'a, u8>,
    /// Where in `bytes` each payload ends; never decreasing.
    pub ends: RSlice<'a, u32>,
    /// The labels of all payloads, one behind the other: each the values of the parts that
    /// the driver wants, escaped and joined by TAB. Empty when it wants none.
    pub labels: RSlice<'a, u8>,
    /// Where in `labels` each label ends; empty when the driver wants none.
    pub label_ends: RSlice<'a, u32>,
    /// The number of values in each label.
    pub label_parts: u64,
    /// What numbered the payloads: the high half of 128 bits that no other source has.
    pub source_high: u64,
    /// The low half.
    pub source_low: u64,
    /// The number of each payload in its source.
    pub numbers: RSlice<'a, u64>,
    /// What became of each payload: one of [`outcome`], written by the driver.
    pub outcomes: RSliceMut<'a, u8>,
    /// A number that grows from batch to batch of one exporter.
    pub id: u64,
}

#[cfg(test)]
mod tests {
    use super::{value_kind, RawField, RawText, BLOCK};
    use crate::List;

    #[test]
    fn blocks_can_be_read_where_there_is_more_behind_a_text() {
        let bytes: Vec<u8> = (0..100).collect();
        for start in 0..=bytes.len() {
            let rest = &bytes[start..];
            for len in 0..=rest.len() {
                let (alone, text) = (&rest[..len], RawText::first_of(rest, len));
                let field = RawField::of_texts(text, value_kind::TEXT, alone.into(), 0);
                assert_eq!((field.key(), field.text()), (alone, alone));
                assert_eq!(field.key_block(), rest.first_chunk::<BLOCK>());
                assert_eq!(field.text_block(), alone.first_chunk::<BLOCK>());
            }
        }
        let text = RawText::first_of(&bytes, 10);
        let mut field = RawField::of_texts(text, value_kind::TEXT, text, 0);
        field.set_list(List::from_escaped(&bytes[..5], 1));
        assert_eq!((field.key(), field.text(), field.number), (&bytes[..10], &bytes[..5], 1));
        assert_eq!((field.kind, field.text_block()), (value_kind::LIST, None));
    }

    #[test]
    #[should_panic(expected = "a part of what begins with it")]
    fn a_text_is_no_longer_than_what_begins_with_it() {
        let _ = RawText::first_of(b"four", 5);
    }
}

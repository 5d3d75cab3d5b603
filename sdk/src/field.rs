//! A field of an event as a format sees it.

use crate::{
    abi::{value_kind, RawField, BLOCK},
    List, Prefix, Timestamp,
};

/// A field: a key and a typed value.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    raw: &'a RawField<'a>,
}

/// What a field holds.
///
/// These are all kinds within this major version of the SDK: one that only a later
/// host knows arrives as text, so a `match` needs no arm for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// Text, of any bytes; empty also when the sender cleared the field.
    Text(&'a [u8]),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A point in time.
    Timestamp(Timestamp),
    /// An IP address, in canonical form.
    Ip(&'a [u8]),
    /// A list of strings.
    List(List<'a>),
    /// A JSON value that no other kind stands for (a fraction, `true`, an object),
    /// as its text.
    Json(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(crate) fn new(raw: &'a RawField<'a>) -> Self {
        Field { raw }
    }

    /// The field's name, of any bytes.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.raw.key()
    }

    /// The field's name as a piece, if it is known to be no longer than a block and to have nothing
    /// that any format escapes: it consists of letters and digits of ASCII, `_`, `-` and `.`. Where
    /// there is none, it may still be so.
    #[inline]
    pub fn plain_key(&self) -> Option<Prefix<'a, BLOCK>> {
        let is_plain = self.raw.has_plain_key() && self.key().len() <= BLOCK;
        let block = if is_plain { self.raw.key_block() } else { None };
        block.map(|block| Prefix::new(block, self.key().len()))
    }

    /// [`BLOCK`] bytes from where the text of the value begins, if it has one and so many can be
    /// read: those behind it mean nothing. They are for [`Prefix::plain`].
    #[inline]
    pub fn text_block(&self) -> Option<&'a [u8; BLOCK]> {
        self.raw.text_block()
    }

    /// Its value.
    #[inline]
    pub fn value(&self) -> FieldValue<'a> {
        let text = self.raw.text();
        match self.raw.kind {
            value_kind::INTEGER => FieldValue::Integer(self.raw.number),
            value_kind::TIMESTAMP => FieldValue::Timestamp(Timestamp::from_micros(self.raw.number)),
            value_kind::IP => FieldValue::Ip(text),
            value_kind::LIST => {
                let count = usize::try_from(self.raw.number).unwrap_or(0);
                FieldValue::List(List::from_escaped(text, count))
            }
            value_kind::JSON => FieldValue::Json(text),
            _ => FieldValue::Text(text),
        }
    }
}

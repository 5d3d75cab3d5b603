//! Views: the host's events and batches, borrowed for the time of one call.

use abi_stable::{
    std_types::{RSlice, RSliceMut},
    StableAbi,
};

use crate::FieldValue;

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

/// A field of an event.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RawField<'a> {
    /// The field's name, of any bytes.
    pub key: RSlice<'a, u8>,
    /// The value's text, of any bytes; what it means depends on `kind`.
    pub text: RSlice<'a, u8>,
    /// The value's number; what it means depends on `kind`.
    pub number: i64,
    /// One of [`value_kind`].
    pub kind: u32,
    /// Zero; a plugin ignores bits that it does not know.
    pub flags: u32,
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
        RawField { key: key.into(), text: text.into(), number, kind, flags: 0 }
    }
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

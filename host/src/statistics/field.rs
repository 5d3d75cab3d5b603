//! The one place where statistics look at an event's fields.

use fantail_sdk::FieldValue;

use super::plan::DURATION;
use crate::event::Event;

/// A field that is looked up for each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `duration`, which an event has in any case.
    Duration,
    /// One that it may have, by its name.
    Named(Box<[u8]>),
}

impl Field {
    /// The field called `name`.
    pub(super) fn new(name: &str) -> Self {
        if name == DURATION { Field::Duration } else { Field::Named(name.as_bytes().into()) }
    }

    /// The event's value.
    #[inline]
    pub(super) fn of<'e>(&self, event: &Event<'e>) -> Option<FieldValue<'e>> {
        match self {
            Field::Duration => Some(FieldValue::Integer(event.duration)),
            Field::Named(name) => event.value(name),
        }
    }

    /// The number that is counted, if the event has the field: a time's microseconds;
    /// 0 for what is no number.
    #[inline]
    pub(super) fn number_of(&self, event: &Event<'_>) -> Option<i64> {
        self.of(event).map(|value| match value {
            FieldValue::Integer(number) => number,
            FieldValue::Timestamp(time) => time.as_micros(),
            FieldValue::Text(_) | FieldValue::Ip(_) | FieldValue::List(_) | FieldValue::Json(_) => {
                0
            }
        })
    }

    /// Calls `element` with the elements of all lists of this name, escaped, in the
    /// order of look-up.
    pub(super) fn elements_of<'e>(&self, event: &Event<'e>, mut element: impl FnMut(&'e [u8])) {
        let Field::Named(name) = self else { return };
        for value in event.list_parts(name) {
            if let FieldValue::List(list) = value {
                list.escaped().split(|&byte| byte == b'\t').take(list.len()).for_each(&mut element);
            }
        }
    }
}

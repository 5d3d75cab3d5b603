//! The one place where statistics look at an event's fields.

use fantail_sdk::FieldValue;

use super::plan::{DURATION, MetricPlan};
use crate::event::{Event, Symbol, Symbols};

/// The fields that a metric asks events for.
#[derive(Debug)]
pub(super) struct Fields {
    /// Those whose values are counted, as the plan's.
    pub(super) values: Box<[Field]>,
    /// Those that make groups, as the plan's levels.
    pub(super) levels: Box<[Field]>,
}

/// A field that is looked up for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `duration`, which an event has in any case.
    Duration,
    /// One that it may have.
    Named(Symbol),
}

impl Fields {
    /// What the metric asks for, in the table by which the events are decoded.
    pub(super) fn new(plan: &MetricPlan, symbols: &Symbols) -> Self {
        Fields {
            values: plan.values.iter().map(|name| Field::new(name, symbols)).collect(),
            levels: plan.levels.iter().map(|level| Field::new(&level.field, symbols)).collect(),
        }
    }
}

impl Field {
    fn new(name: &str, symbols: &Symbols) -> Self {
        match name {
            DURATION => Field::Duration,
            _ => Field::Named(symbols.find(name.as_bytes())),
        }
    }

    /// The event's value.
    #[inline]
    pub(super) fn of<'e>(self, event: &Event<'e>) -> Option<FieldValue<'e>> {
        match self {
            Field::Duration => Some(FieldValue::Integer(event.duration)),
            Field::Named(symbol) => event.value_of(symbol),
        }
    }

    /// The number that is counted, if the event has the field: a time's microseconds;
    /// 0 for what is no number.
    #[inline]
    pub(super) fn number_of(self, event: &Event<'_>) -> Option<i64> {
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
    pub(super) fn elements_of<'e>(self, event: &Event<'e>, mut element: impl FnMut(&'e [u8])) {
        let Field::Named(symbol) = self else { return };
        for value in event.list_parts_of(symbol) {
            if let FieldValue::List(list) = value {
                list.escaped().split(|&byte| byte == b'\t').take(list.len()).for_each(&mut element);
            }
        }
    }
}

//! Answers that are not remembered: for filters so few that none is asked for twice.

use super::matcher::Names;
use super::predicate::{Predicate, PredicateId, Predicates};
use super::program::{Answers, ValueSet};
use crate::event::Event;
use crate::filter::naive;
use fantail_sdk::FieldValue;

/// An event, asked anew for every predicate.
pub(super) struct Plain<'s, 'e> {
    pub(super) predicates: &'s Predicates,
    pub(super) names: &'s Names,
    pub(super) event: &'s Event<'e>,
}

impl Answers for Plain<'_, '_> {
    fn is_true(&mut self, id: PredicateId) -> bool {
        let event = self.event;
        match self.predicates.get(id) {
            Predicate::Name(wanted) => naive::has_name(event, wanted),
            Predicate::Category(name) => event.has_category(name.as_bytes()),
            Predicate::LogType(wanted) => event.log_type == Some(*wanted),
            Predicate::Source(wanted) => naive::is_at(event, wanted),
            Predicate::Field(key, test) => {
                let value = if self.predicates.keys.duration() == Some(*key) {
                    Some(FieldValue::Integer(event.duration))
                } else {
                    event.value_of(self.names.of_key(*key))
                };
                naive::compare_value(test, value, event).unwrap_or(false)
            }
        }
    }

    fn is_any_true(&mut self, set: &ValueSet) -> bool {
        set.members.iter().any(|member| self.is_true(*member))
    }
}

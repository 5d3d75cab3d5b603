//! An event as a format sees it.

use crate::{
    abi::{part, RawEvent},
    field::Field,
    Timestamp,
};

/// The parts of an event that its exporter asked for and that it has.
///
/// Everything is borrowed for the time of the call. Texts are bytes: what
/// mail clients send need not be UTF-8.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    raw: &'a RawEvent<'a>,
}

/// Which parts an event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts(u32);

impl Parts {
    /// Whether categories belong into the payload, even if there are none.
    pub fn categories(self) -> bool {
        self.0 & part::CATEGORIES != 0
    }

    /// Whether fields belong into the payload, even if there are none.
    pub fn fields(self) -> bool {
        self.0 & part::FIELDS != 0
    }
}

impl<'a> Event<'a> {
    pub(crate) fn new(raw: &'a RawEvent<'a>) -> Self {
        Event { raw }
    }

    /// Which parts the event has.
    pub fn parts(&self) -> Parts {
        Parts(self.raw.parts)
    }

    /// The event's name; `None` also for an event without one.
    pub fn name(&self) -> Option<&'a [u8]> {
        self.has(part::NAME).then(|| self.raw.name.as_slice())
    }

    /// The name of the machine where it happened.
    pub fn hostname(&self) -> Option<&'a [u8]> {
        self.has(part::HOSTNAME).then(|| self.raw.hostname.as_slice())
    }

    /// When it began.
    pub fn start_time(&self) -> Option<Timestamp> {
        self.has(part::START_TIME).then(|| Timestamp::from_micros(self.raw.start_micros))
    }

    /// When it ended: the moment of its (first) export.
    pub fn end_time(&self) -> Option<Timestamp> {
        self.has(part::END_TIME).then(|| Timestamp::from_micros(self.raw.end_micros))
    }

    /// The severity, 0 (debug), 1 (info), 2 (warning), 3 (error), 4 (fatal) or
    /// 5 (panic), if it is known.
    pub fn log_type(&self) -> Option<u8> {
        u8::try_from(self.raw.log_type).ok()
    }

    /// Its categories and all their ancestors, each once.
    pub fn categories(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + 'a {
        let categories = self.raw.categories.as_slice();
        categories.iter().map(|category| category.as_slice())
    }

    /// Its fields, each key once, in the order of the export.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'a>> + 'a {
        let fields = self.raw.fields.as_slice();
        fields.iter().map(Field::new)
    }

    fn has(&self, part: u32) -> bool {
        self.raw.parts & part != 0
    }
}

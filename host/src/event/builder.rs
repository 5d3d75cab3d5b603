//! Events made by hand: for tests, benchmarks and fuzz targets, which have no
//! line to decode.

use std::sync::Arc;

use fantail_sdk::{List, Timestamp};

use super::category::{CategoryId, CategoryRegistry};
use super::event::{Ancestors, Categories, Event, Layer, Parts, Source};
use super::log_type::LogType;
use super::mark::Mark;
use super::open::{OpenContent, OpenEvents, OpenId, OpenLimits};
use super::slot::{Bytes, Slot, SlotValue, Span};
use super::symbol::{Symbol, Symbols};

/// An event that owns its bytes.
#[derive(Clone, Debug, Default)]
pub struct EventBuilder {
    bytes: Vec<u8>,
    name: Option<Span>,
    log_type: Option<LogType>,
    source: Option<(Span, u32)>,
    hostname: Option<Span>,
    start_time: Timestamp,
    last_sent: Option<Timestamp>,
    end_time: Option<Timestamp>,
    slots: Vec<Slot>,
    categories: Vec<Vec<u8>>,
}

impl EventBuilder {
    /// An unnamed event without fields, created at the epoch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the event a name.
    #[must_use]
    pub fn name(mut self, name: impl AsRef<[u8]>) -> Self {
        self.name = Some(self.keep(name.as_ref()));
        self
    }

    /// Gives the event a severity.
    #[must_use]
    pub fn log_type(mut self, log_type: LogType) -> Self {
        self.log_type = Some(log_type);
        self
    }

    /// Says where in the source it was created.
    #[must_use]
    pub fn source(mut self, file: impl AsRef<[u8]>, line: u32) -> Self {
        self.source = Some((self.keep(file.as_ref()), line));
        self
    }

    /// Says on which machine it happened, as for a relayed event.
    #[must_use]
    pub fn hostname(mut self, hostname: impl AsRef<[u8]>) -> Self {
        self.hostname = Some(self.keep(hostname.as_ref()));
        self
    }

    /// Says when it was created.
    #[must_use]
    pub fn start_time(mut self, micros: i64) -> Self {
        self.start_time = Timestamp::from_micros(micros);
        self
    }

    /// Says when it was last sent.
    #[must_use]
    pub fn last_sent(mut self, micros: i64) -> Self {
        self.last_sent = Some(Timestamp::from_micros(micros));
        self
    }

    /// Says when it was exported, as for a relayed event.
    #[must_use]
    pub fn end_time(mut self, micros: i64) -> Self {
        self.end_time = Some(Timestamp::from_micros(micros));
        self
    }

    /// Adds a category; it must be registered with the [`EventChain`].
    #[must_use]
    pub fn category(mut self, name: impl AsRef<[u8]>) -> Self {
        self.categories.push(name.as_ref().to_vec());
        self
    }

    /// Adds a text field; "" is a cleared one.
    #[must_use]
    pub fn text(mut self, key: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> Self {
        let value = SlotValue::Text(self.keep(text.as_ref()));
        self.field(key.as_ref(), value)
    }

    /// Adds an integer field.
    #[must_use]
    pub fn integer(self, key: impl AsRef<[u8]>, number: i64) -> Self {
        self.field(key.as_ref(), SlotValue::Integer(number))
    }

    /// Adds a timestamp field.
    #[must_use]
    pub fn timestamp(self, key: impl AsRef<[u8]>, micros: i64) -> Self {
        self.field(key.as_ref(), SlotValue::Timestamp(Timestamp::from_micros(micros)))
    }

    /// Adds an address field; `address` must be its canonical text.
    #[must_use]
    pub fn ip(mut self, key: impl AsRef<[u8]>, address: impl AsRef<[u8]>) -> Self {
        let value = SlotValue::Ip(self.keep(address.as_ref()));
        self.field(key.as_ref(), value)
    }

    /// Adds a list field.
    #[must_use]
    pub fn list<E: AsRef<[u8]>>(mut self, key: impl AsRef<[u8]>, elements: &[E]) -> Self {
        let value = SlotValue::List(self.keep(&List::escape(elements)), elements.len() as u32);
        self.field(key.as_ref(), value)
    }

    /// Adds a field with a JSON value that no other type stands for, as its text.
    #[must_use]
    pub fn json(mut self, key: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> Self {
        let value = SlotValue::Json(self.keep(text.as_ref()));
        self.field(key.as_ref(), value)
    }

    fn field(mut self, key: &[u8], value: SlotValue) -> Self {
        let (span, mark) = (self.keep(key), Mark::of(key));
        self.slots.push(Slot::new(span, Symbol::NONE, mark, value));
        self
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::line(start, self.bytes.len())
    }

    fn duration(&self) -> i64 {
        self.last_sent
            .map_or(0, |sent| sent.as_micros().saturating_sub(self.start_time.as_micros()))
    }
}

/// A chain of built events: an event, its parents and its global events.
#[derive(Debug)]
pub struct EventChain {
    registry: CategoryRegistry,
    open: OpenEvents,
    parent: Option<OpenId>,
    global: Option<OpenId>,
    begun: u64,
    event: EventBuilder,
    categories: Vec<CategoryId>,
}

impl EventChain {
    /// The event alone, with `categories` registered (name, parent), parents first.
    ///
    /// # Panics
    ///
    /// When the categories can't be registered in this order.
    pub fn new(event: EventBuilder, categories: &[(&str, Option<&str>)]) -> Self {
        let mut registry = CategoryRegistry::default();
        for (name, parent) in categories {
            registry
                .register(name.as_bytes(), parent.map(str::as_bytes))
                .expect("categories come with their parents first");
        }
        let mut chain = EventChain {
            registry,
            open: OpenEvents::new(OpenLimits::default()),
            parent: None,
            global: None,
            begun: 0,
            event: EventBuilder::new(),
            categories: Vec::new(),
        };
        chain.categories = chain.registered(&event);
        chain.event = event;
        chain
    }

    /// Gives the event parents: the root first, the nearest last.
    ///
    /// # Panics
    ///
    /// When there are more than an [`OpenEvents`] keeps.
    #[must_use]
    pub fn parents(mut self, parents: impl IntoIterator<Item = EventBuilder>) -> Self {
        self.parent = self.begin(parents);
        self
    }

    /// Gives the event a global event with its parents: the root first.
    ///
    /// # Panics
    ///
    /// When there are more than an [`OpenEvents`] keeps.
    #[must_use]
    pub fn global(mut self, globals: impl IntoIterator<Item = EventBuilder>) -> Self {
        self.global = self.begin(globals);
        self
    }

    /// Gives all fields and categories their symbols, as a decoder does.
    #[must_use]
    pub fn resolve(mut self, symbols: &Arc<Symbols>) -> Self {
        let bytes = Bytes::new(&self.event.bytes, &[]);
        for slot in &mut self.event.slots {
            slot.symbol = symbols.find(bytes.at(slot.key));
        }
        self.open.resolve(symbols);
        self.registry.set_symbols(Arc::clone(symbols));
        self
    }

    fn begin(&mut self, events: impl IntoIterator<Item = EventBuilder>) -> Option<OpenId> {
        let mut last = None;
        for event in events {
            let categories = self.registered(&event);
            let bytes = Bytes::new(&event.bytes, &[]);
            let content = OpenContent {
                name: event.name,
                log_type: event.log_type,
                source: event.source,
                created: event.start_time,
                last_sent: event.last_sent,
                own: Layer::new(bytes, &event.slots, &categories),
            };
            self.begun += 1;
            last = Some(self.open.begin(self.begun, last, &content).expect("within the limits"));
        }
        last
    }

    /// The ids of the event's categories; names that are not registered are left out.
    fn registered(&self, event: &EventBuilder) -> Vec<CategoryId> {
        event.categories.iter().filter_map(|name| self.registry.find(name)).collect()
    }

    /// The event, as a decoder would give it.
    pub fn event(&self) -> Event<'_> {
        let bytes = Bytes::new(&self.event.bytes, &[]);
        Event {
            name: self.event.name.map(|span| bytes.at(span)),
            log_type: self.event.log_type,
            source: self.event.source.map(|(file, line)| Source { file: bytes.at(file), line }),
            hostname: self.event.hostname.map(|span| bytes.at(span)),
            start_time: self.event.start_time,
            end_time: self.event.end_time,
            duration: self.event.duration(),
            parts: Parts::ALL,
            own: Layer::new(bytes, &self.event.slots, &self.categories),
            ancestors: Ancestors {
                open: Some(&self.open),
                parent: self.parent,
                global: self.global,
            },
            categories: Categories::Registered(&self.registry),
        }
    }
}

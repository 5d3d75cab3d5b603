//! A host in a box: runs a plugin in a test of its own, over the same functions
//! by which the real host calls it.
//!
//! Switch it on for tests only:
//!
//! ```toml
//! [dev-dependencies]
//! fantail-sdk = { version = "1", features = ["runner"] }
//! ```

use std::ops::Range;

use serde_json::Value;

use crate::{
    abi::{
        driver_table, format_table, outcome, part, send_status, value_kind, DriverInstance,
        FormatFailure, FormatInstance, Payloads, RSlice, RawEvent, RawField, RawText,
    },
    Driver, DriverContext, Format, FormatContext, LabelPart, List,
};

/// Runs a format.
pub struct FormatRunner {
    instance: FormatInstance,
}

impl FormatRunner {
    /// Opens the format `F` with settings as they come from a configuration.
    ///
    /// # Errors
    ///
    /// What the format has against the settings.
    pub fn open<F: Format>(settings: &Value) -> Result<Self, String> {
        Self::open_with::<F>(settings, &FormatContext::default())
    }

    /// The same with a context, for example a limit on the length of fields.
    ///
    /// # Errors
    ///
    /// What the format has against the settings.
    pub fn open_with<F: Format>(settings: &Value, context: &FormatContext) -> Result<Self, String> {
        FormatInstance::open(format_table::<F>(), settings, context)
            .map(|instance| FormatRunner { instance })
    }

    /// The payloads' MIME type.
    pub fn content_type(&self) -> String {
        self.instance.content_type()
    }

    /// The payload of an event.
    ///
    /// # Errors
    ///
    /// When the format refuses the event or panics.
    pub fn format(&mut self, event: &TestEvent) -> Result<Vec<u8>, FormatFailure> {
        let mut payload = Vec::new();
        event.with_raw(|raw| self.instance.format(raw, &mut payload)).map(|()| payload)
    }
}

/// Runs a driver.
pub struct DriverRunner {
    instance: DriverInstance,
    wants: Vec<LabelPart>,
    batches: u64,
    tried: Vec<usize>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The places of the payloads that were delivered.
    pub delivered: Vec<usize>,
    /// The places of those that were given up, and why.
    pub given_up: Vec<(usize, String)>,
    /// What the host has to do for the others; `None` when there are none.
    pub error: Option<SentError>,
}

impl Sent {
    /// A batch of `count` payloads, each of them delivered.
    pub fn whole(count: usize) -> Self {
        Sent { delivered: (0..count).collect(), given_up: Vec::new(), error: None }
    }
}

/// What the host has to do for payloads that are neither delivered nor given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentError {
    /// Send them again, not before the milliseconds have passed that the peer asked for.
    Retry(String, Option<u64>),
    /// Make a new instance.
    Stop(String),
    /// Make a new instance: this one panicked.
    Panicked(String),
}

impl DriverRunner {
    /// Opens the driver `D` with settings as they come from a configuration.
    ///
    /// # Errors
    ///
    /// What the driver has against the settings.
    pub fn open<D: Driver>(settings: &Value) -> Result<Self, String> {
        Self::open_with::<D>(settings, &DriverContext::default())
    }

    /// The same with a context, for example the payloads' content type.
    ///
    /// # Errors
    ///
    /// What the driver has against the settings.
    pub fn open_with<D: Driver>(settings: &Value, context: &DriverContext) -> Result<Self, String> {
        DriverInstance::open(driver_table::<D>(), settings, context).map(|instance| DriverRunner {
            wants: instance.wants(),
            instance,
            batches: 0,
            tried: Vec::new(),
        })
    }

    /// The parts of an event that the driver wants to know.
    pub fn wants(&self) -> &[LabelPart] {
        &self.wants
    }

    /// Sends a batch; the payloads' labels have empty values.
    ///
    /// # Panics
    ///
    /// When the payloads together pass 4 GiB.
    pub fn send<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> Sent {
        self.batches += 1;
        self.send_again(payloads)
    }

    /// Sends the rest of the last batch, as the host does with what a driver has neither
    /// delivered nor given up: under the same number.
    ///
    /// # Panics
    ///
    /// As in [`send`](Self::send).
    pub fn send_again<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> Sent {
        let values = vec![""; self.wants.len()];
        let labelled: Vec<_> = payloads.iter().map(|payload| (payload, &values)).collect();
        self.send_batch(&labelled)
    }

    /// Sends a batch of payloads, each with the values of what the driver
    /// [`wants`](Self::wants).
    ///
    /// # Panics
    ///
    /// When a label has too few or too many values, and when the payloads or the labels together
    /// pass 4 GiB.
    pub fn send_labelled<P, L, V>(&mut self, payloads: &[(P, L)]) -> Sent
    where
        P: AsRef<[u8]>,
        L: AsRef<[V]>,
        V: AsRef<[u8]>,
    {
        self.batches += 1;
        self.send_batch(payloads)
    }

    fn send_batch<P, L, V>(&mut self, payloads: &[(P, L)]) -> Sent
    where
        P: AsRef<[u8]>,
        L: AsRef<[V]>,
        V: AsRef<[u8]>,
    {
        let end = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a test's payloads are small");
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let (mut labels, mut label_ends) = (Vec::new(), Vec::new());
        for (payload, label) in payloads {
            bytes.extend_from_slice(payload.as_ref());
            ends.push(end(&bytes));
            assert_eq!(label.as_ref().len(), self.wants.len(), "a value for each part");
            if !self.wants.is_empty() {
                labels.extend(List::escape(label.as_ref()));
                label_ends.push(end(&labels));
            }
        }
        let mut outcomes = vec![outcome::PENDING; ends.len()];
        let first = 1000 * self.batches;
        let numbers: Vec<u64> = (first..).take(ends.len()).collect();
        let payloads = Payloads {
            bytes: &bytes,
            ends: &ends,
            labels: &labels,
            label_ends: &label_ends,
            label_parts: self.wants.len(),
            source: 1,
            numbers: &numbers,
        };
        let raw = self.instance.send(&payloads, &mut outcomes, self.batches);
        let reasons = raw.given_up.iter();
        self.tried = (0..ends.len()).filter(|&at| outcomes[at] == outcome::TRIED).collect();
        Sent {
            delivered: (0..ends.len()).filter(|&at| outcomes[at] == outcome::DELIVERED).collect(),
            given_up: reasons.map(|one| (one.index as usize, one.reason.to_string())).collect(),
            error: sent_error(&raw),
        }
    }

    /// The places of the payloads that the last batch's peer had and did not take, as far as the
    /// driver has marked them.
    pub fn tried(&self) -> &[usize] {
        &self.tried
    }

    /// Calls the driver's `flush`.
    pub fn flush(&mut self) -> Option<SentError> {
        sent_error(&self.instance.flush())
    }

    /// Calls the driver's `reopen`.
    pub fn reopen(&mut self) -> Option<SentError> {
        sent_error(&self.instance.reopen())
    }
}

fn sent_error(raw: &crate::abi::RawSent) -> Option<SentError> {
    let message = raw.message.to_string();
    match raw.status {
        send_status::DONE => None,
        send_status::RETRY => {
            let after = raw.retry_after_millis;
            Some(SentError::Retry(message, (after != u64::MAX).then_some(after)))
        }
        send_status::PANICKED => Some(SentError::Panicked(message)),
        _ => Some(SentError::Stop(message)),
    }
}

/// An event made by hand; it has the parts that were set.
#[derive(Clone, Debug, Default)]
pub struct TestEvent {
    parts: u32,
    log_type: Option<u8>,
    name: Vec<u8>,
    hostname: Vec<u8>,
    start_micros: i64,
    end_micros: i64,
    categories: Vec<Vec<u8>>,
    /// The keys and texts of all fields, one behind the other, as in a host's buffer: blocks
    /// can be read of all but the last ones.
    texts: Vec<u8>,
    fields: Vec<TestField>,
}

#[derive(Clone, Debug)]
struct TestField {
    key: Range<usize>,
    text: Range<usize>,
    number: i64,
    kind: u32,
}

impl TestEvent {
    /// An event without any part.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: impl AsRef<[u8]>) -> Self {
        self.parts |= part::NAME;
        self.name = name.as_ref().to_vec();
        self
    }

    /// Sets the machine's name.
    #[must_use]
    pub fn hostname(mut self, hostname: impl AsRef<[u8]>) -> Self {
        self.parts |= part::HOSTNAME;
        self.hostname = hostname.as_ref().to_vec();
        self
    }

    /// Sets both times, in microseconds since the epoch.
    #[must_use]
    pub fn times(mut self, start_micros: i64, end_micros: i64) -> Self {
        self.parts |= part::START_TIME | part::END_TIME;
        (self.start_micros, self.end_micros) = (start_micros, end_micros);
        self
    }

    /// Sets the severity, 0 to 5.
    #[must_use]
    pub fn log_type(mut self, log_type: u8) -> Self {
        self.log_type = Some(log_type);
        self
    }

    /// Gives the event its categories; none is different from not being called.
    #[must_use]
    pub fn categories<C: AsRef<[u8]>>(mut self, categories: &[C]) -> Self {
        self.parts |= part::CATEGORIES;
        self.categories = categories.iter().map(|name| name.as_ref().to_vec()).collect();
        self
    }

    /// Gives the event fields, none so far; the calls below do that too.
    #[must_use]
    pub fn fields(mut self) -> Self {
        self.parts |= part::FIELDS;
        self
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(self, key: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> Self {
        self.field(key.as_ref(), text.as_ref(), 0, value_kind::TEXT)
    }

    /// Adds an integer field.
    #[must_use]
    pub fn integer(self, key: impl AsRef<[u8]>, number: i64) -> Self {
        self.field(key.as_ref(), b"", number, value_kind::INTEGER)
    }

    /// Adds a timestamp field, in microseconds since the epoch.
    #[must_use]
    pub fn timestamp(self, key: impl AsRef<[u8]>, micros: i64) -> Self {
        self.field(key.as_ref(), b"", micros, value_kind::TIMESTAMP)
    }

    /// Adds an address field, in canonical form.
    #[must_use]
    pub fn ip(self, key: impl AsRef<[u8]>, address: impl AsRef<[u8]>) -> Self {
        self.field(key.as_ref(), address.as_ref(), 0, value_kind::IP)
    }

    /// Adds a JSON field, as its text.
    #[must_use]
    pub fn json(self, key: impl AsRef<[u8]>, json: impl AsRef<[u8]>) -> Self {
        self.field(key.as_ref(), json.as_ref(), 0, value_kind::JSON)
    }

    /// Adds a list field.
    #[must_use]
    pub fn list<E: AsRef<[u8]>>(self, key: impl AsRef<[u8]>, elements: &[E]) -> Self {
        let count = elements.len() as i64;
        self.field(key.as_ref(), &List::escape(elements), count, value_kind::LIST)
    }

    /// Adds a field of a kind that only a later SDK knows.
    #[must_use]
    pub fn unknown_kind(self, key: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> Self {
        self.field(key.as_ref(), text.as_ref(), 0, u32::MAX)
    }

    fn field(mut self, key: &[u8], text: &[u8], number: i64, kind: u32) -> Self {
        self.parts |= part::FIELDS;
        let mut keep = |text: &[u8]| {
            let start = self.texts.len();
            self.texts.extend_from_slice(text);
            start..self.texts.len()
        };
        let (key, text) = (keep(key), keep(text));
        self.fields.push(TestField { key, text, number, kind });
        self
    }

    /// Calls `use_it` with the event as the host gives it to a format: for a benchmark,
    /// which has to make it only once.
    pub fn with_raw<T>(&self, use_it: impl FnOnce(&RawEvent<'_>) -> T) -> T {
        let categories: Vec<RSlice<'_, u8>> =
            self.categories.iter().map(|name| name.as_slice().into()).collect();
        let fields: Vec<RawField<'_>> = self
            .fields
            .iter()
            .map(|TestField { key, text, number, kind }| {
                let text_at =
                    |at: &Range<usize>| RawText::first_of(&self.texts[at.start..], at.len());
                RawField::of_texts(text_at(key), *kind, text_at(text), *number)
            })
            .collect();
        use_it(&RawEvent {
            parts: self.parts,
            log_type: self.log_type.map_or(u32::MAX, u32::from),
            name: self.name.as_slice().into(),
            hostname: self.hostname.as_slice().into(),
            start_micros: self.start_micros,
            end_micros: self.end_micros,
            categories: categories.as_slice().into(),
            fields: fields.as_slice().into(),
        })
    }
}

/// The JSON Schema that a plugin's settings have.
///
/// # Panics
///
/// When it is not a JSON value, which a schema always is.
pub fn schema<S: crate::Settings>() -> Value {
    serde_json::from_str(&crate::settings::schema::<S>())
        .expect("invariant: a schema is a JSON value")
}

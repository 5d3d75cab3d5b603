//! Instances as their caller holds them: safe to use, closed when dropped.

use serde_json::Value;

use super::{
    format_status, lend_buffer, send_status, DriverTableRef, FormatTableRef, Instance, RResult,
    RStr, RString, RawBatch, RawEvent, RawSent,
};
use crate::{label, DriverContext, FormatContext, LabelPart};

/// Why a format did not write an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatFailure {
    /// It refuses this event; the instance is as good as before.
    Refused(String),
    /// It panicked; the instance must not be used any more.
    Panicked(String),
}

/// Payloads that a driver is to deliver together, and their labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Payloads<'a> {
    /// The payloads, one behind the other.
    pub bytes: &'a [u8],
    /// Where in `bytes` each ends.
    pub ends: &'a [u32],
    /// The labels, one behind the other: values escaped and joined by TAB.
    pub labels: &'a [u8],
    /// Where in `labels` each ends; empty when the driver wants none.
    pub label_ends: &'a [u32],
    /// The number of values in each label.
    pub label_parts: usize,
    /// What numbered the payloads.
    pub source: u128,
    /// The number of each payload in its source; they rise.
    pub numbers: &'a [u64],
}

/// An instance of a format plugin.
pub struct FormatInstance {
    table: FormatTableRef,
    instance: Instance,
}

/// An instance of a driver plugin.
pub struct DriverInstance {
    table: DriverTableRef,
    instance: Instance,
}

// SAFETY: the pointer is to a `Format`, which is `Send`, in a library that stays
// loaded; nothing else refers to it.
unsafe impl Send for FormatInstance {}

// SAFETY: the pointer is to a `Driver`, which is `Send`, in a library that stays
// loaded; nothing else refers to it.
unsafe impl Send for DriverInstance {}

impl FormatInstance {
    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// What the plugin has against the settings.
    pub fn open(
        table: FormatTableRef,
        settings: &Value,
        context: &FormatContext,
    ) -> Result<Self, String> {
        let instance = open(table.open(), settings, context)?;
        Ok(FormatInstance { table, instance })
    }

    /// The payloads' MIME type.
    pub fn content_type(&self) -> String {
        // SAFETY: the instance came from this table's `open`, lives until `drop`, and
        // is used by one thread at a time: it is not `Sync`.
        unsafe { self.table.content_type()(self.instance) }.into_string()
    }

    /// Appends the event's payload to `out`, or nothing.
    ///
    /// # Errors
    ///
    /// When the format refuses the event or panics.
    #[inline]
    pub fn format(&mut self, event: &RawEvent<'_>, out: &mut Vec<u8>) -> Result<(), FormatFailure> {
        let start = out.len();
        let status = lend_buffer(out, |raw| {
            // SAFETY: as in `content_type`; `&mut self` makes it the only use.
            unsafe { self.table.format()(self.instance, event, raw) }
        });
        if out.len() < start {
            // No plugin of the SDK can do this: the payload before has lost its end.
            out.resize(start, b'?');
            return Err(FormatFailure::Panicked("took back what was not its own".into()));
        }
        if status == format_status::DONE {
            return Ok(());
        }
        let message = String::from_utf8_lossy(out.get(start..).unwrap_or_default()).into_owned();
        out.truncate(start);
        Err(match status {
            format_status::PANICKED => FormatFailure::Panicked(message),
            _ => FormatFailure::Refused(message),
        })
    }
}

impl Drop for FormatInstance {
    fn drop(&mut self) {
        // SAFETY: the instance came from this table's `open` and is not used again.
        unsafe { self.table.close()(self.instance) }
    }
}

impl DriverInstance {
    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// What the plugin has against the settings.
    pub fn open(
        table: DriverTableRef,
        settings: &Value,
        context: &DriverContext,
    ) -> Result<Self, String> {
        let instance = open(table.open(), settings, context)?;
        Ok(DriverInstance { table, instance })
    }

    /// The parts of an event that the driver wants to know besides the payload.
    pub fn wants(&self) -> Vec<LabelPart> {
        let Some(wants) = self.table.wants() else { return Vec::new() };
        // SAFETY: the instance came from this table's `open`, lives until `drop`, and
        // is used by one thread at a time: it is not `Sync`.
        label::from_json(unsafe { wants(self.instance) }.as_str())
    }

    /// Delivers payloads; their outcomes are written to `outcomes`, one for each payload.
    /// After a status of [`send_status::PANICKED`] or [`send_status::STOP`] drop the instance.
    ///
    /// # Panics
    ///
    /// When the payloads, their labels (if there are any) and `outcomes` differ in number.
    pub fn send(&mut self, payloads: &Payloads<'_>, outcomes: &mut [u8], id: u64) -> RawSent {
        let Payloads { bytes, ends, labels, label_ends, label_parts, source, numbers } = *payloads;
        assert_eq!(numbers.len(), ends.len(), "invariant: a number for each payload");
        assert_eq!(ends.len(), outcomes.len(), "invariant: an outcome for each payload");
        assert!(
            label_ends.is_empty() || label_ends.len() == ends.len(),
            "invariant: a label for each payload, or none"
        );
        let mut batch = RawBatch {
            bytes: bytes.into(),
            ends: ends.into(),
            labels: labels.into(),
            label_ends: label_ends.into(),
            label_parts: label_parts as u64,
            source_high: (source >> 64) as u64,
            source_low: source as u64,
            numbers: numbers.into(),
            outcomes: outcomes.into(),
            id,
        };
        // SAFETY: the instance came from this table's `open` and lives until `drop`;
        // `&mut self` makes it the only use.
        unsafe { self.table.send()(self.instance, &mut batch) }
    }

    /// Asks the driver to bring everything that it took to its end.
    pub fn flush(&mut self) -> RawSent {
        // SAFETY: as in `send`.
        unsafe { self.table.flush()(self.instance) }
    }

    /// Asks the driver to open files and connections anew.
    pub fn reopen(&mut self) -> RawSent {
        // SAFETY: as in `send`.
        unsafe { self.table.reopen()(self.instance) }
    }
}

impl Drop for DriverInstance {
    fn drop(&mut self) {
        // SAFETY: the instance came from this table's `open` and is not used again.
        unsafe { self.table.close()(self.instance) }
    }
}

impl RawSent {
    /// Whether the instance may be used again.
    pub fn instance_is_usable(&self) -> bool {
        matches!(self.status, send_status::DONE | send_status::RETRY)
    }
}

fn open<C: serde::Serialize>(
    open: extern "C" fn(RStr<'_>, RStr<'_>) -> RResult<Instance, RString>,
    settings: &Value,
    context: &C,
) -> Result<Instance, String> {
    let context = serde_json::to_string(context).expect("invariant: contexts are plain JSON");
    open(RStr::from_str(&settings.to_string()), RStr::from_str(&context))
        .into_result()
        .map_err(RString::into_string)
}

//! The trait of formats: how an event is written.

use crate::{Buffer, Event, FormatContext, FormatError, PluginError, Settings};

/// Writes events as payloads.
///
/// The host makes an instance for each of its workers and each exporter that
/// names the format, and calls each instance from one thread at a time. An
/// implementer is responsible for one thing: that a payload depends on the event
/// and the settings alone, so that it does not matter which instance wrote it.
pub trait Format: Sized + Send {
    /// What a configuration can set; [`NoSettings`](crate::NoSettings) if nothing.
    type Settings: Settings;

    /// Makes an instance. Called at the host's start and at each reload of its
    /// configuration, once for each worker.
    ///
    /// # Errors
    ///
    /// When the settings make no sense together; the host then refuses them.
    fn open(settings: Self::Settings, context: &FormatContext) -> Result<Self, PluginError>;

    /// The payloads' MIME type, such as `application/json`.
    fn content_type(&self) -> &str {
        "application/octet-stream"
    }

    /// Appends the event's payload to `out`. Called once for each event; what
    /// was appended is taken back when this fails or panics.
    ///
    /// A payload is a line without its end: a format that may write an LF
    /// can't be used with drivers that end payloads with one.
    ///
    /// # Errors
    ///
    /// When this event can't be written: it is counted as dropped.
    fn format(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) -> Result<(), FormatError>;
}

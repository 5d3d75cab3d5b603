//! The trait of drivers: where payloads go.

use crate::{Batch, DriverContext, LabelPart, PluginError, SendError, Settings};

/// Delivers payloads.
///
/// The host makes one instance for each exporter that names the driver, and
/// calls it from that exporter's own thread: a slow driver delays nobody else. An
/// implementer is responsible for saying truly which payloads have been
/// delivered, and for coming back in time: within its own timeouts, a few
/// seconds at most. It should *not* retry, queue or pause on its own; the host
/// does that from the [`SendError`].
pub trait Driver: Sized + Send {
    /// What a configuration can set; [`NoSettings`](crate::NoSettings) if nothing.
    type Settings: Settings;

    /// The longest field value that this driver wants, in bytes, if it wants a
    /// limit: formats cut longer ones.
    const FIELD_LENGTH_MAX: Option<usize> = None;

    /// Makes an instance. Called at the host's start, and again after the last
    /// one stopped or panicked. A peer that is not there is no reason to fail
    /// here: connect when the first batch comes.
    ///
    /// # Errors
    ///
    /// When the settings make no sense together; the host then refuses them.
    fn open(settings: Self::Settings, context: &DriverContext) -> Result<Self, PluginError>;

    /// The parts of an event that the driver must know besides the payload, to tell
    /// where it belongs: they come with it as [`Batch::label`]. Nothing by default,
    /// which costs nothing.
    ///
    /// Asked once, of the first instance, so it must follow from the settings alone.
    fn wants(&self) -> Vec<LabelPart> {
        Vec::new()
    }

    /// Delivers a batch. `Ok` says that every payload has been delivered, but for
    /// those that [`Batch::give_up`] named.
    ///
    /// # Errors
    ///
    /// When payloads that were not marked in the batch are still to be delivered.
    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError>;

    /// Brings everything that was taken to its end, as far as the driver keeps
    /// anything back. Called when the host has nothing to send for a while, and
    /// before it closes the instance.
    ///
    /// # Errors
    ///
    /// When that failed; the host calls again later.
    fn flush(&mut self) -> Result<(), SendError> {
        Ok(())
    }

    /// Opens files and connections anew, because somebody has moved the file
    /// away or changed what a name stands for.
    ///
    /// # Errors
    ///
    /// When that failed; the host logs it and goes on.
    fn reopen(&mut self) -> Result<(), SendError> {
        Ok(())
    }
}

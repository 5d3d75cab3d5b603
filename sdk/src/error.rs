//! What plugins say when something goes wrong, and what the host does then.

use std::{fmt, time::Duration};

/// Why an instance can't be made.
///
/// The host says so with the exporter's name and place in the configuration, and
/// does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginError(String);

/// Why an event can't be written.
///
/// The host counts the event as dropped for this exporter, under "format".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError(String);

/// Why a batch was not delivered, or not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The payloads that are neither delivered nor given up should be sent again:
    /// the host does that, to the same instance, after a pause that grows.
    Retry {
        /// What went wrong, for the log.
        reason: String,
        /// The least pause that the peer asked for.
        after: Option<Duration>,
    },
    /// This instance can't go on: the host makes a new one from the same settings,
    /// after a pause that grows, and sends the rest to that.
    Stop {
        /// What went wrong, for the log.
        reason: String,
    },
}

impl PluginError {
    /// An error with this text: one clause, no period.
    pub fn new(text: impl Into<String>) -> Self {
        PluginError(text.into())
    }
}

impl FormatError {
    /// An error with this text: one clause, no period.
    pub fn new(text: impl Into<String>) -> Self {
        FormatError(text.into())
    }
}

impl SendError {
    /// To be sent again.
    pub fn retry(reason: impl fmt::Display) -> Self {
        SendError::Retry { reason: reason.to_string(), after: None }
    }

    /// To be sent again, not before `after` has passed.
    pub fn retry_after(reason: impl fmt::Display, after: Duration) -> Self {
        SendError::Retry { reason: reason.to_string(), after: Some(after) }
    }

    /// Not with this instance.
    pub fn stop(reason: impl fmt::Display) -> Self {
        SendError::Stop { reason: reason.to_string() }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Retry { reason, .. } | SendError::Stop { reason } => f.write_str(reason),
        }
    }
}

impl std::error::Error for PluginError {}
impl std::error::Error for FormatError {}
impl std::error::Error for SendError {}

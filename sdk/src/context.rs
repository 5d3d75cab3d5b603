//! What an instance is told besides its settings.

use serde::{Deserialize, Serialize};

/// What a format's instance is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FormatContext {
    /// The exporter's name in the configuration.
    pub exporter: String,
    /// The longest field value that the exporter's driver wants, in bytes: longer
    /// ones are cut, in the way of the format.
    pub field_length_max: Option<usize>,
}

/// What a driver's instance is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DriverContext {
    /// The exporter's name in the configuration.
    pub exporter: String,
    /// The MIME type of the payloads, from the exporter's format.
    pub content_type: String,
    /// The name of this machine in exports.
    pub hostname: String,
    /// The host's name and version, for a peer that asks who is calling.
    pub user_agent: String,
}

impl FormatContext {
    /// The context of a format for this exporter.
    pub fn new(exporter: impl Into<String>, field_length_max: Option<usize>) -> Self {
        FormatContext { exporter: exporter.into(), field_length_max }
    }
}

impl DriverContext {
    /// The context of a driver for this exporter.
    pub fn new(
        exporter: impl Into<String>,
        content_type: impl Into<String>,
        hostname: impl Into<String>,
        user_agent: impl Into<String>,
    ) -> Self {
        DriverContext {
            exporter: exporter.into(),
            content_type: content_type.into(),
            hostname: hostname.into(),
            user_agent: user_agent.into(),
        }
    }
}

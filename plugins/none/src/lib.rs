//! The format `none`: an empty payload for each event, for counting deliveries
//! without writing anything.
//!
//! It is the smallest complete format, and the template for others.

#![deny(unsafe_code)]

use fantail_sdk::{
    Buffer, Event, Format, FormatContext, FormatError, NoSettings, PluginError, export_format,
};

/// Writes nothing.
pub struct Nothing;

impl Format for Nothing {
    type Settings = NoSettings;

    fn open(_settings: NoSettings, _context: &FormatContext) -> Result<Self, PluginError> {
        Ok(Nothing)
    }

    fn content_type(&self) -> &str {
        "application/octet-stream"
    }

    fn format(&mut self, _event: &Event<'_>, _out: &mut Buffer<'_>) -> Result<(), FormatError> {
        Ok(())
    }
}

export_format!(Nothing, "none");

#[cfg(test)]
mod tests {
    use fantail_sdk::runner::{FormatRunner, TestEvent};

    #[test]
    fn every_payload_is_empty() {
        let mut runner = FormatRunner::open::<super::Nothing>(&serde_json::json!({})).unwrap();
        assert_eq!(runner.content_type(), "application/octet-stream");
        let event = TestEvent::new().name("imap_command_finished").text("user", "alice");
        assert_eq!(runner.format(&event).unwrap(), b"");
    }
}

//! A format that panics on some events and refuses others.

use fantail_sdk::{
    Buffer, Event, Format, FormatContext, FormatError, NoSettings, PluginError, export_format,
};

pub struct Faulty;

impl Format for Faulty {
    type Settings = NoSettings;

    fn open(_settings: NoSettings, _context: &FormatContext) -> Result<Self, PluginError> {
        Ok(Faulty)
    }

    fn format(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) -> Result<(), FormatError> {
        out.extend(b"half a payload");
        match event.name() {
            Some(b"panicking") => panic!("no luck with this event"),
            Some(b"refused") => return Err(FormatError::new("I do not like this event")),
            _ => {}
        }
        out.truncate(0);
        out.extend(event.name().unwrap_or_default());
        Ok(())
    }
}

export_format!(Faulty, "faulty-format");

//! The format `tab-text`: each event as one line of parts joined by TAB.
//!
//! `event:NAME`, `hostname:NAME`, `start_time:TIME`, `end_time:TIME`, a `category:NAME`
//! for each category and a `field:KEY=VALUE` for each field, in this order; a part
//! that the event does not have is left out. An event that was exported with its
//! categories and has none has an empty part in their place, as Dovecot writes it.
//!
//! The escapes are those of Dovecot's line protocols: the byte 0x01 and `0` for NUL,
//! `1` for 0x01, `t` for TAB, `r` for CR, `n` for LF. A list's elements are escaped and
//! joined by TAB, and the whole is escaped again. A `=` in a key is not escaped: the
//! first one in a field ends the key for a reader.

#![deny(unsafe_code)]

mod escape;

use fantail_sdk::{
    Buffer, Event, FieldValue, Format, FormatContext, FormatError, PluginError, TimeFormat,
    TimeWriter, export_format,
};

use crate::escape::write_escaped;

fantail_sdk::settings! {
    /// How tab-separated text is written.
    #[derive(Clone, Copy, Debug, Default)]
    #[serde(default)]
    pub struct Settings {
        /// How points in time are written.
        time_format: TimeFormat,
    }
}

/// Writes events as tab-separated parts.
pub struct TabText {
    times: TimeWriter,
    /// Texts of more bytes are cut.
    text_length_max: usize,
}

impl Format for TabText {
    type Settings = Settings;

    fn open(settings: Settings, context: &FormatContext) -> Result<Self, PluginError> {
        Ok(TabText {
            times: TimeWriter::new(settings.time_format),
            text_length_max: context.field_length_max.unwrap_or(usize::MAX),
        })
    }

    fn content_type(&self) -> &str {
        "text/plain"
    }

    /// Every part ends with a TAB, and the last one is taken away again; so the
    /// TAB of the missing categories stays when nothing follows.
    fn format(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) -> Result<(), FormatError> {
        if let Some(name) = event.name() {
            write_part(b"event:", name, out);
        }
        if let Some(hostname) = event.hostname() {
            write_part(b"hostname:", hostname, out);
        }
        if let Some(time) = event.start_time() {
            out.extend(b"start_time:");
            self.times.write(time, out);
            out.push(b'\t');
        }
        if let Some(time) = event.end_time() {
            out.extend(b"end_time:");
            self.times.write(time, out);
            out.push(b'\t');
        }
        if event.parts().categories() {
            let categories = event.categories();
            if categories.len() == 0 {
                out.push(b'\t');
            }
            for category in categories {
                write_part(b"category:", category, out);
            }
        }
        for field in event.fields() {
            out.extend(b"field:");
            write_escaped(field.key(), out);
            out.push(b'=');
            self.write_value(field.value(), out);
            out.push(b'\t');
        }
        out.truncate(out.len().saturating_sub(1));
        Ok(())
    }
}

impl TabText {
    #[inline]
    fn write_value(&mut self, value: FieldValue<'_>, out: &mut Buffer<'_>) {
        match value {
            FieldValue::Text(text) | FieldValue::Json(text) => self.write_text(text, out),
            FieldValue::Integer(number) => {
                out.extend(itoa::Buffer::new().format(number).as_bytes())
            }
            FieldValue::Timestamp(time) => self.times.write(time, out),
            FieldValue::List(list) => write_escaped(list.escaped(), out),
            FieldValue::Ip(text) => write_escaped(text, out),
        }
    }

    /// Writes a text that the driver may want to be shorter.
    #[inline]
    fn write_text(&self, text: &[u8], out: &mut Buffer<'_>) {
        match text.get(..self.text_length_max) {
            Some(cut) if cut.len() < text.len() => {
                write_escaped(cut, out);
                out.extend(b"...");
            }
            _ => write_escaped(text, out),
        }
    }
}

#[inline]
fn write_part(name: &[u8], value: &[u8], out: &mut Buffer<'_>) {
    out.extend(name);
    write_escaped(value, out);
    out.push(b'\t');
}

export_format!(TabText, "tab-text");

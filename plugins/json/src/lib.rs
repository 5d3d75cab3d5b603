//! The format `json`: each event as one line of JSON.
//!
//! The members stand in the order event, hostname, `start_time`, `end_time`,
//! categories, fields, without blanks; a part that the event does not have is left
//! out, and an event without any is `{}`. Integers and JSON values stand as they
//! are, lists are arrays, everything else is a string. Times are strings in
//! RFC 3339 or, with `time_format = unix`, numbers with six digits behind the point.

#![deny(unsafe_code)]

mod escape;

use fantail_sdk::{
    Buffer, Event, FieldValue, Format, FormatContext, FormatError, PluginError, TimeFormat,
    TimeWriter, Timestamp, export_format,
};

use crate::escape::{write_content, write_string};

fantail_sdk::settings! {
    /// How JSON is written.
    #[derive(Clone, Copy, Debug, Default)]
    #[serde(default)]
    pub struct Settings {
        /// How points in time are written.
        time_format: TimeFormat,
    }
}

/// Writes events as JSON objects.
pub struct Json {
    times: TimeWriter,
    /// Texts of this many bytes or more are cut.
    text_length_max: usize,
}

impl Format for Json {
    type Settings = Settings;

    fn open(settings: Settings, context: &FormatContext) -> Result<Self, PluginError> {
        Ok(Json {
            times: TimeWriter::new(settings.time_format),
            text_length_max: context.field_length_max.unwrap_or(usize::MAX),
        })
    }

    fn content_type(&self) -> &str {
        "application/json"
    }

    fn format(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) -> Result<(), FormatError> {
        out.push(b'{');
        let empty = out.len();
        if let Some(name) = event.name() {
            out.extend(b"\"event\":");
            write_string(name, out);
            out.push(b',');
        }
        if let Some(hostname) = event.hostname() {
            out.extend(b"\"hostname\":");
            write_string(hostname, out);
            out.push(b',');
        }
        if let Some(time) = event.start_time() {
            out.extend(b"\"start_time\":");
            self.write_time(time, out);
            out.push(b',');
        }
        if let Some(time) = event.end_time() {
            out.extend(b"\"end_time\":");
            self.write_time(time, out);
            out.push(b',');
        }
        if event.parts().categories() {
            out.extend(b"\"categories\":");
            write_array(event.categories(), out, write_string);
            out.push(b',');
        }
        if event.parts().fields() {
            out.extend(b"\"fields\":");
            self.write_fields(event, out);
            out.push(b',');
        }
        close(b'}', empty, out);
        Ok(())
    }
}

impl Json {
    fn write_fields(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) {
        out.push(b'{');
        let empty = out.len();
        for field in event.fields() {
            out.push(b'"');
            match field.value() {
                // By far the most: what stands around the text is written with it.
                FieldValue::Text(text) if text.len() < self.text_length_max => {
                    write_content(field.key(), b"\":\"", out);
                    write_content(text, b"\",", out);
                }
                value => {
                    write_content(field.key(), b"\":", out);
                    self.write_value(value, out);
                    out.push(b',');
                }
            }
        }
        close(b'}', empty, out);
    }

    fn write_value(&mut self, value: FieldValue<'_>, out: &mut Buffer<'_>) {
        match value {
            FieldValue::Text(text) => self.write_text(text, out),
            FieldValue::Integer(number) => {
                out.extend(itoa::Buffer::new().format(number).as_bytes())
            }
            FieldValue::Timestamp(time) => self.write_time(time, out),
            FieldValue::List(list) => {
                write_array(list.iter(), out, |element, out| self.write_text(&element, out));
            }
            FieldValue::Json(json) => out.extend(json),
            FieldValue::Ip(text) => write_string(text, out),
        }
    }

    /// Writes a text that the driver may want to be shorter.
    fn write_text(&self, text: &[u8], out: &mut Buffer<'_>) {
        if text.len() < self.text_length_max {
            return write_string(text, out);
        }
        out.push(b'"');
        write_content(cut(text, self.text_length_max), b"...\"", out);
    }

    fn write_time(&mut self, time: Timestamp, out: &mut Buffer<'_>) {
        if self.times.format() == TimeFormat::Unix {
            return self.times.write(time, out);
        }
        out.push(b'"');
        self.times.write(time, out);
        out.push(b'"');
    }
}

fn write_array<T>(
    elements: impl Iterator<Item = T>,
    out: &mut Buffer<'_>,
    write: impl Fn(T, &mut Buffer<'_>),
) {
    out.push(b'[');
    let empty = out.len();
    for element in elements {
        write(element, out);
        out.push(b',');
    }
    close(b']', empty, out);
}

/// Ends an object or array: `end` takes the place of the last comma, if there is one.
#[inline]
fn close(end: u8, empty: usize, out: &mut Buffer<'_>) {
    if out.len() > empty {
        out.truncate(out.len() - 1);
    }
    out.push(end);
}

/// The first bytes of `text`, at most `length_max` and no part of a character.
///
/// As Dovecot's, it gives away one character more than it must when a character
/// begins just behind the cut and neither it nor the one before is ASCII.
fn cut(text: &[u8], length_max: usize) -> &[u8] {
    let mut end = length_max;
    if text.get(end).is_none_or(u8::is_ascii) {
        return &text[..end.min(text.len())];
    }
    while end > 0 && text[end - 1] & 0xc0 == 0x80 {
        end -= 1;
    }
    if end > 0 && text[end - 1] >= 0xc0 {
        end -= 1;
    }
    &text[..end]
}

export_format!(Json, "json");

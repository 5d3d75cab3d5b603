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
    Buffer, Event, Field, FieldValue, Format, FormatContext, FormatError, PluginError, Prefix,
    Tail, TimeFormat, TimeWriter, export_format, integer,
};

use crate::escape::{put_escaped, special};

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
    /// Times are written by one for each place: those there differ in little.
    start_times: TimeWriter,
    end_times: TimeWriter,
    field_times: TimeWriter,
    /// Texts of more bytes are cut.
    text_length_max: usize,
}

impl Format for TabText {
    type Settings = Settings;

    fn open(settings: Settings, context: &FormatContext) -> Result<Self, PluginError> {
        let times = TimeWriter::new(settings.time_format);
        Ok(TabText {
            start_times: times.clone(),
            end_times: times.clone(),
            field_times: times,
            text_length_max: context.field_length_max.unwrap_or(usize::MAX),
        })
    }

    fn content_type(&self) -> &str {
        "text/plain"
    }

    /// Every part ends with a TAB, and the last one is taken away again; so the
    /// TAB of the missing categories stays when nothing follows. What each field begins
    /// with is written with that TAB, and taken away with it.
    fn format(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) -> Result<(), FormatError> {
        let mut tail = out.tail();
        if let Some(name) = event.name() {
            tail.put(b"event:");
            tail = put_part(name, tail);
        }
        if let Some(hostname) = event.hostname() {
            tail.put(b"hostname:");
            tail = put_part(hostname, tail);
        }
        if let Some(time) = event.start_time() {
            tail.put((b"start_time:", self.start_times.piece(time), b"\t"));
        }
        if let Some(time) = event.end_time() {
            tail.put((b"end_time:", self.end_times.piece(time), b"\t"));
        }
        if event.parts().categories() {
            let categories = event.categories();
            tail.put(Prefix::new(b"\t", usize::from(categories.len() == 0)));
            for category in categories {
                tail.put(b"category:");
                tail = put_part(category, tail);
            }
        }
        let fields = event.fields();
        if fields.len() > 0 {
            tail.put(b"field:");
            for field in fields {
                tail = self.put_field(&field, tail);
            }
            tail.truncate(tail.len() - b"field:".len());
        }
        tail.truncate(tail.len().saturating_sub(1));
        Ok(())
    }
}

/// What stands between two fields.
const NEXT: &[u8; 7] = b"\tfield:";

// A tail is lent to what is inlined only, and goes by value through what is not: so it stays in
// registers.
impl TabText {
    /// Appends a field behind its `field:`, a TAB, and the `field:` of another one. Nearly all
    /// keys and values are short: whatever they are, they are copied the same way.
    #[inline(always)]
    fn put_field<'a>(&mut self, field: &Field<'_>, mut tail: Tail<'a>) -> Tail<'a> {
        match field.plain_key() {
            Some(key) => tail.put((key, b"=")),
            None => tail = put_key(field, tail),
        }
        let (text, length_max) = match field.value() {
            FieldValue::Text(text) | FieldValue::Json(text) => (text, self.text_length_max),
            FieldValue::Ip(text) => (text, usize::MAX),
            FieldValue::List(list) => (list.escaped(), usize::MAX),
            FieldValue::Integer(number) => {
                tail.put((integer(number), NEXT));
                return tail;
            }
            FieldValue::Timestamp(time) => {
                tail.put((self.field_times.piece(time), NEXT));
                return tail;
            }
        };
        let is_whole = text.len() <= length_max;
        let block = field.text_block().filter(|_| is_whole);
        match Prefix::plain(text, block, special) {
            Some(text) => tail.put((text, NEXT)),
            None => {
                tail = put_text(text, length_max, tail);
                tail.put(NEXT);
            }
        }
        tail
    }
}

/// Appends a key that may have something to escape, or is long, and what ends it.
#[cold]
#[inline(never)]
fn put_key<'a>(field: &Field<'_>, mut tail: Tail<'a>) -> Tail<'a> {
    tail = put_escaped(field.key(), tail);
    tail.put(b"=");
    tail
}

/// Appends a text with its escapes, of which no more than so many bytes are wanted.
#[inline(never)]
fn put_text<'a>(text: &[u8], length_max: usize, mut tail: Tail<'a>) -> Tail<'a> {
    match text.get(..length_max) {
        Some(cut) if cut.len() < text.len() => {
            tail = put_escaped(cut, tail);
            tail.put(b"...");
            tail
        }
        _ => put_escaped(text, tail),
    }
}

/// Appends what is known by name only, and a TAB.
#[inline(always)]
fn put_part<'a>(value: &[u8], mut tail: Tail<'a>) -> Tail<'a> {
    tail = put_escaped(value, tail);
    tail.put(b"\t");
    tail
}

export_format!(TabText, "tab-text");

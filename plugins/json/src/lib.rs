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
    BLOCK, Buffer, Event, Field, FieldValue, Format, FormatContext, FormatError, List, Piece,
    PluginError, Prefix, Tail, TimeFormat, TimeWriter, Timestamp, export_format, integer,
};

use crate::escape::{put_content, special};

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
    /// Times are written by one for each place: those there differ in little.
    start_times: TimeWriter,
    end_times: TimeWriter,
    field_times: TimeWriter,
    /// Texts of this many bytes or more are cut.
    text_length_max: usize,
}

impl Format for Json {
    type Settings = Settings;

    fn open(settings: Settings, context: &FormatContext) -> Result<Self, PluginError> {
        let times = TimeWriter::new(settings.time_format);
        Ok(Json {
            start_times: times.clone(),
            end_times: times.clone(),
            field_times: times,
            text_length_max: context.field_length_max.unwrap_or(usize::MAX),
        })
    }

    fn content_type(&self) -> &str {
        "application/json"
    }

    fn format(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) -> Result<(), FormatError> {
        let mut tail = out.tail();
        tail.put(b"{");
        let empty = tail.len();
        if let Some(name) = event.name() {
            tail.put(b"\"event\":\"");
            tail = put_content(name, b"\",", tail);
        }
        if let Some(hostname) = event.hostname() {
            tail.put(b"\"hostname\":\"");
            tail = put_content(hostname, b"\",", tail);
        }
        if let Some(time) = event.start_time() {
            tail.put((b"\"start_time\":", quoted(&mut self.start_times, time), b","));
        }
        if let Some(time) = event.end_time() {
            tail.put((b"\"end_time\":", quoted(&mut self.end_times, time), b","));
        }
        if event.parts().categories() {
            tail.put(b"\"categories\":[");
            let empty = tail.len();
            for category in event.categories() {
                tail.put(b"\"");
                tail = put_content(category, b"\",", tail);
            }
            close(b"],", empty, &mut tail);
        }
        if event.parts().fields() {
            tail.put(b"\"fields\":{");
            let empty = tail.len();
            for field in event.fields() {
                tail = self.put_field(&field, tail);
            }
            close(b"},", empty, &mut tail);
        }
        close(b"}", empty, &mut tail);
        Ok(())
    }
}

// A tail is lent to what is inlined only, and goes by value through what is not: so it stays in
// registers.
impl Json {
    /// Appends a field and a comma. Nearly all keys and values are short: whatever they are,
    /// they are copied the same way.
    #[inline(always)]
    fn put_field<'a>(&mut self, field: &Field<'_>, mut tail: Tail<'a>) -> Tail<'a> {
        match field.plain_key() {
            Some(key) => tail.put((b"\"", key)),
            None => tail = put_key(field, tail),
        }
        match field.value() {
            value @ (FieldValue::Text(text) | FieldValue::Ip(text)) => {
                let is_text = matches!(value, FieldValue::Text(_));
                let length_max = if is_text { self.text_length_max } else { usize::MAX };
                let is_whole = text.len() < length_max;
                let block = field.text_block().filter(|_| is_whole);
                match Prefix::plain(text, block, special) {
                    Some(text) => tail.put((b"\":\"", text, b"\",")),
                    None => {
                        tail.put(b"\":\"");
                        tail = put_text(text, length_max, tail);
                        tail.put(b"\",");
                    }
                }
            }
            FieldValue::Integer(number) => tail.put((b"\":", integer(number), b",")),
            FieldValue::Timestamp(time) => {
                tail.put((b"\":", quoted(&mut self.field_times, time), b","));
            }
            FieldValue::List(list) => {
                tail.put(b"\":");
                tail = put_list(list, field.text_block(), self.text_length_max, tail);
                tail.put(b",");
            }
            FieldValue::Json(json) => {
                tail.put(b"\":");
                tail.extend(json);
                tail.put(b",");
            }
        }
        tail
    }
}

/// Appends a quote and a key that may have something to escape, or is long.
#[cold]
#[inline(never)]
fn put_key<'a>(field: &Field<'_>, mut tail: Tail<'a>) -> Tail<'a> {
    tail.put(b"\"");
    put_content(field.key(), b"", tail)
}

/// Appends what stands between the quotes of a text that is cut if it has so many bytes.
#[inline(never)]
fn put_text<'a>(text: &[u8], length_max: usize, tail: Tail<'a>) -> Tail<'a> {
    if text.len() < length_max {
        return put_content(text, b"", tail);
    }
    put_content(cut(text, length_max), b"...", tail)
}

/// Appends a list; `block` begins with its elements, escaped and joined by TAB.
#[inline(never)]
fn put_list<'a>(
    list: List<'_>,
    block: Option<&[u8; BLOCK]>,
    length_max: usize,
    mut tail: Tail<'a>,
) -> Tail<'a> {
    let elements = list.escaped();
    tail.put(b"[");
    let empty = tail.len();
    if !list.is_empty() && elements.len() < length_max {
        tail.put(b"\"");
        // With nothing special in them but the TABs between, they have no escapes of their own.
        let between = |byte| (byte == b'\t').then_some((*b"\",\"     ", 3));
        if tail.put_replacing(elements, block, special, between) == elements.len() {
            tail.put(b"\"]");
            return tail;
        }
        tail.truncate(empty);
    }
    for element in list.iter() {
        tail.put(b"\"");
        tail = put_text(&element, length_max, tail);
        tail.put(b"\",");
    }
    close(b"]", empty, &mut tail);
    tail
}

/// A time as JSON has it.
#[inline(always)]
fn quoted(times: &mut TimeWriter, time: Timestamp) -> impl Piece {
    let quotes = usize::from(times.format() != TimeFormat::Unix);
    let quote = Prefix::new(b"\"", quotes);
    (quote, times.piece(time), quote)
}

/// Ends an object or array: `end` takes the place of the last comma, if there is one.
#[inline(always)]
fn close<const N: usize>(end: &[u8; N], empty: usize, tail: &mut Tail<'_>) {
    tail.truncate(tail.len() - usize::from(tail.len() > empty));
    tail.put(end);
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

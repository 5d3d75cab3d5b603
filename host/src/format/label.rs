//! What an exporter's driver wants to know of an event besides its payload.
//!
//! The values are looked up in the event itself, whatever its metric exports of it, and
//! written as a list travels: escaped and joined by TAB. What an event lacks is
//! empty. Nothing is allocated once the scratch has grown.

use fantail_sdk::{FieldValue, LabelPart, Timestamp, tab_escape};

use crate::event::{Event, Wanted, list::ListUnion};

/// The longest value of a label, in bytes before its escapes: what is behind is cut off.
/// Senders choose values, and labels are for places, not for contents.
const VALUE_MAX: usize = 1024;

/// What of an event does not come with it.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// This machine's name, for events without a host name of their own.
    pub hostname: &'a [u8],
    /// The moment of export, for events without an end of their own.
    pub now: Timestamp,
}

/// The labels of one exporter's payloads.
#[derive(Clone, Debug, Default)]
pub struct Label {
    parts: Vec<LabelPart>,
    union: ListUnion,
    text: Vec<u8>,
}

impl Label {
    /// Labels of these parts, in this order.
    pub fn new(parts: Vec<LabelPart>) -> Self {
        Label { parts, ..Label::default() }
    }

    /// The number of values in each label; 0 when there are no labels.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Adds the fields to those that are asked for.
    pub fn wants(&self, wanted: &mut Wanted) {
        for part in &self.parts {
            if let LabelPart::Field(name) = part {
                wanted.field(name);
            }
        }
    }

    /// Appends the event's label.
    pub fn write(&mut self, event: &Event<'_>, here: Here<'_>, out: &mut Vec<u8>) {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            match part {
                LabelPart::Field(name) => {
                    write_field(event, name.as_bytes(), &mut self.union, &mut self.text, out);
                }
                LabelPart::Event => escape(event.name.unwrap_or_default(), out),
                LabelPart::Hostname => escape(event.hostname.unwrap_or(here.hostname), out),
                LabelPart::StartTime => write_number(event.start_time.as_micros(), out),
                LabelPart::EndTime => {
                    write_number(event.end_time.unwrap_or(here.now).as_micros(), out);
                }
                LabelPart::LogType => {
                    if let Some(log_type) = event.log_type {
                        write_number(log_type as i64, out);
                    }
                }
                // Its place stays, so that the other values keep theirs.
                _ => {}
            }
        }
    }
}

/// Appends the value of a field; of a list every part that the event inherits.
fn write_field(
    event: &Event<'_>,
    name: &[u8],
    union: &mut ListUnion,
    text: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    match event.value(name) {
        None => {}
        Some(FieldValue::Text(text) | FieldValue::Ip(text) | FieldValue::Json(text)) => {
            escape(text, out);
        }
        Some(FieldValue::Integer(number)) => write_number(number, out),
        Some(FieldValue::Timestamp(time)) => {
            use std::io::Write;
            write!(out, "{time}").expect("invariant: a vector takes everything");
        }
        Some(FieldValue::List(_)) => {
            let list = |value| match value {
                FieldValue::List(list) => Some(list),
                _ => None,
            };
            // The farthest part comes first, as in an export.
            let parts = || event.list_parts(name).map_while(list);
            let count = parts().count();
            union.clear();
            let merged = union.merge((0..count).rev().filter_map(|at| parts().nth(at)));
            text.clear();
            for (index, element) in
                union.get(&merged).escaped().split(|&byte| byte == b'\t').enumerate()
            {
                if index > 0 {
                    text.push(b',');
                }
                tab_escape::unescape_into(element, text);
            }
            escape(text, out);
        }
    }
}

/// Appends a text with its escapes; most have none.
#[inline]
fn escape(text: &[u8], out: &mut Vec<u8>) {
    let text = &text[..text.len().min(VALUE_MAX)];
    if text.iter().all(|&byte| tab_escape::escape_code(byte).is_none()) {
        out.extend_from_slice(text);
    } else {
        tab_escape::escape_into(text, out);
    }
}

fn write_number(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use fantail_sdk::{LabelPart, Timestamp};

    use super::{Here, Label};
    use crate::event::{
        LogType, Wanted,
        builder::{EventBuilder, EventChain},
    };

    const HERE: Here<'_> = Here { hostname: b"here", now: Timestamp::from_micros(77) };

    fn check(own: EventBuilder, parent: EventBuilder, parts: &[LabelPart], expected: &str) {
        let chain = EventChain::new(own, &[]).parents([parent]);
        let mut label = Label::new(parts.to_vec());
        for _ in 0..2 {
            // The second time with the scratch of the first.
            let mut written = b"before".to_vec();
            label.write(&chain.event(), HERE, &mut written);
            assert_eq!(written.escape_ascii().to_string(), format!("before{expected}"));
        }
    }

    fn new() -> EventBuilder {
        EventBuilder::new()
    }

    #[test]
    fn an_event_tells_what_is_asked_for() {
        use LabelPart::{EndTime, Event, Hostname, LogType as Severity, StartTime, Unknown};
        check(new(), new(), &[Event], "");
        check(new(), new(), &[Event, Hostname, Severity], r"\there\t");
        check(new().name("a\tb"), new(), &[Event, Unknown, EndTime], r"a\x01tb\t\t77");
        let relayed = new().hostname("there").start_time(-5).end_time(6).log_type(LogType::Error);
        check(relayed, new(), &[Hostname, StartTime, EndTime, Severity], r"there\t-5\t6\t3");
    }

    #[test]
    fn fields_are_found_in_all_layers() {
        let check = |own, parent, fields: &[&str], expected: &str| {
            let parts: Vec<_> =
                fields.iter().map(|name| LabelPart::Field((*name).to_owned())).collect();
            check(own, parent, &parts, expected);
        };
        check(new().integer("n", -7), new().text("user", "u"), &["user", "n", "-"], r"u\t-7\t");
        check(new().text("user", ""), new().text("user", "u"), &["user"], "");
        check(new().text("a", "\t\u{1}\n\0\u{fc}"), new(), &["a"], r"\x01t\x011\x01n\x010\xc3\xbc");
        check(new().timestamp("t", 1_000_000), new(), &["t"], "1970-01-01T00:00:01.000000Z");
        check(new().ip("ip", "::1"), new(), &["ip"], "::1");
        let list = |elements: &[&str]| new().list("l", elements);
        check(list(&["b", "c"]), list(&["a\tz", "b"]), &["l"], r"a\x01tz,b,c");
        check(list(&["b"]), new().text("l", "x"), &["l"], "b");
        check(list(&[]), new(), &["l"], "");
        let (long, cut) = ("\t".repeat(3000), r"\x01t".repeat(1024));
        let both = format!(r"{cut}\tc");
        check(new().text("a", &long).text("b", "c"), new(), &["a", "b"], &both);
        check(list(&[&long, "b"]), new(), &["l"], &cut);
    }

    #[test]
    fn the_fields_of_a_label_are_wanted() {
        let mut wanted = Wanted::default();
        Label::new(vec![LabelPart::Event, LabelPart::Field("a".to_owned())]).wants(&mut wanted);
        let mut expected = Wanted::default();
        expected.field("a");
        assert_eq!(wanted, expected);
    }
}

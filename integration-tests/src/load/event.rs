//! One event of a load, and how it is written in each language.

use std::fmt::Write as _;

use super::HOSTNAME;

/// A field's key and value.
pub(super) type Field = (&'static str, Value);

/// A field's value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Time(Moment),
    List(&'static [&'static str]),
}

/// A point in time, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) u64);

/// What an event, or an ancestor of one, has itself.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Its id, when later events refer to it.
    pub(super) id: u64,
    /// Empty when it has none.
    pub(super) name: &'static str,
    /// The place in Dovecot's sources, `file:line`.
    pub(super) source: &'static str,
    pub(super) created: Moment,
    pub(super) sent: Moment,
    /// Without their parents.
    pub(super) categories: &'static [&'static str],
    pub(super) fields: Vec<Field>,
}

/// Bytes in the longest text of an event that inherits nothing.
const ALONE_TEXT_MAX: usize = 24;

/// Categories that have a parent, as the greeting registers them.
const PARENTS: &[(&str, &str)] =
    &[("maildir", "storage"), ("mailbox", "storage"), ("mail", "mailbox")];

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// Whether it is this text.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self, Value::Text(own) if own == text)
    }
}

impl Layer {
    fn duration(&self) -> i64 {
        (self.sent.0 - self.created.0) as i64
    }

    pub(super) fn begin_line(&self, parent: u64) -> String {
        let arguments = self.arguments(self.categories, &self.fields);
        format!("BEGIN\t{}\t{parent}\t0{arguments}", self.id)
    }

    pub(super) fn event_line(&self, global: u64, parent: u64) -> String {
        let arguments = self.arguments(self.categories, &self.fields);
        format!("EVENT\t{global}\t{parent}\t0{arguments}")
    }

    /// The line of an event that has these fields of [`alone`], and its ancestors' categories.
    pub(super) fn alone_line<'a>(
        &'a self,
        ancestors: impl Iterator<Item = &'a Layer>,
        fields: &[Field],
    ) -> String {
        let categories: Vec<_> =
            ancestors.chain([self]).flat_map(|layer| layer.categories).copied().collect();
        let own = fields.len() - 1;
        format!("EVENT\t0\t0\t0{}", self.arguments(&categories, &fields[..own]))
    }

    /// What all lines end with.
    fn arguments(&self, categories: &[&str], fields: &[Field]) -> String {
        let (file, line) = self.source.split_once(':').expect("file:line");
        let (created, sent) = (self.created.parts(), self.sent.parts());
        let mut out =
            format!("\t{}\t{}\ts{file}\t{line}\tl{}\t{}", created.0, created.1, sent.0, sent.1);
        if !self.name.is_empty() {
            write!(out, "\tn{}", self.name).unwrap();
        }
        for category in categories {
            write!(out, "\tc{category}").unwrap();
        }
        for (key, value) in fields {
            match value {
                Value::Text(text) => {
                    assert!(!text.contains(char::is_control), "{text:?} would need escapes");
                    write!(out, "\tS{key}\t{text}")
                }
                Value::Integer(number) => write!(out, "\tI{key}\t{number}"),
                Value::Time(time) => {
                    write!(out, "\tT{key}\t{}\t{}", time.parts().0, time.parts().1)
                }
                Value::List(list) => {
                    write!(out, "\tL{key}\t{}\t{}", list.len(), list.join("\t"))
                }
            }
            .unwrap();
        }
        out
    }

    /// The line of JSON, of the flattened fields; the end of the event is when it was sent.
    pub(super) fn json_line<'a>(
        &'a self,
        ancestors: impl Iterator<Item = &'a Layer>,
        fields: &[Field],
    ) -> String {
        let mut categories: Vec<&str> = Vec::new();
        for mut category in ancestors.chain([self]).flat_map(|layer| layer.categories).copied() {
            loop {
                if !categories.contains(&category) {
                    categories.push(category);
                }
                match PARENTS.iter().find(|(name, _)| *name == category) {
                    Some((_, parent)) => category = parent,
                    None => break,
                }
            }
        }
        let categories: Vec<_> = categories.into_iter().map(quoted).collect();
        let fields: Vec<_> =
            fields.iter().map(|(key, value)| format!("{}:{}", quoted(key), value.json())).collect();
        format!(
            "{{\"event\":{},\"hostname\":{},\"start_time\":\"{}\",\"end_time\":\"{}\",\
             \"categories\":[{}],\"fields\":{{{}}}}}",
            quoted(self.name),
            quoted(HOSTNAME),
            self.created.rfc3339(),
            self.sent.rfc3339(),
            categories.join(","),
            fields.join(",")
        )
    }
}

/// The fields of an event, of its own layer (the last one) and its ancestors: a later value
/// takes the place of an earlier one, lists grow, each layer's `duration` is its last field.
pub(super) fn flatten<'a>(layers: impl Iterator<Item = &'a Layer>) -> Vec<Field> {
    let mut flat: Vec<Field> = Vec::new();
    for layer in layers {
        let duration = ("duration", Value::Integer(layer.duration()));
        for (key, value) in layer.fields.iter().cloned().chain([duration]) {
            match flat.iter_mut().find(|(known, _)| *known == key) {
                Some((_, Value::List(_))) => unreachable!("no list of a load is in two layers"),
                Some((_, known)) => *known = value,
                None => flat.push((key, value)),
            }
        }
    }
    flat
}

/// Flattened fields as an event has them that inherits nothing: `duration` is the last. Longer
/// texts are cut, so that it has about as many bytes as one that inherits.
pub(super) fn alone(fields: Vec<Field>) -> Vec<Field> {
    let (durations, mut fields): (Vec<Field>, Vec<Field>) =
        fields.into_iter().partition(|(key, _)| *key == "duration");
    for (_, value) in &mut fields {
        if let Value::Text(text) = value {
            *text = cut(text).to_owned();
        }
    }
    fields.into_iter().chain(durations).collect()
}

/// The first characters, of not more than [`ALONE_TEXT_MAX`] bytes.
fn cut(text: &str) -> &str {
    let ends = text.char_indices().map(|(start, char)| start + char.len_utf8());
    &text[..ends.take_while(|end| *end <= ALONE_TEXT_MAX).last().unwrap_or(0)]
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

impl Value {
    fn json(&self) -> String {
        match self {
            Value::Text(text) => quoted(text),
            Value::Integer(number) => number.to_string(),
            Value::Time(time) => format!("\"{}\"", time.rfc3339()),
            Value::List(list) => {
                let list: Vec<_> = list.iter().map(|text| quoted(text)).collect();
                format!("[{}]", list.join(","))
            }
        }
    }
}

impl Moment {
    /// Midnight of the day on which all happens, 2026-11-21 UTC. A load is over long before
    /// the next one.
    pub(super) const START: Self = Moment(1_795_219_200_000_000);

    /// Seconds and microseconds.
    fn parts(self) -> (u64, u64) {
        (self.0 / 1_000_000, self.0 % 1_000_000)
    }

    fn rfc3339(self) -> String {
        let seconds = (self.0 - Self::START.0) / 1_000_000;
        assert!(seconds < 86_400, "a load is over before midnight");
        format!(
            "2026-11-21T{:02}:{:02}:{:02}.{:06}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            self.0 % 1_000_000
        )
    }
}

//! Texts with places for values of an event: `/var/log/%{user | domain}.json`.
//!
//! The syntax is that of Dovecot 2.4's variables:
//!
//! | written | stands for |
//! | --- | --- |
//! | `%{NAME}` | the value of the field `NAME` |
//! | `%{event}`, `%{hostname}` | the event's name; the machine where it happened |
//! | `%{time}`, `%{start_time}` | when it ended and began, in UTC: `2026-11-21T17:05:09Z` |
//! | `%{field:NAME}` | the field `NAME`, also when it is called like one of the above |
//! | `%{NAME \| FILTER \| FILTER}` | the value, changed by one filter after the other |
//! | `%%{` | the text `%{` |
//!
//! A `%` before anything else stands for itself. What an event does not have is empty. Filters:
//!
//! | filter | makes of a value |
//! | --- | --- |
//! | `lower`, `upper` | the same with its ASCII letters in that case |
//! | `username`, `domain` | what is before and behind its first `@`; without one all of it, and nothing |
//! | `substr(OFFSET)`, `substr(OFFSET, LENGTH)` | a part of its bytes; a negative offset counts from the end, and a negative length says how many bytes to leave out there |
//! | `default('TEXT')` | the text, if it is empty |
//! | `date('FORMAT')` | of a time, as the first filter: its date in UTC, where in the format `%Y` is the year, `%y` its last two digits, `%m` the month, `%d` the day, `%H` the hour, `%M` the minute, `%S` the second, `%j` the day of the year, `%F` is `%Y-%m-%d`, `%T` is `%H:%M:%S`, `%s` the seconds since 1970 and `%%` a percent sign |
//!
//! The text may be in single or double quotes; `\` takes the character behind it for itself.

mod date;
mod filter;
mod parser;

use std::{borrow::Cow, fmt};

use crate::{LabelPart, List};
use filter::Filter;

/// A text with places for values, parsed.
///
/// A driver parses it from a setting, asks for [`wants`](Self::wants), and expands it with each
/// payload's [`label`](crate::Batch::label).
///
/// ```
/// use fantail_sdk::{LabelPart, List, Template};
///
/// let template = Template::parse("logs/%{user | domain | default('none')}/%{event}").unwrap();
/// assert_eq!(template.wants(), [LabelPart::Field("user".into()), LabelPart::Event]);
///
/// let label = List::escape(&["jo@example.com", "a/b"]);
/// let mut path = Vec::new();
/// template.expand(&List::from_escaped(&label, 2), &mut path, |value, path| {
///     path.extend(value.iter().map(|&byte| if byte == b'/' { b'_' } else { byte }));
/// });
/// assert_eq!(path, b"logs/example.com/a_b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    wants: Vec<LabelPart>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    place: usize,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value {
        /// Its place among what is wanted.
        place: usize,
        filters: Vec<Filter>,
    },
}

impl Template {
    /// A template from its text.
    ///
    /// # Errors
    ///
    /// Where the text is wrong, and what was expected there.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::parse_beside(text, &mut Vec::new())
    }

    /// The same for a driver that has more than one: what is wanted comes behind what `wants` has
    /// already, to which it is added. The labels are then those of what the last one
    /// [`wants`](Self::wants).
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); `wants` is then as before.
    pub fn parse_beside(text: &str, wants: &mut Vec<LabelPart>) -> Result<Self, TemplateError> {
        let mut more = wants.clone();
        let pieces = parser::parse(text, &mut more)?;
        wants.clone_from(&more);
        Ok(Template { pieces, wants: more })
    }

    /// What a label must hold, in this order.
    pub fn wants(&self) -> &[LabelPart] {
        &self.wants
    }

    /// The text, when it is the same for all events.
    pub fn constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before the first value.
    pub fn prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Appends the text with the values of `label`, which are those of [`wants`](Self::wants).
    /// Each value goes through `escape`, which appends it as it may stand there; the
    /// template's own text does not.
    pub fn expand(
        &self,
        label: &List<'_>,
        out: &mut Vec<u8>,
        mut escape: impl FnMut(&[u8], &mut Vec<u8>),
    ) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value { place, filters } => {
                    let value = label.get(*place).unwrap_or_default();
                    escape(&filters.iter().fold(value, filter::apply), out);
                }
            }
        }
    }
}

impl TemplateError {
    /// The wrong place: the number of characters before it.
    pub fn place(&self) -> usize {
        self.place
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: {}", self.place + 1, self.text)
    }
}

impl std::error::Error for TemplateError {}

type Value<'a> = Cow<'a, [u8]>;

#[cfg(test)]
mod tests;

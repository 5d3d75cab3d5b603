//! Events as lines of parts joined by TAB, as the format `tab-text` and Dovecot's
//! write them.
//!
//! The parts are `event:`, `hostname:`, `start_time:`, `end_time:`, any number of
//! `category:` and any number of `field:KEY=VALUE`, in any order; the first `=` ends a
//! key. An empty part stands for categories that there are none of, as Dovecot
//! writes it, and comes before every field; an empty line is an event without any
//! part. Limits: a line of 2 GiB, 1000 fields, 1000 categories.
//!
//! Written again by `tab-text` with the same `time_format`, a line that such a format
//! wrote comes out byte for byte. A value that an integer would be written as is
//! one, and every other is text: types are not told by this format. Bytes that
//! it would escape are taken as they are, for what they are; but one CR at the end
//! of the line belongs to a line end of CR and LF, as a CR of a value is escaped.

use fantail_sdk::tab_escape::{ESCAPE, unescape_code};

use super::error::{LineError, Reason};
use super::line::{Draft, LineScratch, Name};
use super::number::canonical_integer;
use super::time;
use super::token::Tokens;
use crate::event::{Event, Parts, SlotValue, Span};

/// The event in `line`, a line without its LF.
///
/// # Errors
///
/// When the line does not consist of parts as described above; the whole line
/// is refused.
pub fn decode<'a>(line: &'a [u8], scratch: &'a mut LineScratch) -> Result<Event<'a>, LineError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut draft = Draft::new(line, scratch)?;
    if line.is_empty() {
        return Ok(draft.finish());
    }
    let mut tokens = Tokens::new(line);
    while let Some(token) = tokens.next() {
        let (start, end) = (token.start, token.end());
        let part = Part { line, start, end, may_escape: tokens.has_escapes() };
        if token.bytes.starts_with(FIELD)
            && let Some((name, value)) = draft.foreseen(start, FIELD.len(), 1)
        {
            draft.set(Parts::FIELDS);
            Part { start: value, ..part }.read_value(name, start, &mut draft)?;
        } else {
            part.read(&mut draft)?;
        }
    }
    Ok(draft.finish())
}

/// What a field begins with.
const FIELD: &[u8] = b"field:";

/// The bytes of a line between two TABs, or what is left of them.
#[derive(Clone, Copy)]
struct Part<'l> {
    line: &'l [u8],
    start: usize,
    end: usize,
    /// There may be an escape among the bytes.
    may_escape: bool,
}

impl<'l> Part<'l> {
    fn bytes(self) -> &'l [u8] {
        &self.line[self.start..self.end]
    }

    /// What is behind `name`, if the part begins with that.
    fn behind(self, name: &[u8]) -> Option<Self> {
        self.bytes().starts_with(name).then(|| Part { start: self.start + name.len(), ..self })
    }

    fn error(self, reason: Reason, expected: &'static str) -> LineError {
        LineError::new(reason, self.start, expected)
    }

    fn read(self, draft: &mut Draft<'_>) -> Result<(), LineError> {
        if let Some(field) = self.behind(FIELD) {
            draft.set(Parts::FIELDS);
            field.read_field(self.start, draft)?;
        } else if let Some(category) = self.behind(b"category:") {
            if draft.has(Parts::CATEGORIES) && draft.no_categories() {
                return Err(self.error(Reason::Duplicate, "no category behind an empty part"));
            }
            draft.set(Parts::CATEGORIES);
            let name = category.unescape(draft)?;
            draft.category(name, self.start)?;
        } else if let Some(name) = self.behind(b"event:") {
            self.once(Parts::NAME, draft)?;
            draft.name = Some(name.unescape(draft)?);
        } else if let Some(hostname) = self.behind(b"hostname:") {
            self.once(Parts::HOSTNAME, draft)?;
            draft.hostname = Some(hostname.unescape(draft)?);
        } else if let Some(time) = self.behind(b"start_time:") {
            self.once(Parts::START_TIME, draft)?;
            draft.start_time = Some(time.point_in_time()?);
        } else if let Some(time) = self.behind(b"end_time:") {
            self.once(Parts::END_TIME, draft)?;
            draft.end_time = Some(time.point_in_time()?);
        } else if self.bytes().is_empty() && !draft.has(Parts::FIELDS) {
            self.once(Parts::CATEGORIES, draft)?;
        } else {
            let expected = "event:, hostname:, start_time:, end_time:, category: or field:";
            return Err(self.error(Reason::UnknownPart, expected));
        }
        Ok(())
    }

    fn once(self, part: Parts, draft: &mut Draft<'_>) -> Result<(), LineError> {
        if draft.has(part) {
            return Err(self.error(Reason::Duplicate, "no part a second time"));
        }
        draft.set(part);
        Ok(())
    }

    fn read_field(self, offset: usize, draft: &mut Draft<'_>) -> Result<(), LineError> {
        let Some(len) = memchr::memchr(b'=', self.bytes()) else {
            return Err(Part { start: self.end, ..self }.error(Reason::Syntax, "= behind the key"));
        };
        let written = draft.scratch.text.len();
        let key = Part { end: self.start + len, ..self }.unescape(draft)?;
        let value = self.start + len + 1;
        let is_clean = draft.scratch.text.len() == written;
        let head = is_clean.then(|| &self.line[offset..value]);
        let name = draft.read_name(key, head, offset)?;
        Part { start: value, ..self }.read_value(name, offset, draft)
    }

    #[inline]
    fn read_value(self, name: Name, offset: usize, draft: &mut Draft<'_>) -> Result<(), LineError> {
        if name.skipped {
            return Ok(());
        }
        match canonical_integer(self.bytes()) {
            Some(number) => draft.field(name, SlotValue::Integer(number), offset),
            None => {
                let text = self.unescape(draft)?;
                draft.field(name, SlotValue::Text(text), offset)
            }
        }
    }

    fn point_in_time(self) -> Result<fantail_sdk::Timestamp, LineError> {
        let time = time::rfc3339(self.bytes()).or_else(|| time::unix(self.bytes()));
        time.ok_or_else(|| self.error(Reason::Time, time::EXPECTED))
    }

    /// The text without its escapes, copied only when it has any.
    // Inlined, so that the span stays in registers.
    #[inline(always)]
    fn unescape(self, draft: &mut Draft<'_>) -> Result<Span, LineError> {
        match self.may_escape.then(|| self.next_escape(self.start)).flatten() {
            None => Ok(Span::line(self.start, self.end)),
            Some(escape) => self.copy_unescaped(escape, draft),
        }
    }

    /// Copies the text, whose first escape is at `escape`.
    #[cold]
    fn copy_unescaped(self, mut escape: usize, draft: &mut Draft<'_>) -> Result<Span, LineError> {
        let scratch = &mut draft.scratch.text;
        let written = scratch.len();
        let mut from = self.start;
        loop {
            scratch.extend_from_slice(&self.line[from..escape]);
            let code = self.line[..self.end].get(escape + 1);
            let Some(byte) = code.and_then(|&code| unescape_code(code)) else {
                let at = Part { start: escape + 1, ..self };
                return Err(at.error(Reason::Syntax, "0, 1, t, r or n behind the byte 0x01"));
            };
            scratch.push(byte);
            from = escape + 2;
            match self.next_escape(from) {
                Some(next) => escape = next,
                None => break,
            }
        }
        scratch.extend_from_slice(&self.line[from..self.end]);
        Ok(Span::scratch(written, scratch.len()))
    }

    fn next_escape(self, from: usize) -> Option<usize> {
        memchr::memchr(ESCAPE, &self.line[from..self.end]).map(|len| from + len)
    }
}

#[cfg(test)]
mod tests;

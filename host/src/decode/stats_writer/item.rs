//! The event that a line describes, before anything is applied.
//!
//! Behind its creation time come any number of items. The first byte of an item
//! says what it is; some take the arguments behind it too:
//!
//! | byte | the item |
//! | --- | --- |
//! | `s` | file name; line number: where the event was created |
//! | `l` | seconds; microseconds: when it was last sent |
//! | `n` | its name |
//! | `c` | a category |
//! | `I` | key; a signed 64-bit number |
//! | `S` | key; a text, "" to clear the field |
//! | `T` | key; seconds; microseconds |
//! | `P` | key; an IP address |
//! | `L` | key; a count; so many texts |
//!
//! Every other item is ignored (`a`, to log the source always, among them).

use std::sync::Arc;

use fantail_sdk::{Timestamp, tab_escape};

use super::address::{self, Form};
use super::number;
use super::token::{Token, Tokens};
use crate::decode::{LineError, Reason};
use crate::event::key_index::{Inserted, KeyIndex};
use crate::event::{
    Bytes, CategoryId, CategoryRegistry, Layer, Slot, SlotValue, Source, Span, Symbol, Symbols,
};

/// Fields that one line may set.
pub(super) const FIELDS_MAX: usize = 1000;

/// The name of the field that every sent event is given. The scratch begins
/// with it, so that a slot can have it as its key.
const DURATION: &[u8] = b"duration";

/// What one line says about an event; reused from line to line.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The texts that are not in the line as they are.
    scratch: Vec<u8>,
    has_escapes: bool,
    slots: Vec<Slot>,
    keys: KeyIndex,
    symbols: Arc<Symbols>,
    pub categories: Vec<CategoryId>,
    name: Option<Span>,
    source: Option<(Span, u32)>,
    pub created: Timestamp,
    pub last_sent: Option<Timestamp>,
}

impl Draft {
    /// What the configuration asks for.
    pub(super) fn symbols(&self) -> &Arc<Symbols> {
        &self.symbols
    }

    /// Looks names up in this table from the next line on.
    pub(super) fn set_symbols(&mut self, symbols: Arc<Symbols>) {
        self.symbols = symbols;
    }

    /// Reads all that is left of the line. After an error, the draft is of no use.
    pub(super) fn read(
        &mut self,
        line: &[u8],
        tokens: &mut Tokens<'_>,
        registry: &CategoryRegistry,
    ) -> Result<(), LineError> {
        self.clear();
        self.has_escapes = memchr::memchr(tab_escape::ESCAPE, line).is_some();
        let seconds = argument(tokens, "the time of creation")?;
        self.created = timestamp(seconds, tokens)?;
        while let Some(token) = tokens.next() {
            let Some((&code, rest)) = token.bytes.split_first() else { continue };
            let rest = Token { start: token.start + 1, bytes: rest };
            match code {
                b's' => {
                    let number = argument(tokens, "the line number of the source")?;
                    let number = number::unsigned_32(number.bytes)
                        .ok_or_else(|| syntax(number, "the line number of the source"))?;
                    self.source = Some((self.text(rest), number));
                }
                b'l' => self.last_sent = Some(timestamp(rest, tokens)?),
                b'n' => self.name = Some(self.text(rest)),
                b'c' => self.category(line, rest, registry)?,
                b'I' | b'S' | b'T' | b'P' | b'L' => {
                    if rest.bytes.is_empty() {
                        return Err(syntax(rest, "the name of a field"));
                    }
                    let value = self.value(code, tokens)?;
                    self.set(line, rest, value)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds the field `duration`: the time from creation to last sending, or 0
    /// for an event that was not sent yet, as Dovecot's own server does.
    pub(super) fn add_duration(&mut self, line: &[u8]) -> i64 {
        let sent = self.last_sent.filter(|sent| sent.seconds() != 0);
        let duration =
            sent.map_or(0, |sent| sent.as_micros().saturating_sub(self.created.as_micros()));
        let key = Span::scratch(0, DURATION.len());
        let value = SlotValue::Integer(duration);
        self.put(line, Slot { key, symbol: Symbol::DURATION, value });
        duration
    }

    pub(super) fn name<'a>(&'a self, line: &'a [u8]) -> Option<&'a [u8]> {
        self.name.map(|span| self.bytes(line).at(span))
    }

    pub(super) fn source<'a>(&'a self, line: &'a [u8]) -> Option<Source<'a>> {
        self.source.map(|(file, number)| Source { file: self.bytes(line).at(file), line: number })
    }

    pub(super) fn layer<'a>(&'a self, line: &'a [u8]) -> Layer<'a> {
        Layer::new(self.bytes(line), &self.slots, &self.categories)
    }

    fn clear(&mut self) {
        self.scratch.clear();
        self.scratch.extend_from_slice(DURATION);
        self.slots.clear();
        self.keys.clear();
        self.categories.clear();
        (self.name, self.source, self.last_sent) = (None, None, None);
    }

    fn bytes<'a>(&'a self, line: &'a [u8]) -> Bytes<'a> {
        Bytes::new(line, &self.scratch)
    }

    fn category(
        &mut self,
        line: &[u8],
        name: Token<'_>,
        registry: &CategoryRegistry,
    ) -> Result<(), LineError> {
        let span = self.text(name);
        let id = registry.find(self.bytes(line).at(span)).ok_or_else(|| {
            LineError::new(Reason::UnknownCategory, name.start, "a registered category")
        })?;
        if !self.categories.contains(&id) {
            self.categories.push(id);
        }
        Ok(())
    }

    fn value(&mut self, code: u8, tokens: &mut Tokens<'_>) -> Result<SlotValue, LineError> {
        let first = argument(tokens, "the value of the field")?;
        Ok(match code {
            b'I' => SlotValue::Integer(
                number::signed(first.bytes)
                    .ok_or_else(|| syntax(first, "a signed 64-bit number"))?,
            ),
            b'T' => SlotValue::Timestamp(timestamp(first, tokens)?),
            b'P' => self.address(first)?,
            b'L' => list(first, tokens)?,
            _ => SlotValue::Text(self.text(first)),
        })
    }

    fn address(&mut self, token: Token<'_>) -> Result<SlotValue, LineError> {
        let start = self.scratch.len();
        match address::canonical(token.bytes, &mut self.scratch) {
            Some(Form::Canonical) => Ok(SlotValue::Ip(Span::line(token.start, token.end()))),
            Some(Form::Other) => Ok(SlotValue::Ip(Span::scratch(start, self.scratch.len()))),
            None => Err(syntax(token, "an IP address")),
        }
    }

    /// Where the argument's text is, after its escapes were undone.
    #[inline]
    fn text(&mut self, token: Token<'_>) -> Span {
        if self.has_escapes && memchr::memchr(tab_escape::ESCAPE, token.bytes).is_some() {
            let start = self.scratch.len();
            tab_escape::unescape_into(token.bytes, &mut self.scratch);
            Span::scratch(start, self.scratch.len())
        } else {
            Span::line(token.start, token.end())
        }
    }

    fn set(&mut self, line: &[u8], key: Token<'_>, value: SlotValue) -> Result<(), LineError> {
        let span = self.text(key);
        let symbol = self.symbols.find(self.bytes(line).at(span));
        self.put(line, Slot { key: span, symbol, value });
        if self.slots.len() > FIELDS_MAX {
            return Err(LineError::new(Reason::TooMany, key.start, "no more than 1000 fields"));
        }
        Ok(())
    }

    /// Adds the field, or gives the one with its key a new value in place.
    fn put(&mut self, line: &[u8], slot: Slot) {
        let bytes = Bytes::new(line, &self.scratch);
        let slots = &self.slots;
        match self.keys.insert(bytes.at(slot.key), |number| bytes.at(slots[number].key)) {
            Inserted::New => self.slots.push(slot),
            Inserted::Known(number) => self.slots[number].value = slot.value,
        }
    }
}

/// The next argument of the line.
pub(super) fn argument<'a>(
    tokens: &mut Tokens<'a>,
    expected: &'static str,
) -> Result<Token<'a>, LineError> {
    let column = tokens.column();
    tokens.next().ok_or_else(|| LineError::new(Reason::Syntax, column, expected))
}

pub(super) fn syntax(token: Token<'_>, expected: &'static str) -> LineError {
    LineError::new(Reason::Syntax, token.start, expected)
}

/// The time of these seconds and of the microseconds in the next argument.
fn timestamp(seconds: Token<'_>, tokens: &mut Tokens<'_>) -> Result<Timestamp, LineError> {
    let whole =
        number::signed(seconds.bytes).ok_or_else(|| syntax(seconds, "a number of seconds"))?;
    let micros = argument(tokens, "microseconds from 0 to 999999")?;
    let part = number::unsigned_32(micros.bytes)
        .filter(|part| *part < 1_000_000)
        .ok_or_else(|| syntax(micros, "microseconds from 0 to 999999"))?;
    Timestamp::from_parts(whole, i64::from(part))
        .ok_or_else(|| syntax(seconds, "a time within 292,000 years of 1970"))
}

/// The list of so many elements, which are the next arguments. They stay
/// escaped and joined as they are in the line.
fn list(count: Token<'_>, tokens: &mut Tokens<'_>) -> Result<SlotValue, LineError> {
    let number = number::unsigned_32(count.bytes)
        .ok_or_else(|| syntax(count, "the number of the list's elements"))?;
    let start = tokens.column();
    let mut end = start;
    for _ in 0..number {
        end = argument(tokens, "as many elements as the list's count says")?.end();
    }
    Ok(SlotValue::List(Span::line(start, end), number))
}

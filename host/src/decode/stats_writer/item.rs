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
use super::category_run::CategoryRuns;
use super::number;
use super::time::{MICROS, Times};
use crate::decode::shape::{Beginning, Shapes};
use crate::decode::token::{Token, Tokens};
use crate::decode::{LineError, Reason};
use crate::event::key_index::{Inserted, KeyIndex};
use crate::event::{
    Bytes, CategoryId, CategoryRegistry, Layer, Mark, Slot, SlotValue, Source, Span, Symbol,
    Symbols,
};

/// Fields that one line may set.
pub(super) const FIELDS_MAX: usize = 1000;

/// The name of the field that every sent event is given. The scratch begins
/// with it, so that a slot can have it as its key.
const DURATION: &[u8] = b"duration";
const DURATION_MARK: Mark = Mark::of(DURATION);

/// What stands behind a field's name.
const VALUE: &str = "the value of the field";

/// Which fields a line is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    /// All: the event outlives this configuration.
    All,
    /// Those that the configuration asks for.
    Wanted,
}

/// What one line says about an event; reused from line to line.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The texts that are not in the line as they are.
    scratch: Vec<u8>,
    slots: Vec<Slot>,
    /// The slots' keys, once the line does not follow a known shape.
    keys: KeyIndex,
    keys_are_known: bool,
    /// Where among the slots `duration` is.
    duration_at: Option<usize>,
    symbols: Arc<Symbols>,
    pub shapes: Shapes,
    pub categories: Vec<CategoryId>,
    category_runs: CategoryRuns,
    pub name: Option<Span>,
    pub source: Option<(Span, u32)>,
    times: Times,
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
        self.shapes.clear();
    }

    /// Reads all that is left of the line: all fields, or only those that the
    /// configuration asks for. After an error, the draft is of no use.
    pub(super) fn read(
        &mut self,
        tokens: &mut Tokens<'_>,
        registry: &CategoryRegistry,
        fields: Fields,
    ) -> Result<(), LineError> {
        let skips = fields == Fields::Wanted && !self.symbols.all_wanted();
        self.clear();
        self.shapes.begin(if skips { Beginning::Wanted } else { Beginning::Every });
        let seconds = argument(tokens, "the time of creation")?;
        self.created = self.times.read(tokens.line(), seconds, argument(tokens, MICROS)?)?;
        while !tokens.is_done() {
            if is_field(tokens) && self.shapes.is_following() {
                self.known_fields(tokens, skips)?;
            }
            if is_field(tokens) {
                self.field(tokens, skips)?;
            } else if is_category(tokens) {
                self.category_items(tokens, registry)?;
            } else if let Some(token) = tokens.next() {
                self.item(token, tokens)?;
            }
        }
        self.shapes.end();
        Ok(())
    }

    /// Takes what is no field and no category.
    fn item(&mut self, token: Token<'_>, tokens: &mut Tokens<'_>) -> Result<(), LineError> {
        let Some(&code) = token.bytes.first() else { return Ok(()) };
        let rest = token.behind_first();
        match code {
            b's' => {
                let expected = "the line number of the source";
                let number = argument(tokens, expected)?;
                let number = number::unsigned_32(tokens.line(), number)
                    .ok_or_else(|| syntax(number, expected))?;
                self.source = Some((self.text(rest, tokens.has_escapes()), number));
            }
            b'l' => {
                let micros = argument(tokens, MICROS)?;
                self.last_sent = Some(self.times.read(tokens.line(), rest, micros)?);
            }
            b'n' => {
                self.name = Some(self.text(rest, tokens.has_escapes()));
                self.shapes.enter(rest.bytes);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the fields from here on whose names were foreseen: none of them has
    /// come before.
    fn known_fields(&mut self, tokens: &mut Tokens<'_>, skips: bool) -> Result<(), LineError> {
        // Copies, for nobody else sees them: they stay in registers.
        let mut here = tokens.clone();
        let mut place = self.shapes.place();
        while !here.is_done() {
            let known = match self.shapes.follow_first(&mut place, here.rest()) {
                None if is_field(&here) => self.shapes.follow_sibling(&mut place, here.rest()),
                known => known,
            };
            let Some(known) = known else { break };
            let start = here.column();
            let code = here.line()[start];
            // The head is the code, the name, and the TAB behind it: an argument follows.
            let end = start + known.len as usize - 1;
            here.pass(end - start);
            if skips && !known.wanted {
                match code {
                    b'T' => {
                        here.pass_any();
                        argument(&mut here, MICROS)?;
                    }
                    b'L' => here = list(argument(&mut here, VALUE)?, here)?.1,
                    _ => here.pass_any(),
                }
                continue;
            }
            let first = argument(&mut here, VALUE)?;
            if known.symbol == Symbol::DURATION {
                self.duration_at = Some(self.slots.len());
            }
            let (key, symbol, mark) = (Span::line(start + 1, end), known.symbol, known.mark);
            // Each kind is pushed by itself: a value that is handed on in memory is
            // written in parts and read as one, and the processor waits for that.
            match code {
                b'I' => {
                    let value = SlotValue::Integer(integer(here.line(), first)?);
                    self.slots.push(Slot::new(key, symbol, mark, value));
                }
                b'T' => {
                    let micros = argument(&mut here, MICROS)?;
                    let value =
                        SlotValue::Timestamp(self.times.read(here.line(), first, micros)?);
                    self.slots.push(Slot::new(key, symbol, mark, value));
                }
                b'P' => {
                    let value = SlotValue::Ip(self.address(first)?);
                    self.slots.push(Slot::new(key, symbol, mark, value));
                }
                b'L' => {
                    let value;
                    (value, here) = list(first, here)?;
                    self.slots.push(Slot::new(key, symbol, mark, value));
                }
                _ => {
                    let value = SlotValue::Text(self.text(first, here.has_escapes()));
                    self.slots.push(Slot::new(key, symbol, mark, value));
                }
            }
        }
        *tokens = here;
        if self.shapes.is_following() {
            self.shapes.go_to(place);
        }
        Ok(())
    }

    /// Takes a field whose name may be any, and may have come before.
    fn field(&mut self, tokens: &mut Tokens<'_>, skips: bool) -> Result<(), LineError> {
        let token = argument(tokens, "a field")?;
        let (code, name) = (token.bytes[0], token.behind_first());
        if name.bytes.is_empty() {
            return Err(syntax(name, "the name of a field"));
        }
        let written = self.scratch.len();
        let key = self.text(name, tokens.has_escapes());
        if self.scratch.len() > written {
            // The tree knows names only as they stand in lines.
            self.shapes.stop();
        }
        let head = &tokens.line()[token.start..tokens.column()];
        let name_bytes = Bytes::new(tokens.line(), &self.scratch).at(key);
        let (symbol, mark) = (self.symbols.find(name_bytes), Mark::of(name_bytes));
        if skips && !self.symbols.is_wanted(symbol) {
            skip_value(code, tokens)?;
            self.shapes.learn(head, symbol, mark, false);
            return Ok(());
        }
        let value = self.value(code, tokens)?;
        let is_new = self.put(tokens.line(), Slot::new(key, symbol, mark, value));
        if self.slots.len() > FIELDS_MAX {
            return Err(LineError::new(Reason::TooMany, name.start, "no more than 1000 fields"));
        }
        if is_new {
            self.shapes.learn(head, symbol, mark, true);
        } else {
            self.shapes.stop();
        }
        Ok(())
    }

    /// Adds the field `duration`: the time from creation to last sending, or 0
    /// for an event that was not sent yet, as Dovecot's own server does.
    pub(super) fn add_duration(&mut self) -> i64 {
        let sent = self.last_sent.filter(|sent| sent.seconds() != 0);
        let duration =
            sent.map_or(0, |sent| sent.as_micros().saturating_sub(self.created.as_micros()));
        let value = SlotValue::Integer(duration);
        match self.duration_at {
            Some(place) => self.slots[place].set(value),
            None => {
                let key = Span::scratch(0, DURATION.len());
                self.slots.push(Slot::new(key, Symbol::DURATION, DURATION_MARK, value));
            }
        }
        duration
    }

    pub(super) fn name_in<'a>(&'a self, line: &'a [u8]) -> Option<&'a [u8]> {
        self.name.map(|span| self.bytes(line).at(span))
    }

    pub(super) fn source_in<'a>(&'a self, line: &'a [u8]) -> Option<Source<'a>> {
        self.source.map(|(file, number)| Source { file: self.bytes(line).at(file), line: number })
    }

    pub(super) fn layer<'a>(&'a self, line: &'a [u8]) -> Layer<'a> {
        Layer::new(self.bytes(line), &self.slots, &self.categories)
    }

    fn clear(&mut self) {
        self.scratch.clear();
        self.scratch.extend_from_slice(DURATION);
        self.slots.clear();
        self.keys_are_known = false;
        self.categories.clear();
        self.duration_at = None;
        (self.name, self.source, self.last_sent) = (None, None, None);
    }

    fn bytes<'a>(&'a self, line: &'a [u8]) -> Bytes<'a> {
        Bytes::new(line, &self.scratch)
    }

    /// Takes the categories that stand here, one behind the other.
    fn category_items(
        &mut self,
        tokens: &mut Tokens<'_>,
        registry: &CategoryRegistry,
    ) -> Result<(), LineError> {
        let (kind, rest) = (self.shapes.entrance(), tokens.rest());
        let are_first = self.categories.is_empty();
        if are_first && let Some(run) = self.category_runs.find(kind, rest) {
            self.categories.extend_from_slice(run.categories());
            (0..run.items()).for_each(|_| tokens.pass_any());
            return Ok(());
        }
        let mut items = 0;
        while is_category(tokens) {
            let name = argument(tokens, "a category")?.behind_first();
            self.category(name, tokens, registry)?;
            items += 1;
        }
        if are_first {
            let text = &rest[..rest.len() - tokens.rest().len()];
            self.category_runs.learn(kind, text, items, &self.categories);
        }
        Ok(())
    }

    fn category(
        &mut self,
        name: Token<'_>,
        tokens: &Tokens<'_>,
        registry: &CategoryRegistry,
    ) -> Result<(), LineError> {
        let span = self.text(name, tokens.has_escapes());
        let id = registry.find(self.bytes(tokens.line()).at(span)).ok_or_else(|| {
            LineError::new(Reason::UnknownCategory, name.start, "a registered category")
        })?;
        if !self.categories.contains(&id) {
            self.categories.push(id);
        }
        Ok(())
    }

    fn value(&mut self, code: u8, tokens: &mut Tokens<'_>) -> Result<SlotValue, LineError> {
        let first = argument(tokens, VALUE)?;
        Ok(match code {
            b'I' => SlotValue::Integer(integer(tokens.line(), first)?),
            b'T' => {
                let micros = argument(tokens, MICROS)?;
                SlotValue::Timestamp(self.times.read(tokens.line(), first, micros)?)
            }
            b'P' => SlotValue::Ip(self.address(first)?),
            b'L' => {
                let value;
                (value, *tokens) = list(first, tokens.clone())?;
                value
            }
            _ => SlotValue::Text(self.text(first, tokens.has_escapes())),
        })
    }

    fn address(&mut self, token: Token<'_>) -> Result<Span, LineError> {
        let start = self.scratch.len();
        match address::canonical(token.bytes, &mut self.scratch) {
            Some(Form::Canonical) => Ok(Span::line(token.start, token.end())),
            Some(Form::Other) => Ok(Span::scratch(start, self.scratch.len())),
            None => Err(syntax(token, "an IP address")),
        }
    }

    /// Where the argument's text is, after its escapes were undone.
    #[inline(always)]
    fn text(&mut self, token: Token<'_>, may_escape: bool) -> Span {
        if may_escape && memchr::memchr(tab_escape::ESCAPE, token.bytes).is_some() {
            let start = self.scratch.len();
            tab_escape::unescape_into(token.bytes, &mut self.scratch);
            Span::scratch(start, self.scratch.len())
        } else {
            Span::line(token.start, token.end())
        }
    }

    /// Adds the field, or gives the one with its key a new value in place; true
    /// when it is new.
    fn put(&mut self, line: &[u8], slot: Slot) -> bool {
        if !self.keys_are_known {
            self.index_keys(line);
        }
        let bytes = Bytes::new(line, &self.scratch);
        let slots = &self.slots;
        match self.keys.insert(bytes.at(slot.key), |number| bytes.at(slots[number].key)) {
            Inserted::New => {
                if slot.symbol == Symbol::DURATION {
                    self.duration_at = Some(self.slots.len());
                }
                self.slots.push(slot);
                true
            }
            Inserted::Known(number) => {
                self.slots[number].set(slot.value());
                false
            }
        }
    }

    /// Makes the index of the keys so far: the line has left the known shapes.
    fn index_keys(&mut self, line: &[u8]) {
        self.keys_are_known = true;
        self.keys.clear();
        let bytes = Bytes::new(line, &self.scratch);
        for slot in &self.slots {
            self.keys.insert(bytes.at(slot.key), |number| bytes.at(self.slots[number].key));
        }
    }
}

/// Whether the next item is a field.
#[inline(always)]
fn is_field(tokens: &Tokens<'_>) -> bool {
    matches!(tokens.rest().first(), Some(b'I' | b'S' | b'T' | b'P' | b'L'))
}

/// Whether the next item is a category.
#[inline(always)]
fn is_category(tokens: &Tokens<'_>) -> bool {
    tokens.rest().first() == Some(&b'c')
}

/// Passes over a field's value: nothing is checked but that its arguments are there.
#[inline]
fn skip_value(code: u8, tokens: &mut Tokens<'_>) -> Result<(), LineError> {
    let first = argument(tokens, VALUE)?;
    match code {
        b'T' => _ = argument(tokens, MICROS)?,
        b'L' => (_, *tokens) = list(first, tokens.clone())?,
        _ => {}
    }
    Ok(())
}

/// The next argument of the line.
#[inline(always)]
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

#[inline]
fn integer(line: &[u8], token: Token<'_>) -> Result<i64, LineError> {
    number::signed(line, token).ok_or_else(|| syntax(token, "a signed 64-bit number"))
}

/// The list of so many elements, which are the next arguments, and what is behind
/// it. They stay escaped and joined as they are in the line.
fn list<'a>(
    count: Token<'_>,
    mut tokens: Tokens<'a>,
) -> Result<(SlotValue, Tokens<'a>), LineError> {
    let number = number::unsigned_32(tokens.line(), count)
        .ok_or_else(|| syntax(count, "the number of the list's elements"))?;
    let start = tokens.column();
    let mut end = start;
    for _ in 0..number {
        end = argument(&mut tokens, "as many elements as the list's count says")?.end();
    }
    Ok((SlotValue::List(Span::line(start, end), number), tokens))
}

//! Reads one line of JSON (RFC 8259) from left to right.
//!
//! The line must be UTF-8, which its decoder has made sure of. Strings are found
//! eight bytes at a time; only those with an escape are copied.

use fantail_sdk::tab_escape::{ESCAPE, escape_code};

use super::error::{LineError, Reason};
use super::number::canonical_integer;
use super::time;
use crate::event::{SlotValue, Span};

/// The deepest nesting of a JSON value.
pub(super) const DEPTH_MAX: u32 = 64;

/// A line and the place in it that is read next.
pub(super) struct JsonReader<'l> {
    line: &'l [u8],
    at: usize,
}

/// How a string is written to the scratch buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// As it is, and only when it has an escape.
    Text,
    /// With Dovecot's escapes, as an element of a list.
    Element,
}

impl<'l> JsonReader<'l> {
    pub(super) fn new(line: &'l [u8]) -> Self {
        JsonReader { line, at: 0 }
    }

    /// The offset of the byte that is read next.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The bytes of the line from `start` to `end`.
    pub(super) fn between(&self, start: usize, end: usize) -> Option<&'l [u8]> {
        self.line.get(start..end)
    }

    /// Goes on at `offset`, behind a colon that is known to be there, and blanks.
    #[inline]
    pub(super) fn go_to(&mut self, offset: usize) {
        self.at = offset;
        self.skip_blanks();
    }

    /// The byte that is read next.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    /// A mistake at the byte that is read next.
    #[cold]
    pub(super) fn error(&self, reason: Reason, expected: &'static str) -> LineError {
        LineError::new(reason, self.at, expected)
    }

    #[cold]
    fn syntax<T>(&self, expected: &'static str) -> Result<T, LineError> {
        Err(self.error(Reason::Syntax, expected))
    }

    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes `byte` if it is next, with the blanks behind it.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        if taken {
            self.at += 1;
            self.skip_blanks();
        }
        taken
    }

    /// Takes the end of the line.
    pub(super) fn end(&self) -> Result<(), LineError> {
        if self.at < self.line.len() { self.syntax("the end of the line") } else { Ok(()) }
    }

    /// Takes a key, the colon behind it and blanks.
    #[inline(always)]
    pub(super) fn key(&mut self, scratch: &mut Vec<u8>) -> Result<Span, LineError> {
        if self.peek() != Some(b'"') {
            return self.syntax("a key in quotes");
        }
        let key = self.string(scratch)?;
        self.skip_blanks();
        if !self.take(b':') {
            return self.syntax("a colon behind the key");
        }
        Ok(key)
    }

    /// Takes the comma between two members and returns true, or the end of the object.
    #[inline]
    pub(super) fn next_member(&mut self) -> Result<bool, LineError> {
        self.skip_blanks();
        match self.peek() {
            Some(b',') => Ok(self.take(b',')),
            Some(b'}') => {
                self.at += 1;
                Ok(false)
            }
            _ => self.syntax("a comma or the end of the object"),
        }
    }

    /// Takes the string that begins here.
    // Inlined, for a span handed over in memory costs more than finding it: it is
    // written as two halves and read as one, which the processor waits for.
    #[inline(always)]
    pub(super) fn string(&mut self, scratch: &mut Vec<u8>) -> Result<Span, LineError> {
        let start = self.at + 1;
        let end = clean_end(self.line, start);
        if self.line.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Span::line(start, end));
        }
        self.string_with_escapes(end, scratch)
    }

    /// Takes the string that begins here and is clean until `clean`.
    #[cold]
    fn string_with_escapes(
        &mut self,
        clean: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Span, LineError> {
        let written = scratch.len();
        self.at += 1;
        self.copy_string(clean, Target::Text, scratch)?;
        Ok(Span::scratch(written, scratch.len()))
    }

    /// Copies the string whose content begins here and is clean until `clean`.
    fn copy_string(
        &mut self,
        mut clean: usize,
        target: Target,
        scratch: &mut Vec<u8>,
    ) -> Result<(), LineError> {
        loop {
            scratch.extend_from_slice(&self.line[self.at..clean]);
            self.at = clean;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape(target, scratch)?,
                Some(_) => return self.syntax("no control character in a string"),
                None => return self.syntax("the closing quote of a string"),
            }
            clean = clean_end(self.line, self.at);
        }
    }

    /// Takes an escape; what it stands for is never longer.
    fn escape(&mut self, target: Target, scratch: &mut Vec<u8>) -> Result<(), LineError> {
        let byte = match self.line.get(self.at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode_escape(target, scratch),
            _ => return self.syntax("an escape that JSON has"),
        };
        self.at += 2;
        push_byte(byte, target, scratch);
        Ok(())
    }

    fn unicode_escape(&mut self, target: Target, scratch: &mut Vec<u8>) -> Result<(), LineError> {
        let Some(unit) = self.code_unit(self.at) else {
            return self.syntax("four hexadecimal digits behind \\u");
        };
        let low = || self.code_unit(self.at + 6).filter(|low| (0xdc00..0xe000).contains(low));
        let (code, len) = match (unit, low()) {
            (0xd800..0xdc00, Some(low)) => {
                (0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), 12)
            }
            _ => (unit, 6),
        };
        let Some(character) = char::from_u32(code) else {
            return self.syntax("both halves of a surrogate pair");
        };
        self.at += len;
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => push_byte(byte, target, scratch),
            _ => scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        Ok(())
    }

    /// The number in the `\uXXXX` at `at`.
    fn code_unit(&self, at: usize) -> Option<u32> {
        let [b'\\', b'u', digits @ ..] = self.line.get(at..at + 6)? else { return None };
        let append = |unit: u32, digit: &u8| Some(unit * 16 + char::from(*digit).to_digit(16)?);
        digits.iter().try_fold(0, append)
    }

    /// Takes the value of a field.
    #[inline(always)]
    pub(super) fn value(&mut self, scratch: &mut Vec<u8>) -> Result<SlotValue, LineError> {
        match self.peek() {
            Some(b'"') => self.string(scratch).map(SlotValue::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => self.list(scratch),
            _ => self.json(scratch),
        }
    }

    /// Takes the value of a field that nothing asks for: any that JSON has.
    #[inline]
    pub(super) fn skip_value(&mut self, scratch: &mut Vec<u8>) -> Result<(), LineError> {
        if self.peek() == Some(b'"') {
            let end = clean_end(self.line, self.at + 1);
            if self.line.get(end) == Some(&b'"') {
                self.at = end + 1;
                return Ok(());
            }
        }
        self.json(scratch).map(|_| ())
    }

    /// Takes the number that begins here, as its text.
    pub(super) fn number_text(&mut self) -> Result<&'l [u8], LineError> {
        let start = self.at;
        self.skip_number()?;
        Ok(&self.line[start..self.at])
    }

    /// Takes the number that begins here: an integer, a time with six digits behind
    /// the point, or one that stays as its text.
    fn number(&mut self) -> Result<SlotValue, LineError> {
        let start = self.at;
        let form = self.skip_number()?;
        let text = &self.line[start..self.at];
        let value = match form {
            NumberForm::Integer => canonical_integer(text).map(SlotValue::Integer),
            NumberForm::SixDigits => time::unix(text).map(SlotValue::Timestamp),
            NumberForm::Other => None,
        };
        Ok(value.unwrap_or(SlotValue::Json(Span::line(start, self.at))))
    }

    fn skip_number(&mut self) -> Result<NumberForm, LineError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => _ = self.skip_digits()?,
        }
        let mut form = NumberForm::Integer;
        if self.peek() == Some(b'.') {
            self.at += 1;
            let six = self.skip_digits()? == 6;
            form = if six { NumberForm::SixDigits } else { NumberForm::Other };
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.skip_digits()?;
            form = NumberForm::Other;
        }
        Ok(form)
    }

    /// Takes one digit or more and says how many.
    fn skip_digits(&mut self) -> Result<usize, LineError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.syntax("a digit") } else { Ok(self.at - start) }
    }

    /// Takes the array that begins here: a list if it holds nothing but strings.
    fn list(&mut self, scratch: &mut Vec<u8>) -> Result<SlotValue, LineError> {
        let (start, written) = (self.at, scratch.len());
        self.take(b'[');
        let mut count = 0;
        if !self.take(b']') {
            loop {
                if self.peek() != Some(b'"') {
                    // What the strings so far were is found out again.
                    scratch.truncate(written);
                    self.at = start;
                    return self.json(scratch);
                }
                self.at += 1;
                self.copy_string(clean_end(self.line, self.at), Target::Element, scratch)?;
                count += 1;
                self.skip_blanks();
                if self.peek() == Some(b']') {
                    self.at += 1;
                    break;
                }
                if !self.take(b',') {
                    return self.syntax("a comma or the end of the array");
                }
                scratch.push(b'\t');
            }
        }
        Ok(SlotValue::List(Span::scratch(written, scratch.len()), count))
    }

    /// Takes any value, and leaves it as its text.
    fn json(&mut self, scratch: &mut Vec<u8>) -> Result<SlotValue, LineError> {
        let (start, written) = (self.at, scratch.len());
        let mut nesting = Nesting::default();
        loop {
            self.json_begin(&mut nesting, scratch)?;
            scratch.truncate(written);
            if nesting.depth == 0 {
                return Ok(SlotValue::Json(Span::line(start, self.at)));
            }
        }
    }

    /// Takes a value that is not nested or the beginning of one that is, and what
    /// closes behind it.
    fn json_begin(
        &mut self,
        nesting: &mut Nesting,
        scratch: &mut Vec<u8>,
    ) -> Result<(), LineError> {
        match self.peek() {
            Some(b'"') => _ = self.string(scratch)?,
            Some(b'-' | b'0'..=b'9') => _ = self.skip_number()?,
            Some(open @ (b'{' | b'[')) => {
                let is_object = open == b'{';
                if !nesting.open(is_object) {
                    return Err(self.error(Reason::TooDeep, "at most 64 levels of nesting"));
                }
                self.take(open);
                if self.peek() != Some(if is_object { b'}' } else { b']' }) {
                    if is_object {
                        self.key(scratch)?;
                    }
                    return Ok(());
                }
            }
            _ => self.literal()?,
        }
        self.json_end(nesting, scratch)
    }

    /// Takes what stands behind a value: the ends of what it is in, or a comma.
    fn json_end(&mut self, nesting: &mut Nesting, scratch: &mut Vec<u8>) -> Result<(), LineError> {
        while nesting.depth > 0 {
            let is_object = nesting.in_object();
            self.skip_blanks();
            match (self.peek(), is_object) {
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    nesting.close();
                }
                (Some(b','), _) => {
                    self.take(b',');
                    if is_object {
                        self.key(scratch)?;
                    }
                    return Ok(());
                }
                (_, true) => return self.syntax("a comma or the end of the object"),
                (_, false) => return self.syntax("a comma or the end of the array"),
            }
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<(), LineError> {
        let rest = &self.line[self.at..];
        let literals: [&[u8]; 3] = [b"true", b"false", b"null"];
        match literals.iter().find(|literal| rest.starts_with(literal)) {
            Some(literal) => self.at += literal.len(),
            None => return self.syntax("a value"),
        }
        Ok(())
    }
}

/// What a number looks like.
enum NumberForm {
    /// Without a point and an exponent.
    Integer,
    /// With six digits behind the point, and no exponent.
    SixDigits,
    Other,
}

/// The objects and arrays that a value stands in.
#[derive(Default)]
struct Nesting {
    depth: u32,
    /// For each level a bit, the innermost lowest: whether it is an object.
    objects: u64,
}

impl Nesting {
    /// Enters a level, unless there are too many.
    fn open(&mut self, is_object: bool) -> bool {
        self.objects = self.objects << 1 | u64::from(is_object);
        self.depth += 1;
        self.depth <= DEPTH_MAX
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn close(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }
}

fn push_byte(byte: u8, target: Target, scratch: &mut Vec<u8>) {
    match escape_code(byte) {
        Some(code) if target == Target::Element => scratch.extend_from_slice(&[ESCAPE, code]),
        _ => scratch.push(byte),
    }
}

/// The place of the first quote, backslash or control character from `start` on,
/// or the line's end.
#[inline]
fn clean_end(line: &[u8], start: usize) -> usize {
    const EVERY: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EVERY;
    let mut at = start;
    while let Some(chunk) = line.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let zero_in = |word: u64| word.wrapping_sub(EVERY) & !word;
        let control = word.wrapping_sub(0x20 * EVERY) & !word;
        let quote = zero_in(word ^ (u64::from(b'"') * EVERY));
        let backslash = zero_in(word ^ (u64::from(b'\\') * EVERY));
        // A borrow may mark a byte falsely, but only behind one that is marked rightly.
        let found = (control | quote | backslash) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = line.get(at..).unwrap_or_default();
    let special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    at + rest.iter().position(special).unwrap_or(rest.len())
}

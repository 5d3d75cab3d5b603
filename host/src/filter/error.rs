//! Why a text is no filter.

use std::fmt;
use std::ops::Range;

/// An error in a filter's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    span: Range<usize>,
    line: usize,
    column: usize,
    expected: &'static str,
    found: String,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A word, a quoted text or a sign stands where something else has to.
    Unexpected,
    /// The text ends too early.
    UnexpectedEnd,
    /// A character that may only stand inside quotes.
    NeedsQuotes,
    /// A quote that is never closed, where a key or a value has to be.
    UnclosedQuote,
    /// A `(` that is never closed.
    UnclosedParenthesis,
    /// AND, OR or NOT as a key; in quotes it would be one.
    KeywordAsKey,
    /// `event`, `category` or `source_location` with another operator than `=`.
    OnlyEqual,
    /// A backslash at the end of a line inside quotes.
    EscapedNewline,
    /// A NUL byte.
    Nul,
    /// The text is not UTF-8.
    NotUtf8,
    /// More than [`NESTING_MAX`](super::NESTING_MAX) levels of parentheses and NOTs.
    TooDeep,
    /// More than [`LENGTH_MAX`](super::LENGTH_MAX) bytes.
    TooLong,
}

impl Error {
    /// An error at `span` of `text`, a byte range; `expected` completes "expected ...".
    pub(super) fn new(
        kind: ErrorKind,
        text: &[u8],
        span: Range<usize>,
        expected: &'static str,
    ) -> Self {
        let before = &text[..span.start];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        // Every byte that does not continue a character begins one.
        let characters = before[line_start..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        Error {
            kind,
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: characters + 1,
            expected,
            found: excerpt(&text[span.clone()]),
            span,
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The bytes of the filter's text that are at fault; empty at the text's end.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The line in the filter's text, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in that line, in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What had to stand there, such as "a value"; empty when that is not the point.
    pub fn expected(&self) -> &str {
        self.expected
    }

    /// The error as one clause, without its place.
    pub fn message(&self) -> String {
        let Error { expected, found, .. } = self;
        match self.kind {
            ErrorKind::Unexpected => format!("expected {expected}, found `{found}`"),
            ErrorKind::UnexpectedEnd => format!("expected {expected}, but the filter ends here"),
            ErrorKind::NeedsQuotes => {
                format!("expected {expected}; `{found}` may only stand inside quotes")
            }
            ErrorKind::UnclosedQuote => format!("expected {expected}, but the quote never ends"),
            ErrorKind::UnclosedParenthesis => "this parenthesis is never closed".into(),
            ErrorKind::KeywordAsKey => {
                format!("expected {expected}; a field called `{found}` needs quotes")
            }
            ErrorKind::OnlyEqual => {
                format!("expected {expected}: only fields support inequality comparisons")
            }
            ErrorKind::EscapedNewline => "a backslash can't escape the end of a line".into(),
            ErrorKind::Nul => "a filter can't contain a NUL byte".into(),
            ErrorKind::NotUtf8 => "a filter has to be UTF-8".into(),
            ErrorKind::TooDeep => format!(
                "more than {} levels of parentheses and NOTs are too many",
                super::NESTING_MAX
            ),
            ErrorKind::TooLong => {
                format!("a filter can't be longer than {} bytes", super::LENGTH_MAX)
            }
        }
    }
}

/// The start of what is at fault, on one line.
fn excerpt(bytes: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 40;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARACTERS_MAX)]);
    let shown = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut excerpt: String = text.chars().take(CHARACTERS_MAX).map(shown).collect();
    if text.chars().count() > CHARACTERS_MAX {
        excerpt.push_str("...");
    }
    excerpt
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message())
    }
}

impl std::error::Error for Error {}

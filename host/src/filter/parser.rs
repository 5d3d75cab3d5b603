//! The grammar. AND and OR have one precedence and join to the left, NOT binds
//! tighter: `a=1 OR NOT b=1 AND c=1` is `(a=1 OR (NOT b=1)) AND c=1`.
//!
//! ```text
//! filter   := [ operand { ("AND" | "OR") operand } ]
//! operand  := { "NOT" | "(" } test { ")" }        every "(" needs its ")"
//! test     := key operator value
//! key      := word | quoted
//! operator := "=" | ">" | "<" | ">" "=" | "<" "="
//! value    := word | quoted | "AND" | "OR" | "NOT"
//! ```
//!
//! Depth costs no recursion: what is open waits on a stack of its own.

use std::ops::Range;

use super::ast::{Expr, FieldTest, Joint, NameTest, NodeId, Op, Test};
use super::error::{Error, ErrorKind};
use super::lexer::{Lexer, Token};
use super::literal::{Literal, Taken, unescape};
use super::origin::{Origin, TestOrigin};
use super::wildcard::Pattern;
use crate::event::LogType;

/// The most parentheses and NOTs that may be open at one place. Dovecot's own
/// parser gives up at this depth of parentheses around one test.
pub const NESTING_MAX: usize = 9_995;

/// The longest filter in bytes, far above every real one.
pub const LENGTH_MAX: usize = 16 << 20;

/// Parses a filter's text.
///
/// # Errors
///
/// At the first place that can't be part of a filter.
pub(super) fn parse(bytes: &[u8]) -> Result<(Expr, Origin), Error> {
    let fail = |kind, span| Err(Error::new(kind, bytes, span, ""));
    if bytes.len() > LENGTH_MAX {
        return fail(ErrorKind::TooLong, LENGTH_MAX..bytes.len());
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            return fail(ErrorKind::NotUtf8, at..at + error.error_len().unwrap_or(1));
        }
    };
    if let Some(at) = memchr::memchr(0, bytes) {
        return fail(ErrorKind::Nul, at..at + 1);
    }
    let mut parser = Parser {
        text,
        lexer: Lexer::new(text),
        token: Token::End,
        span: 0..0,
        expr: Expr::default(),
        origin: Origin { len: text.len(), ..Origin::default() },
        pending: Vec::new(),
        nesting: 0,
    };
    parser.advance()?;
    parser.filter()?;
    Ok((parser.expr, parser.origin))
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The token to be read next, and where it stands.
    token: Token<'a>,
    span: Range<usize>,
    expr: Expr,
    origin: Origin,
    /// What has begun and waits for an operand.
    pending: Vec<Pending>,
    /// How many of them are `Open` or `Not`.
    nesting: usize,
}

enum Pending {
    /// `(`, at this place.
    Open(Range<usize>),
    Not,
    Join(NodeId, Joint),
}

impl<'a> Parser<'a> {
    fn filter(&mut self) -> Result<(), Error> {
        if matches!(self.token, Token::End | Token::Unclosed) {
            self.note_unclosed();
            return Ok(());
        }
        loop {
            let (operand, joined_by) = self.operand()?;
            let Some(joint) = self.joint()? else { return Ok(()) };
            if joined_by.is_some_and(|joined_by| joined_by != joint) {
                self.origin.mixed.push(self.span.clone());
            }
            self.pending.push(Pending::Join(operand, joint));
            self.advance()?;
        }
    }

    /// An operand, and what joined its last two parts when no parentheses do.
    fn operand(&mut self) -> Result<(NodeId, Option<Joint>), Error> {
        loop {
            let pending = match self.token {
                Token::Not => Pending::Not,
                Token::Open => Pending::Open(self.span.clone()),
                _ => break,
            };
            if self.nesting == NESTING_MAX {
                return Err(self.error(ErrorKind::TooDeep, ""));
            }
            self.nesting += 1;
            self.pending.push(pending);
            self.advance()?;
        }
        let mut node = self.test()?;
        let mut joined_by = None;
        loop {
            match self.pending.pop() {
                Some(Pending::Not) => {
                    self.nesting -= 1;
                    node = self.expr.push_not(node);
                }
                Some(Pending::Join(left, joint)) => {
                    node = self.expr.push_joined(left, joint, node);
                    joined_by = Some(joint);
                }
                Some(Pending::Open(_)) if self.token == Token::Close => {
                    self.nesting -= 1;
                    self.advance()?;
                    joined_by = None;
                }
                Some(open @ Pending::Open(_)) => {
                    self.pending.push(open);
                    return Ok((node, joined_by));
                }
                None => return Ok((node, joined_by)),
            }
        }
    }

    /// The AND or OR that comes next, not read yet; `None` at the end.
    fn joint(&mut self) -> Result<Option<Joint>, Error> {
        let open = match self.pending.last() {
            Some(Pending::Open(span)) => Some(span.clone()),
            _ => None,
        };
        match self.token {
            Token::And => Ok(Some(Joint::And)),
            Token::Or => Ok(Some(Joint::Or)),
            Token::End | Token::Unclosed => match open {
                Some(span) => {
                    let kind = ErrorKind::UnclosedParenthesis;
                    Err(Error::new(kind, self.text.as_bytes(), span, "`)`"))
                }
                None => {
                    self.note_unclosed();
                    Ok(None)
                }
            },
            _ if open.is_some() => Err(self.unexpected("AND, OR or `)`")),
            _ => Err(self.unexpected("AND, OR or the end of the filter")),
        }
    }

    /// A quote that never ends is no error where a filter may end, as in Dovecot.
    fn note_unclosed(&mut self) {
        if self.token == Token::Unclosed {
            self.origin.unclosed = Some(self.span.clone());
        }
    }

    fn test(&mut self) -> Result<NodeId, Error> {
        let key_span = self.span.clone();
        let key = self.key()?;
        let op_start = self.span.start;
        let (op, op_end) = self.op()?;
        let is_special = matches!(&*key, "event" | "category" | "source_location");
        if is_special && op != Op::Equal {
            let text = self.text.as_bytes();
            return Err(Error::new(ErrorKind::OnlyEqual, text, op_start..op_end, "`=`"));
        }
        let value_span = self.span.clone();
        let value = self.value()?;
        let (test, taken) = match &*key {
            "event" => (Test::Name(name_test(value)), None),
            "category" => (category_test(value), None),
            "source_location" => (Test::Source(unescape(value).into()), None),
            _ => field_test(key, op, value),
        };
        self.origin.tests.push(TestOrigin { key: key_span, value: value_span, taken });
        Ok(self.expr.push_test(test))
    }

    fn key(&mut self) -> Result<Box<str>, Error> {
        let key = match self.token {
            Token::Word(word) => word.into(),
            Token::Quoted(quoted) => unescape(quoted).into(),
            Token::And | Token::Or => {
                return Err(self.error(ErrorKind::KeywordAsKey, "a key, NOT or `(`"));
            }
            _ => return Err(self.unexpected("a key, NOT or `(`")),
        };
        self.advance()?;
        Ok(key)
    }

    /// The operator, and where it ends.
    fn op(&mut self) -> Result<(Op, usize), Error> {
        let first = match self.token {
            Token::Equal => Op::Equal,
            Token::Greater => Op::Greater,
            Token::Less => Op::Less,
            _ => return Err(self.unexpected("`=`, `>`, `<`, `>=` or `<=`")),
        };
        let end = self.span.end;
        self.advance()?;
        let both = match (first, self.token) {
            (Op::Greater, Token::Equal) => Op::GreaterOrEqual,
            (Op::Less, Token::Equal) => Op::LessOrEqual,
            _ => return Ok((first, end)),
        };
        let end = self.span.end;
        self.advance()?;
        Ok((both, end))
    }

    /// A value with its escapes; an unquoted keyword is its lower case.
    fn value(&mut self) -> Result<&'a str, Error> {
        let value = match self.token {
            Token::Word(value) | Token::Quoted(value) => value,
            Token::And => "and",
            Token::Or => "or",
            Token::Not => "not",
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Ok(value)
    }

    fn advance(&mut self) -> Result<(), Error> {
        (self.token, self.span) = self.lexer.next()?;
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> Error {
        let kind = match self.token {
            Token::End => ErrorKind::UnexpectedEnd,
            Token::Unclosed => ErrorKind::UnclosedQuote,
            Token::Stray => ErrorKind::NeedsQuotes,
            _ => ErrorKind::Unexpected,
        };
        self.error(kind, expected)
    }

    fn error(&self, kind: ErrorKind, expected: &'static str) -> Error {
        Error::new(kind, self.text.as_bytes(), self.span.clone(), expected)
    }
}

fn name_test(value: &str) -> NameTest {
    match Pattern::parse(value) {
        Some(pattern) => NameTest::Pattern(pattern),
        None => NameTest::Exact(unescape(value).into()),
    }
}

/// With an escape in it a log type's word is an ordinary category.
fn category_test(value: &str) -> Test {
    match LogType::ALL.into_iter().find(|log_type| log_type.name() == value) {
        Some(log_type) => Test::LogType(log_type),
        None => Test::Category(unescape(value).into()),
    }
}

fn field_test(key: Box<str>, op: Op, value: &str) -> (Test, Option<Taken>) {
    let (value, taken) = Literal::parse(value);
    (Test::Field(FieldTest { key, op, value }), taken)
}

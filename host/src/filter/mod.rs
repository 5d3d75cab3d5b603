//! Dovecot's event filter language: which events a metric counts and ships.
//!
//! ```text
//! event=imap_command_finished AND (duration>1sec OR NOT user="*@example.com")
//! ```
//!
//! A filter is made of tests joined by AND, OR, NOT and parentheses. A test asks
//! for the event's name (`event=`), a category or a log type (`category=`), the
//! place in the source (`source_location=`) or compares a field. The type of a
//! field's value is decided by its text, when the filter is parsed.
//!
//! Reading order: `lexer` and `parser` make the tree in `ast`, with the values of
//! `literal`, `network` and `wildcard`; `origin` remembers where everything
//! stood, for the messages of `error` and `warning` (with `certain`, which finds
//! what can't match, or can't but). `canonical` writes a tree as text. `naive` asks a filter
//! about an event, `mismatch` is what it says of comparisons that can't work.
//! `compiled` asks many filters at once, and `set` is what the host knows of all
//! this; `explain` says all that in words. Nothing here recurses or reaches outside.
//!
//! Where it differs from Dovecot on purpose: the canonical text keeps the escapes
//! it needs; a backslash before the end of a line is an error; a list and a plain
//! text of one name in a chain of events are one list; and whether the interface
//! exists that scopes an IPv6 address is not looked up.

mod ast;
mod canonical;
mod catalogue;
mod certain;
mod compiled;
mod error;
pub mod explain;
mod lexer;
mod literal;
mod mismatch;
pub mod naive;
mod network;
mod origin;
mod parser;
pub mod sample;
mod set;
mod wanted;
mod warning;
mod wildcard;

#[cfg(test)]
mod tests;

pub use ast::{Expr, FieldTest, NameTest, Node, NodeId, Op, Test, TestId};
pub use compiled::{Matcher, Strategies};
pub use error::{Error, ErrorKind};
pub use literal::{Decimal, Literal, Taken};
pub use mismatch::{Description, Mismatch, MismatchKind, Place, SeenMismatches};
pub use network::Network;
pub use origin::{Origin, TestOrigin};
pub use parser::{LENGTH_MAX, NESTING_MAX};
pub use set::FilterSet;
pub use warning::{Warning, WarningKind, warnings};
pub use wildcard::{Case, Pattern, Piece};

use crate::event::Event;

/// One filter. Two are equal when they ask the same, however they are written.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    expr: Expr,
    origin: Origin,
}

impl Filter {
    /// Parses a filter's text. Empty text is a filter that matches nothing.
    ///
    /// # Errors
    ///
    /// At the first place that can't be part of a filter.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, Error> {
        let (expr, origin) = parser::parse(text.as_ref())?;
        Ok(Filter { expr, origin })
    }

    /// Whether the event matches this filter on its own. Whether an unnamed event
    /// is asked at all is up to the [`FilterSet`].
    pub fn matches(&self, event: &Event<'_>) -> bool {
        naive::matches(&self.expr, event, &mut |_, _| {})
    }

    /// The one text that stands for all spellings; empty for the empty filter.
    ///
    /// It parses to an equal filter, unless its parentheses nest deeper than
    /// [`NESTING_MAX`]: those of thousands of tests joined in a row do.
    pub fn canonical(&self) -> String {
        canonical::canonical(&self.expr)
    }

    /// Whether Dovecot holds that it can only match named events: some test of
    /// the name is in every alternative, be it under NOT. The empty filter does.
    pub fn requires_event_name(&self) -> bool {
        let mut answers: Vec<bool> = Vec::with_capacity(self.expr.nodes().len());
        for (_, node) in self.expr.nodes() {
            let of = |child: NodeId| answers[child.index()];
            let answer = match node {
                Node::Test(id) => matches!(self.expr.test(id), Test::Name(_)),
                Node::Not(child) => of(child),
                Node::And(left, right) => of(left) || of(right),
                Node::Or(left, right) => of(left) && of(right),
            };
            answers.push(answer);
        }
        answers.pop().unwrap_or(true)
    }

    /// Whether it is the empty filter.
    pub fn is_empty(&self) -> bool {
        self.expr.root().is_none()
    }

    /// What it asks.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Where its parts stand in the text it was parsed from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.expr == other.expr
    }
}

impl Eq for Filter {}

impl std::str::FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Filter::parse(text)
    }
}

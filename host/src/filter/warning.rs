//! What is legal in a filter, and surely not meant.

use std::fmt;
use std::ops::Range;

use super::Filter;
use super::ast::Test;
use super::catalogue;
use super::certain::{self, Asked, Truth};
use super::literal::{Literal, Taken};

/// Something in a filter that deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is.
    pub kind: WarningKind,
    /// The bytes of the filter's text that it is about.
    pub span: Range<usize>,
}

impl Warning {
    /// Whether it should be passed on, `text` being the one that the filter was
    /// parsed from. A value that was taken for something else than text is amiss
    /// only when the field is known to hold text, which is then compared with
    /// another text than the one that was written.
    pub fn is_worth_telling(&self, text: &str) -> bool {
        let WarningKind::Taken { key, normalised, .. } = &self.kind else { return true };
        let written = text.get(self.span.clone()).unwrap_or_default();
        catalogue::holds_text(key) && written.trim_matches('"') != &**normalised
    }
}

/// What deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// AND and OR without parentheses: they have one precedence.
    MixedJoints,
    /// A quote at the end that never ends, which is ignored with all behind it.
    UnclosedQuote,
    /// The whole filter can never match.
    NeverMatches,
    /// A test that is false for every event.
    NeverTrue,
    /// A test that can't be true together with one that is ANDed with it.
    Contradiction,
    /// `<n>m` or `<n>M`, which is neither a size nor an interval.
    AmbiguousUnit,
    /// A category with `*` or `?`, which are no wildcards there.
    CategoryWildcard,
    /// A field's value that was taken for something else than text. Not always
    /// amiss: see [`Warning::is_worth_telling`].
    Taken {
        /// The field.
        key: Box<str>,
        /// What the value was taken for.
        taken: Taken,
        /// The text that text in the field is compared with.
        normalised: Box<str>,
    },
}

/// All warnings about a filter, by their place in its text; those about the
/// whole filter come first.
pub fn warnings(filter: &Filter) -> Vec<Warning> {
    let (expr, origin) = (filter.expr(), filter.origin());
    let findings = certain::find(expr, Asked::Any);
    let mut warnings = Vec::new();
    let mut warn = |kind, span| warnings.push(Warning { kind, span });
    if findings.whole() == Truth::Never {
        warn(WarningKind::NeverMatches, 0..origin.len);
    }
    for span in &origin.mixed {
        warn(WarningKind::MixedJoints, span.clone());
    }
    if let Some(span) = &origin.unclosed {
        warn(WarningKind::UnclosedQuote, span.clone());
    }
    for id in findings.false_tests {
        warn(WarningKind::NeverTrue, origin.test(id).span());
    }
    for id in findings.contradictions {
        warn(WarningKind::Contradiction, origin.test(id).span());
    }
    for (id, test) in expr.tests() {
        if let Some(kind) = about_value(test, origin.test(id).taken) {
            warn(kind, origin.test(id).value.clone());
        }
    }
    warnings.sort_by_key(|warning| (warning.kind != WarningKind::NeverMatches, warning.span.start));
    warnings
}

fn about_value(test: &Test, taken: Option<Taken>) -> Option<WarningKind> {
    match test {
        Test::Category(name) if name.contains(['*', '?']) => Some(WarningKind::CategoryWildcard),
        Test::Field(test) => match (&test.value, taken) {
            (Literal::Ambiguous(_), _) => Some(WarningKind::AmbiguousUnit),
            (value, Some(taken)) if !test.is_duration() => Some(WarningKind::Taken {
                key: test.key.clone(),
                taken,
                normalised: value.text().into(),
            }),
            _ => None,
        },
        _ => None,
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WarningKind::MixedJoints => {
                "AND and OR have the same precedence and join from the left: parentheses make clear \
                 what is meant"
            }
            WarningKind::UnclosedQuote => "this quote never ends; all from here on is ignored",
            WarningKind::NeverMatches => "this filter can never match an event",
            WarningKind::NeverTrue => "this test is false for every event",
            WarningKind::Contradiction => {
                "this can't be true together with what is required before it"
            }
            WarningKind::AmbiguousUnit => {
                "this may be mega or minutes and equals no number: write `mins` or `MB`"
            }
            WarningKind::CategoryWildcard => {
                "a category has no wildcards: this is one category's whole name"
            }
            WarningKind::Taken { key, taken, normalised } => {
                let what = match taken {
                    Taken::Number => "a number",
                    Taken::Address => "an IP address",
                    Taken::Size => "a size",
                    Taken::Interval => "an interval",
                };
                return write!(
                    f,
                    "this was taken for {what}: text in `{key}` is compared with \
                     `{normalised}`; a backslash before it makes it text"
                );
            }
        })
    }
}

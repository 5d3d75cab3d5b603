//! The seam to the filter language.
//!
//! A configuration does not know the language; whoever loads it passes a
//! [`FilterCheck`]. [`check_filter`] is the one to pass.

use std::ops::Range;

use crate::filter::{Filter, warnings};

use super::diagnostic::Severity;

/// Says what is wrong with a filter.
pub type FilterCheck<'a> = dyn Fn(&str) -> Vec<FilterProblem> + 'a;

/// Something about a filter's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterProblem {
    /// How bad it is.
    pub severity: Severity,
    /// The bytes of the text that are meant.
    pub span: Range<usize>,
    /// What it is, as one clause.
    pub message: String,
}

/// Checks a filter with the filter language's own parser.
///
/// Values that were taken for numbers, sizes and the like are reported for
/// fields that are known to hold text.
pub fn check_filter(text: &str) -> Vec<FilterProblem> {
    match Filter::parse(text) {
        Err(error) => vec![FilterProblem {
            severity: Severity::Error,
            span: error.span(),
            message: error.message(),
        }],
        Ok(filter) => warnings(&filter)
            .into_iter()
            .filter(|warning| warning.is_worth_telling(text))
            .map(|warning| FilterProblem {
                severity: Severity::Warning,
                message: warning.kind.to_string(),
                span: warning.span,
            })
            .collect(),
    }
}

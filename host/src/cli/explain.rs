//! `fantail filter --explain`: the filter in words, then each event's verdict.

use std::io::{self, Write};

use super::console::of_output;
use crate::{
    event::Event,
    filter::{
        Filter,
        explain::{Line, Verdict, outline},
        warnings,
    },
};

/// The widest left column, in characters.
const LEFT_MAX: usize = 44;

/// The deepest indentation, in groups.
const DEPTH_MAX: usize = 30;

/// So many tests of a verdict are shown.
const TESTS_MAX: usize = 20;

/// A filter that is explained, with its text.
pub(super) struct Explainer {
    filter: Filter,
    text: String,
}

impl Explainer {
    /// For `filter`, which was parsed from `text`.
    pub(super) fn new(filter: Filter, text: &str) -> Self {
        Explainer { filter, text: text.to_owned() }
    }

    /// Writes how the filter was understood, and what is suspicious about it.
    pub(super) fn filter(&self, out: &mut impl Write) -> io::Result<()> {
        self.write_filter(out).map_err(|error| of_output(&error))
    }

    fn write_filter(&self, out: &mut impl Write) -> io::Result<()> {
        let lines = outline(&self.filter, &self.text);
        if lines.is_empty() {
            writeln!(out, "an empty filter: it matches nothing")?;
        }
        let rows: Vec<_> = lines.iter().map(|line| (left(line), &*line.meaning)).collect();
        write_rows(out, &rows)?;
        let warnings = warnings(&self.filter);
        for warning in warnings.iter().filter(|warning| warning.is_worth_telling(&self.text)) {
            let about = self.text.get(warning.span.clone()).unwrap_or_default();
            writeln!(out, "warning: {}: {}", about.escape_debug(), warning.kind)?;
        }
        Ok(())
    }

    /// Writes the verdict on an event, which came in that line.
    pub(super) fn event(
        &self,
        out: &mut impl Write,
        event: &Event<'_>,
        number: u64,
    ) -> io::Result<()> {
        self.write_event(out, event, number).map_err(|error| of_output(&error))
    }

    fn write_event(&self, out: &mut impl Write, event: &Event<'_>, number: u64) -> io::Result<()> {
        let verdict = Verdict::new(&self.filter, event);
        let answer = if verdict.matches { "matches" } else { "does not match" };
        if verdict.is_dropped {
            return writeln!(
                out,
                "line {number}: {answer}: it has no name, and every way to match needs one"
            );
        }
        writeln!(out, "line {number}: {answer}")?;
        let shown = verdict.decided.iter().take(TESTS_MAX);
        let rows: Vec<_> = shown.map(|it| it.describe(&self.filter, &self.text, event)).collect();
        let rows: Vec<_> =
            rows.iter().map(|(test, why)| (format!("  {test}"), why.as_str())).collect();
        write_rows(out, &rows)?;
        match verdict.decided.len().saturating_sub(TESTS_MAX) {
            0 => Ok(()),
            more => writeln!(out, "  and {more} more"),
        }
    }
}

fn left(line: &Line) -> String {
    format!("{}{}", "  ".repeat(line.depth.min(DEPTH_MAX)), line.text)
}

/// Writes two columns.
fn write_rows(out: &mut impl Write, rows: &[(String, &str)]) -> io::Result<()> {
    let width = |text: &str| text.chars().count();
    let widest = rows.iter().map(|(left, _)| width(left)).filter(|width| *width <= LEFT_MAX).max();
    for (left, right) in rows {
        if right.is_empty() {
            writeln!(out, "{left}")?;
        } else {
            writeln!(out, "{left:0$}  {right}", widest.unwrap_or(0))?;
        }
    }
    Ok(())
}

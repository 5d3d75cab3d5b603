//! What is wrong with a configuration, shown as compilers show it.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::{Place, Sources};

/// So many messages are rendered in full; the rest is only counted.
const RENDERED_MAX: usize = 100;

/// A place's line is shown up to this many bytes on either side of it.
const SHOWN_BYTES_MAX: usize = 2000;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// Surely not meant, but it works.
    Warning,
    /// For information.
    Note,
}

/// One message about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, without the place; names stand in backquotes.
    pub message: String,
    /// Where, unless it is nowhere in a file.
    pub place: Option<Place>,
    /// Stands beside the underlined text; may be empty.
    pub label: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// A second place that belongs to it, and what is there.
    pub related: Option<(Place, String)>,
}

/// All messages about one configuration, with the texts that they point into.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    sources: Sources,
}

/// `1 error`, `2 errors`.
pub fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

// === impl Severity ===

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    pub(super) fn new(
        severity: Severity,
        place: Option<Place>,
        message: impl Into<String>,
    ) -> Self {
        Diagnostic {
            severity,
            message: message.into(),
            place,
            label: String::new(),
            help: String::new(),
            related: None,
        }
    }

    /// An error at a place.
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Some(place), message)
    }

    /// A warning at a place.
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Some(place), message)
    }

    pub(super) fn nowhere(severity: Severity, message: impl Into<String>) -> Self {
        Self::new(severity, None, message)
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    pub(super) fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related = Some((place, label.into()));
        self
    }

    fn render(&self, renderer: &Renderer, sources: &Sources) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = match self.place {
            None => Group::with_title(title),
            Some(place) => title.element(snippet(place, &self.label, sources)),
        };
        if let Some((place, label)) = &self.related {
            group = group.element(snippet(*place, label, sources));
        }
        if !self.help.is_empty() {
            group = group.element(Level::HELP.message(self.help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The lines of `place`, with it underlined.
fn snippet<'a>(
    place: Place,
    label: &'a str,
    sources: &'a Sources,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = sources.text(place.file);
    let (line, column) = sources.line_and_column(place);
    let path = sources.path(place.file).display();
    let line_start = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[place.end..].find('\n').map_or(text.len(), |at| place.end + at);
    // A line of a megabyte is not for reading: cut it around the place. Then
    // the column has to be told apart.
    let from = line_start.max(boundary(text, place.start.saturating_sub(SHOWN_BYTES_MAX)));
    let end = boundary(text, place.end.min(place.start + SHOWN_BYTES_MAX));
    let to = line_end.min(boundary(text, end + SHOWN_BYTES_MAX));
    let path = match from {
        _ if from == line_start => path.to_string(),
        _ => format!("{path} (column {column})"),
    };
    let mut annotation = AnnotationKind::Primary.span(place.start - from..end - from);
    if !label.is_empty() {
        annotation = annotation.label(label);
    }
    Snippet::source(&text[from..to]).line_start(line).path(path).annotation(annotation)
}

/// The last character boundary that is not behind `at`.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

// === impl Diagnostics ===

impl Diagnostics {
    /// Sorts by place, the errors of one place first, and drops repetitions.
    pub(super) fn new(list: Vec<Diagnostic>, sources: Sources) -> Self {
        let mut diagnostics = Diagnostics { list: Vec::new(), sources };
        diagnostics.extend(list);
        diagnostics
    }

    /// Puts more messages among these, each at its place.
    pub fn extend(&mut self, more: impl IntoIterator<Item = Diagnostic>) {
        let mut list = std::mem::take(&mut self.list);
        list.extend(more);
        list.sort_by_key(|diagnostic| match diagnostic.place {
            Some(place) => {
                (false, self.sources.order(place.file), place.start, diagnostic.severity)
            }
            None => (true, 0, 0, diagnostic.severity),
        });
        for diagnostic in list {
            if self.list.iter().rev().take(8).all(|known| *known != diagnostic) {
                self.list.push(diagnostic);
            }
        }
    }

    /// Whether the configuration cannot be used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The messages: in the order of the files, those without a place last.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// The texts that the places point into.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The first 100 messages as text for people, each with how bad it is.
    pub fn rendered(&self, color: bool) -> impl Iterator<Item = (Severity, String)> {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let list = self.list.iter().take(RENDERED_MAX);
        list.map(move |one| (one.severity, one.render(&renderer, &self.sources)))
    }

    /// All messages as text for people, each with its source line underlined.
    ///
    /// `color` asks for terminal colours. At most 100 messages are written
    /// out; the number of the others is.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for (_, rendered) in self.rendered(color) {
            text.push_str(&rendered);
            text.push_str("\n\n");
        }
        if self.list.len() > RENDERED_MAX {
            text.push_str(&format!("... and {} more\n", self.list.len() - RENDERED_MAX));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(0_u64, "error"), "0 errors");
        assert_eq!(counted(1_usize, "error"), "1 error");
        assert_eq!(counted(2_u64, "error"), "2 errors");
    }
}

//! Text to logical lines: comments gone, continued lines joined.
//!
//! A `#` outside quotes begins a comment, and quotes end with their line. A
//! line whose last character is `\` goes on in the next one, with one blank
//! between them. A line with nothing but a comment inside a continued value is skipped; an
//! empty line ends the value. Dovecot forgets what it had of the value at either, so the
//! whole setting: there is no good way to read it, and whoever asks for the value is told.

use super::source::{FileId, Place};
use super::text::Text;

/// Reads one text, line by line.
pub(super) struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
}

/// A logical line that is not empty.
#[derive(Debug)]
pub(super) struct Line {
    /// Without comments, and without blanks around it.
    pub(super) text: Text,
    /// What may not be meant as it was read.
    pub(super) doubt: Option<Doubt>,
}

/// Something in a line that is read in one way and may be meant in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A `#` that begins a comment although no blank stands before it.
    Comment(Place),
    /// A value that goes on in the next line, and there is a comment, or nothing.
    Break(Place),
}

impl<'a> Lexer<'a> {
    pub(super) fn new(file: FileId, text: &'a str) -> Self {
        // A byte order mark says nothing in UTF-8; some editors write one.
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Lexer { file, text, at }
    }

    /// The next logical line.
    pub(super) fn line(&mut self) -> Option<Line> {
        let mut line = Line { text: Text::new(self.place(self.at, self.at)), doubt: None };
        // The last `\` at the end of a line.
        let mut goes_on = self.place(self.at, self.at);
        while let Some((start, raw)) = self.physical_line() {
            let comment = comment_start(raw);
            if let Some(at) = comment
                && !raw[..at].is_empty()
                && !raw[..at].ends_with(char::is_whitespace)
            {
                line.doubt.get_or_insert(Doubt::Comment(self.place(start + at, start + at + 1)));
            }
            let content = raw[..comment.unwrap_or(raw.len())].trim_end();
            let indent = content.len() - content.trim_start().len();
            let content = &content[indent..];
            if content.is_empty() {
                if line.text.as_str().is_empty() {
                    continue;
                }
                let Some(at) = comment else {
                    line.doubt = Some(Doubt::Break(goes_on));
                    return Some(line);
                };
                line.doubt = Some(Doubt::Break(self.place(start + at, start + raw.len())));
                continue;
            }
            let end = start + indent + content.len();
            goes_on = self.place(end - 1, end);
            let unfinished = content.strip_suffix('\\').map(str::trim_end);
            let content = unfinished.unwrap_or(content);
            let place = self.place(start + indent, start + indent + content.len());
            if line.text.as_str().is_empty() {
                line.text = Text::new(place.head());
            } else if !content.is_empty() {
                line.text.push_standing_for(" ", place.head());
            }
            line.text.push_verbatim(content, place);
            if unfinished.is_none() {
                return Some(line);
            }
        }
        // The text ends behind a `\`.
        line.doubt = Some(Doubt::Break(goes_on));
        (!line.text.as_str().is_empty()).then_some(line)
    }

    /// The next line as it stands in the text, and its offset.
    pub(super) fn physical_line(&mut self) -> Option<(usize, &'a str)> {
        let start = self.at;
        let rest = &self.text[start..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.find('\n').unwrap_or(rest.len());
        self.at = (start + length + 1).min(self.text.len());
        Some((start, rest[..length].strip_suffix('\r').unwrap_or(&rest[..length])))
    }

    /// A place of this text.
    pub(super) fn place(&self, start: usize, end: usize) -> Place {
        Place { file: self.file, start, end }
    }
}

/// Where a line's comment begins. An unterminated quote has none behind it.
fn comment_start(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'#' => return Some(at),
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Doubt, Lexer};
    use crate::config::source::Sources;

    #[test]
    fn lines_are_joined_and_lose_their_comments() {
        let check = |text: &str, expected: &[&str]| {
            let mut sources = Sources::default();
            let file = sources.add("a".into(), text.into(), 0);
            let mut lexer = Lexer::new(file, sources.text(file));
            let mut lines = Vec::new();
            while let Some(line) = lexer.line() {
                lines.push(line.text.as_str().to_owned());
            }
            assert_eq!(lines, expected, "{text:?}");
        };
        check("", &[]);
        check("\n # c\n\n", &[]);
        check("a = b # c\r\n  c\t=  d", &["a = b", "c\t=  d"]);
        check("a = \"#\" '#' # c", &["a = \"#\" '#'"]);
        check("a = \"\\\"#\" # c", &["a = \"\\\"#\""]);
        check("a = don't # c", &["a = don't # c"]);
        check("a = b#c", &["a = b"]);
        check("a = b \\\n    c\\\n d", &["a = b c d"]);
        check("a = b \\ # why\n c", &["a = b c"]);
        check("a = b \\\n # why\n c", &["a = b c"]);
        check("a = b \\\n\nc = d", &["a = b", "c = d"]);
        check("a = b \\", &["a = b"]);
        check("\\\n\\\na", &["a"]);
        check("\u{feff}a = b", &["a = b"]);
    }

    #[test]
    fn what_may_not_be_meant_is_told() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let mut sources = Sources::default();
            let file = sources.add("a".into(), text.into(), 0);
            let doubt = Lexer::new(file, sources.text(file)).line().unwrap().doubt;
            let found = doubt.map(|doubt| match doubt {
                Doubt::Comment(place) => ("comment", &text[place.start..place.end]),
                Doubt::Break(place) => ("break", &text[place.start..place.end]),
            });
            assert_eq!(found, expected, "{text:?}");
        };
        check("a = b # c\n", None);
        check("a = b#c\n", Some(("comment", "#")));
        check("a = b \\ # c\n c\n", None);
        check("a = b \\\n c # d\n", None);
        check("# c \\\na = b\n", None);
        check("\\\n# c\na = b", None);
        check("a = b \\\n # why\n c\n", Some(("break", "# why")));
        check("a = b#c \\\n", Some(("comment", "#")));
        check("a = b \\\n\nc = d\n", Some(("break", "\\")));
        check("a = b \\", Some(("break", "\\")));
    }

    #[test]
    fn places_survive_joining() {
        let text = "a = one \\\n    two";
        let mut sources = Sources::default();
        let file = sources.add("a".into(), text.into(), 0);
        let line = Lexer::new(file, sources.text(file)).line().unwrap();
        assert_eq!(line.text.as_str(), "a = one two");
        let place = line.text.place_of(8..11);
        assert_eq!(&text[place.start..place.end], "two");
        assert_eq!(sources.line_and_column(place), (2, 5));
        let both = line.text.place_of(4..11);
        assert_eq!(&text[both.start..both.end], "one \\\n    two");
    }
}

//! Logical lines to a tree. Parsing never stops: what makes no sense becomes
//! a message, and the next line is read.
//!
//! A line is `key = value`, `kind [name] {`, `}`, `!include PATTERN` or
//! `!include_try PATTERN`. Values: quotes around the whole value go away with
//! their backslashes; `<PATH` is a file's content; `<<WORD` takes the lines up
//! to one that is WORD, without the last line end; an unquoted `$` makes a value with variables.

use super::diagnostic::Diagnostic;
use super::lexer::{Lexer, Line};
use super::source::FileId;
use super::text::Text;
use super::tree::{BlockId, Tree, Value};

/// Blocks are nested at most this deep; Dovecot's own need five.
const BLOCK_DEPTH_MAX: usize = 32;

/// Blocks that never stand in one another. When one opens inside another, a
/// `}` is missing.
const OUTERMOST: &[&str] = &["event_exporter", "metric", "input"];

/// What the parser fills.
pub(super) struct Parser {
    pub(super) tree: Tree,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The open blocks, outermost first; the top level is always there.
    open: Vec<BlockId>,
    /// Open blocks whose content goes nowhere, since their first line is wrong.
    skipped: usize,
}

/// An `!include` line.
pub(super) struct Include {
    pub(super) pattern: Text,
    /// Whether it may match nothing.
    pub(super) optional: bool,
}

impl Parser {
    pub(super) fn new(tree: Tree) -> Self {
        Parser { tree, diagnostics: Vec::new(), open: vec![Tree::TOP], skipped: 0 }
    }

    /// Parses one text into the block that is open now. `include` is called
    /// for each include, and may parse other texts with the parser.
    pub(super) fn text(
        &mut self,
        file: FileId,
        text: &str,
        include: &mut dyn FnMut(&mut Parser, Include),
    ) {
        let mut lexer = Lexer::new(file, text);
        let depth = self.open.len();
        while let Some(line) = lexer.line() {
            if let Some(found) = self.line(line, depth, &mut lexer) {
                include(self, found);
            }
        }
        self.skipped = 0;
        for id in self.open.drain(depth..).rev() {
            let block = self.tree.block(id);
            self.diagnostics.push(
                Diagnostic::error(block.place(), format!("{} is never closed", block.title()))
                    .label("opened here")
                    .help("close it with a `}` on a line of its own"),
            );
        }
    }

    fn line(&mut self, line: Line, depth: usize, lexer: &mut Lexer<'_>) -> Option<Include> {
        let Line { text, doubt } = line;
        let (key, rest) = self.key(&text)?;
        let after = &text.as_str()[rest..];
        if let Some(value) = after.strip_prefix('=') {
            let start = text.as_str().len() - value.trim_start().len();
            let value = self.value(&text, start, lexer);
            let block = *self.open.last().expect("invariant: the top level is open");
            if self.skipped == 0 {
                self.tree.set(block, key, value, doubt);
            }
            return None;
        }
        match key.as_str() {
            "!include" | "!include_try" => {
                let optional = key.as_str() == "!include_try";
                return Some(Include { pattern: text.part(rest..text.as_str().len()), optional });
            }
            "}" => self.close(&text, after, depth),
            _ => self.block(&text, key, rest, depth),
        }
        None
    }

    /// A line's first word, and where what follows it begins.
    fn key(&mut self, text: &Text) -> Option<(Text, usize)> {
        let whole = text.as_str();
        let (key, end) = if whole.starts_with('"') {
            let Some(end) = closing_quote(whole, 0) else {
                self.error(text, "a quote is never closed", "begins here");
                return None;
            };
            (self.unquoted(text, 1..end).0, end + 1)
        } else {
            let end = whole.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(whole.len());
            (text.part(0..end), end)
        };
        let blanks = whole[end..].len() - whole[end..].trim_start().len();
        Some((key, end + blanks))
    }

    fn value(&mut self, line: &Text, start: usize, lexer: &mut Lexer<'_>) -> Value {
        let text = line.as_str()[start..].trim_end();
        let end = start + text.len();
        if let Some(marker) = text.strip_prefix("<<").map(str::trim_start).filter(|m| !m.is_empty())
        {
            return Value::Plain(self.lines_until(line, start..end, marker, lexer));
        }
        if let Some(path) = text.strip_prefix('<') {
            return Value::File(line.part(end - path.trim_start().len()..end));
        }
        let quote = text.chars().next().filter(|&first| first == '"' || first == '\'');
        // Quotes around the whole value go, and it makes no difference whether
        // the two belong together: that is how Dovecot reads the line.
        if quote.is_some_and(|quote| text.len() >= 2 && text.ends_with(quote)) {
            let (text, odd_escape) = self.unquoted(line, start + 1..end - 1);
            return Value::Quoted { text, odd_escape };
        }
        let part = line.part(start..end);
        if quote.is_none() && text.contains('$') {
            Value::WithVariables(part)
        } else {
            Value::Plain(part)
        }
    }

    /// What stands between two quotes, and the first backslash that escapes
    /// neither a quote nor a backslash. Such a backslash goes as well.
    fn unquoted(
        &mut self,
        line: &Text,
        range: std::ops::Range<usize>,
    ) -> (Text, Option<super::source::Place>) {
        let mut text = Text::new(line.place_of(range.start..range.start));
        let mut odd = None;
        let mut at = range.start;
        while at < range.end {
            let rest = &line.as_str()[at..range.end];
            let plain = rest.find('\\').unwrap_or(rest.len());
            text.push_part(line, at..at + plain);
            at += plain;
            let Some(escaped) = line.as_str()[at..range.end].chars().nth(1) else { break };
            if !matches!(escaped, '"' | '\'' | '\\') && odd.is_none() {
                odd = Some(line.place_of(at..at + 1 + escaped.len_utf8()));
            }
            text.push_part(line, at + 1..at + 1 + escaped.len_utf8());
            at += 1 + escaped.len_utf8();
        }
        (text, odd)
    }

    fn lines_until(
        &mut self,
        line: &Text,
        range: std::ops::Range<usize>,
        marker: &str,
        lexer: &mut Lexer<'_>,
    ) -> Text {
        let place = line.place_of(range);
        let mut text = Text::new(place);
        let mut first = true;
        while let Some((start, raw)) = lexer.physical_line() {
            if raw == marker {
                return text;
            }
            let place = lexer.place(start, start + raw.len());
            if !first {
                text.push_standing_for("\n", place.head());
            }
            first = false;
            text.push_verbatim(raw, place);
        }
        self.diagnostics.push(
            Diagnostic::error(place, format!("there is no line `{marker}` to end this value"))
                .label("begins here"),
        );
        text
    }

    fn close(&mut self, text: &Text, after: &str, depth: usize) {
        if !after.is_empty() {
            self.error(text, "`}` stands on a line of its own", "more than a `}`");
        }
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if self.open.len() > depth {
            self.open.pop();
        } else {
            self.error(text, "this `}` closes nothing", "no block of this file is open here");
        }
    }

    /// `kind [name] {`, and everything that is no line at all.
    fn block(&mut self, text: &Text, kind: Text, rest: usize, depth: usize) {
        let whole = text.as_str();
        let brace = match kind.as_str() {
            // `group @NAME NAME {` of Dovecot 2.4.
            "group" => whole.find(" {").map(|at| at + 1).filter(|brace| *brace > rest),
            _ => opening_brace(whole, rest),
        };
        let Some(brace) = brace else {
            let (message, help) = if whole.ends_with('{') {
                (
                    "expected `kind name {`",
                    "names with blanks want quotes; a blank stands before `{`",
                )
            } else {
                (
                    "expected `=` or `{`",
                    "a line is `setting = value`, `block name {`, `}` or a `# comment`",
                )
            };
            self.diagnostics.push(Diagnostic::error(text.place(), message).help(help));
            if whole.ends_with('{') {
                self.skipped += 1;
            }
            return;
        };
        let written = whole[rest..brace].trim_end();
        let name = match written.chars().next() {
            None => None,
            Some('"') if kind.as_str() != "group" => {
                Some(self.unquoted(text, rest + 1..rest + written.len() - 1).0)
            }
            Some(_) => Some(text.part(rest..rest + written.len())),
        };
        self.open_block(kind, name, depth);
        let behind = whole[brace + 1..].trim_start();
        if !behind.is_empty() && behind != "}" {
            let place = text.place_of(whole.len() - behind.len()..whole.len());
            self.diagnostics.push(
                Diagnostic::error(place, "nothing stands behind `{`")
                    .help("write each setting, and the closing `}`, on a line of its own"),
            );
        }
        if behind.ends_with('}') {
            self.close(text, "", depth);
        }
    }

    fn open_block(&mut self, kind: Text, name: Option<Text>, depth: usize) {
        if self.skipped > 0 {
            self.skipped += 1;
            return;
        }
        if self.open.len() > BLOCK_DEPTH_MAX {
            self.error(&kind, "blocks are nested too deep", "the 33rd level");
            self.skipped += 1;
            return;
        }
        if OUTERMOST.contains(&kind.as_str())
            && let Some(&outer) = self.open.get(1)
            && OUTERMOST.contains(&self.tree.block(outer).kind.as_str())
            && depth == 1
        {
            let block = self.tree.block(outer);
            let message = format!("{} is not closed before the next block", block.title());
            self.diagnostics.push(
                Diagnostic::error(kind.place(), message)
                    .label("a `}` is missing before this line")
                    .related(block.place(), "opened here"),
            );
            self.open.truncate(depth);
        }
        let parent = *self.open.last().expect("invariant: the top level is open");
        let id = self.tree.open(parent, kind, name);
        self.open.push(id);
    }

    fn error(&mut self, text: &Text, message: &str, label: &str) {
        self.diagnostics.push(Diagnostic::error(text.place(), message).label(label));
    }
}

/// Where the quote that begins at `open` ends.
fn closing_quote(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// Where the `{` stands behind an optional name that begins at `from`.
fn opening_brace(text: &str, from: usize) -> Option<usize> {
    let rest = &text[from..];
    let name = match rest.chars().next()? {
        '{' => 0,
        '"' => closing_quote(text, from)? + 1 - from,
        _ => rest.find(char::is_whitespace)?,
    };
    let behind = rest[name..].trim_start();
    behind.starts_with('{').then(|| text.len() - behind.len())
}

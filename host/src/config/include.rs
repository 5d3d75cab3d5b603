//! From paths to a tree: directories, includes, and the limits on both.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use glob::Pattern;

use super::diagnostic::{Diagnostic, Severity};
use super::files::{Files, directory_pattern};
use super::ignored::Ignored;
use super::parser::{Include, Parser};
use super::source::{FileId, Place, Sources};
use super::tree::Tree;
use super::{assumed, groups};

/// A file may have this many bytes.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 20;
/// All files together may have this many bytes.
const TOTAL_BYTES_MAX: u64 = 64 << 20;
/// So many files may be read.
const FILES_MAX: usize = 1000;
/// Includes are nested at most this deep.
const INCLUDE_DEPTH_MAX: usize = 16;

/// What reading comes to.
pub(super) struct Read {
    pub(super) tree: Tree,
    pub(super) sources: Sources,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// What stood in the tree and means something else to Dovecot.
    pub(super) ignored: Vec<Ignored>,
}

/// Reads the paths in order as one configuration; a directory stands for its
/// `*.conf` files in name order.
pub(super) fn read(paths: &[PathBuf], files: &dyn Files) -> Read {
    let mut sources = Sources::default();
    // The top level itself stands nowhere; an empty text gives it a place.
    let nowhere = sources.add(PathBuf::new(), String::new(), usize::MAX);
    let anchor = Place { file: nowhere, start: 0, end: 0 };
    let mut parser = Parser::new(Tree::new(anchor));
    let mut reader = Reader { files, sources, bytes: 0, root: 0, open: Vec::new(), full: false };
    for (root, path) in paths.iter().enumerate() {
        reader.root = root;
        if !files.is_dir(path) {
            reader.file(path, &mut parser, None);
            continue;
        }
        match files.glob(&directory_pattern(path)) {
            Ok(found) if found.is_empty() => parser.diagnostics.push(Diagnostic::nowhere(
                Severity::Warning,
                format!("there is no `*.conf` file in {}", path.display()),
            )),
            Ok(found) => found.iter().for_each(|file| reader.file(file, &mut parser, None)),
            Err(error) => parser.diagnostics.push(unreadable(path, None, &error.to_string())),
        }
    }
    let mut sources = reader.sources;
    let ignored = assumed::complete(&mut parser, &mut sources);
    let Parser { mut tree, mut diagnostics, .. } = parser;
    diagnostics.extend(groups::expand(&mut tree));
    Read { tree, sources, diagnostics, ignored }
}

struct Reader<'a> {
    files: &'a dyn Files,
    sources: Sources,
    bytes: u64,
    root: usize,
    /// The files that are being read, outermost first.
    open: Vec<PathBuf>,
    /// Whether a limit has been reached, and reported.
    full: bool,
}

impl Reader<'_> {
    /// Reads a file; `from` is the include that wants it.
    fn file(&mut self, path: &Path, parser: &mut Parser, from: Option<&Include>) {
        if self.full {
            return;
        }
        if self.sources.len() > FILES_MAX || self.bytes > TOTAL_BYTES_MAX {
            self.full = true;
            let why = format!("more than {FILES_MAX} files or {TOTAL_BYTES_MAX} bytes");
            parser.diagnostics.push(unreadable(path, from, &why));
            return;
        }
        let content = match self.files.read(path, FILE_BYTES_MAX) {
            Ok(content) => content,
            Err(error) => {
                parser.diagnostics.push(unreadable(path, from, &error.to_string()));
                return;
            }
        };
        self.bytes += content.len() as u64;
        let file = self.text(path, content, parser);
        let text: Rc<str> = self.sources.text(file).into();
        self.open.push(path.to_owned());
        parser.text(file, &text, &mut |parser, include| self.include(path, &include, parser));
        self.open.pop();
    }

    fn text(&mut self, path: &Path, content: Vec<u8>, parser: &mut Parser) -> FileId {
        let (text, wrong) = match String::from_utf8(content) {
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
            }
        };
        let file = self.sources.add(path.to_owned(), text, self.root);
        if let Some(start) = wrong {
            let place = Place { file, start, end: start + char::REPLACEMENT_CHARACTER.len_utf8() };
            parser.diagnostics.push(
                Diagnostic::error(place, "not UTF-8").label("this byte is not part of a character"),
            );
        }
        file
    }

    fn include(&mut self, within: &Path, include: &Include, parser: &mut Parser) {
        let place = include.pattern.place();
        let written = include.pattern.as_str();
        // Only what the user wrote is a pattern, not the directory it is in.
        let directory =
            Pattern::escape(&within.parent().unwrap_or(Path::new("")).to_string_lossy());
        let pattern = Path::new(&directory).join(written).to_string_lossy().into_owned();
        if self.open.len() > INCLUDE_DEPTH_MAX {
            parser.diagnostics.push(Diagnostic::error(place, "includes are nested too deep"));
            return;
        }
        let found = match self.files.glob(&pattern) {
            Ok(found) => found,
            Err(error) => {
                parser.diagnostics.push(unreadable(
                    Path::new(&pattern),
                    Some(include),
                    &error.to_string(),
                ));
                return;
            }
        };
        if found.is_empty() && !include.optional {
            let message = format!("no file matches `{written}`");
            parser.diagnostics.push(
                Diagnostic::error(place, message)
                    .help("`!include_try` is content when there is no such file"),
            );
        }
        for path in found {
            if self.open.contains(&path) {
                let message = format!("{} includes itself", path.display());
                parser.diagnostics.push(Diagnostic::error(place, message));
            } else {
                self.file(&path, parser, Some(include));
            }
        }
    }
}

/// A path as a file means it: relative to the file's own directory.
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

fn unreadable(path: &Path, from: Option<&Include>, why: &str) -> Diagnostic {
    let message = format!("cannot read {}: {why}", path.display());
    match from {
        Some(include) if include.optional => Diagnostic::warning(include.pattern.place(), message),
        Some(include) => Diagnostic::error(include.pattern.place(), message),
        None => Diagnostic::nowhere(Severity::Error, message),
    }
}

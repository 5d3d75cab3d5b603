//! Asks a block's settings for typed values, by the settings table.
//!
//! A setting that a block does not have is looked for at the top level, under
//! its long name (`event_exporter_queue_full`): there it is the default of all
//! blocks of the kind, as in Dovecot 2.4. Then the table's default counts.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Severity};
use super::ignored::Ignored;
use super::source::{Place, Placed};
use super::table::{self, BlockKind, Kind};
use super::text::Text;
use super::tree::{Block, BlockId, Setting, Tree};
use super::value::{self, Wrong};
use super::variables::Variables;

/// Reads settings, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) tree: &'a Tree,
    pub(super) variables: Variables<'a>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Which of the diagnostics say that a block does not have something.
    absent: Vec<(usize, (BlockId, String))>,
    /// What was probably meant by unknown names, and in which blocks.
    meant: Vec<(BlockId, String)>,
    /// What means nothing here, and is no error.
    pub(super) ignored: Vec<Ignored>,
    /// Whether a name is unknown that may be a plugin's, or one of its settings.
    pub(super) plugin_missed: bool,
}

/// A block and what kind of block it is taken for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) id: BlockId,
    pub(super) kind: BlockKind,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a Tree, variables: Variables<'a>) -> Self {
        Reader {
            tree,
            variables,
            diagnostics: Vec::new(),
            absent: Vec::new(),
            meant: Vec::new(),
            ignored: Vec::new(),
            plugin_missed: false,
        }
    }

    /// All that is wrong, once it was read. What a block does not have because its name there
    /// is misspelt is wrong once.
    pub(super) fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        let meant: HashSet<_> = self.meant.drain(..).collect();
        let consequences: HashSet<usize> = self
            .absent
            .drain(..)
            .filter(|(_, what)| meant.contains(what))
            .map(|(number, _)| number)
            .collect();
        let numbered = self.diagnostics.drain(..).enumerate();
        numbered
            .filter(|(number, _)| !consequences.contains(number))
            .map(|(_, problem)| problem)
            .collect()
    }

    pub(super) fn block(&self, section: Section) -> &'a Block {
        self.tree.block(section.id)
    }

    /// A block's name, which it must have.
    pub(super) fn name(&mut self, section: Section) -> Placed<String> {
        let block = self.block(section);
        let name = block.name.as_ref().map_or("", Text::as_str);
        if name.is_empty() {
            let kind = block.kind.as_str();
            self.error(block.place(), format!("{kind} needs a name"), format!("`{kind} NAME {{`"));
        }
        Placed::new(name.to_owned(), block.place())
    }

    /// The last setting with one of these names in the block, and whether it
    /// is the block's own or a default from the top level.
    pub(super) fn find(
        &self,
        section: Section,
        is_called: impl Fn(&str) -> bool,
    ) -> Option<(BlockId, &'a Setting)> {
        let kind = section.kind;
        let own = |setting: &&Setting| {
            !setting.foreign && is_called(kind.short_name(setting.key.as_str()))
        };
        let block = self.block(section);
        if let Some(found) = block.settings.iter().rev().find(own) {
            return Some((section.id, found));
        }
        let long = |setting: &&Setting| {
            let key = setting.key.as_str();
            kind.has_defaults() && kind.short_name(key) != key && is_called(kind.short_name(key))
        };
        let top = self.tree.block(Tree::TOP);
        top.settings.iter().rev().find(long).map(|found| (Tree::TOP, found))
    }

    /// Whether the configuration has a setting.
    pub(super) fn is_written(&self, section: Section, name: &str) -> bool {
        let entry = entry(section.kind, name);
        self.find(section, |key| entry.is_called(key)).is_some()
    }

    /// A setting's value as text, if it was written and is not empty.
    pub(super) fn written(&mut self, section: Section, name: &str) -> Option<Text> {
        let entry = entry(section.kind, name);
        let (block, found) = self.find(section, |key| entry.is_called(key))?;
        let text = self.variables.value(block, found, &mut self.diagnostics);
        (!text.as_str().is_empty()).then_some(text)
    }

    /// A setting's value, read by `read`, or else its default.
    fn typed<T>(
        &mut self,
        section: Section,
        name: &str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        let entry = entry(section.kind, name);
        if let Some(text) = self.written(section, name) {
            match read(text.as_str()) {
                Ok(value) => return Some(Placed::new(value, text.place())),
                Err(wrong) => self.wrong(&text, &wrong, entry.kind),
            }
        }
        let default = read(entry.default).ok()?;
        Some(Placed::new(default, self.block(section).place()))
    }

    /// A text; `None` when there is neither a value nor a default.
    pub(super) fn text(&mut self, section: Section, name: &str) -> Option<Placed<String>> {
        self.typed(section, name, |word| {
            if word.is_empty() { Err(String::new()) } else { Ok(word.to_owned()) }
        })
    }

    /// A path.
    pub(super) fn path(&mut self, section: Section, name: &str) -> Option<Placed<PathBuf>> {
        self.text(section, name).map(|path| Placed::new(path.value.into(), path.place))
    }

    /// A duration, which the table gives a default.
    pub(super) fn duration(&mut self, section: Section, name: &str) -> Placed<Duration> {
        let read = self.typed(section, name, value::duration);
        read.expect("invariant: durations have defaults in the table")
    }

    /// A size in bytes, which the table gives a range and a default.
    pub(super) fn size(&mut self, section: Section, name: &str) -> u64 {
        let Kind::Size(min, max) = entry(section.kind, name).kind else { return 0 };
        let read = self.typed(section, name, |word| match value::size(word)? {
            bytes if bytes < min => Err(format!("is less than {}", value::print_size(min))),
            bytes if bytes > max => Err(format!("is more than {}", value::print_size(max))),
            bytes => Ok(bytes),
        });
        read.expect("invariant: sizes have defaults in the table").value
    }

    /// A number, which the table gives a range.
    pub(super) fn number(&mut self, section: Section, name: &str) -> Option<Placed<i64>> {
        let Kind::Number(min, max) = entry(section.kind, name).kind else { return None };
        self.typed(section, name, |word| value::number(word, min, max))
    }

    /// A number that is a count, and has a default in the table.
    pub(super) fn count(&mut self, section: Section, name: &str) -> usize {
        let read = self.number(section, name).and_then(|read| usize::try_from(read.value).ok());
        read.expect("invariant: counts have defaults in the table and are not negative")
    }

    /// A file mode, which the table gives a default.
    pub(super) fn mode(&mut self, section: Section, name: &str) -> u32 {
        let read = self.typed(section, name, value::mode);
        read.expect("invariant: modes have defaults in the table").value
    }

    /// One of the words that the table lists, as its index there.
    pub(super) fn choice(&mut self, section: Section, name: &str) -> Option<Placed<usize>> {
        let Kind::Choice(words) = entry(section.kind, name).kind else { return None };
        self.typed(section, name, |word| {
            let index = words.iter().position(|known| *known == word);
            index.ok_or_else(|| format!("is none of {}", words.join(", ")))
        })
    }

    /// The words of a list: those of the setting, or else of the default,
    /// changed by the `word = yes` and `word = no` lines of a block.
    pub(super) fn list(&mut self, section: Section, name: &str) -> Vec<Placed<String>> {
        let entry = entry(section.kind, name);
        let place = self.block(section).place();
        let found = self.find(section, |key| entry.is_called(key));
        let mut list = match found {
            Some((block, setting)) => {
                split(&self.variables.value(block, setting, &mut self.diagnostics))
            }
            None => split(&Text::standing_for(entry.default, place)),
        };
        let whole_list = found.map_or(0, |(_, setting)| setting.order);
        let is_list = |block: &Block, id: BlockId| {
            let kind = block.kind.as_str();
            let is_long = id != Tree::TOP || section.kind.short_name(kind) != kind;
            block.name.is_none() && is_long && entry.is_called(section.kind.short_name(kind))
        };
        // A default's block stands outside, unless the block has a list of its own.
        let own = found.is_some_and(|(block, _)| block == section.id);
        let outside =
            (!own && section.id != Tree::TOP && section.kind.has_defaults()).then_some(Tree::TOP);
        for parent in outside.into_iter().chain([section.id]) {
            for (id, block) in self.tree.children(parent).filter(|(_, b)| is_list(b, parent)) {
                for setting in block.settings.iter().filter(|one| one.order > whole_list) {
                    self.change(&mut list, id, setting);
                }
            }
        }
        list
    }

    /// Adds a word to a list or takes it out: `word = yes` or `word = no`.
    fn change(&mut self, list: &mut Vec<Placed<String>>, block: BlockId, setting: &Setting) {
        let text = self.variables.value(block, setting, &mut self.diagnostics);
        let word = setting.key.as_str();
        match value::boolean(text.as_str()) {
            Ok(true) if list.iter().any(|known| known.value == word) => {}
            Ok(true) => list.push(Placed::new(word.to_owned(), setting.key.place())),
            Ok(false) => list.retain(|known| known.value != word),
            Err(wrong) => self.wrong(&text, &wrong, Kind::Choice(&["yes", "no"])),
        }
    }

    /// Reports settings and blocks that the block has and should not have.
    /// `is_known` says what else than the table's settings belongs there;
    /// `others` are further names to suggest.
    pub(super) fn refuse_unknown(
        &mut self,
        section: Section,
        variant: &str,
        is_known: impl Fn(&str) -> bool,
        others: &[&str],
    ) {
        let Section { kind, .. } = section;
        let block = self.block(section);
        let keys = block.settings.iter().map(|setting| (&setting.key, "setting"));
        let lists = self.tree.children(section.id).map(|(_, child)| (&child.kind, "block"));
        for (key, what) in keys.chain(lists) {
            let name = kind.short_name(key.as_str());
            let entry = kind.setting(name);
            if is_known(name) || entry.is_some_and(|entry| entry.belongs_to(variant)) {
                continue;
            }
            let unknown = if name.is_empty() { key.as_str() } else { name };
            let mut problem = Diagnostic::error(
                key.place(),
                format!("unknown {what} `{unknown}` in {}", block.title()),
            );
            let candidates = kind.settings().filter(|entry| entry.belongs_to(variant));
            let candidates = candidates.map(|entry| entry.name).chain(others.iter().copied());
            if let Some(entry) = entry {
                problem = problem.label(format!("only for {}", entry.only.join(", ")));
            } else if let Some(near) = value::nearest(name, candidates) {
                problem = problem.label(format!("did you mean `{near}`?"));
                self.meant.push((section.id, near.to_owned()));
            }
            self.diagnostics.push(problem);
        }
    }

    /// Reports a value that is not of its type.
    pub(super) fn wrong(&mut self, text: &Text, wrong: &str, kind: Kind) {
        let mut problem = Diagnostic::error(text.place(), format!("`{}` {wrong}", short(text)));
        if let Kind::Choice(words) = kind
            && let Some(near) = value::nearest(text.as_str(), words.iter().copied())
        {
            problem = problem.label(format!("did you mean `{near}`?"));
        }
        self.diagnostics.push(problem);
    }

    /// Whether an error was reported since there were so many messages.
    pub(super) fn has_errors_since(&self, messages: usize) -> bool {
        self.diagnostics[messages..].iter().any(|found| found.severity == Severity::Error)
    }

    /// Reports an error.
    pub(super) fn error(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::error(place, message).help(help));
    }

    /// Reports a setting that the block must have.
    pub(super) fn missing(&mut self, section: Section, name: &str) {
        let message = format!("{} has no `{name}`", self.block(section).title());
        let entry = section.kind.setting(name);
        let help = entry.map_or(String::new(), |entry| format!("{name}: {}", entry.doc));
        self.absent(section, name, message, help);
    }

    /// Reports with this message that the block does not have the setting `name`.
    pub(super) fn absent(
        &mut self,
        section: Section,
        name: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.absent.push((self.diagnostics.len(), (section.id, name.to_owned())));
        self.error(self.block(section).place(), message, help);
    }
}

/// The words of a list, each with its place.
pub(super) fn split(text: &Text) -> Vec<Placed<String>> {
    let words = value::words(text.as_str()).into_iter();
    words
        .map(|range| Placed::new(text.as_str()[range.clone()].to_owned(), text.place_of(range)))
        .collect()
}

/// A value for a message: its beginning, when it is long.
pub(super) fn short(text: &Text) -> String {
    const SHOWN: usize = 60;
    let text = text.as_str();
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain("...".chars()).collect()
}

fn entry(kind: BlockKind, name: &str) -> &'static table::Setting {
    kind.setting(name).expect("invariant: only settings of the table are asked for")
}

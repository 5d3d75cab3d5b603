//! Values as they are used: variables replaced, files read, odd things told.
//!
//! A value is only evaluated when somebody asks for it, so that the files and
//! variables of other programs' settings are never touched. As in Dovecot,
//! variables are whole words of unquoted values:
//!
//! * `$ENV:NAME` is an environment variable; an unset one is empty.
//! * `$SET:NAME` is another setting's final value; inside the setting of that
//!   very name, the value that it had before. `$SET:a/b/NAME` looks into the
//!   block `b` of kind `a`.
//! * `$NAME`, the form of 2.3, is the value that the setting had before this
//!   line. It is plain text when there is no such setting, and in
//!   configurations with a `dovecot_config_version`, which are newer.

use std::path::Path;

use super::assumed;
use super::diagnostic::Diagnostic;
use super::files::Files;
use super::include::{FILE_BYTES_MAX, beside};
use super::lexer::Doubt;
use super::source::{Place, Sources};
use super::text::Text;
use super::tree::{BlockId, Setting, Tree, Value};

/// Fewer variables than this may be replaced for one value, those within the
/// values of variables included.
const EXPANSIONS_MAX: usize = 200;

/// An evaluated value may have this many bytes.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// What Dovecot says when the configuration does not, for the names that the
/// listeners of its stats service use.
const DOVECOT_DEFAULTS: &[(&str, &str)] = &[
    ("base_dir", "/run/dovecot"),
    ("default_internal_group", "dovecot"),
    ("default_internal_user", "dovecot"),
    ("default_login_user", "dovenull"),
    ("listen", "*, ::"),
];

/// How variables of Dovecot 2.4 begin that mean the same for every event.
const GLOBALS: &[&str] = &["%{env:", "%{system:"];

/// The file that is the machine's name.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// What is said of a value that may not be meant as it was read.
fn doubtful(doubt: Doubt) -> Diagnostic {
    match doubt {
        Doubt::Comment(place) => {
            Diagnostic::warning(place, "the value ends here: `#` begins a comment")
                .help("put the value in quotes, or a blank before the `#`")
        }
        Doubt::Break(place) => {
            let message = "the value goes on, but not in the next line: Dovecot itself forgets the \
                           whole setting then";
            Diagnostic::warning(place, message).help(
                "let no comment line and no empty line follow a `\\` at a line's end; a comment \
                 above the setting, or behind a `\\`, harms nothing",
            )
        }
    }
}

/// Looks up an environment variable.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Evaluates the values of one tree.
pub(super) struct Variables<'a> {
    tree: &'a Tree,
    sources: &'a Sources,
    files: &'a dyn Files,
    environment: &'a Environment<'a>,
    /// Whether `$NAME` is plain text.
    modern: bool,
}

impl<'a> Variables<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        sources: &'a Sources,
        files: &'a dyn Files,
        environment: &'a Environment<'a>,
    ) -> Self {
        let top = &tree.block(Tree::TOP).settings;
        let modern = top.iter().any(|setting| setting.key.as_str() == "dovecot_config_version");
        Variables { tree, sources, files, environment, modern }
    }

    /// The value of a setting of `block`.
    pub(super) fn value(
        &self,
        block: BlockId,
        setting: &Setting,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Text {
        diagnostics.extend(setting.doubt.map(doubtful));
        let mut budget = EXPANSIONS_MAX;
        let text = self.evaluate(block, setting, &mut budget, diagnostics);
        if budget == 0 {
            let place = setting.value.written().place();
            diagnostics.push(
                Diagnostic::error(place, "too many variables for one value")
                    .help("do two settings take each other's value?"),
            );
        }
        text
    }

    /// Whether there is a directory of this path.
    pub(super) fn is_dir(&self, path: &Path) -> bool {
        self.files.is_dir(path)
    }

    /// Whether nobody wrote what stands at a place.
    pub(super) fn is_assumed(&self, place: Place) -> bool {
        assumed::is_assumed(place, self.sources)
    }

    /// What a Dovecot setting of the top level is: as written, or Dovecot's
    /// own default. Only for the names that have one here.
    pub(super) fn dovecot(&self, name: &str) -> String {
        if let Some((block, found)) = self.find(Tree::TOP, name, usize::MAX) {
            return self.value(block, found, &mut Vec::new()).as_str().to_owned();
        }
        let default = DOVECOT_DEFAULTS.iter().find(|(known, _)| *known == name);
        default.map_or_else(String::new, |(_, value)| (*value).to_owned())
    }

    /// The text with `%{env:NAME}` and `%{system:hostname}` of Dovecot 2.4 replaced, which mean
    /// the same for every event. Other `%{...}` are left to those who know events.
    pub(super) fn globals(&self, text: Text, diagnostics: &mut Vec<Diagnostic>) -> Text {
        let whole = text.as_str();
        if !GLOBALS.iter().any(|prefix| whole.contains(prefix)) {
            return text;
        }
        let mut value = Text::new(text.place().head());
        let mut at = 0;
        while let Some(start) = whole[at..].find("%{").map(|found| at + found) {
            let end = whole[start..].find('}').map_or(whole.len(), |found| start + found + 1);
            let is_escaped = whole[..start].ends_with('%');
            let is_global = GLOBALS.iter().any(|prefix| whole[start..].starts_with(prefix));
            value.push_part(&text, at..start);
            if is_global && !is_escaped {
                let place = text.place_of(start..end);
                let inner = whole[start + 2..end].trim_end_matches('}');
                match self.global(inner, place, diagnostics) {
                    Ok(found) => value.push_standing_for(&found, place),
                    Err(wrong) => {
                        value.push_part(&text, start..end);
                        let message = format!("`%{{{inner}}}` {wrong}");
                        diagnostics.push(Diagnostic::error(place, message).help(
                            "`%{env:NAME}`, `%{env:NAME | default('TEXT')}` and \
                             `%{system:hostname}` are understood",
                        ));
                    }
                }
            } else {
                value.push_part(&text, start..end);
            }
            at = end;
        }
        value.push_part(&text, at..whole.len());
        value
    }

    /// What stands between `%{` and `}`, evaluated.
    fn global(
        &self,
        inner: &str,
        place: Place,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<String, &'static str> {
        let mut parts = inner.split('|').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut value = match name.split_once(':') {
            Some(("env", name)) => (self.environment)(name),
            Some(("system", "hostname")) => {
                let read = self.files.read(Path::new(HOSTNAME), 4096);
                let read = read.map_err(|_| "can't be read from the system")?;
                Some(String::from_utf8_lossy(&read).trim().to_owned())
            }
            _ => return Err("is unknown"),
        };
        for filter in parts {
            let default = filter
                .strip_prefix("default(")
                .and_then(|rest| rest.strip_suffix(')'))
                .map(|word| word.trim_matches(['\'', '"']));
            value = match (filter, default) {
                (_, Some(default)) => {
                    Some(value.filter(|value| !value.is_empty()).unwrap_or(default.to_owned()))
                }
                ("lower", _) => value.map(|value| value.to_ascii_lowercase()),
                ("upper", _) => value.map(|value| value.to_ascii_uppercase()),
                _ => return Err("has a filter that is unknown here"),
            };
        }
        if value.is_none() {
            let message =
                format!("the environment variable `{}` is not set", &name["env:".len()..]);
            diagnostics.push(Diagnostic::warning(place, message).label("becomes empty"));
        }
        Ok(value.unwrap_or_default())
    }

    fn evaluate(
        &self,
        block: BlockId,
        setting: &Setting,
        budget: &mut usize,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Text {
        match &setting.value {
            Value::Plain(text) => text.clone(),
            Value::Quoted { text, odd_escape } => {
                if let Some(place) = *odd_escape {
                    diagnostics.push(
                        Diagnostic::warning(place, "this backslash is dropped")
                            .help("within quotes, write `\\\\` for a backslash"),
                    );
                }
                text.clone()
            }
            Value::File(path) => self.file(path, diagnostics),
            Value::WithVariables(text) => self.expand(block, setting, text, budget, diagnostics),
        }
    }

    /// A file's content without its last line end, which editors add.
    fn file(&self, path: &Text, diagnostics: &mut Vec<Diagnostic>) -> Text {
        let place = path.place();
        if path.as_str().is_empty() {
            return Text::new(place);
        }
        let path = beside(self.sources.path(place.file), path.as_str());
        let content = self.files.read(&path, FILE_BYTES_MAX.min(VALUE_BYTES_MAX as u64));
        let problem = match content.map(String::from_utf8) {
            Ok(Ok(content)) => {
                let content = content.strip_suffix('\n').unwrap_or(&content);
                let content = content.strip_suffix('\r').unwrap_or(content);
                return Text::standing_for(content, place);
            }
            Ok(Err(_)) => "it is not UTF-8".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("cannot read {}: {problem}", path.display());
        diagnostics.push(Diagnostic::error(place, message));
        Text::new(place)
    }

    fn expand(
        &self,
        block: BlockId,
        setting: &Setting,
        text: &Text,
        budget: &mut usize,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Text {
        let whole = text.as_str();
        let mut value = Text::new(text.place().head());
        let mut at = 0;
        while at < whole.len() {
            let rest = &whole[at..];
            let word = rest.find(' ').unwrap_or(rest.len());
            let blanks = rest[word..].len() - rest[word..].trim_start_matches(' ').len();
            let place = text.place_of(at..at + word);
            match self.variable(block, setting, &rest[..word], place, budget, diagnostics) {
                Some(replacement) => value.push_standing_for(replacement.as_str(), place),
                None => value.push_part(text, at..at + word),
            }
            value.push_part(text, at + word..at + word + blanks);
            at += word + blanks;
            if value.as_str().len() > VALUE_BYTES_MAX {
                diagnostics.push(Diagnostic::error(place, "the value becomes too long here"));
                break;
            }
        }
        value
    }

    /// What a word is replaced with, if it is a variable.
    fn variable(
        &self,
        block: BlockId,
        setting: &Setting,
        word: &str,
        place: Place,
        budget: &mut usize,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Text> {
        let name = word.strip_prefix('$')?;
        if let Some(name) = name.strip_prefix("ENV:") {
            let value = (self.environment)(name);
            if value.is_none() {
                let message = format!("the environment variable `{name}` is not set");
                diagnostics.push(Diagnostic::warning(place, message).label("becomes empty"));
            }
            return Some(Text::standing_for(&value.unwrap_or_default(), place));
        }
        let (path, explicit) = match name.strip_prefix("SET:") {
            Some(path) => (path, true),
            None if self.modern => return None,
            None => (name, false),
        };
        if *budget == 0 {
            return Some(Text::new(place));
        }
        *budget -= 1;
        let own = setting.key.as_str() == path;
        let before = if own || !explicit { setting.order } else { usize::MAX };
        if let Some((block, found)) = self.find(block, path, before) {
            return Some(self.evaluate(block, found, budget, diagnostics));
        }
        if let Some((_, value)) = DOVECOT_DEFAULTS.iter().find(|(known, _)| *known == path) {
            return Some(Text::standing_for(value, place));
        }
        if explicit && !own {
            let message = format!("there is no setting `{path}`");
            diagnostics.push(Diagnostic::error(place, message));
        }
        (explicit || own).then(|| Text::new(place))
    }

    /// The last setting of this name that was written before `before`: in the
    /// block itself, or else in the blocks around it.
    fn find(&self, block: BlockId, path: &str, before: usize) -> Option<(BlockId, &'a Setting)> {
        let (mut block, name) = match path.rsplit_once('/') {
            None => (block, path),
            Some((path, name)) => (self.walk(path)?, name),
        };
        loop {
            let settings = &self.tree.block(block).settings;
            let found = settings
                .iter()
                .rev()
                .find(|setting| setting.order < before && setting.key.as_str() == name);
            if let Some(found) = found {
                return Some((block, found));
            }
            block = self.tree.block(block).parent?;
        }
    }

    /// The block at `kind/name/kind/name`.
    fn walk(&self, path: &str) -> Option<BlockId> {
        let mut steps = path.split('/');
        let mut block = Tree::TOP;
        while let Some(kind) = steps.next() {
            let name = steps.next();
            block = self
                .tree
                .children(block)
                .find(|(_, child)| {
                    child.kind.as_str() == kind && child.name.as_ref().map(Text::as_str) == name
                })?
                .0;
        }
        Some(block)
    }
}

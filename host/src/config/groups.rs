//! Settings groups and TLS clients' blocks of Dovecot 2.4, put where they count.
//!
//! `group @LABEL NAME { ... }` at the top level says nothing by itself; where a
//! line `@LABEL = NAME` stands, its settings and blocks count, behind everything
//! that is written there. `ssl_client { ... }` is another way to write settings
//! that begin with `ssl_client_`. After this both are gone from the tree, and what
//! they said stands in the blocks where it counts, with the places where it was
//! written. Only the top level and blocks of ours are looked at; what stays is for
//! others to ignore.

use std::collections::{HashMap, HashSet};

use super::diagnostic::{Diagnostic, Severity};
use super::source::Place;
use super::text::Text;
use super::tree::{BlockId, Setting, Tree, Value};
use super::value;

/// So many settings and blocks may come from groups: one group may be used many
/// times, and is copied each time.
const COPIES_MAX: usize = 100_000;

/// Blocks that groups can be used in, and blocks in a group that matter to us.
const OUR_BLOCKS: &[&str] = &["input", "event_exporter", "metric"];

/// Groups of these labels are Dovecot's own, and no metrics.
const NOT_OURS: &[&str] = &["@mailbox_defaults"];

/// Groups by label, with its `@`, and name.
type Groups = HashMap<(String, String), BlockId>;

struct Expansion<'a> {
    tree: &'a mut Tree,
    groups: Groups,
    used: HashSet<BlockId>,
    copies: usize,
    problems: Vec<Diagnostic>,
}

/// Puts what groups and `ssl_client` blocks say where it counts.
pub(super) fn expand(tree: &mut Tree) -> Vec<Diagnostic> {
    let groups: Groups = tree
        .children(Tree::TOP)
        .filter(|(_, block)| block.kind.as_str() == "group")
        .filter_map(|(id, block)| {
            let (label, name) = block.name.as_ref()?.as_str().split_once(char::is_whitespace)?;
            label.starts_with('@').then(|| ((label.to_owned(), name.trim().to_owned()), id))
        })
        .collect();
    let (used, problems) = (HashSet::new(), Vec::new());
    let mut expansion = Expansion { tree, groups, used, copies: 0, problems };
    expansion.block(Tree::TOP);
    expansion.told();
    expansion.problems
}

impl Expansion<'_> {
    fn block(&mut self, id: BlockId) {
        let top = id == Tree::TOP;
        let mut lines = self.tree.take_settings(id, |setting| {
            let key = setting.key.as_str();
            key.starts_with('@') && !(top && NOT_OURS.contains(&key))
        });
        // Of one label the last line counts; of two groups the later one wins.
        lines.reverse();
        let mut labels = HashSet::new();
        lines.retain(|line| labels.insert(line.key.as_str().to_owned()));
        for line in lines {
            if let Some(group) = self.group(&line, top) {
                self.used.insert(group);
                self.copy(group, id, line.key.place());
            }
        }
        if top || self.tree.block(id).kind.as_str() == "event_exporter" {
            self.tls_client(id);
        }
        let children: Vec<BlockId> = self.tree.children(id).map(|(child, _)| child).collect();
        for child in children {
            let block = self.tree.block(child);
            let kind = block.kind.as_str();
            let is_stats = || block.name.as_ref().is_some_and(|name| name.as_str() == "stats");
            if !top || OUR_BLOCKS.contains(&kind) || kind == "service" && is_stats() {
                self.block(child);
            }
        }
    }

    /// The group that a line `@LABEL = NAME` means.
    fn group(&mut self, line: &Setting, top: bool) -> Option<BlockId> {
        let (label, name) = (line.key.as_str(), line.value.written());
        let key = (label.to_owned(), name.as_str().to_owned());
        if let Some(&group) = self.groups.get(&key) {
            return Some(group);
        }
        let message = format!("there is no `group {label} {} {{`", name.as_str());
        let mut problem = match (&line.value, top) {
            (Value::WithVariables(_) | Value::File(_), _) => {
                Diagnostic::error(name.place(), "a group's name can't be a variable or a file")
            }
            // Dovecot has some groups of its own.
            (_, true) => Diagnostic::warning(name.place(), message).help(
                "if it is one of Dovecot's own, write those of its metrics that you want: \
                 `metric NAME {`",
            ),
            (_, false) => Diagnostic::error(name.place(), message),
        };
        let names = self.groups.keys().filter(|(known, _)| known == label);
        if let Some(near) = value::nearest(name.as_str(), names.map(|(_, name)| name.as_str())) {
            problem = problem.label(format!("did you mean `{near}`?"));
        }
        self.problems.push(problem);
        None
    }

    /// Copies everything in `from` into `to`, before what is written there.
    fn copy(&mut self, from: BlockId, to: BlockId, user: Place) {
        let children: Vec<BlockId> = self.tree.children(from).map(|(child, _)| child).collect();
        let settings = self.tree.block(from).settings.clone();
        let fits = self.copies <= COPIES_MAX;
        self.copies += settings.len() + children.len();
        if self.copies > COPIES_MAX {
            if fits {
                let message = format!("groups bring more than {COPIES_MAX} settings and blocks");
                self.problems.push(Diagnostic::error(user, message));
            }
            return;
        }
        let (lines, settings): (Vec<Setting>, Vec<Setting>) =
            settings.into_iter().partition(|setting| setting.key.as_str().starts_with('@'));
        self.problems.extend(
            lines
                .iter()
                .map(|line| Diagnostic::error(line.key.place(), "a group can't use another group")),
        );
        self.tree.put_before(to, settings);
        for child in children {
            let block = self.tree.block(child);
            let (kind, name) = (block.kind.clone(), block.name.clone());
            let copy = self.tree.open(to, kind, name);
            self.copy(child, copy, user);
        }
    }

    /// Makes settings of what an `ssl_client` block in this one says.
    fn tls_client(&mut self, id: BlockId) {
        let client = self.tree.children(id).find_map(|(child, block)| {
            (block.kind.as_str() == "ssl_client" && block.name.is_none()).then_some(child)
        });
        let Some(client) = client else { return };
        for mut setting in self.tree.take_settings(client, |_| true) {
            if !setting.key.as_str().starts_with("ssl_") {
                let name = format!("ssl_client_{}", setting.key.as_str());
                setting.key = Text::standing_for(&name, setting.key.place());
            }
            self.tree.put(id, setting);
        }
        if self.tree.children(client).next().is_none() {
            self.tree.remove(id, client);
        }
    }

    /// Takes away the groups that were used, and says which were not although
    /// there is something of ours in them.
    fn told(&mut self) {
        let mut groups: Vec<BlockId> = self.groups.values().copied().collect();
        groups.sort_by_key(|group| self.tree.block(*group).order);
        for group in groups {
            let block = self.tree.block(group);
            let ours =
                self.tree.children(group).any(|(_, b)| OUR_BLOCKS.contains(&b.kind.as_str()));
            if self.used.contains(&group) {
                self.tree.remove(Tree::TOP, group);
            } else if ours {
                let message = format!("no line uses the {}: it says nothing", block.title());
                let note = Diagnostic::new(Severity::Note, Some(block.place()), message);
                self.problems.push(note.help("`@LABEL = NAME` would use it"));
                self.tree.remove(Tree::TOP, group);
            }
        }
    }
}

//! What was written, before anybody asks what it means: nested blocks with
//! their settings, in order, each with its place.

use std::collections::HashMap;

use super::lexer::Doubt;
use super::source::Place;
use super::text::Text;

/// The order of the first thing that is written. What groups bring counts as
/// written before everything else: its orders are smaller by this.
const WRITTEN_FROM: usize = usize::MAX / 2;

/// One block of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(usize);

/// Blocks and settings of a whole configuration.
#[derive(Debug)]
pub struct Tree {
    blocks: Vec<Block>,
    next_order: usize,
}

/// `kind name { ... }`. Blocks of the same kind and name within one block are
/// one block, wherever they were written.
#[derive(Debug)]
pub struct Block {
    /// The first word: `metric`, `event_exporter` ...
    pub kind: Text,
    /// The second word, if there is one.
    pub name: Option<Text>,
    /// The block that this one stands in; the top level has none.
    pub parent: Option<BlockId>,
    /// Everything written in it, in the order of writing, repetitions too.
    pub settings: Vec<Setting>,
    /// The blocks within it, in the order of first appearance.
    pub children: Vec<BlockId>,
    /// Larger than that of everything written before it.
    pub order: usize,
    index: HashMap<(String, Option<String>), BlockId>,
}

/// `key = value`.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The name, as it was written.
    pub key: Text,
    /// The value, as it was written.
    pub value: Value,
    /// Larger than that of everything written before it.
    pub order: usize,
    /// What in the value may not be meant as it was read.
    pub doubt: Option<Doubt>,
    /// Whether it means something else to who wrote it than its name means here; only
    /// variables see it.
    pub foreign: bool,
}

/// The right side of a setting, not yet evaluated: most settings of a Dovecot
/// configuration are not ours, and their files and variables are none of our
/// business.
#[derive(Clone, Debug)]
pub enum Value {
    /// The value itself.
    Plain(Text),
    /// It stood in quotes, which are gone, with their backslashes.
    Quoted {
        /// What stood between the quotes.
        text: Text,
        /// A backslash before something that needs none.
        odd_escape: Option<Place>,
    },
    /// `$NAME`, `$SET:NAME` and `$ENV:NAME` in it are to be replaced.
    WithVariables(Text),
    /// `<PATH`: the content of a file.
    File(Text),
}

impl Value {
    /// The text as it was written.
    pub fn written(&self) -> &Text {
        match self {
            Value::Plain(text)
            | Value::Quoted { text, .. }
            | Value::WithVariables(text)
            | Value::File(text) => text,
        }
    }
}

impl Tree {
    /// The top level.
    pub const TOP: BlockId = BlockId(0);

    pub(super) fn new(anchor: Place) -> Self {
        let mut tree = Tree { blocks: Vec::new(), next_order: WRITTEN_FROM };
        tree.push(Text::new(anchor), None, None);
        tree
    }

    /// A block of this tree.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0]
    }

    /// The blocks within a block, in the order of first appearance.
    pub fn children(&self, id: BlockId) -> impl Iterator<Item = (BlockId, &Block)> {
        self.block(id).children.iter().map(|&child| (child, self.block(child)))
    }

    /// The block of this kind and name within `parent`, made when it is new.
    pub(super) fn open(&mut self, parent: BlockId, kind: Text, name: Option<Text>) -> BlockId {
        let key = (kind.as_str().to_owned(), name.as_ref().map(|name| name.as_str().to_owned()));
        if let Some(&known) = self.block(parent).index.get(&key) {
            return known;
        }
        let id = self.push(kind, name, Some(parent));
        let parent = &mut self.blocks[parent.0];
        parent.children.push(id);
        parent.index.insert(key, id);
        id
    }

    /// Adds a setting to a block.
    pub(super) fn set(&mut self, block: BlockId, key: Text, value: Value, doubt: Option<Doubt>) {
        let order = self.order();
        let foreign = false;
        self.blocks[block.0].settings.push(Setting { key, value, order, doubt, foreign });
    }

    /// Takes settings out of a block.
    pub(super) fn take_settings(
        &mut self,
        block: BlockId,
        mut which: impl FnMut(&Setting) -> bool,
    ) -> Vec<Setting> {
        let settings = std::mem::take(&mut self.blocks[block.0].settings);
        let (taken, left) = settings.into_iter().partition(|setting| which(setting));
        self.blocks[block.0].settings = left;
        taken
    }

    /// Has settings of a block seen by variables only.
    pub(super) fn disown(&mut self, block: BlockId, mut which: impl FnMut(&Setting) -> bool) {
        let settings = &mut self.blocks[block.0].settings;
        settings.iter_mut().for_each(|setting| setting.foreign = which(setting));
    }

    /// Puts settings into a block as if they had been written before all others.
    pub(super) fn put_before(&mut self, block: BlockId, mut settings: Vec<Setting>) {
        for setting in &mut settings {
            setting.order = setting.order.saturating_sub(WRITTEN_FROM);
        }
        self.blocks[block.0].settings.splice(0..0, settings);
    }

    /// Puts a setting into a block, last.
    pub(super) fn put(&mut self, block: BlockId, setting: Setting) {
        self.blocks[block.0].settings.push(setting);
    }

    /// Takes a block out of the one that it stands in.
    pub(super) fn remove(&mut self, parent: BlockId, block: BlockId) {
        self.blocks[parent.0].children.retain(|child| *child != block);
    }

    fn push(&mut self, kind: Text, name: Option<Text>, parent: Option<BlockId>) -> BlockId {
        let order = self.order();
        self.blocks.push(Block {
            kind,
            name,
            parent,
            settings: Vec::new(),
            children: Vec::new(),
            order,
            index: HashMap::new(),
        });
        BlockId(self.blocks.len() - 1)
    }

    fn order(&mut self) -> usize {
        self.next_order += 1;
        self.next_order
    }
}

impl Block {
    /// Where the block was first opened: its name, or else its kind.
    pub fn place(&self) -> Place {
        self.name.as_ref().unwrap_or(&self.kind).place()
    }

    /// How messages call it: "metric `x`", "the top level".
    pub fn title(&self) -> String {
        match &self.name {
            _ if self.parent.is_none() => "the top level".to_owned(),
            Some(name) => format!("{} `{}`", self.kind.as_str(), name.as_str()),
            None => format!("{} block", self.kind.as_str()),
        }
    }
}

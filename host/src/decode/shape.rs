//! Shapes: which fields follow each other in the lines of one sender.
//!
//! A sender's events have the same names in the same order again and again. So
//! names are learned as a tree: each node is the name behind the names on the
//! way to it. While a line follows a way that was learned, a name is known by
//! one comparison: its symbol needs no look-up, and that no name comes twice
//! was seen when the way was learned. A line that leaves the tree is decoded as if
//! there were none, and may add its way. Where a line enters the tree depends on the
//! event's name, where a protocol says it before the fields: most of the choice
//! among names is made by that.
//!
//! What is decoded never depends on the tree. It is bounded in size, and so is the
//! time that a sender can make us lose with it: learning costs credit, which is
//! earned mostly by lines that follow the tree; without credit, a line that leaves
//! the tree pauses it, longer each time.

use super::side_by_side::{HEAD, equal_in};
use crate::event::{Mark, Symbol};

/// Nodes in a tree; 64 bytes each.
const NODES_MAX: usize = 1024;

/// How many of a node's children are looked at; the one found last comes first.
const CHILDREN_MAX: u32 = 8;

/// What it costs to learn a line; each line earns 1.
const COST: u32 = 64;

/// What a line earns that follows the tree.
const EARNED: u32 = 16;

/// The most credit: so many lines may be learned in a row.
const CREDIT_MAX: u32 = 64 * COST;

/// The longest pause, in lines, as a power of two.
const PAUSE_MAX: u32 = 8;

/// How many places a line of either [`Beginning`] may begin at; a power of two.
const ENTRANCES: u32 = 16;

/// The nodes at which lines begin.
const BEGINNINGS: u32 = 2 * ENTRANCES;

/// Where a line begins in the tree. Ways of different beginnings never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// No name comes twice on a way from here.
    Every = 0,
    /// No wanted name comes twice on a way from here.
    Wanted = 1,
}

/// What was learned about one sender's lines.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// The first ones are the beginnings.
    nodes: Vec<Node>,
    /// Where in the tree the line is.
    at: u32,
    state: State,
    credit: u32,
    /// Lines in a row that left the tree and could not be learned.
    losses: u32,
    /// Lines for which the tree is left alone.
    pause: u32,
}

/// What happens with a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It has followed the tree so far.
    Following,
    /// It left the tree, and its way is added.
    Learning,
    /// Nothing.
    #[default]
    Idle,
}

/// A name, behind all names on the way to it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Node {
    /// The name as it stands in lines, with what tells its end.
    head: [u8; HEAD],
    /// A bit for each byte of the head.
    mask: u32,
    /// The node found last among those behind this one; 0 for none.
    child: u32,
    /// The next one behind the same node; 0 for none.
    sibling: u32,
    known: Known,
}

/// What is known of a name that was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Bytes of the head.
    pub len: u32,
    /// The name's symbol.
    pub symbol: Symbol,
    /// The name's mark.
    pub mark: Mark,
    /// Whether anything asks for it.
    pub wanted: bool,
}

/// A node of the tree: which names have come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

const BEGINNING: Node = Node {
    head: [0; HEAD],
    mask: 0,
    child: 0,
    sibling: 0,
    known: Known { len: 0, symbol: Symbol::NONE, mark: Mark::NONE, wanted: false },
};

impl Shapes {
    /// Forgets everything, because names have other symbols now.
    pub(super) fn clear(&mut self) {
        *self = Shapes::default();
    }

    /// Learns nothing, and knows nothing.
    #[cfg(test)]
    pub(super) fn turn_off(&mut self) {
        self.pause = u32::MAX;
    }

    /// Begins a line.
    #[inline]
    pub(super) fn begin(&mut self, beginning: Beginning) {
        self.at = beginning as u32;
        self.state = State::Following;
        if self.pause > 0 {
            self.pause -= 1;
            self.state = State::Idle;
        } else if self.nodes.is_empty() {
            self.nodes.resize(BEGINNINGS as usize, BEGINNING);
            self.credit = CREDIT_MAX;
        }
        self.credit = (self.credit + 1).min(CREDIT_MAX);
    }

    /// Has the line enter the tree elsewhere, if it is still where it
    /// [began](Self::begin): lines of the same `kind`, the event's name say, are more alike
    /// than others. Some kinds share an entrance.
    #[inline]
    pub(super) fn enter(&mut self, kind: &[u8]) {
        if self.at > Beginning::Wanted as u32 {
            return;
        }
        let word = |start: usize| {
            let chunk = kind.get(start..).and_then(<[u8]>::first_chunk);
            chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk))
        };
        // The first, middle and last bytes are enough to tell most of them apart.
        let last = kind.len().saturating_sub(8);
        let words = word(0) ^ word(last / 2).rotate_left(21) ^ word(last).rotate_left(42);
        let hash = (words ^ kind.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The highest bits depend on all.
        self.at += 2 * (hash >> (u64::BITS - ENTRANCES.ilog2())) as u32;
    }

    /// A small number that lines of one kind have in common where they [enter](Self::enter) the
    /// tree; behind that, some number.
    #[inline]
    pub(super) fn entrance(&self) -> usize {
        (self.at % BEGINNINGS) as usize
    }

    /// Whether the line has followed the tree so far: no name has come twice.
    #[inline]
    pub(super) fn is_following(&self) -> bool {
        self.state == State::Following
    }

    /// Where the line is in the tree. Whoever takes many names goes on from there with
    /// [`follow`](Self::follow), and says with [`go_to`](Self::go_to) where that ended.
    #[inline(always)]
    pub(super) fn place(&self) -> Place {
        Place(self.at)
    }

    /// The line is at this place.
    #[inline(always)]
    pub(super) fn go_to(&mut self, place: Place) {
        self.at = place.0;
    }

    /// What is known of the name with whose head `rest` begins, behind the names
    /// before `place`; `place` is then behind it. Asked only while
    /// [`is_following`](Self::is_following); when the name is not known, the line has
    /// left the tree there.
    #[inline(always)]
    pub(super) fn follow(&mut self, place: &mut Place, rest: &[u8]) -> Option<Known> {
        match self.follow_first(place, rest) {
            None => self.follow_sibling(place, rest),
            known => known,
        }
    }

    /// As [`follow`](Self::follow), but only the name is tried that was next the last time,
    /// and the line has not left the tree when it is another.
    #[inline(always)]
    pub(super) fn follow_first(&self, place: &mut Place, rest: &[u8]) -> Option<Known> {
        let first = self.nodes[place.0 as usize].child;
        let node = &self.nodes[first as usize];
        if first != 0 && node.begins(rest) {
            *place = Place(first);
            return Some(node.known);
        }
        None
    }

    /// As [`follow`](Self::follow), when [`follow_first`](Self::follow_first) has found nothing.
    #[inline(always)]
    pub(super) fn follow_sibling(&mut self, place: &mut Place, rest: &[u8]) -> Option<Known> {
        let found = self.find_sibling(*place, rest)?;
        *place = found;
        Some(self.nodes[found.0 as usize].known)
    }

    #[inline(never)]
    fn find_sibling(&mut self, place: Place, rest: &[u8]) -> Option<Place> {
        let first = self.nodes[place.0 as usize].child;
        let mut before = first;
        for _ in 1..CHILDREN_MAX {
            let id = self.nodes[before as usize].sibling;
            if before == 0 || id == 0 {
                break;
            }
            let node = self.nodes[id as usize];
            if node.begins(rest) {
                self.nodes[before as usize].sibling = node.sibling;
                self.nodes[id as usize].sibling = first;
                self.nodes[place.0 as usize].child = id;
                return Some(Place(id));
            }
            before = id;
        }
        self.lose(place);
        None
    }

    /// The line has left the tree.
    fn lose(&mut self, place: Place) {
        self.at = place.0;
        self.state = State::Idle;
        if self.credit >= COST {
            self.credit -= COST;
            self.state = State::Learning;
        } else {
            self.losses = (self.losses + 1).min(PAUSE_MAX);
            self.pause = 1 << self.losses;
        }
    }

    /// Adds a name to the way so far, if the line is to be learned. It must not
    /// be on it already, as [`Beginning`] says.
    #[inline]
    pub(super) fn learn(&mut self, head: &[u8], symbol: Symbol, mark: Mark, wanted: bool) {
        if self.state == State::Learning {
            self.add(head, Known { len: head.len() as u32, symbol, mark, wanted });
        }
    }

    /// The rest of the line is not learned.
    #[inline]
    pub(super) fn stop(&mut self) {
        self.state = State::Idle;
    }

    #[cold]
    fn add(&mut self, head: &[u8], known: Known) {
        if head.is_empty() || head.len() > HEAD {
            return self.stop();
        }
        if self.nodes.len() >= NODES_MAX {
            // What the sender sends now is learned from the next line on.
            self.nodes.truncate(BEGINNINGS as usize);
            self.nodes.fill(BEGINNING);
            return self.stop();
        }
        let parent = &mut self.nodes[self.at as usize];
        let mut node = Node {
            mask: u32::MAX >> (HEAD - head.len()),
            sibling: parent.child,
            known,
            ..BEGINNING
        };
        node.head[..head.len()].copy_from_slice(head);
        let id = self.nodes.len() as u32;
        self.nodes[self.at as usize].child = id;
        self.nodes.push(node);
        self.at = id;
    }

    /// Ends a line that was decoded.
    #[inline]
    pub(super) fn end(&mut self) {
        if self.is_following() {
            self.credit = (self.credit + EARNED).min(CREDIT_MAX);
            self.losses = 0;
        }
    }
}

impl Node {
    #[inline(always)]
    fn begins(&self, rest: &[u8]) -> bool {
        match rest.first_chunk() {
            Some(text) => equal_in(self.mask.into(), text, &self.head),
            None => rest.starts_with(&self.head[..self.known.len as usize]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BEGINNINGS, Beginning, CHILDREN_MAX, ENTRANCES, NODES_MAX, Shapes};
    use crate::event::{Mark, Symbol};

    /// Sends a line with these names; true when all of them were known.
    fn send(shapes: &mut Shapes, names: &[String]) -> bool {
        send_event(shapes, b"", names)
    }

    /// The same, of an event with this name.
    fn send_event(shapes: &mut Shapes, event: &[u8], names: &[String]) -> bool {
        shapes.begin(Beginning::Every);
        shapes.enter(event);
        for name in names {
            let rest = format!("{name}:behind it there is more of the line");
            let mut place = shapes.place();
            let known = match shapes.is_following() {
                true => shapes.follow(&mut place, rest.as_bytes()),
                false => None,
            };
            match known {
                Some(known) => {
                    assert_eq!(known.len as usize, name.len() + 1);
                    shapes.go_to(place);
                }
                None => {
                    shapes.learn(&rest.as_bytes()[..name.len() + 1], Symbol::NONE, Mark::NONE, true)
                }
            }
        }
        shapes.end();
        shapes.is_following()
    }

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn lines_are_known_from_the_second_time_on() {
        let mut shapes = Shapes::default();
        for line in ["a b c", "a b d", "b a", "", "ab"] {
            let expected = line.is_empty();
            assert_eq!(send(&mut shapes, &names(line)), expected, "{line}");
            assert!(send(&mut shapes, &names(line)), "{line}");
        }
        for line in ["a b", "a b c", "ab", "b", "a b d", "a b c"] {
            assert!(send(&mut shapes, &names(line)), "{line}");
        }
        assert_eq!(shapes.nodes.len(), BEGINNINGS as usize + 7);
        shapes.begin(Beginning::Wanted);
        let mut place = shapes.place();
        assert!(shapes.follow(&mut place, b"a:").is_none());
    }

    #[test]
    fn events_enter_by_their_names_and_never_change_their_beginning() {
        let mut shapes = Shapes::default();
        let events = 4 * CHILDREN_MAX;
        let mut known = 0;
        for _ in 0..2 {
            for event in 0..events {
                let name = format!("mail_event_{event}_finished");
                known += u32::from(send_event(&mut shapes, name.as_bytes(), &[event.to_string()]));
            }
        }
        // All at one entrance, they would be more than are looked at.
        assert!(known > events / 2, "{known}");
        for beginning in [Beginning::Every, Beginning::Wanted] {
            let mut entrances = std::collections::BTreeSet::new();
            for event in 0..1000 {
                shapes.begin(beginning);
                shapes.enter(format!("event_{event}").as_bytes());
                let place = shapes.place();
                assert!(place.0 < BEGINNINGS && place.0 % 2 == beginning as u32);
                entrances.insert(place.0);
            }
            assert_eq!(entrances.len(), ENTRANCES as usize);
        }
        // Behind a field it is too late.
        send_event(&mut shapes, b"e", &names("a b"));
        let place = shapes.place();
        shapes.enter(b"another");
        assert_eq!(shapes.place(), place);
    }

    #[test]
    fn a_sender_of_ever_new_names_is_left_alone() {
        let mut shapes = Shapes::default();
        let mut asked = 0;
        for number in 0..100_000 {
            asked += u32::from(shapes.pause == 0);
            let line: Vec<String> = (0..9).map(|name| format!("{name}_{number}")).collect();
            assert!(!send(&mut shapes, &line));
            assert!(shapes.nodes.len() <= NODES_MAX);
        }
        assert!(asked < 3000, "{asked}");
        // When it becomes like others, that is learned, too.
        let line = names("a b c");
        let mut known = 0;
        for _ in 0..10_000 {
            known += u32::from(send(&mut shapes, &line));
        }
        assert!(known > 9_000, "{known}");
    }

    #[test]
    fn more_names_than_are_looked_at_are_not_looked_for() {
        let mut shapes = Shapes::default();
        for name in 0..2 * CHILDREN_MAX {
            assert!(!send(&mut shapes, &[name.to_string()]));
        }
        for name in CHILDREN_MAX..2 * CHILDREN_MAX {
            assert!(send(&mut shapes, &[name.to_string()]), "{name}");
        }
        assert!(!send(&mut shapes, &["0".to_owned()]));
    }
}
